// The public history of freshness.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BASE, NARROW, WIDE, launch, open, screenshot, violations } from "./browser.mjs";

let browser;
before(async () => (browser = await launch()));
after(async () => browser?.close());

for (const [width, viewport] of [[1440, WIDE], [375, NARROW]]) {
  for (const scheme of ["light", "dark"]) {
    test(`the status is quiet and accessible at ${width} px, ${scheme}`, async () => {
      const page = await open(browser, "/status", { viewport, scheme });
      await page.locator(".palette-button:not([disabled])").first().waitFor({ state: "attached", timeout: 60_000 });
      assert.deepEqual(await violations(page), []);
      await screenshot(page, `status-${width}-${scheme}`);
      assert.deepEqual(page.problems, []);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, "no sideways scroll");
      await page.context().close();
    });
  }
}

test("without a script the page says the budget, where the data comes from, and what was not measured", async () => {
  const page = await open(browser, "/status", { javaScriptEnabled: false });
  const answer = await (await fetch(`${BASE}/api/v1/freshness`)).json();
  assert.equal(await page.locator("[data-budget]").innerText(), `${answer.budget_ms / 1000}\u00a0s`);
  await page.getByText("SIMULATED").first().waitFor();
  await page.locator('[data-window="last 30 days"]').getByText("not measured").waitFor();
  assert.equal(await page.locator(".strip").first().locator("rect").count(), 60);
  await page.context().close();
});
