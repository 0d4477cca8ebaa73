// Plays a run that has ended: buttons, a slider and keys choose the moment, and `show` draws it.
const at = (id) => document.getElementById(id);
const EVERY = 250;
// Seconds that an arrow goes.
const STEP = 10;

const clock = (seconds) => {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(seconds % 60)}`;
};

export function play(end, show) {
  const [button, speed, slider, output] = ["play", "speed", "position", "clock"].map(at);
  let [now, timer, busy, wanted] = [end, null, false, null];
  // So that the whole of it takes a minute or less, if that can be.
  speed.value = [...speed.options].map((option) => option.value).find((each) => end / each <= 60) ?? speed.options[speed.options.length - 1].value;

  // One moment is asked for at a time; of those that were wanted meanwhile the last.
  async function draw() {
    wanted = now;
    if (busy) return;
    busy = true;
    while (wanted !== null) {
      const next = wanted;
      wanted = null;
      await show(next);
    }
    busy = false;
  }

  function go(to) {
    now = Math.max(0, Math.min(end, to));
    slider.value = now;
    const text = `${clock(now)} of ${clock(end)}`;
    slider.setAttribute("aria-valuetext", text);
    output.textContent = text;
    draw();
  }

  function pause() {
    clearInterval(timer);
    timer = null;
    button.textContent = "Play";
  }

  function toggle() {
    if (timer !== null) return pause();
    if (now >= end) go(0);
    button.textContent = "Pause";
    timer = setInterval(() => {
      go(now + (EVERY / 1000) * Number(speed.value));
      if (now >= end) pause();
    }, EVERY);
  }

  button.addEventListener("click", toggle);
  slider.addEventListener("input", () => go(Number(slider.value)));
  document.addEventListener("keydown", (event) => {
    // Who has the focus has the keys.
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("input, select, button, summary, a, [tabindex]")) return;
    const keys = { " ": toggle, ArrowLeft: () => go(now - STEP), ArrowRight: () => go(now + STEP), Home: () => go(0), End: () => go(end) };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  addEventListener("resize", draw);
  go(end);
}
