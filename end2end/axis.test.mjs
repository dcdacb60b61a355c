// The axes' pure functions.

import assert from "node:assert/strict";
import { test } from "node:test";
import { axisLabels, compact, isBreak, pointerLabel, price } from "../app/js/axis.js";

function session(day, minutes = 390) {
  return Array.from({ length: minutes }, (_, index) => {
    const at = 570 + index;
    return `${day} ${String(Math.floor(at / 60)).padStart(2, "0")}:${String(at % 60).padStart(2, "0")}`;
  });
}
const twoDays = [...session("2024-01-12"), ...session("2024-01-16")];

test("dates stand at breaks only and times at round times", () => {
  const labels = axisLabels(twoDays, 0, twoDays.length - 1, 700, 1);
  assert.equal(labels.get(390), "16 Jan");
  const times = [...labels].filter(([index]) => index !== 390).map(([, text]) => text);
  assert.ok(times.length > 3);
  for (const text of times) assert.match(text, /^\d\d:(00|30)$/);
});

test("labels never crowd", () => {
  for (const [start, end, width] of [[0, 779, 300], [660, 779, 620], [380, 400, 620], [700, 779, 120]]) {
    const at = [...axisLabels(twoDays, start, end, width, 1).keys()].sort((a, b) => a - b);
    const bar = width / (end - start + 1);
    for (let index = 1; index < at.length; index += 1) assert.ok((at[index] - at[index - 1]) * bar >= 61, `${at}`);
    assert.ok(at.every((index) => index >= start && index <= end));
  }
});

test("daily bars are labelled by month, and by year in January", () => {
  const days = Array.from({ length: 90 }, (_, index) => {
    const date = new Date(Date.UTC(2023, 10, 15 + index));
    return `${date.toISOString().slice(0, 10)} 00:00`;
  });
  const labels = [...axisLabels(days, 0, 89, 900, 1440).values()];
  for (const expected of ["Dec", "2024", "Feb"]) assert.ok(labels.includes(expected), `${expected} in ${labels}`);
});

test("a night is a break, the first bar is none", () => {
  assert.equal(isBreak(twoDays, 390, 1), true);
  assert.equal(isBreak(twoDays, 0, 1), false);
  assert.equal(isBreak(twoDays, 391, 1), false);
});

test("nothing to label gives no labels", () => {
  assert.equal(axisLabels([], 0, -1, 500, 1).size, 0);
  assert.equal(axisLabels(twoDays, 0, 10, 0, 1).size, 0);
});

test("numbers on the axes are written like those beside them", () => {
  assert.equal(price(1234567.5, 2), "1\u2009234\u2009567.50");
  assert.equal(price(-0.5, 2), "−0.50");
  assert.equal(price(NaN, 2), "—");
  assert.equal(compact(18_250), "18K");
  assert.equal(compact(1_500_000), "1.5M");
  assert.equal(pointerLabel("2024-01-16 09:31", 1), "16 Jan 09:31");
  assert.equal(pointerLabel("2024-01-16 00:00", 1440), "16 Jan 2024");
});
