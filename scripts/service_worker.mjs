// Writes SITE/sw.js: the service worker with the files of this build and their hashes.
//
//   node scripts/service_worker.mjs SITE

import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const LINE = 'const KEPT = { build: "none", files: {} };';
/** The page without a network is made of one part of the pages. */
const WANTED = /^\/(?:favicon\.svg|fonts\/.*\.woff2|pkg\/(?!operations|prices).*\.(?:js|wasm|css))$/;

const [site] = process.argv.slice(2);
const worker = readFileSync("app/js/service_worker.js", "utf8");
if (!worker.includes(LINE)) throw new Error(`app/js/service_worker.js has no line ${LINE}`);

const paths = readdirSync(site, { recursive: true }).map((path) => `/${path}`).filter((path) => WANTED.test(path)).sort();
const hash = (content) => createHash("sha256").update(content);
const files = Object.fromEntries(paths.map((path) => [path, `sha256-${hash(readFileSync(join(site, path))).digest("base64")}`]));
const build = hash(worker + JSON.stringify(files)).digest("hex").slice(0, 16);
writeFileSync(join(site, "sw.js"), worker.replace(LINE, `const KEPT = ${JSON.stringify({ build, files })};`));
