// The live protocol's rules, against a socket that the test plays: gaps, silence, lateness, and a server that began anew.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, open } from "./browser.mjs";

let browser;
before(async () => (browser = await launch()));
after(async () => browser?.close());

const START = Date.parse("2024-01-16T15:00:00Z");
const iso = (ms) => new Date(ms).toISOString();
const bar = (minute, close) => ({ time: iso(START + minute * 60_000), open: 100, high: 120, low: 90, close, volume: 10 });

/** A dashboard whose stream is in the test's hands; both share the page's clock, which the test can move on. */
async function played({ mode = "live", speed } = {}) {
  const stage = { socket: null, subscriptions: [], epoch: "one" };
  let page;
  const now = () => page.evaluate(() => Date.now());
  const send = (message) => stage.socket.send(JSON.stringify(message));
  stage.delta = async (prev, seq, minute, close, lateMs = 100) => {
    const at = await now();
    const record = { kind: "bar", ...bar(minute, close), event_time: iso(at - lateMs), committed_at: iso(at) };
    send({ type: "delta", symbol: "AMZN", timeframe: "1m", prev, seq, records: [record] });
  };
  stage.snap = (symbol, seq, bars) => send({ type: "snap", symbol, timeframe: "1m", seq, bars, stats: null });
  stage.beat = async (seq) => send({ type: "beat", seq, server_time: iso(await now()) });
  stage.pass = (ms) => page.clock.runFor(ms);
  stage.answer = (subscription) => {
    if (subscription.since === undefined) for (const symbol of subscription.symbols) stage.snap(symbol, 10, [bar(0, 101), bar(1, 102)]);
  };
  /** Waits, in frames of the page's clock, until the page says what it should. */
  stage.says = async (read, text) => {
    const deadline = Date.now() + 30_000;
    const said = async () => String(await read()).trim();
    while (!(await said()).match(text) && Date.now() < deadline) await page.clock.runFor(20);
    assert.match(await said(), text);
  };
  page = await open(browser, "/dashboard", {
    prepare: async (opened) => {
      page = opened;
      await page.clock.install({ time: START });
      await page.routeWebSocket(/\/api\/v1\/stream/, async (socket) => {
        stage.socket = socket;
        socket.onMessage((text) => {
          const subscription = JSON.parse(text);
          stage.subscriptions.push(subscription);
          stage.answer(subscription);
        });
        send({
          type: "hello", epoch: stage.epoch, seq: 10, server_time: iso(await now()), budget_ms: 2000,
          source: { mode, simulated: mode === "replay", ...(speed ? { speed } : {}) },
        });
      });
    },
  });
  stage.page = page;
  stage.close = () => page.locator('[data-side="a"] [data-legend="close"]').innerText();
  stage.word = () => page.locator(".top-bar .freshness-word").innerText();
  stage.asked = () => stage.subscriptions.length;
  await stage.says(stage.close, /^102\.00$/);
  return stage;
}

test("a delta that follows is applied, one already known is skipped", async () => {
  const stage = await played();
  await stage.delta(10, 11, 2, 103);
  await stage.says(stage.close, /^103\.00$/);
  await stage.delta(9, 11, 2, 999);
  await stage.delta(11, 12, 3, 104);
  await stage.says(stage.close, /^104\.00$/);
  assert.equal(stage.subscriptions.length, 1);
  await stage.page.context().close();
});

test("a gap is never papered over: the page subscribes again and keeps what it shows until the snapshot is there", async () => {
  const stage = await played();
  stage.answer = () => {};
  await stage.delta(12, 13, 3, 999);
  await stage.says(stage.asked, /^2$/);
  assert.equal(stage.subscriptions[1].since, undefined);
  assert.equal((await stage.close()).trim(), "102.00");
  for (const symbol of ["AMZN", "AAPL"]) stage.snap(symbol, 13, [bar(0, 101), bar(1, 102), bar(3, 105)]);
  await stage.says(stage.close, /^105\.00$/);
  await stage.page.context().close();
});

test("a server that began anew sends everything anew", async () => {
  const stage = await played();
  stage.epoch = "two";
  await stage.socket.close({ code: 1012 });
  await stage.says(stage.asked, /^2$/);
  assert.equal(stage.subscriptions[1].since, undefined);
  await stage.page.context().close();
});

test("the same server is asked only for what was missed", async () => {
  const stage = await played();
  await stage.socket.close({ code: 1012 });
  await stage.says(stage.asked, /^2$/);
  assert.deepEqual([stage.subscriptions[1].epoch, stage.subscriptions[1].since], ["one", 10]);
  await stage.page.context().close();
});

test("rows within the budget are LIVE, later ones DELAYED", async () => {
  const stage = await played();
  await stage.delta(10, 11, 2, 103, 300);
  stage.snap("AAPL", 11, []); // neither fresh nor stale
  await stage.says(stage.word, /^LIVE$/);
  await stage.delta(11, 12, 3, 104, 7_000);
  await stage.says(stage.word, /^DELAYED 7/);
  await stage.page.context().close();
});

test("silence becomes STALE although beats arrive", async () => {
  const stage = await played({ mode: "replay", speed: 60 });
  await stage.delta(10, 11, 2, 103);
  await stage.says(stage.word, /^REPLAY 60×$/);
  for (let beats = 0; beats < 5; beats += 1) {
    await stage.pass(5_000);
    await stage.beat(11);
  }
  await stage.says(stage.word, /^STALE since \d\d:\d\d:\d\d E[SD]T$/);
  assert.equal((await stage.close()).trim(), "103.00");
  await stage.page.context().close();
});
