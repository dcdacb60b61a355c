// The watchlist: rendered by the server, moved by ticks one row at a time, ordered, filtered, and used by keyboard alone.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BASE, NARROW, WIDE, alive, launch, open, screenshot, violations } from "./browser.mjs";

let browser;
before(async () => (browser = await launch()));
after(async () => browser?.close());

const rows = (page) => page.locator(".watch-row");
const names = (page) => rows(page).evaluateAll((rows) => rows.map((row) => row.dataset.symbol));
const list = async (query = "") => (await fetch(`${BASE}/api/v1/watchlist${query}`)).json();
const focusedRow = (page, name) =>
  page.waitForFunction((name) => document.activeElement.closest(".watch-row")?.dataset.symbol === name, name);

test("without JavaScript the list has every symbol with its figures, an order, a filter and links to charts", async () => {
  const page = await open(browser, "/watchlist", { javaScriptEnabled: false });
  const { rows: told } = await list();
  assert.deepEqual(await names(page), told.map(({ symbol }) => symbol));
  const first = rows(page).first();
  assert.match(await first.locator(".watch-price").innerText(), /^\d[\d\u2009]*\.\d\d/);
  assert.match(await first.locator(".watch-volume").innerText(), /^\d/);
  assert.match(await first.locator(".watch-course path").getAttribute("d"), /^M.*L/);
  assert.match(await first.locator("a").getAttribute("href"), new RegExp(`^/dashboard\\?a=${told[0].symbol}&`));
  await page.getByRole("columnheader", { name: "Volume" }).getByRole("link").click();
  await page.waitForURL(/sort=-volume/);
  const volumes = await rows(page).locator(".watch-volume").allInnerTexts();
  const numbers = volumes.map((text) => Number(text.replaceAll("\u2009", "")));
  assert.deepEqual(numbers, [...numbers].sort((a, b) => b - a));
  assert.match(await page.locator('th[aria-sort="descending"]').innerText(), /^Volume\s*▼$/);
  await page.getByRole("searchbox").fill(told[0].symbol.toLowerCase());
  await page.getByRole("button", { name: "Filter" }).click();
  await page.waitForURL(/filter=/);
  assert.deepEqual(await names(page), [told[0].symbol]);
  await page.context().close();
});

test("a tick of one symbol touches that symbol's row and no other", async () => {
  const ticking = (await list()).rows[0].symbol;
  let alone = false;
  const page = await open(browser, "/watchlist", {
    // From a moment on everything reaches the page but the ticks of other symbols, and what was found.
    prepare: (page) =>
      page.routeWebSocket(/\/api\/v1\/stream/, (socket) => {
        const server = socket.connectToServer();
        server.onMessage((text) => {
          const message = JSON.parse(text);
          const other = message.type === "findings" || (message.type === "delta" && message.symbol !== ticking);
          if (!alone || !other) socket.send(text);
        });
      }),
  });
  await alive(page);
  alone = true;
  // What was under way has arrived with the next tick.
  const price = () => page.locator(`[data-symbol="${ticking}"] .watch-price`).innerText();
  for (let tick = 0; tick < 2; tick += 1) {
    const shown = await price();
    await page.waitForFunction(([name, shown]) => document.querySelector(`[data-symbol="${name}"] .watch-price`).innerText !== shown, [ticking, shown]);
  }
  const touched = await page.evaluate(
    (ticking) =>
      new Promise((resolve) => {
        const before = [...document.querySelectorAll(".watch-row")];
        const touched = {};
        const prices = new Set();
        const observer = new MutationObserver((changes) => {
          for (const { target, addedNodes, removedNodes } of changes) {
            const element = target.nodeType === Node.ELEMENT_NODE ? target : target.parentElement;
            // How old a row is, the clock says and not a tick.
            if (element.closest(".watch-fresh")) continue;
            const name = element.closest(".watch-row")?.dataset.symbol ?? `table, ${addedNodes.length} + ${removedNodes.length}`;
            touched[name] = (touched[name] ?? 0) + 1;
          }
          prices.add(document.querySelector(`[data-symbol="${ticking}"] .watch-price`).textContent);
          if (prices.size < 5) return;
          observer.disconnect();
          const after = [...document.querySelectorAll(".watch-row")];
          resolve({ names: Object.keys(touched), same: after.every((row, index) => row === before[index]) });
        });
        observer.observe(document.querySelector(".watch-rows"), { subtree: true, childList: true, characterData: true, attributes: true });
      }),
    ticking,
  );
  assert.deepEqual(touched, { names: [ticking], same: true });
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("prices go on by the stream, and agree with the newest bar", async () => {
  const page = await open(browser, "/watchlist");
  await alive(page);
  const first = (await names(page))[0];
  const text = () => page.locator(`[data-symbol="${first}"]`).innerText();
  const before = await text();
  await page.waitForFunction(([name, before]) => document.querySelector(`[data-symbol="${name}"]`).innerText !== before, [first, before]);
  // What the page shows was the newest close at some moment while it was asked for.
  let agreed = false;
  for (let asked = 0; asked < 20 && !agreed; asked += 1) {
    const shown = await page.locator(`[data-symbol="${first}"] .watch-price`).innerText();
    const bars = await (await fetch(`${BASE}/api/v1/bars?symbol=${first}&sort=desc&limit=5`)).json();
    agreed = bars.bars.some(({ close }) => Math.abs(Number(shown.replaceAll("\u2009", "")) - close) < 0.005);
  }
  assert.ok(agreed);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("the keyboard alone orders, filters, walks the rows and opens a chart", async () => {
  const page = await open(browser, "/watchlist");
  await alive(page);
  const shown = await names(page);
  assert.equal(await page.locator('.watch-symbol a[tabindex="0"]').count(), 1, "one stop for Tab");
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.id), "symbol-filter");
  await page.keyboard.type(shown[1].slice(0, 2).toLowerCase());
  await page.waitForURL(new RegExp(`filter=${shown[1].slice(0, 2)}`));
  const part = shown[1].slice(0, 2);
  await page.waitForFunction((part) => [...document.querySelectorAll(".watch-row")].every((row) => row.dataset.symbol.includes(part)), part);
  await page.locator("#symbol-filter").fill("");
  await page.waitForFunction((count) => document.querySelectorAll(".watch-row").length === count, shown.length);
  await page.keyboard.press("Escape");
  await page.locator("th.watch-symbol a").first().focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(/sort=-symbol/);
  await page.waitForFunction((first) => document.querySelector(".watch-row").dataset.symbol === first, shown.at(-1));
  await page.locator('.watch-symbol a[tabindex="0"]').focus();
  await focusedRow(page, shown.at(-1));
  await page.keyboard.press("ArrowDown");
  await focusedRow(page, shown.at(-2));
  await page.keyboard.press("End");
  await focusedRow(page, shown[0]);
  await page.keyboard.press("ArrowDown");
  await focusedRow(page, shown[0]);
  await page.keyboard.press("Home");
  await focusedRow(page, shown.at(-1));
  assert.deepEqual(page.problems, []);
  await page.keyboard.press("Enter");
  await page.waitForURL(new RegExp(`/dashboard\\?a=${shown.at(-1)}&`));
  await page.context().close();
});

test("what nothing is called says so and leads back, and an address shares the order", async () => {
  const page = await open(browser, "/watchlist?sort=-percent&filter=QQQQQ");
  await page.getByText("No symbol has QQQQQ in its name").waitFor();
  await page.getByRole("link", { name: "Show all symbols" }).click();
  await rows(page).first().waitFor();
  assert.match(await page.locator('th[aria-sort="descending"]').innerText(), /^%\s*▼$/);
  const percents = (await rows(page).locator(".watch-percent").allInnerTexts()).map((text) => text.trim());
  assert.ok(percents.every((text) => /^[▲▼•]?[+−]?\d*\.?\d*\u00a0?%?$|—/.test(text)), JSON.stringify(percents));
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("a lost stream is said in every row, keeps what is shown, and is caught up with", async () => {
  const sockets = [];
  let away = false;
  const page = await open(browser, "/watchlist", {
    prepare: (page) =>
      page.routeWebSocket(/\/api\/v1\/stream/, (socket) => {
        if (away) return socket.close({ code: 1012 });
        socket.connectToServer();
        sockets.push(socket);
      }),
  });
  await alive(page);
  away = true;
  await sockets[0].close({ code: 1012 });
  await page.locator('.watch-rows .freshness-badge[data-state="offline"]').first().waitFor();
  assert.equal(await page.locator('.watch-rows .freshness-badge:not([data-state="offline"])').count(), 0);
  assert.match(await rows(page).first().locator(".watch-price").innerText(), /^\d/);
  await screenshot(page, "watchlist-1440-offline");
  away = false;
  await page.locator('.watch-rows .freshness-badge[data-state="replay"]').first().waitFor();
  assert.deepEqual(page.problems.filter((problem) => !problem.includes("WebSocket")), []);
  await page.context().close();
});

test("when the API does not answer the rows stay and the page says that they may be old", async () => {
  const page = await open(browser, "/watchlist");
  await alive(page);
  await page.route("**/api/v1/watchlist?*", (route) => route.abort());
  await page.getByText("The list could not be brought up to date; trying again.").waitFor({ timeout: 45_000 });
  assert.ok((await names(page)).length > 0);
  await page.unroute("**/api/v1/watchlist?*");
  await page.getByText("The list could not be brought up to date; trying again.").waitFor({ state: "detached" });
  await page.context().close();
});

for (const [width, viewport] of [[1440, WIDE], [375, NARROW]]) {
  for (const scheme of ["light", "dark"]) {
    test(`the watchlist is quiet and accessible at ${width} px, ${scheme}`, async () => {
      const page = await open(browser, "/watchlist", { viewport, scheme });
      await alive(page);
      assert.deepEqual(await violations(page), []);
      await screenshot(page, `watchlist-${width}-${scheme}`);
      assert.deepEqual(page.problems, []);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, "no sideways scroll");
      for (const link of await page.locator(".watch-row a").all()) {
        assert.ok((await link.boundingBox()).height >= 24, "large enough for a finger");
      }
      await page.context().close();
    });
  }
}
