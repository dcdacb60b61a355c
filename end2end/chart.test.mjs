// The charts: indicators and types by link and by menu, one crosshair for all, what moves while a bar forms, history, marks.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { NARROW, alive, drawn, launch, open, picture, screenshot, violations } from "./browser.mjs";

let browser;
before(async () => (browser = await launch()));
after(async () => browser?.close());

const panel = (page, side) => page.locator(`.chart-panel[data-side="${side}"]`);
const query = (page) => Object.fromEntries(new URL(page.url()).searchParams);
const time = (side) => `.chart-panel[data-side="${side}"] [data-legend="time"]`;

test("a link's indicators are drawn, named with their values, and have their twin in the table", async () => {
  for (const scheme of ["dark", "light"]) {
    const page = await open(browser, "/dashboard?ind=sma20,bb,vwap,rsi,macd&type-b=area&scale-b=log&ind-b=ema50", { scheme });
    await alive(page);
    await drawn(page);
    const a = panel(page, "a");
    assert.equal(await a.locator(".panel-stage").getAttribute("data-panes"), "2");
    assert.match(await a.locator('.reading[data-study="sma20"] b').innerText(), /^\d/);
    assert.match(await a.locator('.reading[data-study="rsi14"] b').innerText(), /^\d{1,3}\.\d\d$/);
    assert.match(await a.locator('.reading[data-study="macd"] b').innerText(), /^−?\d+\.\d+\s+−?\d+\.\d+\s+−?\d+\.\d+$/);
    assert.match(await panel(page, "b").locator('.reading[data-study="ema50"]').innerText(), /EMA 50 \d/);
    await a.locator(".data-table summary").click();
    const twin = a.getByRole("table", { name: "Indicators at the newest bar" });
    assert.match(await twin.getByRole("row", { name: /^RSI 14/ }).innerText(), /\d/);
    await a.locator(".data-table summary").click();
    await screenshot(page, `chart-1440-indicators-${scheme}`);
    assert.deepEqual(page.problems, []);
    await page.context().close();
  }
});

test("the menu turns indicators on and off by the keyboard, and gives the focus back", async () => {
  const page = await open(browser, "/dashboard");
  await alive(page);
  await drawn(page);
  const plain = await picture(page);
  const button = panel(page, "a").getByRole("button", { name: /^Indicators/ });
  await button.focus();
  await page.keyboard.press("Enter");
  const menu = page.locator("#look-a");
  await menu.getByRole("link", { name: "Bollinger 20, 2" }).focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(/ind=bb20/);
  await menu.locator('[aria-current="true"]', { hasText: "Bollinger" }).waitFor();
  assert.deepEqual(await violations(page), []);
  await screenshot(page, "chart-1440-menu");
  await page.keyboard.press("Escape");
  assert.equal(await menu.isVisible(), false);
  assert.equal(await button.evaluate((element) => element === document.activeElement), true);
  assert.notEqual(await picture(page), plain);
  assert.equal(query(page).ind, "bb20");
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("one crosshair: the other chart's legend tells the same time", async () => {
  const page = await open(browser, "/dashboard");
  await alive(page);
  await drawn(page);
  const stage = panel(page, "a").locator(".candle-stage");
  await stage.focus();
  for (let step = 0; step < 12; step += 1) await page.keyboard.press("ArrowLeft");
  await panel(page, "b").locator(".legend.chosen").waitFor();
  assert.equal(await page.locator(time("b")).innerText(), await page.locator(time("a")).innerText());
  await page.keyboard.press("Escape");
  await panel(page, "b").locator(".legend:not(.chosen)").waitFor();
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("while a bar forms the base is not drawn", async () => {
  const page = await open(browser, "/dashboard?tf=1d&ind=sma20");
  await alive(page);
  await drawn(page);
  const layers = () =>
    page.locator('[data-side="a"] .candle-stage').evaluate((stage) => ({
      base: [...stage.querySelectorAll(".chart-base canvas")].map((canvas) => canvas.toDataURL()).join(),
      overlay: stage.querySelector(".chart-overlay").toDataURL(),
    }));
  let before = await layers();
  for (let change = 0; change < 20; change += 1) {
    const seq = await panel(page, "a").getAttribute("data-seq");
    await page.waitForFunction((seq) => document.querySelector('[data-side="a"]').dataset.seq !== seq, seq);
    const now = await layers();
    if (now.overlay !== before.overlay && now.base === before.base) return page.context().close();
    before = now;
  }
  assert.fail("the base was drawn with every change of the forming bar");
});

test("older bars come when the view nears the first, and what is looked at stays", async () => {
  const page = await open(browser, "/dashboard");
  await alive(page);
  await drawn(page);
  await panel(page, "a").locator(".candle-stage").focus();
  const history = page.waitForResponse((response) => response.url().includes("/api/v1/bars") && response.url().includes("sort=desc"));
  await page.keyboard.press("Home");
  const looked = await page.locator(time("a")).innerText();
  const { bars } = await (await history).json();
  await page.keyboard.press("ArrowLeft");
  if (bars.length > 0) {
    await page.waitForFunction(([selector, looked]) => document.querySelector(selector).innerText !== looked, [time("a"), looked]);
    const rows = await panel(page, "a").locator('[data-kpi="rows"]').first().innerText();
    assert.ok(Number(rows.replaceAll(/\D/g, "")) <= 780, rows);
  }
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("a revision and a finding are marked, and said in the legend and in the table", async () => {
  const text = "AMZN fell by half within a minute.";
  const page = await open(browser, "/dashboard", {
    prepare: (page) =>
      page.routeWebSocket(/\/api\/v1\/stream/, (socket) => {
        const server = socket.connectToServer();
        let told = false;
        server.onMessage((message) => {
          socket.send(message);
          const { type, symbol, timeframe, seq, bars } = JSON.parse(message);
          if (told || type !== "snap" || symbol !== "AMZN") return;
          told = true;
          const [revised, found] = [bars.at(-3), bars.at(-4)];
          const record = { kind: "rev", ...revised, volume: revised.volume + 1, event_time: revised.time, committed_at: revised.time };
          socket.send(JSON.stringify({ type: "delta", symbol, timeframe, prev: seq, seq: seq + 1, records: [record] }));
          const finding = {
            rule: "jump", severity: "critical", symbol, time: found.time, observed: null, expected: null, text,
            first_seen: found.time, count: 1, resolved_at: null,
          };
          socket.send(JSON.stringify({ type: "findings", findings: [finding] }));
        });
      }),
  });
  await drawn(page);
  const a = panel(page, "a");
  await a.locator(".data-table summary").click();
  await a.locator(".data-table-notes", { hasText: text }).waitFor();
  await a.locator(".data-table-notes", { hasText: "revised, committed" }).waitFor();
  await a.locator(".candle-stage").focus();
  for (let step = 0; step < 20 && (await a.locator(".legend-note", { hasText: text }).count()) === 0; step += 1) {
    await page.keyboard.press("ArrowLeft");
  }
  await a.locator(".legend-note", { hasText: text }).waitFor();
  await screenshot(page, "chart-1440-marks");
  await page.context().close();
});

test("up and down have colours for every eye, and a narrow screen has room for the panes", async () => {
  const page = await open(browser, "/dashboard?colors=safe&ind=rsi,macd&type=heikin-ashi", { viewport: NARROW });
  await alive(page);
  await drawn(page);
  assert.equal(await page.locator("html").getAttribute("data-colors"), "safe");
  const up = await page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue("--up"));
  assert.match(up, /#1b5fc1/);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 375);
  await screenshot(page, "chart-375-panes");
  assert.deepEqual(await violations(page), []);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});
