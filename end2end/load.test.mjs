// What a page fetches, and in which order: something to read before the WASM is there, the chart's code only where a chart
// is shown, and of the pages' modules only the page's own.

import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { BASE, alive, launch, open } from "./browser.mjs";

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

const PAGES = [["/", "prices"], ["/dashboard", "dashboard"], ["/watchlist", "prices"], ["/pipeline", "operations"], ["/status", "operations"], ["/quality", "operations"], ["/quarantine", "operations"]];

/** Names of the files that the page has fetched, in the order of their beginnings. */
const fetched = (page) => page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => new URL(name).pathname));
const painted = () => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? null;

test("the page is painted before its WASM has come, and comes alive with it", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  let release;
  const held = new Promise((resolve) => (release = resolve));
  await page.route("**/*.wasm", async (route) => {
    await held;
    await route.continue();
  });
  await page.goto(`${BASE}/dashboard`, { waitUntil: "commit" });
  const first = await (await page.waitForFunction(painted)).jsonValue();
  assert.ok(first > 0);
  assert.ok(await page.locator("path.still-rising").first().getAttribute("d"), "candles are there");
  assert.deepEqual((await fetched(page)).filter((name) => name.endsWith("/chart.js")), [], "the chart's code waits");
  release();
  await alive(page);
  await context.close();
});

test("a page fetches its own module and no other, and the chart's code only where a chart is shown, after the WASM", async () => {
  const report = {};
  for (const [path, part] of PAGES) {
    const page = await open(browser, path);
    await page.waitForFunction((name) => performance.getEntriesByType("resource").some((entry) => entry.name.endsWith(name) && entry.responseEnd > 0), `${part}_bg.wasm`);
    if (path === "/dashboard") await page.waitForFunction(() => performance.getEntriesByType("resource").some((entry) => entry.name.endsWith("/chart.js") && entry.responseEnd > 0));
    const names = await fetched(page);
    const modules = [...new Set(names.filter((name) => name.endsWith(".wasm")))];
    assert.deepEqual(modules, [`/pkg/${part}_bg.wasm`], path);
    assert.equal(names.some((name) => name.endsWith("/chart.js")), path === "/dashboard", path);
    report[path] = await page.evaluate(() => {
      const entries = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
      const of = (ending) => entries.find(({ name }) => name.endsWith(ending));
      return {
        first_contentful_paint_ms: Math.round(performance.getEntriesByName("first-contentful-paint")[0]?.startTime),
        wasm_received_ms: Math.round(of(".wasm").responseEnd),
        chart_requested_ms: Math.round(of("/chart.js")?.startTime ?? NaN) || null,
        kilobytes: Object.fromEntries(entries.map(({ name, encodedBodySize }) => [new URL(name).pathname, Math.round(encodedBodySize / 102.4) / 10])),
      };
    });
    const { wasm_received_ms: wasm, chart_requested_ms: chart } = report[path];
    assert.ok(chart === null || chart >= wasm, `${path}: the chart's code was asked for at ${chart} ms, the WASM was there at ${wasm} ms`);
    await page.context().close();
  }
  const artifacts = new URL("artifacts/", import.meta.url);
  await mkdir(artifacts, { recursive: true });
  await writeFile(new URL("load.json", artifacts), `${JSON.stringify(report, null, 2)}\n`);
});

test("a page of another part is reached by its link, and the browser's history leads back and forth", async () => {
  const page = await open(browser, "/dashboard");
  await alive(page);
  const at = (path, heading) => page.waitForFunction(
    ([path, heading]) => location.pathname === path && document.querySelector(heading) !== null, [path, heading]);
  await page.locator('header a[href^="/quality"]').first().click();
  await at("/quality", "main h1");
  await page.goBack();
  await at("/dashboard", ".chart-panel");
  await alive(page);
  await page.goForward();
  await at("/quality", "main h1");
  assert.deepEqual(page.problems, []);
  await page.context().close();
});
