// Layouts: one to nine charts by link, key, menu and palette, each with its symbol and look, one crosshair and one socket.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BASE, NARROW, alive, drawn, launch, open, screenshot, violations } from "./browser.mjs";

let browser;
before(async () => (browser = await launch()));
after(async () => browser?.close());

const panel = (page, side) => page.locator(`.chart-panel[data-side="${side}"]`);
const query = (page) => Object.fromEntries(new URL(page.url()).searchParams);
const symbols = (page) => page.locator(".panel-symbol").allTextContents();
const has = (page, count) =>
  page.waitForFunction((count) => document.querySelectorAll(".chart-panel").length === count, count);
const wide = () => document.documentElement.scrollWidth <= innerWidth;

/** Every chart gets newer changes than it has. */
async function allMove(page) {
  const before = await page.locator(".chart-panel").evaluateAll((panels) => panels.map((panel) => Number(panel.dataset.seq)));
  await page.waitForFunction(
    (before) => before.every((seq, index) => Number(document.querySelectorAll(".chart-panel")[index].dataset.seq) > seq),
    before,
  );
}

for (const count of [1, 4, 9]) {
  test(`a link shows ${count} charts, drawn and alive, in both themes`, async () => {
    for (const scheme of ["light", "dark"]) {
      let sockets = 0;
      const page = await open(browser, `/dashboard?layout=${count}`, {
        scheme,
        prepare: (page) => page.on("websocket", () => (sockets += 1)),
      });
      await alive(page);
      await drawn(page);
      assert.equal(await page.locator(".chart-panel").count(), count);
      assert.equal(new Set(await symbols(page)).size, count, "each has a symbol of its own");
      const boxes = await page.locator(".panel-stage").evaluateAll((stages) => stages.map((stage) => stage.getBoundingClientRect().height));
      assert.ok(Math.min(...boxes) >= 150, boxes.join());
      await allMove(page);
      assert.equal(sockets, 1);
      assert.equal(await page.evaluate(wide), true, "no sideways scroll");
      await screenshot(page, `layout-1440-${count}-${scheme}`);
      assert.deepEqual(await violations(page), []);
      assert.deepEqual(page.problems, []);
      await page.context().close();
    }
  });
}

test("the server draws the charts of the link before any script runs", async () => {
  const page = await open(browser, "/dashboard?layout=6&d=AMZN", { javaScriptEnabled: false });
  assert.equal(await page.locator(".chart-panel").count(), 6);
  const paths = await page.locator(".still-rising").evaluateAll((paths) => paths.map((path) => path.getAttribute("d").length));
  assert.ok(paths.length === 6 && paths.every((length) => length > 500), paths.join());
  assert.equal((await symbols(page))[3], "AMZN");
  await page.context().close();
});

test("keys change the layout, the current chart and its size, and symbols stay", async () => {
  const page = await open(browser, "/dashboard?a=AMZN&b=AAPL&c=TSLA&layout=3");
  await alive(page);
  await drawn(page);
  await page.keyboard.press("v");
  await page.waitForURL(/layout=4/);
  await has(page, 4);
  await drawn(page);
  const four = await symbols(page);
  assert.deepEqual(four.slice(0, 3), ["AMZN", "AAPL", "TSLA"]);
  assert.equal(new Set(four).size, 4);
  await page.keyboard.press("V");
  await has(page, 3);
  assert.equal(query(page).d, four[3], "the link remembers the fourth");
  await page.keyboard.press("n");
  await page.waitForURL(/show=b/);
  await page.waitForFunction(() => document.activeElement?.closest("[data-side]")?.dataset.side === "b");
  await page.keyboard.press("f");
  await page.waitForURL(/alone=1/);
  await has(page, 1);
  assert.deepEqual(await symbols(page), ["AAPL"]);
  await panel(page, "b").locator(".candle-chart.drawn .chart-overlay").first().waitFor();
  await panel(page, "b").locator(".kpi-strip").waitFor();
  await screenshot(page, "layout-1440-alone");
  await page.keyboard.press("f");
  await has(page, 3);
  await drawn(page);
  await allMove(page);
  assert.deepEqual(await symbols(page), four.slice(0, 3));
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("menu and palette change the layout, and each chart has its symbol and its look", async () => {
  const page = await open(browser, "/dashboard");
  await alive(page);
  await drawn(page);
  const button = page.getByRole("button", { name: "Layout: Two side by side" });
  await button.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "4 charts, 2 × 2" }).focus();
  await screenshot(page, "layout-1440-menu");
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press("Enter");
  await has(page, 4);
  await page.keyboard.press("Escape");
  await drawn(page);
  await page.locator("#symbol-d").hover();
  await page.locator("#symbol-d").selectOption("SPY");
  await page.waitForFunction(() => document.querySelector('[data-side="d"] .panel-symbol').textContent === "SPY");
  await panel(page, "c").getByRole("button", { name: /^Indicators/ }).click();
  await page.locator("#look-c").getByRole("link", { name: "RSI 14" }).click();
  await page.waitForURL(/ind-c=rsi14/);
  await page.keyboard.press("Escape");
  await panel(page, "c").locator('.reading[data-study="rsi14"]').waitFor();
  assert.equal(await panel(page, "d").locator(".reading").count(), 0);
  assert.equal(query(page).show, "c", "the chart that was used is the current one");
  await page.keyboard.press("Control+k");
  await page.keyboard.type("layout one chart");
  await page.keyboard.press("Enter");
  await has(page, 1);
  assert.deepEqual([query(page).layout, query(page).d], ["1", "SPY"]);
  await page.keyboard.press("Control+k");
  await page.keyboard.type("9 charts");
  await page.keyboard.press("Enter");
  await has(page, 9);
  await drawn(page);
  assert.equal((await symbols(page))[3], "SPY");
  await allMove(page);
  await page.goBack();
  await has(page, 1);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("one crosshair for all nine, and one draw of each chart in a frame", async () => {
  const page = await open(browser, "/dashboard?layout=9&tf=5m");
  await alive(page);
  await drawn(page);
  await panel(page, "e").locator(".candle-stage").focus();
  for (let step = 0; step < 6; step += 1) await page.keyboard.press("ArrowLeft");
  await page.waitForFunction(() => document.querySelectorAll(".legend.chosen").length === 9);
  const times = await page.locator('[data-legend="time"]').allTextContents();
  assert.equal(new Set(times).size, 1, times.join());
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => document.querySelectorAll(".legend.chosen").length === 0);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("the subscription is of the charts that are shown", async () => {
  const asked = [];
  const page = await open(browser, "/dashboard?layout=9", {
    prepare: (page) =>
      page.on("websocket", (socket) => socket.on("framesent", ({ payload }) => asked.push(JSON.parse(payload).symbols?.length))),
  });
  await alive(page);
  await page.waitForFunction(() => true);
  assert.equal(asked.at(-1), 9);
  await page.keyboard.press("v");
  await page.waitForURL(/layout=1/);
  await alive(page);
  for (let wait = 0; wait < 50 && asked.at(-1) !== 1; wait += 1) await page.waitForTimeout(100);
  assert.equal(asked.at(-1), 1);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("a narrow screen shows one of nine charts and switches between all of them", async () => {
  const page = await open(browser, "/dashboard?layout=9", { viewport: NARROW });
  await alive(page);
  await drawn(page);
  assert.equal(await page.locator(".chart-panel:visible").count(), 1);
  const tabs = page.locator(".side-tabs a");
  assert.equal(await tabs.count(), 9);
  for (const place of [8, 3]) {
    const name = await tabs.nth(place).innerText();
    const box = await tabs.nth(place).boundingBox();
    assert.ok(box.width >= 24 && box.height >= 24 && box.x >= 0 && box.x + box.width <= NARROW.width, JSON.stringify(box));
    await tabs.nth(place).click();
    await page.waitForFunction((name) => document.querySelector(".chart-panel.shown .panel-symbol").textContent === name, name);
    await page.locator(".chart-panel.shown .candle-chart.drawn .chart-overlay").first().waitFor();
    assert.equal(await page.locator(".chart-panel:visible").count(), 1);
  }
  assert.equal(await page.evaluate(wide), true, "no sideways scroll");
  await screenshot(page, "layout-375-9");
  assert.deepEqual(await violations(page), []);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("the bars of a narrow screen have two lines at most, and everything in them can be touched", async () => {
  for (const path of ["/dashboard?layout=9", "/dashboard?range=1w&tf=auto", "/dashboard?replay=2026-07-24&speed=60"]) {
    const page = await open(browser, path, { viewport: NARROW });
    await drawn(page);
    for (const bar of await page.locator(".top-bar, .replay-bar").all()) {
      const targets = await bar.locator("a:visible, button:visible, input:visible").evaluateAll((all) =>
        all.filter((target) => getComputedStyle(target.closest(".bottom-bar") ?? target).position !== "fixed").map((target) => {
          const { x, y, width, height, right } = target.getBoundingClientRect();
          return { name: target.ariaLabel ?? target.textContent, x, middle: y + height / 2, width, height, right };
        }),
      );
      const lines = targets.map(({ middle }) => middle).sort((a, b) => a - b).filter((y, index, all) => index === 0 || y - all[index - 1] > 20);
      assert.ok(lines.length <= 2, `${path}: ${lines}`);
      for (const target of targets) {
        assert.ok(target.width >= 24 && target.height >= 24 && target.x >= 0 && target.right <= NARROW.width, JSON.stringify(target));
      }
    }
    await page.context().close();
  }
});

test("a link that asks for what there is not shows the usual two", async () => {
  const page = await open(browser, "/dashboard?layout=12&show=i&alone=1");
  await alive(page);
  await has(page, 1);
  assert.equal(await panel(page, "a").count(), 1);
  await page.goto(`${BASE}/dashboard?layout=12`);
  await has(page, 2);
  await page.context().close();
});

test("paper is light whatever the theme, and has what can be read on it, not the controls", async () => {
  for (const [path, scheme] of [["/dashboard?theme=dark", "light"], ["/dashboard", "dark"], ["/dashboard", "light"]]) {
    const page = await open(browser, path, { scheme });
    await drawn(page);
    const isDark = path.includes("dark") || scheme === "dark";
    await page.emulateMedia({ media: "print", colorScheme: scheme });
    const controls = ".page-nav, .theme-switch, .layout-button, .live-button, .chart-menu-button, .panel-alone, .palette-button";
    assert.equal(await page.locator(controls).filter({ visible: true }).count(), 0);
    const [paper, picture] = await page.evaluate(() => {
      const of = (element, property) => getComputedStyle(element)[property];
      return [of(document.documentElement, "backgroundColor"), of(document.querySelector(".chart-overlay"), "filter")];
    });
    assert.equal(paper, "rgb(247, 248, 250)");
    assert.equal(picture, isDark ? "invert(1) hue-rotate(180deg)" : "none");
    await screenshot(page, `print-of-${isDark ? "dark" : "light"}`);
    await page.context().close();
  }
});
