// Where a candle came from: by mouse, by keyboard and by link; with Kafka's records, without an answer, on a phone.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BASE, NARROW, alive, drawn, launch, open, screenshot, violations } from "./browser.mjs";

let browser;
before(async () => (browser = await launch()));
after(async () => browser?.close());

const PATH = /#([A-Z.]+)@(\d{4}-\d\d-\d\dT\d\d:\d\d)Z$/;
const drawer = (page) => page.locator("dialog.provenance[open]");
const told = (page) => drawer(page).locator(".hop-timeline").waitFor();
const gone = (page) => page.locator("dialog.provenance:not([open])").waitFor({ state: "attached" });
const hash = (page) => new URL(page.url()).hash;

/** A minute of some minutes ago: it is complete, and the change log has it. */
async function minute() {
  const { bars } = await (await fetch(`${BASE}/api/v1/bars?symbol=AMZN&limit=5&sort=desc`)).json();
  return `#AMZN@${bars[4].time.slice(0, 16)}Z`;
}

test("a click on a candle tells where it came from, and the way back closes it", async () => {
  const page = await open(browser, "/dashboard");
  await alive(page);
  await drawn(page);
  const box = await page.locator('.chart-panel[data-side="a"] .candle-stage').boundingBox();
  await page.mouse.click(box.x + box.width * 0.5, box.y + box.height * 0.4);
  await told(page);
  assert.match(page.url(), PATH);
  const [, symbol] = page.url().match(PATH);
  assert.ok((await drawer(page).getByRole("heading", { level: 2 }).innerText()).startsWith(`${symbol} `));
  assert.equal(await drawer(page).locator(".way-hop").count(), 5);
  assert.match(await drawer(page).locator(".way-hop").last().innerText(), /Server committed/);
  assert.ok((await drawer(page).locator(".rule").count()) >= 10, "every rule has its verdict");
  assert.ok((await drawer(page).locator('.rule[data-origin="bars"]').count()) >= 10, "also those over several bars");
  const change = drawer(page).locator(".change").first();
  assert.match(await change.innerText(), /demo\.stream_db\.stock\[0\]@\d+/);
  const columns = change.locator(".change-columns");
  assert.ok(await columns.count(), "the record is read again from Kafka");
  assert.equal(await columns.first().evaluate((details) => [...details.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim())), false);
  await page.goBack();
  await gone(page);
  assert.equal(hash(page), "");
  await page.goForward();
  await told(page);
  await page.keyboard.press("Escape");
  await gone(page);
  await page.waitForFunction(() => location.hash === "");
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("the keyboard alone opens it and comes back to the chart", async () => {
  const page = await open(browser, "/dashboard");
  await alive(page);
  await drawn(page);
  await page.locator('.chart-panel[data-side="a"] .candle-stage').focus();
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("Enter");
  await told(page);
  assert.ok(await page.evaluate(() => document.activeElement.closest("dialog.provenance") !== null), "the focus is in it");
  await page.keyboard.press("Escape");
  await gone(page);
  assert.ok(await page.evaluate(() => document.activeElement.matches(".candle-stage")), "the focus is back");
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

for (const scheme of ["light", "dark"]) {
  test(`a link opens it, in ${scheme}, and without violations`, async () => {
    const page = await open(browser, `/dashboard?a=AMZN&b=AAPL&tf=1m${await minute()}`, { scheme });
    await told(page);
    assert.equal(await drawer(page).locator(".copy-line-code").first().innerText(), page.url());
    assert.match(await drawer(page).locator(".copy-line-code").nth(1).innerText(), /^curl -s 'http.*\/provenance'$/);
    assert.deepEqual(await violations(page), []);
    await screenshot(page, `provenance-1440-${scheme}`);
    await drawer(page).getByRole("button", { name: "Close" }).click();
    await gone(page);
    await page.waitForFunction(() => location.hash === "");
    assert.match(page.url(), /dashboard\?a=AMZN/);
    assert.deepEqual(page.problems, []);
    await page.context().close();
  });
}

test("a longer bar is told by its minutes, each with a story of its own", async () => {
  const page = await open(browser, "/dashboard?tf=1h");
  await alive(page);
  const panel = page.locator('.chart-panel[data-side="a"]');
  await panel.locator(".data-table summary").click();
  await panel.locator("tbody tr th a").nth(1).click();
  await drawer(page).locator(".minute-list").waitFor();
  assert.match(hash(page), /Z\/1h$/);
  await drawer(page).locator(".minute-list a").first().click();
  await told(page);
  assert.match(page.url(), PATH);
  await page.keyboard.press("Escape");
  await gone(page);
  await page.waitForFunction(() => location.hash === "");
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("what is unknown says so, and what fails can be asked again", async () => {
  const page = await open(browser, "/dashboard#AMZN@1999-01-04T14:31Z");
  await drawer(page).locator(".provenance-nothing").waitFor();
  assert.match(await drawer(page).innerText(), /Nothing is known of a bar of AMZN/);
  await page.keyboard.press("Escape");
  await gone(page);
  const candle = await minute();
  let away = true;
  await page.route("**/provenance", (route) => (away ? route.abort() : route.continue()));
  await page.evaluate((candle) => (location.hash = candle), candle);
  await drawer(page).getByRole("alert").waitFor();
  assert.match(await drawer(page).innerText(), /does not answer/);
  away = false;
  await drawer(page).getByRole("button", { name: "Try again" }).click();
  await told(page);
  await page.context().close();
});

test("on a phone it is the whole screen", async () => {
  const page = await open(browser, `/dashboard${await minute()}`, { viewport: NARROW });
  await told(page);
  const box = await drawer(page).boundingBox();
  assert.deepEqual([box.x, box.y, box.width, box.height], [0, 0, NARROW.width, NARROW.height]);
  assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= NARROW.width);
  assert.deepEqual(await violations(page), []);
  await screenshot(page, "provenance-375-light");
  assert.deepEqual(page.problems, []);
  await page.context().close();
});
