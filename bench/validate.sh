#!/usr/bin/env bash
# One suite of twenty expectations over one table, by `stockstream validate` and by Great Expectations' own SQL, on the same
# PostgreSQL, in turn: seconds, CPU seconds of the client and of PostgreSQL, scans of the table, memory of the client.
#
#   bench/validate.sh [--rows N] [--rounds N] [--keep] [--no-build]
#
# The suite (bench/validate.json) is one that needs a single scan. Both sides get PostgreSQL without parallel workers, so
# that a scan is counted once. What they found must be the same, or there is no result; that is in
# bench/results/validate.json. --keep leaves PostgreSQL and the table for the next call; --no-build takes the binary as it
# is, or the one that STOCKSTREAM names.
set -euo pipefail
cd "$(dirname "$0")/.."
ROOT=$PWD
ROWS=${BENCH_ROWS:-10000000} ROUNDS=3 KEEP=0 BUILD=1
say() { printf 'bench: %s\n' "$*" >&2; }
while [ $# -gt 0 ]; do
  case $1 in
    --rows) ROWS=${2:?}; shift 2 ;;
    --rounds) ROUNDS=${2:?}; shift 2 ;;
    --keep) KEEP=1; shift ;;
    --no-build) BUILD=0; shift ;;
    *) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "$0" >&2; exit 2 ;;
  esac
done
BIN=${STOCKSTREAM:-${CARGO_TARGET_DIR:-$ROOT/target}/release/stockstream}
if [ $BUILD = 1 ]; then
  say "building (release)"
  cargo build --release -p server --bin stockstream
fi

export STACK_DIR=${STACK_DIR:-$ROOT/.stack/validate} STACK_PORT_OFFSET=${STACK_PORT_OFFSET:-2600}
eval "$(deploy/stack/stack.sh env)"
finish() { [ $KEEP = 1 ] || deploy/stack/stack.sh down; }
trap finish EXIT
deploy/stack/stack.sh up postgres
HOST=${STACK_POSTGRES_URL%/*}
psql_in() { local database=$1; shift; psql -qXAtv ON_ERROR_STOP=1 -d "$HOST/$database" "$@"; }

if [ "$(psql_in postgres -c "select count(*) from pg_database where datname = 'validate'")" = 0 ]; then
  psql_in postgres -c 'create database validate' -c 'alter database validate set max_parallel_workers_per_gather = 0'
fi
there=$(psql_in validate -c "select obj_description(to_regclass('stock'))")
if [ "$there" != "$ROWS" ]; then
  say "filling the table with $ROWS rows"
  psql_in validate <<SQL
set client_min_messages = warning;
drop table if exists stock;
create table stock (record_id bigint primary key, time timestamptz not null, open numeric(18, 4), high numeric(18, 4),
    low numeric(18, 4), close numeric(18, 4), volume bigint, symbol text, event_time timestamptz);
-- Prices that walk in a band by the row's number: the same rows in every run.
insert into stock
select n, timestamptz '2015-01-02 14:30Z' + n / 5 * interval '1 minute', price, price + 1 + n % 7 * 0.0625,
    price - 1 - n % 5 * 0.125, price + (n % 9 - 4) * 0.2, n % 250000 + 100,
    (array['AAPL', 'AMZN', 'GOOG', 'META', 'MSFT'])[1 + n % 5], timestamptz '2015-01-02 14:31Z' + n / 5 * interval '1 minute'
from (select n, (100 + n % 9973 * 0.0313)::numeric(18, 4) as price from generate_series(1, $ROWS) n) prices;
comment on table stock is '$ROWS';
vacuum (analyze, freeze) stock;
checkpoint;
SQL
fi
.tools/oracle/bin/python bench/validate.py "$HOST/validate" "$ROWS" "$ROUNDS" "$BIN" "$(cat "$STACK_DIR/postgres/pid")"
