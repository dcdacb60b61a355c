// Keys, the command palette and the bottom bar: everything can be reached from everywhere.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BASE, NARROW, alive, launch, open, screenshot, violations } from "./browser.mjs";

let browser;
before(async () => (browser = await launch()));
after(async () => browser?.close());

/** The page listens: what is disabled without a script is enabled. */
const awake = (page) => page.locator(".palette-button:not([disabled])").first().waitFor({ state: "attached", timeout: 60_000 });
const field = (page) => page.getByRole("combobox", { name: "Symbol, page or command" });

async function summon(page) {
  await page.keyboard.press("Control+k");
  await field(page).waitFor();
}

test("the palette opens on every page, finds what is typed, and is a combobox to those who hear it", async () => {
  for (const path of ["/", "/dashboard", "/quality", "/quarantine", "/pipeline", "/status"]) {
    const page = await open(browser, path);
    await awake(page);
    await summon(page);
    assert.equal(await field(page).evaluate((input) => input === document.activeElement), true, path);
    await page.keyboard.type("pipe");
    const option = page.locator(".palette").getByRole("option", { selected: true });
    await option.filter({ hasText: "Pipeline" }).waitFor();
    assert.equal(await field(page).getAttribute("aria-activedescendant"), await option.getAttribute("id"), path);
    if (path === "/quality") {
      assert.deepEqual(await violations(page), []);
      await screenshot(page, "palette-1440");
    }
    await page.keyboard.press("Escape");
    await field(page).waitFor({ state: "hidden" });
    assert.deepEqual(page.problems, [], path);
    await page.context().close();
  }
});

test("arrows choose and Enter goes to the page, in the theme that was chosen", async () => {
  const page = await open(browser, "/quality?theme=dark");
  await awake(page);
  await summon(page);
  const first = await page.locator(".palette").getByRole("option", { selected: true }).innerText();
  await page.keyboard.press("ArrowDown");
  assert.notEqual(await page.locator(".palette").getByRole("option", { selected: true }).innerText(), first);
  await page.keyboard.press("ArrowUp");
  await page.keyboard.type("status");
  await page.locator(".palette").getByRole("option", { selected: true }).filter({ hasText: "Status" }).waitFor();
  await page.keyboard.press("Enter");
  await page.waitForURL(`${BASE}/status?theme=dark`);
  await page.context().close();
});

test("a symbol, a timeframe and a theme change the dashboard without loading it again", async () => {
  const page = await open(browser, "/dashboard");
  await alive(page);
  await awake(page);
  await page.evaluate(() => (window.mark = "mine"));
  for (const [typed, query] of [["msft", "a=MSFT"], ["15m", "tf=15m"], ["dark", "theme=dark"]]) {
    await summon(page);
    await page.keyboard.type(typed);
    await page.locator(".palette").getByRole("option", { selected: true }).filter({ hasText: new RegExp(typed, "i") }).waitFor();
    await page.keyboard.press("Enter");
    await page.waitForURL((url) => url.search.includes(query));
  }
  assert.equal(await page.evaluate(() => window.mark), "mine");
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("what is shown is copied as curl, and exported as CSV", async () => {
  const page = await open(browser, "/dashboard");
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await alive(page);
  await awake(page);
  await summon(page);
  await page.keyboard.type("curl");
  await page.keyboard.press("Enter");
  await page.getByText("Copied.").waitFor();
  const line = await page.evaluate(() => navigator.clipboard.readText());
  const address = line.match(/^curl '([^']+)'$/)?.[1];
  assert.ok(address?.startsWith(`${BASE}/api/v1/bars?symbol=`), line);
  assert.ok((await (await fetch(address)).json()).bars.length > 0);
  await summon(page);
  await page.keyboard.type("csv");
  const [download] = await Promise.all([page.waitForEvent("download"), page.keyboard.press("Enter")]);
  assert.match(download.suggestedFilename(), /\.csv$/);
  await page.context().close();
});

test("g and a letter go to every page, and the sheet lists them", async () => {
  const page = await open(browser, "/status");
  await awake(page);
  await page.keyboard.press("?");
  const sheet = page.getByRole("dialog", { name: "Keys" });
  await sheet.waitFor();
  for (const keys of ["g d", "g w", "g q", "g r", "g p", "g s", "Ctrl K, ⌘ K"]) {
    await sheet.getByText(keys, { exact: true }).waitFor();
  }
  assert.deepEqual(await violations(page), []);
  await screenshot(page, "keys-1440");
  await page.keyboard.press("Escape");
  for (const [key, path] of [["p", "/pipeline"], ["w", "/watchlist"], ["q", "/quality"], ["s", "/status"]]) {
    await awake(page);
    await page.keyboard.press("g");
    await page.keyboard.press(key);
    await page.waitForURL(BASE + path);
  }
  await page.context().close();
});

test("at 375 px the pages are at the bottom, and the current one is marked", async () => {
  for (const [path, name] of [["/dashboard", "Dashboard"], ["/quality", "Quality"], ["/pipeline", "Pipeline"]]) {
    const page = await open(browser, path, { viewport: NARROW });
    await awake(page);
    const bar = page.getByRole("navigation", { name: "Pages" });
    assert.equal(await bar.count(), 1, "one of them is visible");
    assert.equal(await bar.locator("a").count(), 6);
    assert.equal(await bar.locator('[aria-current="page"]').innerText(), name);
    const box = await bar.boundingBox();
    assert.ok(Math.abs(box.y + box.height - NARROW.height) < 1, "at the bottom");
    for (const link of await bar.locator("a").all()) {
      assert.ok((await link.boundingBox()).height >= 44, "large enough for a thumb");
    }
    assert.deepEqual(await violations(page), []);
    assert.deepEqual(page.problems, []);
    await page.context().close();
  }
});
