// How charts share a frame.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

let callbacks = [];
let clock = 0;
globalThis.requestAnimationFrame = (callback) => callbacks.push(callback);
performance.now = () => clock;
const { draw, forget, later } = await import("../app/js/frames.js");

function frame() {
  const due = callbacks;
  callbacks = [];
  for (const callback of due) callback();
}
beforeEach(() => {
  for (let rest = 0; rest < 20 && callbacks.length > 0; rest += 1) frame();
});

test("a chart is drawn at once, and then once per frame however often it is told", () => {
  let drawn = 0;
  const job = () => (drawn += 1);
  draw(job, false);
  assert.equal(drawn, 1);
  for (let told = 0; told < 100; told += 1) draw(job, false);
  assert.equal(drawn, 1);
  frame();
  assert.equal(drawn, 2);
  frame();
  assert.equal(drawn, 2);
});

test("whole charts that would take too long together are drawn over several frames", () => {
  const drawn = [];
  const jobs = [0, 1, 2, 3, 4, 5].map((index) => () => {
    clock += 3;
    drawn.push(index);
  });
  for (const job of jobs) draw(job, true);
  assert.deepEqual(drawn, [0, 1, 2]);
  frame();
  assert.deepEqual(drawn, [0, 1, 2, 3, 4, 5]);
});

test("nothing is asked of the browser while nothing moves, and a chart that is gone is not drawn", () => {
  let drawn = 0;
  const job = () => (drawn += 1);
  later(job);
  forget(job);
  frame();
  frame();
  assert.equal(drawn, 0);
  assert.equal(callbacks.length, 0);
});
