// The picture of the page in the book: `node picture.mjs ADDRESS TOKEN FOLDER`, of a replay that has ended.
import { createRequire } from "node:module";
import { join } from "node:path";

const [address, , folder] = process.argv.slice(2);
const { chromium } = createRequire(join(process.env.PAGE_MODULES, "look.cjs"))("playwright-core");

// The scan of the demo's capture goes on here; of a shorter capture it is the middle.
const SCAN = 1010;

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: 1100, height: 1900 } });
await page.goto(`http://${address}/`);
await page.waitForSelector("#rates svg path.done");
const end = await page.evaluate(() => Number(document.getElementById("position").max));
const at = end > SCAN ? SCAN : Math.floor(end / 2);
await page.fill("#position", String(at));
await page.waitForFunction((at) => document.getElementById("clock").textContent.startsWith(`${Math.floor(at / 60)}:${String(at % 60).padStart(2, "0")} `), at);
await page.waitForSelector("#incidents summary");
await page.click("#incidents summary");
await page.waitForSelector("#incidents details[open] table");
await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });
await page.screenshot({ path: join(folder, "seeing.png") });
await browser.close();
console.log("seen");
