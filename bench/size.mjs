// What the browser downloads of a release for each page, compressed as the server sends it, and whether that is within the
// budget: the page itself with its data, stylesheet, scripts and WASM. The pages come in parts (app/src/part.rs), each with a
// WASM module of its own; the chart's bundle is deferred: it is fetched when a page shows a chart. Fonts are not counted: a
// page is read without them. In which order it all comes is measured by end2end/load.test.mjs.
//
//   node bench/size.mjs [SITE]        default: target/site, as `scripts/frontend.sh release` leaves it
//
// Files are as compressed as `SITE/pkg/*.br`. The pages are those of a demo server (target/debug/stockstream, or
// STOCKSTREAM_BINARY) once it has all bars that the dashboard begins with, and with all that operators see. The result goes to bench/results/size.json.

import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { withDemo } from "../end2end/demo.mjs";

/** Kilobytes: of a page with all that it needs, and of the chart's bundle. */
const BUDGETS = { page: 450, chart: 250 };
const PARTS = {
  dashboard: ["/dashboard"],
  prices: ["/", "/watchlist"],
  operations: ["/pipeline", "/status", "/quality", "/quarantine"],
};
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const site = resolve(process.argv[2] ?? join(root, "target/site"));
const binary = process.env.STOCKSTREAM_BINARY ?? join(root, "target/debug/stockstream");
const rounded = (bytes) => Math.round(bytes / 102.4) / 10;

/** Bars of each symbol that the dashboard begins with. */
const BARS = 780;
const OPERATOR = { STOCKSTREAM_CONTROL_TOKEN: "a-control-token-of-a-benchmark" };

/** Bytes of the body as it is sent to a browser. */
function sent(address) {
  const headers = { "accept-encoding": "br", accept: "text/html" };
  return new Promise((resolve, reject) => {
    get(address, { headers }, (response) => {
      let bytes = 0;
      response.on("data", (chunk) => (bytes += chunk.length));
      response.on("end", () => (response.statusCode === 200 ? resolve(bytes) : reject(new Error(`${response.statusCode} for ${address}`))));
    }).on("error", reject);
  });
}

async function pages(base) {
  for (const symbol of ["AMZN", "AAPL"]) {
    const bars = async () => (await (await fetch(`${base}/api/v1/bars?symbol=${symbol}&limit=${BARS}`)).json()).bars ?? [];
    while ((await bars()).length < BARS) await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  const sizes = {};
  for (const path of Object.values(PARTS).flat()) sizes[path] = rounded(await sent(base + path));
  return sizes;
}

const names = readdirSync(join(site, "pkg"), { recursive: true }).filter((name) => /\.(wasm|css|js)$/.test(name));
const files = names.map((name) => ({ name: `pkg/${name}`, kilobytes: rounded(readFileSync(join(site, "pkg", `${name}.br`)).length) }));
const html = await withDemo(binary, ["--site-root", site], OPERATOR, pages);

const isOfPart = (name, part) => name.startsWith(`pkg/${part}`);
const aside = (name) => ["pkg/chart.js", "pkg/shell.js"].includes(name);
const shared = files.filter(({ name }) => !aside(name) && !Object.keys(PARTS).some((part) => isOfPart(name, part)));
const results = Object.entries(PARTS).flatMap(([part, paths]) => {
  const own = files.filter(({ name }) => isOfPart(name, part));
  return paths.map((path) => ({ what: path, files: [{ name: path, kilobytes: html[path] }, ...own, ...shared], budget: BUDGETS.page }));
});
results.push({ what: "chart, deferred", files: files.filter(({ name }) => name === "pkg/chart.js"), budget: BUDGETS.chart });
for (const result of results) {
  result.kilobytes = Math.round(result.files.reduce((sum, file) => sum + file.kilobytes, 0) * 10) / 10;
  for (const file of result.files) console.log(`${file.kilobytes.toFixed(1).padStart(8)} KB  ${file.name}`);
  const verdict = result.kilobytes <= result.budget ? "within" : "ABOVE";
  console.log(`${result.kilobytes.toFixed(1).padStart(8)} KB  ${result.what}: ${verdict} the budget of ${result.budget} KB\n`);
}
const measured = { at: new Date().toISOString().slice(0, 10), compression: "brotli: files at level 11, pages as the server sends them", results };
writeFileSync(join(root, "bench/results/size.json"), `${JSON.stringify(measured, null, 2)}\n`);
process.exitCode = results.some(({ kilobytes, budget }) => kilobytes > budget) ? 1 : 0;
