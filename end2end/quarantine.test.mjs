// The quarantine's pages against the demo's own bad rows: read without a script, and at both widths in both themes.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { BASE, NARROW, WIDE, launch, open, screenshot, violations } from "./browser.mjs";

let browser;
/** The page of a record that a rule refused. */
let refused;
before(async () => {
  browser = await launch();
  // The replay sends a bad row now and then.
  const deadline = Date.now() + 120_000;
  while (!refused && Date.now() < deadline) {
    const { records } = await (await fetch(`${BASE}/api/v1/quarantine?stage=rules&code=envelope&limit=1`)).json();
    if (records.length) refused = `/quarantine/${records[0].topic}/${records[0].partition}/${records[0].offset}`;
    else await new Promise((resolve) => setTimeout(resolve, 500));
  }
  assert.ok(refused, "the demo refuses a row");
});
after(async () => browser?.close());

/** Hydrated: the theme's links go by the router, and the socket is open. */
async function settled(page) {
  await page.waitForLoadState("networkidle");
}

for (const [width, viewport] of [[1440, WIDE], [375, NARROW]]) {
  for (const scheme of ["light", "dark"]) {
    for (const [name, path] of [
      ["list", () => "/quarantine"],
      ["empty", () => "/quarantine?code=too_large"],
      ["wrong-address", () => "/quarantine?state=lost"],
      ["record", () => refused],
    ]) {
      // What a list is without records differs in nothing that a second theme could break.
      if (scheme === "dark" && ["empty", "wrong-address"].includes(name)) continue;
      test(`the quarantine's ${name} is quiet and accessible at ${width} px, ${scheme}`, async () => {
        const page = await open(browser, path(), { viewport, scheme });
        await settled(page);
        assert.deepEqual(await violations(page), []);
        await screenshot(page, `quarantine-${name}-${width}-${scheme}`);
        assert.deepEqual(page.problems, []);
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, "no sideways scroll");
        assert.equal(await page.locator("[style]").count(), 0, "no inline style");
        await page.context().close();
      });
    }
  }
}

describe("the keyboard and no script are enough", () => {
  test("filters narrow the list and lead to a record that explains itself", async () => {
    const page = await open(browser, "/quarantine?theme=dark", { javaScriptEnabled: false });
    await page.getByLabel("Refused by").selectOption("rules");
    await page.getByLabel("Code").selectOption("envelope");
    await page.getByRole("button", { name: "Show" }).focus();
    await page.keyboard.press("Enter");
    await page.waitForURL(/stage=rules/);
    assert.match(page.url(), /code=envelope/);
    assert.match(page.url(), /theme=dark/, "the theme stays");
    const first = page.getByRole("rowheader").getByRole("link").first();
    await first.focus();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Why it was refused" }).waitFor();
    await page.getByText("Open and close lie between low and high.").waitFor();
    assert.match(await page.locator(".reason-found").first().innerText(), /\d/, "it names the value");
    await page.context().close();
  });

  test("g r leads to the quarantine from the dashboard", async () => {
    const page = await open(browser, "/dashboard");
    await page.locator('[data-status="link"]', { hasText: "connected" }).waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("r");
    await page.waitForURL(/\/quarantine/);
    await page.locator('[data-quarantine="open"]').waitFor();
    await page.context().close();
  });

  test("a record that is not there is answered with 404 and a way back", async () => {
    const answer = await fetch(`${BASE}/quarantine/no.such.topic/0/1`);
    assert.equal(answer.status, 404);
    assert.match(await answer.text(), /This record is not in quarantine/);
  });
});
