// One frame's worth of work for all charts of the page. A chart is drawn at once, so that it changes in the same frame as
// the numbers beside it, but at most once per frame, however often it is told; and when many charts must be drawn anew
// together (every bar of a minute closes at the same time), some of them wait for the next frame.

/** Milliseconds of a frame that whole charts may take; thin overlays are not counted. */
const BUDGET = 8;

const drawn = new Set();
const waiting = new Map();
let spent = 0;
let requested = false;

function run(job, whole) {
  drawn.add(job);
  const start = whole ? performance.now() : 0;
  job();
  if (whole) spent += performance.now() - start;
}

function next() {
  requested = false;
  spent = 0;
  drawn.clear();
  for (const [job, whole] of waiting) {
    if (whole && spent >= BUDGET) continue;
    waiting.delete(job);
    run(job, whole);
  }
  if (waiting.size > 0 || drawn.size > 0) request();
}

function request() {
  if (requested) return;
  requested = true;
  requestAnimationFrame(next);
}

/** Runs the job now, or in a coming frame if it ran in this one already or too much was drawn. `whole`: it is a whole chart. */
export function draw(job, whole) {
  if (drawn.has(job) || waiting.has(job) || (whole && spent >= BUDGET)) {
    waiting.set(job, whole);
  } else {
    run(job, whole);
  }
  request();
}

/** Runs the job in the next frame. */
export function later(job) {
  if (!waiting.has(job)) waiting.set(job, false);
  request();
}

/** Forgets a job: its chart is gone. */
export function forget(job) {
  waiting.delete(job);
  drawn.delete(job);
}
