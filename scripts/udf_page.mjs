// Opens a chart of PyWry in a browser and prints what stands above its candles, once it has any; run by scripts/clients.py.
//
//   node scripts/udf_page.mjs URL

import { chromium } from "playwright-core";
import { existsSync } from "node:fs";

const candidates = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const executablePath = candidates.find((path) => path && existsSync(path));
if (!executablePath) throw new Error("no Chromium found: scripts/setup.sh clients installs one, or name it in CHROMIUM");
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage({ viewport: { width: 1200, height: 700 } });
const problems = [];
page.on("pageerror", (error) => problems.push(error.message));
await page.goto(process.argv[2]);
// The price of the newest candle, which only bars bring.
const legend = page.getByText(/O \d+\.\d+.*C \d+\.\d+.*Vol/s).last();
await legend.waitFor({ timeout: 60_000 });
console.log((await legend.innerText()).replaceAll("\n", " "));
console.log(`${await page.locator("canvas").count()} canvases`);
await browser.close();
if (problems.length > 0) throw new Error(problems.join("\n"));
