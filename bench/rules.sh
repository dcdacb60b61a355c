#!/usr/bin/env bash
# What judging every record costs the pipeline: nothing, the built-in rules, and a suite of ten expectations on top.
#
#   bench/rules.sh [--records N] [--rounds N]
#
# In each round the arms take batch after batch in rotating order, on the pipeline's own decoder, judge and writer and a private
# PostgreSQL. Records per CPU-second count the program and PostgreSQL; what an arm costs is the median of its rounds, each
# compared with the unjudged arm of the same round. Writes bench/results/rules.json.
set -euo pipefail
cd "$(dirname "$0")/.."
RECORDS=200000 ROUNDS=9
while [ $# -gt 0 ]; do
  case $1 in
    --records) RECORDS=${2:?}; shift 2 ;;
    --rounds) ROUNDS=${2:?}; shift 2 ;;
    *) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "$0" >&2; exit 2 ;;
  esac
done
echo "bench: building (release)" >&2
cargo build --release -p server --example bench_rules
mkdir -p bench/results
"${CARGO_TARGET_DIR:-target}/release/examples/bench_rules" "$RECORDS" "$ROUNDS" bench/results/rules.json
