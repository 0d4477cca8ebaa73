// What a browser sees of a run: `node look.mjs ADDRESS TOKEN FOLDER`, with playwright-core and axe-core beside it in NODE_PATH's folder.
// It says `lose` when the run is to go away, and `return` when it is to come back; what is wrong ends it with a message.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const [address, token, folder] = process.argv.slice(2);
const modules = createRequire(join(process.env.PAGE_MODULES, "look.cjs"));
const { chromium } = modules("playwright-core");
const axe = readFileSync(modules.resolve("axe-core/axe.min.js"), "utf8");

function must(isSo, what) {
  if (!isSo) throw new Error(what);
}

const faults = [];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });

// A page that loads nothing from elsewhere and has no fault.
async function open(options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(`http://${address}/`) && !url.startsWith("data:")) faults.push(`loads ${url}`);
  });
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("dialog", (dialog) => faults.push(`a dialog: ${dialog.message()}`));
  await page.goto(`http://${address}/`);
  await page.waitForSelector("#graph svg");
  await page.waitForSelector("#rates svg path.done");
  await page.waitForSelector("#incidents li");
  return page;
}

const state = (page, words) => page.waitForFunction((words) => document.getElementById("state").textContent.includes(words), words, { timeout: 60_000 });

async function violations(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run());
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
}

// In dark on a phone: nothing is wider than the screen, and everything can be read.
const phone = await open({ viewport: { width: 390, height: 844 }, colorScheme: "dark", bypassCSP: true });
must((await phone.evaluate(() => document.documentElement.scrollWidth)) <= 390, "the page is wider than a phone");
must((await violations(phone)).length === 0, (await violations(phone)).join("\n"));
await phone.screenshot({ path: join(folder, "phone.png"), fullPage: true });
await phone.context().close();

const page = await open({ viewport: { width: 1100, height: 800 }, bypassCSP: true });
await state(page, "Live.");
const shown = await page.evaluate(() => ({
  title: document.querySelector("h1").textContent,
  boxes: document.querySelectorAll("#graph .box").length,
  rows: document.querySelectorAll("#replicas tr").length,
}));
must(shown.title.includes("<script>"), `the name of the graph is text: ${shown.title}`);
must(shown.boxes === 7 && shown.rows === 7, JSON.stringify(shown));
// With the keyboard alone an incident opens to its explanation, and stays open.
await page.focus("#incidents summary");
await page.keyboard.press("Enter");
await page.waitForTimeout(3000);
const opened = await page.evaluate(() => document.querySelector("#incidents details[open]")?.textContent ?? "");
must(opened.includes("expected") && opened.includes("threshold"), `an incident opens to its explanation: ${opened}`);
must((await violations(page)).length === 0, (await violations(page)).join("\n"));

// A replica more, as it happens.
await page.fill("#token", "not the token at all");
await page.selectOption("#brick", "mapping");
await page.fill("#count", "2");
await page.click("#scale button");
await page.waitForFunction(() => document.getElementById("answer").textContent.includes("Refused: the token is another one"));
await page.fill("#token", token);
await page.click("#scale button");
await page.waitForFunction(() => document.getElementById("answer").textContent.startsWith("In force"));
await page.waitForFunction(() => document.querySelectorAll("#replicas tr").length === 8);
await page.waitForFunction(() => document.getElementById("events").textContent.includes("scale mapping to 2"));
await page.waitForSelector("#rates .mark.order", { state: "attached" });
await page.waitForSelector("#latencies svg path.done", { state: "attached" });

// Another threshold, from a packet on; a host that is suppressed; the packets of an incident.
await page.fill("#threshold-value", "0.25");
await page.click("#threshold button");
await page.waitForFunction(() => document.getElementById("answer").textContent.includes("threshold 0.25"));
if (!(await page.$("#incidents details[open]"))) await page.click("#incidents summary");
await page.click("#incidents details[open] button:has-text('Suppress')");
await page.waitForFunction(() => document.getElementById("answer").textContent.includes("number 0"));
await page.waitForFunction(() => document.querySelectorAll("#suppressions tr").length === 1);
await page.waitForFunction(() => document.getElementById("events").textContent.includes("number 0: "));
const [saved] = await Promise.all([page.waitForEvent("download"), page.click("#incidents details[open] button:has-text('Save')")]);
const bytes = readFileSync(await saved.path());
must(bytes.length > 100 && bytes.readUInt32BE(0) === 0x0a0d0d0a, `a capture of ${bytes.length} bytes is saved`);
must((await violations(page)).length === 0, (await violations(page)).join("\n"));
await page.evaluate(() => scrollTo(0, 0));
await page.screenshot({ path: join(folder, "page.png") });

console.log("lose");
await state(page, "The connection is lost");
console.log("return");
await state(page, "Live.");
// The run that came back has seven workers, and no order yet.
await page.waitForFunction(() => document.querySelectorAll("#replicas tr").length === 7);
await page.waitForFunction(() => !document.getElementById("events").textContent.includes("scale"));
await page.waitForSelector("#incidents li");
must(faults.length === 0, faults.join("\n"));
await browser.close();
console.log("seen");
