// Starts a demo server on a free port with data of its own, runs the browser tests against it and stops it again.
//
//   node end2end/run.mjs [STOCKSTREAM-BINARY]      default: target/debug/stockstream
//   BASE_URL=http://127.0.0.1:8080 node end2end/run.mjs      tests a server that runs already

import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const READY_WITHIN_MS = 180_000;
/** What the tests give orders with; a server that runs already is started with its own. */
const CONTROL_TOKEN = process.env.STOCKSTREAM_CONTROL_TOKEN ?? "end-to-end-control-token";

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

function ended(child) {
  return new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal)));
}

async function ready(base, exit) {
  const deadline = Date.now() + READY_WITHIN_MS;
  let gone = null;
  exit.then((how) => (gone = how));
  while (Date.now() < deadline) {
    if (gone !== null) throw new Error(`the server ended before it was ready (${gone})`);
    const answer = await fetch(`${base}/readyz`).catch(() => null);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  throw new Error(`the server was not ready within ${READY_WITHIN_MS / 1000} s`);
}

async function runTests(base) {
  const files = (await readdir(here)).filter((name) => name.endsWith(".test.mjs")).sort();
  const tests = spawn(
    process.execPath,
    ["--test", "--test-concurrency=1", "--test-timeout=600000", ...files.map((name) => join(here, name))],
    { cwd: root, stdio: "inherit", env: { ...process.env, BASE_URL: base, STOCKSTREAM_CONTROL_TOKEN: CONTROL_TOKEN } },
  );
  return ended(tests);
}

async function main() {
  if (process.env.BASE_URL) return runTests(process.env.BASE_URL);

  const binary = process.argv[2] ?? join(root, "target/debug/stockstream");
  const base = `http://127.0.0.1:${await freePort()}`;
  const data = await mkdtemp(join(tmpdir(), "stockstream-browser-"));
  const server = spawn(
    binary,
    ["demo", "--listen", base.slice("http://".length), "--data-dir", data, "--speed", "60", "--seed", "7"],
    { cwd: root, stdio: ["ignore", "inherit", "inherit"], env: { ...process.env, STOCKSTREAM_CONTROL_TOKEN: CONTROL_TOKEN, RUST_LOG: process.env.RUST_LOG ?? "warn" } },
  );
  const exit = ended(server);
  server.once("error", (error) => console.error(`cannot start ${binary}: ${error.message}`));
  const stop = () => server.kill("SIGTERM");
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  try {
    await ready(base, exit);
    return await runTests(base);
  } finally {
    stop();
    const patience = setTimeout(() => server.kill("SIGKILL"), 20_000);
    if (server.pid) await exit;
    clearTimeout(patience);
    await rm(data, { recursive: true, force: true });
  }
}

process.exitCode = (await main().catch((error) => (console.error(error.message), 1))) === 0 ? 0 : 1;
