// Without a network: the app is there and says so, shows nothing that may be old, and comes back by itself.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BASE, NARROW, alive, drawn, launch, open, screenshot, violations } from "./browser.mjs";

let browser;
before(async () => (browser = await launch()));
after(async () => browser?.close());

/** A page whose service worker has kept everything. */
async function visited(path, options = {}) {
  const page = await open(browser, path, { ...options, serviceWorkers: "allow" });
  await alive(page);
  await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
  await page.evaluate(() => navigator.serviceWorker.ready);
  return page;
}
const bar = (page) => page.locator(".offline-bar");

/** Cuts the network and loads the page anew. */
async function reloadWithout(page) {
  await page.context().setOffline(true);
  await page.reload();
  await bar(page).getByText(/last seen \d/).waitFor();
}

async function back(page) {
  await page.context().setOffline(false);
  await bar(page).waitFor({ state: "detached" });
}

for (const [width, viewport, scheme] of [[1440, undefined, "dark"], [375, NARROW, "light"]]) {
  test(`the dashboard says that it is offline and since when, at ${width} px`, async () => {
    const page = await visited("/dashboard?a=MSFT&b=AMZN&tf=5m&layout=3", { viewport, scheme });
    await page.waitForFunction(() => localStorage.getItem("seen") !== null);
    await reloadWithout(page);
    assert.match(await bar(page).innerText(), /^OFFLINE, last seen \d+ \w{3} \d{4} \d\d:\d\d:\d\d \w+\. /);
    await page.locator(".chart-panel.shown").getByText("There is no connection to the server").waitFor();
    await page.locator('.top-bar .freshness-badge[data-state="offline"]').waitFor();
    assert.deepEqual(await page.locator(".panel-symbol").allTextContents(), ["MSFT", "AMZN", "NVDA"], "the link is kept");
    assert.deepEqual(await page.locator('[data-panel="last"]').allTextContents(), ["—", "—", "—"], "no price that may be old");
    await screenshot(page, `offline-${width}-${scheme}`);
    assert.deepEqual(await violations(page), []);
    page.problems = page.problems.filter((problem) => !/ERR_INTERNET_DISCONNECTED|WebSocket/.test(problem));
    assert.deepEqual(page.problems, []);
    await page.context().close();
  });
}

test("back online the page is the server's again, and alive", async () => {
  const page = await visited("/dashboard");
  await page.waitForFunction(() => localStorage.getItem("seen") !== null);
  await page.context().setOffline(true);
  await page.reload();
  await bar(page).getByText(/last seen \d/).waitFor();
  await back(page);
  await alive(page);
  await drawn(page);
  assert.equal(await bar(page).count(), 0);
  assert.match(await page.locator('[data-panel="last"]').first().innerText(), /^\d/);
  await page.context().close();
});

test("another page says that its content is the server's", async () => {
  const page = await visited("/watchlist?theme=dark");
  await page.context().setOffline(true);
  for (const [path, name] of [["/watchlist?theme=dark", "Watchlist"], ["/quality/runs/1", "Quality"], ["/", "Home"]]) {
    await page.goto(BASE + path);
    await bar(page).waitFor();
    await page.getByRole("heading", { name }).waitFor();
  }
  await page.goto(`${BASE}/watchlist?theme=dark`);
  await page.getByRole("heading", { name: "Watchlist" }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  await screenshot(page, "offline-1440-watchlist");
  assert.deepEqual(await violations(page), []);
  await back(page);
  await page.locator(".watch-table").waitFor();
  await page.context().close();
});

test("with a network nothing comes from what is kept", async () => {
  const page = await visited("/dashboard");
  const sources = [];
  page.on("response", (response) => sources.push([new URL(response.url()).pathname, response.fromServiceWorker()]));
  await page.reload();
  await alive(page);
  const kept = sources.filter(([path]) => path.startsWith("/shell/"));
  assert.deepEqual(kept, []);
  assert.deepEqual(sources.filter(([path, worker]) => path.startsWith("/pkg/") && worker), []);
  assert.ok(sources.some(([path]) => path.startsWith("/pkg/")));
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test("a new build takes the place of the old one, and both are never mixed", async () => {
  const page = await visited("/dashboard");
  const names = () => page.evaluate(() => caches.keys());
  const [before, ...others] = await names();
  assert.deepEqual(others, []);
  const worker = await (await fetch(`${BASE}/sw.js`)).text();
  assert.equal(worker.includes(before.replace("shell-", "")), true);
  const files = await page.evaluate(async (name) => (await (await caches.open(name)).keys()).map((request) => new URL(request.url).pathname), before);
  assert.ok(files.every((path) => path.startsWith(`/shell/${before.replace("shell-", "")}/`)), files.join());
  for (const wanted of ["dashboard.js", "dashboard_bg.wasm", "chart.js", "shell.js", "stockstream.css", "favicon.svg"]) {
    assert.ok(files.some((path) => path.endsWith(`/${wanted}`)), wanted);
  }
  await page.context().close();
});
