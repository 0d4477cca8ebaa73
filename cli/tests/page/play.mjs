// What a browser sees of a replay that has ended: `node play.mjs ADDRESS TOKEN FOLDER`. What is wrong ends it with a message.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const [address, , folder] = process.argv.slice(2);
const modules = createRequire(join(process.env.PAGE_MODULES, "look.cjs"));
const { chromium } = modules("playwright-core");
const axe = readFileSync(modules.resolve("axe-core/axe.min.js"), "utf8");

function must(isSo, what) {
  if (!isSo) throw new Error(what);
}

const faults = [];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });

async function open(options) {
  const context = await browser.newContext({ ...options, bypassCSP: true });
  const page = await context.newPage();
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith(`http://${address}/`) && !request.url().startsWith("data:")) faults.push(`loads ${request.url()}`);
  });
  await page.goto(`http://${address}/`);
  await page.waitForSelector("#graph svg");
  await page.waitForSelector("#rates svg path.done");
  await page.waitForSelector("#incidents li");
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run());
  must(violations.length === 0, violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`).join("\n"));
  return page;
}

const phone = await open({ viewport: { width: 390, height: 844 }, colorScheme: "dark" });
must((await phone.evaluate(() => document.documentElement.scrollWidth)) <= 390, "the page is wider than a phone");
await phone.screenshot({ path: join(folder, "play-phone.png") });
await phone.context().close();

const page = await open({ viewport: { width: 1100, height: 900 } });
const position = () => page.evaluate(() => Number(document.getElementById("position").value));
const received = () => page.evaluate(() => Number(document.querySelector("#losses td.number").textContent.replaceAll(",", "")));
const until = (words) => page.waitForFunction((words) => document.getElementById("clock").textContent.startsWith(words), words);
const end = await position();
const all = await received();
must(end > 1 && all > 0, `${all} packets in ${end} s`);
must(!(await page.isVisible("#scale")), "nothing can be changed");
// With the keyboard alone.
await page.keyboard.press("Home");
await until("0:00 of");
await page.waitForFunction(() => document.querySelector("#losses td.number").textContent === "0");
await page.keyboard.press("ArrowRight");
await page.waitForFunction((all) => document.querySelector("#losses td.number").textContent !== "0", all);
await page.keyboard.press("Space");
await page.waitForFunction(() => document.getElementById("play").textContent === "Pause");
await page.waitForFunction((end) => Number(document.getElementById("position").value) >= end, end, { timeout: 90_000 });
await page.waitForFunction(() => document.getElementById("play").textContent === "Play");
await page.waitForFunction((all) => Number(document.querySelector("#losses td.number").textContent.replaceAll(",", "")) === all, all);
// By the button and the slider.
await page.fill("#position", String(end / 2));
await page.waitForFunction((all) => Number(document.querySelector("#losses td.number").textContent.replaceAll(",", "")) < all, all);
await page.selectOption("#speed", "1");
await page.click("#play");
await page.waitForFunction(() => document.getElementById("play").textContent === "Pause");
await page.click("#play");
must((await position()) < end, "it was paused");
await page.screenshot({ path: join(folder, "play.png") });
must(faults.length === 0, faults.join("\n"));
await browser.close();
console.log("seen");
