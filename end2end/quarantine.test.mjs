// The quarantine's pages against the demo's own bad rows: read without a script, and at both widths in both themes.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { BASE, NARROW, WIDE, launch, open, screenshot, violations } from "./browser.mjs";

/** As `run.mjs` starts the demo. */
const TOKEN = process.env.STOCKSTREAM_CONTROL_TOKEN ?? "end-to-end-control-token";

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
        // First: a picture hides carets by a style of the browser driver's.
        assert.equal(await page.locator("[style]").count(), 0, "no inline style");
        assert.deepEqual(await violations(page), []);
        await screenshot(page, `quarantine-${name}-${width}-${scheme}`);
        assert.deepEqual(page.problems, []);
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, "no sideways scroll");
        await page.context().close();
      });
    }
  }
}

describe("the keyboard and no script are enough", () => {
  test("filters narrow the list and lead to a record that explains itself", async () => {
    const page = await open(browser, "/quarantine?theme=dark", { javaScriptEnabled: false });
    await page.locator('select[name="stage"]').selectOption("rules");
    await page.locator('select[name="code"]').selectOption("envelope");
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

describe("with the control token", () => {
  test("a wrong token is refused in a sentence, and orders nothing", async () => {
    const page = await open(browser, refused);
    await page.getByLabel("Control token").fill("not-the-token-of-this-server");
    await page.getByRole("button", { name: "Redrive" }).click();
    await page.getByText("This is not the control token of this server.").waitFor();
    assert.deepEqual(page.problems.filter((problem) => !problem.includes("401")), []);
    await page.context().close();
  });

  test("a corrected copy of a bad row appears on the chart, and its original stays", async () => {
    const { records } = await (await fetch(`${BASE}/api/v1/quarantine?code=envelope&state=open&limit=1`)).json();
    const { topic, partition, offset } = records[0];
    const address = `/quarantine/${topic}/${partition}/${offset}`;
    const before = (await (await fetch(`${BASE}/api/v1${address}`)).json()).value.text;
    const value = JSON.parse(before);
    const row = value.payload.after;
    const prices = [row.open, row.high, row.low, row.close];
    [row.high, row.low] = [Math.max(...prices), Math.min(...prices)];

    // A reader of the symbol, and what the stream tells it.
    const heard = [];
    const dashboard = await open(browser, `/dashboard?a=${row.symbol}`, {
      prepare: (page) =>
        page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => heard.push(payload.toString()))),
    });
    await dashboard.locator('[data-status="link"]', { hasText: "connected" }).waitFor();

    const page = await open(browser, address);
    await page.getByLabel("Control token").fill(TOKEN);
    await page.getByRole("button", { name: "Dry run" }).click();
    await page.getByText("Nothing was changed. A redrive now would give: 1 refused again.").waitFor();
    await page.getByText("Correct a copy of the value").first().click();
    // As text: numbers of nanoseconds do not survive JavaScript's own.
    const copy = page.getByLabel("Corrected copy of the value");
    const corrected = (await copy.inputValue()).replace(/"high": [-\d.]+/, `"high": ${row.high}`).replace(/"low": [-\d.]+/, `"low": ${row.low}`);
    await copy.fill(corrected);
    await page.getByRole("button", { name: "Dry run" }).click();
    await page.getByText("Nothing was changed. A redrive now would give: 1 applied.").waitFor();
    assert.deepEqual(await violations(page), []);
    await screenshot(page, "quarantine-corrected-1440-light");
    await page.getByRole("button", { name: "Redrive" }).click();
    await page.getByText("Done: 1 applied.").waitFor();
    await page.getByRole("button", { name: "Audit trail" }).click();
    await page.getByText("quarantine.redrive by token").waitFor();
    await page.getByText("A corrected copy, SHA-256").waitFor();
    await page.getByRole("link", { name: "Load this page again" }).click();
    await page.getByText("REDRIVEN, applied").waitFor();
    assert.deepEqual(page.problems, []);

    const deadline = Date.now() + 60_000;
    const told = (frame) => {
      const { type, symbol, records = [] } = JSON.parse(frame);
      return type === "delta" && symbol === row.symbol && records.some(({ high, low }) => Number(high) === row.high && Number(low) === row.low);
    };
    while (!heard.some(told) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 200));
    assert.ok(heard.some(told), "the open dashboard is told of the bar");
    const after = (await (await fetch(`${BASE}/api/v1${address}`)).json()).value.text;
    assert.equal(after, before, "the original's bytes stay");
    await dashboard.context().close();
    await page.context().close();
  });

  test("all that a list shows is tried at once", async () => {
    const page = await open(browser, "/quarantine?code=not_json");
    await page.getByLabel("Control token").fill(TOKEN);
    await page.keyboard.press("Enter");
    await page.getByText(/Nothing was changed\. A redrive now would give: \d+ refused again\./).waitFor();
    assert.deepEqual(page.problems, []);
    await page.context().close();
  });
});
