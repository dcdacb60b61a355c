// Chromium for the tests: one browser per test file, one context per page, and a record of all that must not happen.

import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const BASE = process.env.BASE_URL ?? "http://127.0.0.1:8080";
const artifacts = join(dirname(fileURLToPath(import.meta.url)), "artifacts");
const axeSource = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What the browser says when it was told to block service workers. */
const BLOCKED = "Service Worker registration blocked by Playwright";

/** The two widths that the pages are designed at. */
export const WIDE = { width: 1440, height: 900 };
export const NARROW = { width: 375, height: 812 };

const candidates = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

export function launch() {
  const executablePath = candidates.find((path) => path && existsSync(path));
  if (!executablePath) throw new Error("no Chromium found: scripts/setup.sh test installs one, or name it in CHROMIUM");
  return chromium.launch({
    executablePath,
    args: [
      "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ],
  });
}

/**
 * Opens a page. `page.problems` collects console errors and warnings, failed and foreign requests. A service worker, which
 * would download all of the app once more for every page, is what `serviceWorkers: "allow"` is for.
 */
export async function open(
  browser,
  path,
  { viewport = WIDE, scheme = "light", prepare, javaScriptEnabled = true, serviceWorkers = "block" } = {},
) {
  const context = await browser.newContext({ viewport, colorScheme: scheme, javaScriptEnabled, serviceWorkers, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.problems = [];
  page.on("console", (message) => {
    if (message.text() === BLOCKED) return;
    if (["error", "warning"].includes(message.type())) page.problems.push(`console ${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => page.problems.push(`exception: ${error.message}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    const foreign = !["data:", "blob:"].includes(url.protocol) && url.host !== new URL(BASE).host;
    if (foreign) page.problems.push(`request to another origin: ${url}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400) page.problems.push(`${response.status()} for ${response.url()}`);
  });
  await prepare?.(page);
  await page.goto(BASE + path, { waitUntil: "load" });
  return page;
}

/** The page follows the stream: hydrated, connected, and its newest bar came by the socket. */
export async function alive(page) {
  await page.locator('.freshness-badge[data-state="replay"], .freshness-badge[data-state="live"]').first().waitFor();
}

/** The visible charts are on their canvases. */
export async function drawn(page) {
  await page.locator(".chart-panel.shown .candle-chart.drawn .chart-overlay").first().waitFor();
  await page.waitForFunction(() => {
    const stages = [...document.querySelectorAll(".candle-stage")].filter((stage) => stage.clientWidth > 0);
    return stages.length > 0 && stages.every((stage) => stage.querySelectorAll("canvas").length >= 2);
  });
}

/** A fingerprint of what the chart shows. */
export function picture(page, side = "a") {
  return page.locator(`.chart-panel[data-side="${side}"] .chart-overlay`).evaluate((canvas) => canvas.toDataURL());
}

/** What axe-core finds against WCAG 2.2 AA. */
export async function violations(page) {
  await page.evaluate(axeSource);
  const runOnly = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
  const { violations } = await page.evaluate((runOnly) => window.axe.run(document, { runOnly, resultTypes: ["violations"] }), runOnly);
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(" ")).join(", ")}`);
}

export async function screenshot(page, name) {
  await mkdir(artifacts, { recursive: true });
  await page.screenshot({ path: join(artifacts, `${name}.png`) });
}
