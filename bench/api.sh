#!/usr/bin/env bash
# The newest 100 bars and one day of minutes, asked of `stockstream serve`, of FastAPI with asyncpg as its documentation has it,
# of FastAPI with asyncpg tuned by hand, and of an axum that has nothing to do, in turn, on the same PostgreSQL.
#
#   bench/api.sh [--seconds N] [--rounds N] [--connections N] [--no-build]
#
# Requests per CPU-second of the server, its children included (and, beside it, of server and PostgreSQL), and the latencies of
# all connections together, at full load by wrk. Before anything is measured the bars of all answers must be the same. The days
# are others each time, and nobody keeps them. Writes bench/results/api.json.
set -euo pipefail
cd "$(dirname "$0")/.."
ROOT=$PWD
SECONDS_EACH=5 ROUNDS=3 CONNECTIONS=32 BUILD=1
say() { printf 'bench: %s\n' "$*" >&2; }
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) SECONDS_EACH=${2:?}; shift 2 ;;
    --rounds) ROUNDS=${2:?}; shift 2 ;;
    --connections) CONNECTIONS=${2:?}; shift 2 ;;
    --no-build) BUILD=0; shift ;;
    *) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "$0" >&2; exit 2 ;;
  esac
done
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}/release
if [ $BUILD = 1 ]; then
  say "building (release)"
  cargo build --release -p server --bin stockstream --example bench_api
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/stockstream-api-XXXXXX")
# As root, PostgreSQL runs as another user, who has to get in.
chmod 711 "$work"
export STACK_DIR=$work/stack STACK_PORT_OFFSET=${STACK_PORT_OFFSET:-2800}
eval "$(deploy/stack/stack.sh env)"
finish() { deploy/stack/stack.sh wipe >&2 || true; rm -rf "$work"; }
trap finish EXIT
deploy/stack/stack.sh up postgres
mkdir -p bench/results "$work/site"
.tools/api/bin/python bench/api.py "$STACK_POSTGRES_URL" "$(cat "$STACK_DIR/postgres/pid")" "$work" \
  "${STOCKSTREAM:-$TARGET/stockstream}" "$TARGET/examples/bench_api" "$SECONDS_EACH" "$ROUNDS" "$CONNECTIONS"
