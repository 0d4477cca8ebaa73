// What a browser sees of a run over TLS: `node login.mjs ADDRESS TOKEN FOLDER`. What is wrong ends it with a message.
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

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
// The authority is a private one, which curl and the client of the command check.
const context = await browser.newContext({ ignoreHTTPSErrors: true, bypassCSP: true, viewport: { width: 390, height: 600 } });
const page = await context.newPage();
const faults = [];
page.on("pageerror", (error) => faults.push(error.message));
await page.goto(`https://${address}/`);
await page.waitForSelector("form[action='/login']");
await page.evaluate(axe);
const { violations } = await page.evaluate(() => axe.run());
must(violations.length === 0, violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`).join("\n"));
await page.screenshot({ path: join(folder, "login.png") });

await page.keyboard.type("not the token at all");
await page.keyboard.press("Enter");
await page.waitForFunction(() => document.querySelector("[role=status]").textContent.includes("another one"));
await page.fill("input[name=token]", token);
await page.keyboard.press("Enter");
// The page follows the run by its cookie, which no script sees.
await page.waitForSelector("#graph svg");
await page.waitForFunction(() => document.getElementById("state").textContent.includes("Live."));
await page.waitForSelector("#incidents li");
must((await page.evaluate(() => document.cookie)) === "", "a script reads the cookie");
const [cookie] = await context.cookies();
must(cookie.httpOnly && cookie.secure && cookie.sameSite === "Strict", JSON.stringify(cookie));
await page.click("form[action='/logout'] button");
await page.waitForSelector("form[action='/login']");
must(faults.length === 0, faults.join("\n"));
await browser.close();
console.log("seen");
