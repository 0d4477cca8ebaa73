// Elements and numbers. Text of others becomes text, never markup.
export const SVG = "http://www.w3.org/2000/svg";

export function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

export function shape(name, attributes = {}, text) {
  const made = document.createElementNS(SVG, name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

export const whole = (number) => Math.round(number).toLocaleString("en");
export const percent = (part) => `${Math.round(100 * part)}%`;
export const count = (number, word) => `${whole(number)} ${word}${number === 1 ? "" : "s"}`;

export function short(number) {
  for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (number >= size) return (number / size).toPrecision(3) + unit;
  }
  return number >= 10 || number === 0 ? String(Math.round(number)) : number.toPrecision(2);
}

// Puts rows in place of those of a table, if they differ.
export function rows(body, wanted) {
  const key = JSON.stringify(wanted);
  if (body.dataset.key === key) return;
  body.dataset.key = key;
  body.replaceChildren(...wanted.map((cells) => {
    const row = element("tr");
    cells.forEach((cell, at) => {
      const isNumber = typeof cell === "number";
      row.append(element(at === 0 ? "th" : "td", isNumber ? whole(cell) : cell, {
        ...(at === 0 ? { scope: "row" } : {}),
        ...(isNumber ? { class: "number" } : {}),
      }));
    });
    return row;
  }));
}
