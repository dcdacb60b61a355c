#!/usr/bin/env bash
# Asks others whether we are right: TA-Lib computes the stored values of the indicators again, which market's own tests
# compare with ours; and one suite runs over the same rows with Great Expectations itself and with `stockstream validate`,
# compared expectation by expectation.
#
#   scripts/oracle.sh
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh oracle
# shellcheck source=/dev/null
. .tools/env
python=$PWD/.tools/oracle/bin/python
"$python" fixtures/indicators/make.py --check
export STOCKSTREAM_ORACLE_PYTHON=$python
exec cargo test -p server --no-default-features --test great_expectations -- --nocapture
