// The market of the benchmark, and the page's way of following it: ticks come 60 times a second, and what came is applied
// once per animation frame.

const IN_VIEW = 120;
/** Ticks of a minute. */
const TICKS = 3600;
const START = Date.UTC(2024, 0, 16, 14, 30) / 1000;

/** Small, seeded, the same for both. */
function dice(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296 - 0.5;
  };
}

export class Market {
  constructor(charts, bars) {
    this.random = dice(7);
    this.symbols = Array.from({ length: charts }, () => {
      const history = [];
      let price = 100 + this.random() * 40;
      for (let index = 0; index < bars; index += 1) {
        history.push(this.#bar(START + index * 60, price));
        price = history.at(-1).close;
      }
      return history;
    });
  }

  /** A bar as long as those that form here: a minute of ticks. */
  #bar(time, open) {
    const bar = { time, open, high: open, low: open, close: open, volume: 0 };
    for (let step = 0; step < 9; step += 1) this.#move(bar, TICKS / 9);
    return bar;
  }

  /** So many ticks at once. */
  #move(bar, ticks = 1) {
    bar.close = Math.round((bar.close + this.random() * 0.06 * Math.sqrt(ticks)) * 100) / 100;
    bar.high = Math.max(bar.high, bar.close);
    bar.low = Math.min(bar.low, bar.close);
    bar.volume += 25 * ticks;
  }

  /** Every forming bar moves. */
  tick() {
    for (const history of this.symbols) this.#move(history.at(-1));
  }

  /** Every forming bar closes, the next begins, and the oldest leaves. */
  close() {
    for (const history of this.symbols) {
      const { time, close } = history.at(-1);
      history.push({ time: time + 60, open: close, high: close, low: close, close, volume: 0 });
      history.shift();
    }
  }
}

export const inView = IN_VIEW;

/** `contender`: { create(element, bars) -> chart, update(chart, bar), close(chart, bars) }. */
export function bench(contender) {
  let market;
  let charts;
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const apply = (change) => market.symbols.forEach((history, index) => change(charts[index], history));
  const update = () => apply((chart, history) => contender.update(chart, history.at(-1)));
  const close = () => {
    market.close();
    apply((chart, history) => contender.close(chart, history));
  };
  return {
    tickAll() {
      market.tick();
      update();
    },
    closeAll: close,
    async open(count, bars) {
      market = new Market(count, bars);
      charts = [];
      for (const history of market.symbols) {
        const element = document.createElement("div");
        element.className = "chart";
        document.body.append(element);
        charts.push(contender.create(element, history));
        await frame();
      }
      await frame();
    },
    /** Ticks 60 times a second for so long; bars close after a quarter of it, and at its end. */
    async run(seconds) {
      let due = false;
      let updates = 0;
      const feed = setInterval(() => {
        market.tick();
        due = true;
        updates += charts.length;
      }, 1000 / 60);
      const start = performance.now();
      const gaps = [];
      let last = start;
      let closed = false;
      for (;;) {
        const now = await frame();
        gaps.push(now - last);
        last = now;
        if (!closed && now - start > seconds * 250) {
          closed = true;
          close();
        } else if (due) {
          due = false;
          update();
        }
        if (now - start >= seconds * 1000) break;
      }
      clearInterval(feed);
      close();
      gaps.sort((a, b) => a - b);
      return { frames: gaps.length, elapsed: (last - start) / 1000, worst: gaps[Math.floor(gaps.length * 0.99)], updates };
    },
    /** Minutes of market time, 60 updates and one closing bar each, as fast as frames come. */
    async replay(minutes) {
      for (let minute = 0; minute < minutes; minute += 1) {
        for (let second = 0; second < 60; second += 1) {
          market.tick();
          update();
          await frame();
        }
        close();
        await frame();
      }
    },
  };
}
