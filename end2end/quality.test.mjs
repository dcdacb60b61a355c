// Data docs in the browser: quiet and accessible at both widths and in both themes, and alive.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BASE, NARROW, WIDE, launch, open, screenshot, violations } from "./browser.mjs";

let browser;
let pages;
before(async () => {
  browser = await launch();
  // The demo runs a suite of its own as soon as there are rows.
  const deadline = Date.now() + 120_000;
  let run;
  while (!run && Date.now() < deadline) {
    run = (await (await fetch(`${BASE}/api/v1/validations?limit=1`)).json()).runs[0];
    if (!run) await new Promise((resolve) => setTimeout(resolve, 500));
  }
  assert.ok(run, "the demo runs a suite");
  pages = [
    ["quality", "/quality"],
    ["quality-failed", "/quality?show=failed"],
    ["quality-run", `/quality/runs/${run.run_id}`],
    ["quality-suite", `/quality/suites/${encodeURIComponent(run.suite)}`],
  ];
});
after(async () => browser?.close());

for (const [width, viewport] of [[1440, WIDE], [375, NARROW]]) {
  for (const scheme of ["light", "dark"]) {
    test(`data docs are quiet and accessible at ${width} px, ${scheme}`, async () => {
      for (const [name, path] of pages) {
        const page = await open(browser, path, { viewport, scheme });
        assert.deepEqual(await violations(page), [], path);
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, `${path} scrolls sideways`);
        assert.deepEqual(page.problems, [], path);
        await screenshot(page, `${name}-${width}-${scheme}`);
        await page.context().close();
      }
    });
  }
}

test("the dashboard's top bar and the keyboard lead to data docs, in the same theme", async () => {
  const page = await open(browser, "/dashboard?theme=dark");
  await page.locator(".top-bar").getByRole("link", { name: "Quality" }).click();
  await page.waitForURL("**/quality?theme=dark");
  await page.getByRole("heading", { level: 1, name: "Data quality" }).waitFor();
  const landing = await open(browser, "/?theme=light");
  await landing.locator('.freshness-badge[data-state="replay"], .freshness-badge[data-state="live"]').first().waitFor();
  await landing.keyboard.press("g");
  await landing.keyboard.press("q");
  await landing.waitForURL("**/quality?theme=light");
  await landing.context().close();
  await page.context().close();
});

test("a run that is recorded while the page is looked at shows by itself", async () => {
  const [FIRST, SECOND] = [900_001, 900_002];
  const run = (run_id) => ({
    run_id, suite: "made in this test", asset: "stock", cause: "schedule", started_at: "2024-01-16T21:00:00Z",
    finished_at: "2024-01-16T21:00:00.180Z", success: run_id !== SECOND, evaluated: 3, met: run_id === SECOND ? 2 : 3,
  });
  let runs = [run(FIRST)];
  const page = await open(browser, "/quality", {
    // The page as the server renders it; what it asks later is answered here.
    prepare: async (page) => {
      await page.route("**/api/v1/validations/suites", (route) => route.fulfill({ json: { suites: [runs[0]] } }));
      await page.route("**/api/v1/validations?*", (route) => route.fulfill({ json: { runs, next_cursor: null } }));
    },
  });
  await page.locator(".run-table tbody tr").filter({ hasText: `Run ${FIRST}` }).waitFor();
  runs = [run(SECOND), ...runs];
  const newest = page.locator(".run-table tbody tr").first().filter({ hasText: `Run ${SECOND}` });
  await newest.getByText("not met").waitFor();
  assert.equal(await page.locator(".suite-card-score").innerText(), "2 of 3 met");
  assert.deepEqual(await violations(page), []);
  await page.route("**/api/v1/validations*", (route) => route.fulfill({ status: 503, json: {} }));
  await page.getByText("The server does not answer; it is asked again every 5 seconds.").waitFor();
  assert.equal(await newest.isVisible(), true, "what is known stays");
  await page.context().close();
});
