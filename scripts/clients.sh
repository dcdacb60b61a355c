#!/usr/bin/env bash
# Runs clients of others, unmodified and as they come from PyPI, against a server with live data on a free port: alpaca-py
# asks for bars, latest bars and snapshots, and listens to the stream; pyarrow reads bars as columns; PyWry, a client of UDF,
# asks for bars and draws them in a browser (docs/examples/udf_chart.py; its page takes port 8765). Runs every snippet of docs/snippets.md too, with curl,
# Python, Node.js and cargo.
#
#   scripts/clients.sh
#
# STOCKSTREAM names a binary that is already built. The last line is "N passed, N failed".
set -euo pipefail
cd "$(dirname "$0")/.."
ROOT=$PWD
scripts/setup.sh clients
# shellcheck source=/dev/null
. .tools/env

say() { printf 'clients: %s\n' "$*" >&2; }
work=$(mktemp -d "${TMPDIR:-/tmp}/stockstream-clients-XXXXXX")
# As root, PostgreSQL runs as another user, who has to get in.
chmod 711 "$work"
server=
finish() {
  if [ -n "$server" ]; then kill -TERM "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap finish EXIT

binary=${STOCKSTREAM:-}
if [ -z "$binary" ]; then
  cargo build -q -p server --no-default-features
  binary=${CARGO_TARGET_DIR:-target}/debug/stockstream
fi
mkdir "$work/site"
"$binary" demo --listen 127.0.0.1:0 --data-dir "$work/data" --site-root "$work/site" --seed 7 --log warn \
  >"$work/out" 2>"$work/log" &
server=$!
url=
for _ in $(seq 1200); do
  url=$(sed -n 's/.*live: \(http:[^ ]*\)\/dashboard.*/\1/p' "$work/out")
  if [ -n "$url" ]; then break; fi
  if ! kill -0 "$server" 2>/dev/null; then cat "$work/log" >&2; say "the server ended"; server=; exit 1; fi
  sleep 0.1
done
if [ -z "$url" ]; then cat "$work/log" >&2; say "the server did not come up within two minutes"; exit 1; fi

PYTHONDONTWRITEBYTECODE=1 "$ROOT/.tools/clients/bin/python" scripts/clients.py "$url"
