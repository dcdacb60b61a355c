#!/usr/bin/env bash
# Runs one suite over the same rows with Great Expectations itself and with `stockstream validate`, and compares what they
# say, expectation by expectation.
#
#   scripts/oracle.sh
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh oracle
# shellcheck source=/dev/null
. .tools/env
export STOCKSTREAM_ORACLE_PYTHON=$PWD/.tools/oracle/bin/python
exec cargo test -p server --no-default-features --test great_expectations -- --nocapture
