// Percents of change: pure functions of what is drawn.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Scale, baseOf, percentOf } from "../app/js/scale.js";

const forming = { value: [100, 120, 90, 130], itemStyle: { opacity: 0 } };
const data = [[[100, 110, 95, 112], [110, 100, 99, 111], forming], [5, 6, 7], ["-", 200, "-"], ["-", 105, "-"]];
const lines = [{ grid: 0, other: true }, { grid: 0 }];

test("the first price at or after a bar is what percents are of", () => {
  assert.equal(baseOf(data[0], 0), 110);
  assert.equal(baseOf(data[0], 2), 120);
  assert.equal(baseOf(data[2], 0), 200);
  assert.ok(Number.isNaN(baseOf(["-", "-"], 0)));
  assert.equal(percentOf("-", 100), "-");
  assert.deepEqual(percentOf([100, 110], 100).map(Math.round), [0, 10]);
});

test("each symbol has its own scale, studies have the chart's, volume has none", () => {
  const scale = new Scale();
  scale.take({ percent: true, candles: true, lines }, data);
  assert.equal(scale.rebase(1), true);
  assert.equal(scale.rebase(1), false, "the same first bar changes nothing");
  assert.deepEqual(scale.items(0)[0], [0, 10, -5, 12].map((_, index) => (data[0][0][index] / 100 - 1) * 100));
  assert.deepEqual(scale.items(0)[2].itemStyle, { opacity: 0 });
  assert.deepEqual(scale.items(1), [5, 6, 7]);
  assert.deepEqual(scale.items(2), ["-", 0, "-"]);
  assert.equal(Math.round(scale.items(3)[1]), 5);
  const now = scale.forming({ candle: [100, 120, 90, 130], volume: 7, values: [210, null] });
  assert.deepEqual([now.candle.map(Math.round), now.volume, Math.round(now.values[0]), now.values[1]], [[0, 20, -10, 30], 7, 5, null]);
});

test("without a comparison prices are drawn as they are", () => {
  const scale = new Scale();
  scale.take({ candles: true, lines: [] }, data);
  assert.equal(scale.rebase(0), false);
  assert.equal(scale.items(0), data[0]);
  assert.equal(scale.price(0, 42), 42);
});
