// Every page at both widths, in both themes: quiet console, own origin only, accessible, and pictures to look at.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { BASE, NARROW, WIDE, alive, drawn, launch, open, screenshot, violations } from "./browser.mjs";

let browser;
before(async () => (browser = await launch()));
after(async () => browser?.close());

describe("what the server sends is a page already", () => {
  test("the dashboard's first HTML has statistics, newest values, candles and a table", async () => {
    const html = await (await fetch(`${BASE}/dashboard`)).text();
    for (const key of ["min", "max", "average", "variation", "change", "stddev"]) assert.ok(html.includes(`data-kpi="${key}"`), key);
    assert.ok(/data-panel="last"[^>]*>\s*(<[^>]*>)*\d+\.\d\d/.test(html), "last price");
    assert.ok(/<path d="M[^"]+" class="still-rising"/.test(html), "candles");
    assert.ok((html.match(/<time datetime/g) ?? []).length >= 20);
    assert.ok(html.includes("SIMULATED"));
    assert.ok(!/\sstyle="/.test(html), "no inline style");
  });

  test("a page without JavaScript shows the same", async () => {
    const page = await open(browser, "/dashboard", { javaScriptEnabled: false });
    assert.match(await page.locator('[data-panel="last"]').first().innerText(), /^\d/);
    assert.equal(await page.locator(".still-chart").first().isVisible(), true);
    await screenshot(page, "dashboard-1440-no-javascript");
    await page.context().close();
  });

  test("an unknown address is answered with 404 and a way back", async () => {
    const answer = await fetch(`${BASE}/no/such/page`, { headers: { accept: "text/html" } });
    assert.equal(answer.status, 404);
    const page = await open(browser, "/no/such/page");
    await page.getByRole("link", { name: "Dashboard" }).waitFor();
    assert.deepEqual(page.problems.filter((problem) => !problem.includes("404")), []);
    await screenshot(page, "not-found-1440");
    await page.context().close();
  });
});

for (const [width, viewport] of [[1440, WIDE], [375, NARROW]]) {
  for (const scheme of ["light", "dark"]) {
    test(`the landing page is quiet and accessible at ${width} px, ${scheme}`, async () => {
      const page = await open(browser, "/", { viewport, scheme });
      await alive(page);
      assert.deepEqual(await violations(page), []);
      await screenshot(page, `landing-${width}-${scheme}`);
      assert.deepEqual(page.problems, []);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, "no sideways scroll");
      await page.context().close();
    });

    test(`the dashboard is quiet and accessible at ${width} px, ${scheme}`, async () => {
      const page = await open(browser, "/dashboard", { viewport, scheme });
      await alive(page);
      await drawn(page);
      assert.deepEqual(await violations(page), []);
      await screenshot(page, `dashboard-${width}-${scheme}`);
      assert.deepEqual(page.problems, []);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, "no sideways scroll");
      const panels = await page.locator(".chart-panel:visible").count();
      assert.equal(panels, width === 1440 ? 2 : 1);
      await page.context().close();
    });
  }
}

test("two charts with their numbers fit a wide screen without scrolling", async () => {
  const page = await open(browser, "/dashboard");
  await drawn(page);
  const bottoms = await page.locator(".panel-stage").evaluateAll((stages) => stages.map((stage) => stage.getBoundingClientRect().bottom));
  for (const bottom of bottoms) assert.ok(bottom <= WIDE.height, `chart ends at ${bottom}`);
  await page.context().close();
});

test("nothing moves while the page comes alive", async () => {
  const page = await open(browser, "/dashboard", {
    prepare: (page) =>
      page.addInitScript(() => {
        window.shift = 0;
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
        }).observe({ type: "layout-shift", buffered: true });
      }),
  });
  await alive(page);
  await drawn(page);
  const shift = await page.evaluate(() => window.shift);
  assert.ok(shift < 0.02, `cumulative layout shift ${shift}`);
  await page.context().close();
});
