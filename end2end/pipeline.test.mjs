// The pipeline's page: useful without a script, alive with one, and orders that really stop and start it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BASE, NARROW, WIDE, launch, open, screenshot, violations } from "./browser.mjs";

const TOKEN = process.env.STOCKSTREAM_CONTROL_TOKEN;
let browser;
before(async () => (browser = await launch()));
after(async () => browser?.close());

const follows = (page) => page.getByText("Follows the server, second by second.").waitFor({ timeout: 60_000 });
const stateIs = (page, word) => page.locator(`[data-pipeline-state]:text-is("${word}")`).waitFor();
const consumed = async (page) =>
  Number((await page.locator('[data-fate="consumed"] dd').innerText()).replace(/\D/g, ""));

for (const [width, viewport] of [[1440, WIDE], [375, NARROW]]) {
  for (const scheme of ["light", "dark"]) {
    test(`the pipeline is quiet and accessible at ${width} px, ${scheme}`, async () => {
      const page = await open(browser, "/pipeline", { viewport, scheme });
      await follows(page);
      await stateIs(page, "RUNNING");
      // The last hop is measured here, once a candle came.
      await page.locator('[data-hop="pixel"] [data-p50]', { hasText: /ms|s$/ }).waitFor();
      assert.deepEqual(await violations(page), []);
      await screenshot(page, `pipeline-${width}-${scheme}`);
      assert.deepEqual(page.problems, []);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, "no sideways scroll");
      await page.context().close();
    });
  }
}

test("without a script every hop has its latency and the records add up", async () => {
  const page = await open(browser, "/pipeline", { javaScriptEnabled: false });
  for (const hop of ["kafka", "decode", "check", "postgres"]) {
    assert.match(await page.locator(`[data-hop="${hop}"] [data-p99]`).first().innerText(), /\d/, hop);
  }
  assert.equal(await page.locator('[data-verdict="holds"]').count(), 1);
  assert.ok((await consumed(page)) > 0);
  await page.context().close();
});

test("numbers go on by themselves, in the same elements", async () => {
  const page = await open(browser, "/pipeline");
  await follows(page);
  await page.locator('[data-fate="consumed"] dd').evaluate((cell) => (cell.mark = "mine"));
  const [count, offset] = [await consumed(page), page.locator(".partition-table tbody tr td").nth(2)];
  const before = await offset.innerText();
  await page.waitForFunction(
    ([count, before]) => {
      const cell = document.querySelector('[data-fate="consumed"] dd');
      const offset = document.querySelectorAll(".partition-table tbody tr td")[2].innerText;
      return Number(cell.innerText.replace(/\D/g, "")) > count && offset !== before && cell.mark === "mine";
    },
    [count, before],
  );
  await page.context().close();
});

test("a server that does not answer leaves what is known, and says so until it answers again", async () => {
  const page = await open(browser, "/pipeline");
  await follows(page);
  await page.route("**/api/v1/pipeline", (route) => route.abort());
  await page.getByText("the server does not answer").waitFor();
  assert.ok((await consumed(page)) > 0, "what was known stays");
  await screenshot(page, "pipeline-1440-stale");
  await page.unroute("**/api/v1/pipeline");
  await follows(page);
  await page.context().close();
});

test("pausing asks again, is carried out with the token only, and resuming ends it", async () => {
  const page = await open(browser, "/pipeline");
  await follows(page);
  const orders = page.locator(".orders");
  assert.equal(await orders.getByRole("button", { name: "Pause…" }).isDisabled(), true, "no token, no order");
  await page.getByLabel("Control token").fill("not the token, by far");
  await orders.getByRole("button", { name: "Resume" }).click();
  await page.locator('[data-order="refused"]').waitFor();
  page.problems.length = 0; // the browser's console reports the refusal too
  await page.getByLabel("Control token").fill(TOKEN);
  await orders.getByRole("button", { name: "Pause…" }).click();
  await page.getByText("Really pause everything?").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.innerText), "No, leave it running");
  await page.keyboard.press("Enter");
  await orders.getByRole("button", { name: "Pause…" }).click();
  await orders.getByRole("button", { name: "Yes, pause" }).click();
  try {
    await stateIs(page, "PAUSED");
    await page.locator('.partition-state[data-state="paused_by_operator"]').waitFor();
    await page.locator('.order-history li[data-order="pause"]').first().waitFor();
    assert.deepEqual(await violations(page), []);
    await screenshot(page, "pipeline-1440-paused");
  } finally {
    await orders.getByRole("button", { name: "Resume" }).click();
  }
  await stateIs(page, "RUNNING");
  assert.deepEqual(page.problems, []);
  const answer = await (await fetch(`${BASE}/api/v1/pipeline`)).json();
  assert.equal(answer.state, "running");
  await page.context().close();
});
