#!/usr/bin/env bash
# One CSV of minutes into one table, by `stockstream feed replay --load` and by pandas' read_csv and to_sql, in turn, on the
# same PostgreSQL: rows per second and per CPU-second of the client and of PostgreSQL.
#
#   bench/load.sh [--rows N] [--rounds N] [--no-build]
#
# Both write the source's table with its key and its index; stockstream checks every line by the built-in rules and looks for
# minutes that are there already, pandas does neither. to_sql is measured as it comes and with method='multi'. After each
# load the table must hold the same rows, or there is no result; that is in bench/results/load.json. Then stockstream loads the
# file again, which must change nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
ROOT=$PWD
ROWS=${BENCH_ROWS:-500000} ROUNDS=3 BUILD=1
say() { printf 'bench: %s\n' "$*" >&2; }
while [ $# -gt 0 ]; do
  case $1 in
    --rows) ROWS=${2:?}; shift 2 ;;
    --rounds) ROUNDS=${2:?}; shift 2 ;;
    --no-build) BUILD=0; shift ;;
    *) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "$0" >&2; exit 2 ;;
  esac
done
BIN=${STOCKSTREAM:-${CARGO_TARGET_DIR:-$ROOT/target}/release/stockstream}
if [ $BUILD = 1 ]; then
  say "building (release)"
  cargo build --release -p server --bin stockstream
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/stockstream-load-XXXXXX")
chmod 711 "$work"
export STACK_DIR=$work/stack STACK_PORT_OFFSET=${STACK_PORT_OFFSET:-2700}
eval "$(deploy/stack/stack.sh env)"
finish() { deploy/stack/stack.sh wipe >&2 || true; rm -rf "$work"; }
trap finish EXIT
deploy/stack/stack.sh up postgres
mkdir -p bench/results
.tools/oracle/bin/python bench/load.py "$STACK_SOURCE_POSTGRES_URL" "$ROWS" "$ROUNDS" "$BIN" "$(cat "$STACK_DIR/postgres/pid")" "$work"
