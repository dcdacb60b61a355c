// A demo server on a free port with data of its own, for as long as something uses it.

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const READY_WITHIN_MS = 180_000;

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

export function ended(child) {
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

/** Starts `binary` with more arguments, calls `use` with its address, and stops it again. */
export async function withDemo(binary, args, env, use) {
  const base = `http://127.0.0.1:${await freePort()}`;
  const data = await mkdtemp(join(tmpdir(), "stockstream-browser-"));
  const server = spawn(
    binary,
    ["demo", "--listen", base.slice("http://".length), "--data-dir", data, "--speed", "60", "--seed", "7", ...args],
    { cwd: root, stdio: ["ignore", "inherit", "inherit"], env: { ...process.env, RUST_LOG: process.env.RUST_LOG ?? "warn", ...env } },
  );
  const exit = ended(server);
  server.once("error", (error) => console.error(`cannot start ${binary}: ${error.message}`));
  const stop = () => server.kill("SIGTERM");
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  try {
    await ready(base, exit);
    return await use(base);
  } finally {
    stop();
    const patience = setTimeout(() => server.kill("SIGKILL"), 20_000);
    if (server.pid) await exit;
    clearTimeout(patience);
    await rm(data, { recursive: true, force: true });
  }
}
