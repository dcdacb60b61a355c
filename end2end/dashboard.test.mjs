// The dashboard at work: new rows reach the chart, the URL is the state, the keyboard works, a lost connection comes back.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BASE, NARROW, alive, drawn, launch, open, picture, screenshot } from "./browser.mjs";

let browser;
before(async () => (browser = await launch()));
after(async () => browser?.close());

const panel = (page, side) => page.locator(`.chart-panel[data-side="${side}"]`);
const query = (page) => Object.fromEntries(new URL(page.url()).searchParams);
const changes = (page, selector, before) =>
  page.waitForFunction(([selector, before]) => document.querySelector(selector)?.textContent.trim() !== before, [selector, before]);

test("a new row reaches legend, table, statistics and canvas", async () => {
  const page = await open(browser, "/dashboard");
  await alive(page);
  await drawn(page);
  const selector = '.chart-panel[data-side="a"] [data-legend="time"]';
  const before = (await page.locator(selector).innerText()).trim();
  const seq = Number(await panel(page, "a").getAttribute("data-seq"));
  const canvas = await picture(page);
  await changes(page, selector, before);
  assert.ok(Number(await panel(page, "a").getAttribute("data-seq")) > seq);
  await page.waitForFunction(
    (before) => document.querySelector('.chart-panel[data-side="a"] .chart-overlay').toDataURL() !== before,
    canvas,
  );
  const legend = await page.locator(selector).innerText();
  const [, day, month, time] = legend.match(/\w+ (\d+) (\w+) \d+ (\d\d:\d\d)/);
  const first = panel(page, "a").locator("tbody tr").first();
  const newest = await first.locator("th").textContent();
  const window = await panel(page, "a").locator('[data-kpi="window"]').textContent();
  // All of them were read one after the other: the stream may have moved on by a bar or two in between.
  assert.ok(newest.startsWith(`${day} ${month}`) && window.includes(`${day} ${month} `), `${legend} / ${newest} / ${window}`);
  assert.match(time, /^\d\d:\d\d$/);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("a link restores symbols, timeframe and theme", async () => {
  const page = await open(browser, "/dashboard?a=AAPL&b=AMZN&tf=5m&theme=dark");
  await alive(page);
  assert.equal(await panel(page, "a").locator(".panel-symbol").innerText(), "AAPL");
  assert.equal(await panel(page, "b").locator(".panel-symbol").innerText(), "AMZN");
  assert.equal(await page.locator(".timeframe-switch [aria-current]").innerText(), "5m");
  assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor), "rgb(13, 17, 23)");
  assert.equal(await page.locator("#symbol-a").inputValue(), "AAPL");
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("choosing a symbol and a timeframe changes the URL, the chart and nothing else", async () => {
  const page = await open(browser, "/dashboard?theme=light");
  await alive(page);
  await drawn(page);
  const other = await page.locator("#symbol-a option").evaluateAll((options) => options.map((o) => o.value).find((v) => !["AMZN", "AAPL"].includes(v)));
  await page.locator("#symbol-a").selectOption(other);
  await page.waitForFunction((other) => document.querySelector('[data-side="a"] .panel-symbol').textContent === other, other);
  assert.deepEqual(query(page), { a: other, b: "AAPL", tf: "1m", theme: "light" });
  await page.locator('[data-side="a"] .panel-stage[data-content="bars"]').waitFor();

  await page.getByRole("link", { name: "15m" }).click();
  await page.waitForURL(/tf=15m/);
  await page.locator('[data-side="b"] .panel-stage[data-content="bars"]').waitFor();
  await page.waitForFunction(() => /:(00|15|30|45) /.test(document.querySelector('[data-side="b"] [data-legend="time"]').textContent));
  assert.equal(query(page).a, other);
  await page.goBack();
  await page.waitForURL(/tf=1m/);
  assert.equal(await page.locator(".timeframe-switch [aria-current]").innerText(), "1m");
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("the keyboard chooses timeframe, theme, symbol field and help", async () => {
  const page = await open(browser, "/dashboard");
  await alive(page);
  await page.keyboard.press("4");
  await page.waitForURL(/tf=1h/);
  await page.keyboard.press("t");
  await page.waitForURL(/theme=dark/);
  await page.keyboard.press("t");
  await page.waitForURL(/theme=light/);
  await page.keyboard.press("/");
  await page.waitForFunction(() => document.activeElement?.id === "symbol-a");
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => document.activeElement?.id !== "symbol-a");
  await page.keyboard.press("?");
  await page.getByRole("dialog").waitFor();
  await screenshot(page, "shortcuts-1440-light");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  await page.keyboard.press("g");
  await page.keyboard.press("h");
  await page.waitForURL(`${BASE}/?theme=light`);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("the keyboard walks through a focused chart and back to the newest bar", async () => {
  const page = await open(browser, "/dashboard?tf=1d");
  await alive(page);
  await drawn(page);
  const legend = panel(page, "a").locator('[data-legend="time"]');
  const newest = await legend.innerText();
  await panel(page, "a").locator(".candle-stage").focus();
  await page.keyboard.press("ArrowLeft");
  await page.waitForFunction((newest) => document.querySelector('[data-side="a"] [data-legend="time"]').textContent !== newest, newest);
  await page.keyboard.press("Home");
  const first = await panel(page, "a").locator('[data-kpi="window"]').first().innerText();
  await page.waitForFunction(
    (first) => first.startsWith(document.querySelector('[data-side="a"] [data-legend="time"]').textContent.replace(/^\w+ /, "")),
    first,
  );
  await page.keyboard.press("l");
  await page.locator('[data-side="a"] .legend:not(.chosen)').waitFor();
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("a narrow screen shows one chart and switches to the other", async () => {
  const page = await open(browser, "/dashboard", { viewport: NARROW });
  await alive(page);
  await drawn(page);
  assert.equal(await panel(page, "b").isVisible(), false);
  await page.locator(".side-tabs").getByRole("link", { name: "AAPL" }).click();
  await page.waitForURL(/show=b/);
  await panel(page, "b").locator(".candle-chart.drawn .chart-overlay").first().waitFor();
  assert.equal(await panel(page, "a").isVisible(), false);
  await screenshot(page, "dashboard-375-chart-b");
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("a lost connection says so, keeps what is shown, and resumes where it was", async () => {
  const sockets = [];
  const subscriptions = [];
  let away = false;
  const page = await open(browser, "/dashboard", {
    prepare: (page) =>
      page.routeWebSocket(/\/api\/v1\/stream/, (socket) => {
        if (away) return socket.close({ code: 1012 });
        const server = socket.connectToServer();
        socket.onMessage((message) => {
          subscriptions.push(JSON.parse(message));
          server.send(message);
        });
        sockets.push(socket);
      }),
  });
  await alive(page);
  await drawn(page);
  const seq = '.chart-panel[data-side="a"]';
  await page.waitForFunction((seq) => Number(document.querySelector(seq).dataset.seq) > 0, seq);

  away = true;
  await sockets[0].close({ code: 1012 });
  await page.locator('.top-bar .freshness-badge[data-state="offline"]').waitFor();
  assert.match(await page.locator(".top-bar .freshness-word").innerText(), /^OFFLINE, retry/);
  assert.match(await panel(page, "a").locator('[data-panel="last"]').innerText(), /^\d/);
  assert.match(await panel(page, "a").locator('.kpi[data-kpi="average"] .kpi-value').innerText(), /^\d/);
  assert.equal(await panel(page, "a").locator(".candle-chart.drawn .chart-overlay").first().isVisible(), true);
  await screenshot(page, "dashboard-1440-offline");

  const before = Number(await page.locator(seq).getAttribute("data-seq"));
  away = false;
  await alive(page);
  await page.waitForFunction(([seq, before]) => Number(document.querySelector(seq).dataset.seq) > before, [seq, before]);
  const resumed = subscriptions.at(-1);
  assert.ok(resumed.epoch && Number.isInteger(resumed.since), JSON.stringify(resumed));
  assert.ok(resumed.since <= before);
  assert.deepEqual(page.problems.filter((problem) => !problem.includes("WebSocket")), []);
  await page.context().close();
});

test("the user's zoom stays where it is while bars arrive", async () => {
  const page = await open(browser, "/dashboard");
  await alive(page);
  await drawn(page);
  const stage = panel(page, "a").locator(".candle-stage");
  const box = await stage.boundingBox();
  // Drag the chart to the right, into the past: the newest bar leaves the view.
  await page.mouse.move(box.x + 100, box.y + 60);
  await page.mouse.down();
  await page.mouse.move(box.x + 500, box.y + 60, { steps: 8 });
  await page.mouse.up();
  const at = { x: box.x + 300, y: box.y + 60 };
  await page.mouse.move(at.x, at.y);
  const legend = '.chart-panel[data-side="a"] [data-legend="time"]';
  await page.locator('.chart-panel[data-side="a"] .legend.chosen').waitFor();
  // A busy machine draws the last of the drag after the pointer has come to rest.
  const looked = await page.evaluate(async (legend) => {
    const told = () => document.querySelector(legend).textContent.trim();
    let before;
    for (let same = 0; same < 30; same = told() === before ? same + 1 : 0) {
      before = told();
      await new Promise(requestAnimationFrame);
    }
    return told();
  }, legend);
  const seq = Number(await panel(page, "a").getAttribute("data-seq"));
  await page.waitForFunction((seq) => Number(document.querySelector('[data-side="a"]').dataset.seq) > seq + 20, seq);
  await page.mouse.move(at.x + 1, at.y);
  await page.mouse.move(at.x, at.y);
  await page.waitForFunction(([legend, looked]) => document.querySelector(legend).textContent.trim() === looked, [legend, looked]);
  await page.context().close();
});
