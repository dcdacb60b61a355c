// Many live charts in one page: ours beside lightweight-charts, in the same browser, taking turns.
//
//   node bench/charts.mjs [--charts 50] [--bars 500] [--seconds 15] [--rounds 3] [--minutes 60]
//
// Each turn opens a fresh page of 1920 x 1080 with all charts in it and updates every chart 60 times a second, through one
// animation frame, as the dashboard does. A quarter into each turn and at its end a bar of every chart closes at once. Ours
// is the bundle of app/js/chart.js, fed with JSON as the page feeds it, drawing what bench/charts/option.json says (a test
// of the user interface keeps that equal to what the page draws). Both show candles, volume and a price line, and 120 bars.
//
// Then ours gets as many updates and closing bars as come in --minutes, as fast as frames allow, and its heap is compared
// before and after. The result goes to bench/results/charts.json.
//
// Frames are counted by requestAnimationFrame; main-thread time is the browser's own TaskDuration in
// ticks of the thread.

import { build } from "esbuild";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const here = dirname(fileURLToPath(import.meta.url));
const { values: flags } = parseArgs({
  options: {
    charts: { type: "string", default: "50" },
    bars: { type: "string", default: "500" },
    seconds: { type: "string", default: "15" },
    rounds: { type: "string", default: "3" },
    minutes: { type: "string", default: "60" },
    out: { type: "string", default: join(here, "results/charts.json") },
  },
});
const [charts, bars, seconds, rounds, minutes] = [flags.charts, flags.bars, flags.seconds, flags.rounds, flags.minutes].map(Number);
const browsers = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

async function bundle(entry) {
  const { outputFiles } = await build({ entryPoints: [join(here, "charts", entry)], bundle: true, minify: true, format: "iife", write: false, logLevel: "warning" });
  return outputFiles[0].text;
}

async function open(browser, script, template) {
  const page = await browser.newPage({ viewport: { width: 1920, height: 1080 } });
  page.on("pageerror", (error) => { throw error; });
  await page.setContent("<!doctype html><style>body{margin:0;display:flex;flex-wrap:wrap;background:#151b23}.chart{position:relative;width:192px;height:216px}.chart>*{position:absolute;inset:0}.chart-base{opacity:0}.chart>canvas{width:100%;height:100%;pointer-events:none}</style>");
  await page.evaluate((template) => { window.template = template; }, template);
  await page.addScriptTag({ content: script });
  const session = await page.context().newCDPSession(page);
  // Time of the thread on a core, so that what else the machine does is not counted.
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  await page.evaluate(([charts, bars]) => window.bench.open(charts, bars), [charts, bars]);
  return { page, session };
}

async function metrics(session, collect) {
  if (collect) await session.send("HeapProfiler.collectGarbage");
  const { metrics } = await session.send("Performance.getMetrics");
  return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
}

async function turn(browser, script, template) {
  const { page, session } = await open(browser, script, template);
  await page.evaluate(() => window.bench.run(2)); // warm
  const before = await metrics(session, true);
  const { frames, elapsed, worst, updates } = await page.evaluate((seconds) => window.bench.run(seconds), seconds);
  const after = await metrics(session, true);
  await page.close();
  return {
    frames_per_second: frames / elapsed,
    main_thread_percent: (100 * (after.TaskDuration - before.TaskDuration)) / elapsed,
    main_thread_ms_per_frame: (1000 * (after.TaskDuration - before.TaskDuration)) / frames,
    p99_frame_ms: worst,
    updates_per_second: updates / elapsed,
    heap_growth_kb: (after.JSHeapUsedSize - before.JSHeapUsedSize) / 1024,
    heap_mb: after.JSHeapUsedSize / 1048576,
  };
}

async function hour(browser, script, template) {
  const { page, session } = await open(browser, script, template);
  await page.evaluate(() => window.bench.replay(3));
  const before = await metrics(session, true);
  await page.evaluate((minutes) => window.bench.replay(minutes), minutes);
  const after = await metrics(session, true);
  await page.close();
  return { minutes, heap_before_mb: before.JSHeapUsedSize / 1048576, heap_after_mb: after.JSHeapUsedSize / 1048576 };
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const rounded = (record) => Object.fromEntries(Object.entries(record).map(([key, value]) => [key, Math.round(value * 100) / 100]));

const executablePath = browsers.find((path) => path && existsSync(path));
if (!executablePath) throw new Error("no Chromium found: scripts/setup.sh test installs one, or name it in CHROMIUM");
const browser = await chromium.launch({
  executablePath,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
  const template = JSON.parse(await readFile(join(here, "charts/option.json"), "utf8"));
  const contenders = { stockstream: await bundle("ours.mjs"), "lightweight-charts": await bundle("lightweight.mjs") };
  const results = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, script] of Object.entries(contenders)) {
      const result = rounded(await turn(browser, script, template));
      results[name].push(result);
      console.error(`round ${round + 1}, ${name}: ${JSON.stringify(result)}`);
    }
  }
  const medians = Object.fromEntries(
    Object.entries(results).map(([name, turns]) => [name, Object.fromEntries(Object.keys(turns[0]).map((key) => [key, median(turns.map((turn) => turn[key]))]))]),
  );
  const memory = rounded(await hour(browser, contenders.stockstream, template));
  const lock = JSON.parse(await readFile(join(here, "../package-lock.json"), "utf8"));
  const report = {
    at: new Date().toISOString().slice(0, 10),
    machine: { cpu: cpus()[0].model, cores: cpus().length, browser: `Chromium ${browser.version()}, headless, no GPU` },
    setup: { charts, bars, bars_in_view: 120, updates_per_second_and_chart: 60, seconds, rounds, lightweight_charts: lock.packages["node_modules/lightweight-charts"].version },
    medians,
    rounds: results,
    memory,
  };
  await writeFile(flags.out, `${JSON.stringify(report, null, 2)}\n`);
  console.log(JSON.stringify({ medians, memory }, null, 2));
} finally {
  await browser.close();
}
