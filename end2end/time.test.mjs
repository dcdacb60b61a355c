// Which time the charts show: ranges, windows of the past, the zone, the way back to the newest bar, and a past day played
// through the same charts.

import assert from "node:assert/strict";
import { readFile, writeFile, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { BASE, NARROW, alive, drawn, launch, open, picture, screenshot, violations } from "./browser.mjs";

let browser;
let day;
before(async () => {
  browser = await launch();
  day = await pastDay("AMZN");
});
after(async () => browser?.close());

const panel = (page, side) => page.locator(`.chart-panel[data-side="${side}"]`);
const query = (page) => Object.fromEntries(new URL(page.url()).searchParams);
const legend = (page, side) => panel(page, side).locator('[data-legend="time"]').innerText();
const scrub = (page) => page.getByRole("slider", { name: "Time of the day" });
const bars = async (query) => (await (await fetch(`${BASE}/api/v1/bars?${query}`)).json()).bars;

/** The newest day of the symbol that is over: a day with bars and one after it. */
async function pastDay(symbol) {
  const days = await bars(`symbol=${symbol}&timeframe=1d&sort=desc&limit=3`);
  return days[1].time.slice(0, 10);
}

/** The chart shows the past, all of what was asked for. */
async function settled(page) {
  await drawn(page);
  await page.locator('.chart-panel.shown:not([aria-busy]) .time-mark').first().waitFor();
}

test("a window of the past is in the link, is rendered by the server, and shows its bars and no others", async () => {
  const path = `/dashboard?tf=5m&from=${day}T15:00Z&to=${day}T17:00Z`;
  const wanted = await bars(`symbol=AMZN&timeframe=5m&start=${day}T15:00:00Z&end=${day}T17:00:00Z&limit=1000`);
  const page = await open(browser, path, { javaScriptEnabled: false });
  const newest = panel(page, "a").locator("tbody tr").first().locator("time");
  assert.equal(new Date(await newest.getAttribute("datetime")).getTime(), new Date(wanted.at(-1).time).getTime());
  assert.equal(await panel(page, "a").locator(".time-mark").innerText(), "PAST");
  await page.context().close();

  const alivePage = await open(browser, path);
  await settled(alivePage);
  assert.match(await panel(alivePage, "a").locator('[data-kpi="window"]').innerText(), /11:55|12:55/);
  assert.match(await panel(alivePage, "a").locator(".kpi-rows").first().innerText(), new RegExp(`n ${wanted.length}$`));
  assert.equal(await alivePage.locator(".live-button").getAttribute("aria-current"), null);
  await screenshot(alivePage, "time-1440-window");
  await alivePage.keyboard.press("l");
  await alivePage.waitForURL((url) => !url.searchParams.has("from"));
  await alivePage.locator('.live-button[aria-current="true"]').waitFor();
  await alive(alivePage);
  assert.deepEqual(alivePage.problems, []);
  await alivePage.context().close();
});

test("the time menu offers ranges, a window in the zone shown, and a day to replay", async () => {
  const page = await open(browser, "/dashboard");
  await alive(page);
  await drawn(page);
  const button = page.locator(".time-button");
  await button.focus();
  await page.keyboard.press("Enter");
  const menu = page.locator("#time-menu");
  await menu.getByRole("link", { name: "Last week" }).click();
  await page.waitForURL(/range=1w/);
  assert.equal(query(page).tf, "auto");
  await page.locator(".segment.by-itself", { hasText: /^5m$/ }).waitFor();
  assert.match(await button.innerText(), /Last week/);
  await page.locator(".chart-panel.shown:not([aria-busy])").first().waitFor();
  assert.deepEqual(await violations(page), []);
  await screenshot(page, "time-1440-menu");
  await menu.getByLabel("From", { exact: true }).fill(`${day}T09:30`);
  await menu.getByLabel("To", { exact: true }).fill(`${day}T09:00`);
  await menu.getByRole("button", { name: "Show" }).click();
  await menu.getByText("The end is not after the beginning.").waitFor();
  await menu.getByLabel("To", { exact: true }).fill(`${day}T10:30`);
  await menu.getByRole("button", { name: "Show" }).click();
  await page.waitForURL(/from=/);
  await page.keyboard.press("Escape");
  await settled(page);
  const { from, to } = query(page);
  assert.equal(new Date(to) - new Date(from), 3_600_000);
  assert.match(await panel(page, "a").locator('[data-kpi="window"]').innerText(), /09:30/);
  await page.getByRole("link", { name: "Later" }).click();
  await page.waitForURL((url) => url.searchParams.get("from") !== from);
  assert.equal(new Date(query(page).from) - new Date(from), 1_800_000);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("times are said in the machine's zone when asked, and the link says so", async () => {
  const context = await browser.newContext({ timezoneId: "Asia/Tokyo", viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  await page.goto(`${BASE}/dashboard?tf=1m&zone=local&from=${day}T15:00Z&to=${day}T16:00Z`);
  await settled(page);
  await page.waitForFunction(() => /UTC\+09:00/.test(document.querySelector('[data-side="a"] [data-legend="time"]').textContent));
  assert.match(await legend(page, "a"), /00:59 UTC\+09:00$/);
  await page.locator(".time-button").click();
  await page.locator("#time-menu").getByRole("link", { name: "New York" }).click();
  await page.waitForURL((url) => !url.searchParams.has("zone"));
  await page.waitForFunction(() => /E[SD]T$/.test(document.querySelector('[data-side="a"] [data-legend="time"]').textContent));
  await context.close();
});

test("who looks at older bars is told, and the live button leads back", async () => {
  const page = await open(browser, "/dashboard");
  await alive(page);
  await drawn(page);
  const button = page.locator(".live-button");
  await page.locator('.live-button[aria-current="true"]').waitFor();
  const stage = panel(page, "a").locator(".candle-stage");
  await stage.focus();
  await page.keyboard.press("Home");
  await page.locator(".live-button:not([aria-current])").waitFor();
  await button.click();
  await page.locator('.live-button[aria-current="true"]').waitFor();
  await page.locator('[data-side="a"] .legend:not(.chosen)').waitFor();
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("a past day is played bar by bar, can be paused, scrubbed and left, and nothing live is missed", async () => {
  const page = await open(browser, "/dashboard");
  await alive(page);
  await drawn(page);
  const seq = Number(await panel(page, "a").getAttribute("data-seq"));
  await page.keyboard.press("r");
  await page.waitForURL(/replay=/);
  await page.locator(".replay-bar .replay-mark").waitFor();
  await page.getByRole("link", { name: "600×" }).click();
  await panel(page, "a").locator(".time-mark", { hasText: "REPLAY 600×" }).waitFor();
  // The same table, legend and canvas change as minutes pass.
  await settled(page);
  const before = await legend(page, "a");
  const canvas = await picture(page);
  await page.waitForFunction((before) => document.querySelector('[data-side="a"] [data-legend="time"]').textContent !== before, before);
  assert.notEqual(await picture(page), canvas);
  assert.deepEqual(await violations(page), []);
  await screenshot(page, "time-1440-replay");

  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: "Play", exact: true }).waitFor();
  await page.waitForURL(/replay=\d{4}-\d\d-\d\dT/);
  await scrub(page).focus();
  await page.keyboard.press("Home");
  const start = await scrub(page).getAttribute("aria-valuetext");
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction((start) => document.querySelector(".replay-scrub").getAttribute("aria-valuetext") !== start, start);
  await page.keyboard.press("End");
  const played = query(page).replay.slice(0, 10);
  const [last] = await bars(`symbol=AMZN&timeframe=1m&sort=desc&limit=1&start=${played}&end=${nextDay(played)}`);
  const newest = panel(page, "a").locator("tbody tr").first().locator("time");
  await page.waitForFunction(
    (at) => new Date(document.querySelector('[data-side="a"] tbody time').dateTime).getTime() === at,
    new Date(last.time).getTime(),
  );
  assert.equal(new Date(await newest.getAttribute("datetime")).getTime(), new Date(last.time).getTime());

  await page.keyboard.press("l");
  await page.waitForURL((url) => !url.searchParams.has("replay"));
  await alive(page);
  await page.waitForFunction((seq) => Number(document.querySelector('[data-side="a"]').dataset.seq) > seq, seq);
  const shown = await panel(page, "a").locator("tbody time").evaluateAll((times) => times.map((time) => time.dateTime));
  const known = await bars(`symbol=AMZN&timeframe=1m&sort=desc&limit=200`);
  const stored = known.map(({ time }) => new Date(time).getTime());
  const first = stored.indexOf(new Date(shown[0]).getTime());
  assert.deepEqual(shown.map((time) => new Date(time).getTime()), stored.slice(first, first + shown.length), "no hole in what is shown");
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("a link to a moment of a day waits there, in longer bars too, and a scrub back forgets what came later", async () => {
  const page = await open(browser, `/dashboard?tf=5m&replay=${day}T16:02Z`);
  await settled(page);
  await page.getByRole("button", { name: "Play", exact: true }).waitFor();
  assert.equal(await panel(page, "a").locator(".time-mark").innerText(), "REPLAY paused");
  const minutes = await bars(`symbol=AMZN&timeframe=1m&start=${day}T16:00:00Z&end=${day}T16:02:00Z`);
  const forming = panel(page, "a").locator("tbody tr").first();
  assert.equal(new Date(await forming.locator("time").getAttribute("datetime")).toISOString(), `${day}T16:00:00.000Z`);
  const volume = (await forming.locator("td").nth(4).textContent()).replace(/\s/g, "");
  assert.equal(Number(volume), minutes.reduce((sum, bar) => sum + bar.volume, 0), "the forming bar has the minutes that were told");
  await scrub(page).focus();
  for (let step = 0; step < 2; step += 1) await page.keyboard.press("ArrowLeft");
  await page.waitForFunction(
    (at) => new Date(document.querySelector('[data-side="a"] tbody time').dateTime).toISOString() === at,
    `${day}T15:55:00.000Z`,
  );
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("symbols are compared as percents of the first bar in view, by the menu and by the link", async () => {
  const page = await open(browser, `/dashboard?tf=5m&from=${day}T14:00Z&to=${day}T18:00Z`);
  await settled(page);
  const plain = await picture(page);
  const a = panel(page, "a");
  await a.getByRole("button", { name: /^Indicators/ }).click();
  const other = page.locator("#look-a .choices-of-symbols a").first();
  const name = await other.innerText();
  await other.click();
  await page.waitForURL((url) => url.searchParams.get("cmp") === name);
  await page.keyboard.press("Escape");
  const entry = (symbol) => a.locator(`[data-compared="${symbol}"] b`);
  await entry(name).filter({ hasText: /%/ }).waitFor();
  const range = `timeframe=5m&start=${day}T14:00:00Z&end=${day}T18:00:00Z&limit=1000`;
  for (const symbol of ["AMZN", name]) {
    const of = await bars(`symbol=${symbol}&${range}`);
    const percent = (of.at(-1).close / of[0].close - 1) * 100;
    const text = (await entry(symbol).innerText()).replace("−", "-").replace(/[^-\d.]/g, "");
    assert.ok(Math.abs(Number(text) - percent) < 0.006, `${symbol}: ${text} and ${percent}`);
  }
  assert.notEqual(await picture(page), plain);
  assert.deepEqual(await violations(page), []);
  await screenshot(page, "time-1440-compare");
  // Another first bar in view is another base.
  const before = await entry(name).innerText();
  await a.locator(".candle-stage").focus();
  await page.keyboard.press("+");
  await page.keyboard.press("+");
  await page.waitForFunction(
    ([name, before]) => document.querySelector(`[data-side="a"] [data-compared="${name}"] b`).innerText !== before,
    [name, before],
  );
  await a.getByRole("link", { name: `Do not compare with ${name}` }).click();
  await page.waitForURL((url) => !url.searchParams.has("cmp"));
  assert.equal(await a.locator(".compared").count(), 0);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("a chart is taken along as CSV, as a picture that says SIMULATED, and as the request behind it", async () => {
  const page = await open(browser, `/dashboard?tf=5m&from=${day}T14:00Z&to=${day}T18:00Z`);
  await settled(page);
  const wanted = await bars(`symbol=AAPL&timeframe=5m&start=${day}T14:00:00Z&end=${day}T18:00:00Z&limit=1000`);
  await panel(page, "b").getByRole("button", { name: /^Indicators/ }).click();
  const menu = page.locator("#look-b");
  const [csv] = await Promise.all([page.waitForEvent("download"), menu.getByRole("link", { name: "Bars as CSV" }).click()]);
  assert.equal(csv.suggestedFilename(), "bars.csv");
  const lines = (await readFile(await csv.path(), "utf8")).trim().split("\r\n");
  assert.equal(lines.length, wanted.length + 1);
  const [png] = await Promise.all([page.waitForEvent("download"), menu.getByRole("button", { name: "Picture as PNG" }).click()]);
  assert.match(png.suggestedFilename(), /^AAPL-5m-\d{8}T\d{4}Z\.png$/);
  const bytes = await readFile(await png.path());
  assert.equal(bytes.subarray(1, 4).toString(), "PNG");
  const stage = await panel(page, "b").locator(".candle-stage").boundingBox();
  assert.equal(bytes.readUInt32BE(16), Math.round(stage.width));
  assert.equal(bytes.readUInt32BE(20), Math.round(stage.height) + 48);
  await keepArtifact("time-picture.png", bytes);
  const line = await menu.locator("code").innerText();
  const answer = await (await fetch(line.match(/^curl '(.*)'$/)[1])).json();
  assert.deepEqual(answer.bars.toReversed(), wanted);
  assert.deepEqual(await violations(page), []);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("bars follow the time in view when that is left to the page, and years of minutes stay few", async () => {
  const page = await open(browser, "/dashboard?tf=auto&range=1d");
  await alive(page);
  await drawn(page);
  await page.locator(".segment.by-itself", { hasText: /^1m$/ }).waitFor();
  const stage = panel(page, "a").locator(".candle-stage");
  await stage.focus();
  // Zooming out asks for older minutes, and far out for longer bars.
  await page.waitForFunction(() => {
    const stage = document.querySelector('[data-side="a"] .candle-stage');
    stage.dispatchEvent(new KeyboardEvent("keydown", { key: "-", bubbles: true }));
    return !document.querySelector(".segment.by-itself")?.textContent.startsWith("1m");
  }, null, { polling: 1500 });
  const { tf, range } = query(page);
  assert.equal(tf, "auto");
  assert.match(range, /^\d+[hd]$/);
  await alive(page);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("a day without bars says so", async () => {
  const page = await open(browser, "/dashboard?replay=1999-01-04");
  await page.locator(".replay-told", { hasText: "No bars on this day" }).waitFor();
  assert.equal(await scrub(page).isDisabled(), true);
  await page.keyboard.press("l");
  await alive(page);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("on a narrow screen the menu and the replay fit and are accessible", async () => {
  for (const scheme of ["light", "dark"]) {
    const page = await open(browser, `/dashboard?replay=${day}T16:02Z`, { viewport: NARROW, scheme });
    await settled(page);
    assert.deepEqual(await violations(page), []);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), NARROW.width);
    await screenshot(page, `time-375-replay-${scheme}`);
    await page.locator(".time-button").click();
    await page.locator("#time-menu").waitFor();
    assert.equal(await page.locator("#time-menu").evaluate((menu) => menu.getBoundingClientRect().right <= innerWidth), true);
    await screenshot(page, `time-375-menu-${scheme}`);
    assert.deepEqual(page.problems, []);
    await page.context().close();
  }
});

function nextDay(text) {
  const date = new Date(`${text}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() + 1);
  return date.toISOString().slice(0, 10);
}

async function keepArtifact(name, bytes) {
  const directory = join(dirname(fileURLToPath(import.meta.url)), "artifacts");
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, name), bytes);
}
