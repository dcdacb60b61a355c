// Writes FILE.br beside each file: the server sends that to whoever takes it, and need not compress for each visitor.
//
//   node scripts/compress.mjs QUALITY FILE...      QUALITY of brotli: 0 (quick) to 11 (small)

import { readFileSync, writeFileSync } from "node:fs";
import { brotliCompressSync, constants } from "node:zlib";

const [quality, ...paths] = process.argv.slice(2);
for (const path of paths) {
  const content = readFileSync(path);
  const params = { [constants.BROTLI_PARAM_QUALITY]: Number(quality), [constants.BROTLI_PARAM_SIZE_HINT]: content.length };
  writeFileSync(`${path}.br`, brotliCompressSync(content, { params }));
}
