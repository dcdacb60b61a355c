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
. scripts/demo.sh

PYTHONDONTWRITEBYTECODE=1 "$ROOT/.tools/clients/bin/python" scripts/clients.py "$url"
