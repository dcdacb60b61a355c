#!/usr/bin/env bash
# Holds the API against its own description: starts a server with data on a free port, reads its OpenAPI document and
# lets Schemathesis try what the document allows and what it forbids, with a fixed seed. Every answer must be one that the
# document names, in its shape, and never a 5xx: all of its checks, which is its default.
#
#   scripts/contract.sh            all operations
#   scripts/contract.sh ARGS...    ARGS go to `schemathesis run` (--include-path /api/v1/bars)
#
# CONTRACT_EXAMPLES (40) per operation and phase, more for a longer search; STOCKSTREAM names a binary that is already built.
# The last line is "N passed, N failed": one for each operation and phase.
set -euo pipefail
cd "$(dirname "$0")/.."
ROOT=$PWD
scripts/setup.sh contract
# shellcheck source=/dev/null
. .tools/env

say() { printf 'contract: %s\n' "$*" >&2; }
# Orders are tried too; they need the token.
export STOCKSTREAM_CONTROL_TOKEN=contract-0123456789abcdef0123456789abcdef
. scripts/demo.sh

# One worker: with several, Python 3.11 itself fails now and then ("AST constructor recursion depth mismatch").
status=0
(cd "$work" && SCHEMATHESIS_HOOKS=contract_hooks PYTHONPATH=$ROOT/scripts PYTHONDONTWRITEBYTECODE=1 \
  "$ROOT/.tools/contract/bin/schemathesis" --config-file "$ROOT/scripts/contract.toml" run "$url/api/openapi.json" \
  --seed 7 --header "Authorization: Bearer $STOCKSTREAM_CONTROL_TOKEN" \
  --max-examples "${CONTRACT_EXAMPLES:-40}" --continue-on-failure --request-timeout 20 --workers 1 \
  --suppress-health-check all --no-color --report junit --report-junit-path "$work/junit.xml" "$@") || status=$?
if ! kill -0 "$server" 2>/dev/null; then say "the server did not survive"; status=1; fi
if grep -q 'panicked\| ERROR ' "$work/log"; then say "the server's log has errors:"; grep 'panicked\| ERROR ' "$work/log" >&2; status=1; fi

python3 - "$work/junit.xml" "$status" <<'PY'
import sys, xml.etree.ElementTree as xml
cases = list(xml.parse(sys.argv[1]).getroot().iter("testcase"))
failed = sum(1 for case in cases if case.find("failure") is not None or case.find("error") is not None)
passed = sum(1 for case in cases if all(case.find(tag) is None for tag in ("failure", "error", "skipped")))
if int(sys.argv[2]) and not failed or not passed:
    failed += 1
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
PY
