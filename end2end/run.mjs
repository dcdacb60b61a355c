// Starts a demo server on a free port with data of its own, runs the browser tests against it and stops it again.
//
//   node end2end/run.mjs [STOCKSTREAM-BINARY]      default: target/debug/stockstream
//   BASE_URL=http://127.0.0.1:8080 node end2end/run.mjs      tests a server that runs already

import { spawn } from "node:child_process";
import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ended, withDemo } from "./demo.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
/** What the tests give orders with; a server that runs already is started with its own. */
const CONTROL_TOKEN = process.env.STOCKSTREAM_CONTROL_TOKEN ?? "end-to-end-control-token";

/** Stops the stream that all others watch, so it has the server to itself. */
const ALONE = ["pipeline.test.mjs"];

async function runTests(base) {
  const files = (await readdir(here)).filter((name) => name.endsWith(".test.mjs")).sort();
  const others = files.filter((name) => !ALONE.includes(name));
  // Two pages at a time: each waits for the stream for as long as it works.
  const outcomes = [await runFiles(base, others, 2), await runFiles(base, ALONE, 1)];
  return outcomes.every((outcome) => outcome === 0) ? 0 : 1;
}

function runFiles(base, files, concurrency) {
  const tests = spawn(
    process.execPath,
    ["--test", `--test-concurrency=${concurrency}`, "--test-timeout=600000", ...files.map((name) => join(here, name))],
    { cwd: root, stdio: "inherit", env: { ...process.env, BASE_URL: base, STOCKSTREAM_CONTROL_TOKEN: CONTROL_TOKEN } },
  );
  return ended(tests);
}

async function main() {
  if (process.env.BASE_URL) return runTests(process.env.BASE_URL);
  const binary = process.argv[2] ?? join(root, "target/debug/stockstream");
  return withDemo(binary, [], { STOCKSTREAM_CONTROL_TOKEN: CONTROL_TOKEN }, runTests);
}

process.exitCode = (await main().catch((error) => (console.error(error.message), 1))) === 0 ? 0 : 1;
