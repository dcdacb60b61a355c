#!/usr/bin/env bash
# Runs every ring of tests, innermost first, and adds up what they report.
#
#   scripts/test.sh              all of them
#   scripts/test.sh pure server  some of them: pure server contract clients oracle browser stack chaos
#
# A ring that fails, that runs no test or that takes longer than TEST_RING_TIMEOUT seconds (2400) counts as failed;
# none is ever skipped. The last line is the sum: "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
ROOT=$PWD
LIMIT=${TEST_RING_TIMEOUT:-2400}
passed=0 failed=0
log=$(mktemp)
stack_dir=
finish() {
  rm -f "$log"
  if [ -n "$stack_dir" ]; then deploy/stack/stack.sh wipe >&2; stack_dir=; fi
}
trap finish EXIT

say() { printf '\ntest: %s\n' "$*"; }

# The sums of what cargo ("test result: ok. 12 passed; 0 failed;"), node ("# pass 12", "# fail 0") and our own scripts
# ("12 passed, 0 failed") report.
count() { # WORD-OF-CARGO WORD-OF-NODE
  sed 's/\x1b\[[0-9;]*m//g' "$log" | awk -v cargo="$1" -v node="$2" '
    /^test result:/ { for (i = 2; i <= NF; i++) if ($i ~ "^" cargo ";?$") sum += $(i - 1) }
    $1 ~ /^(#|ℹ)$/ && $2 == node { sum += $3 }
    /^[0-9]+ passed, [0-9]+ failed$/ { sum += cargo == "passed" ? $1 : $3 }
    END { print sum + 0 }'
}

ring() { # NAME COMMAND...
  local name=$1 status good bad start=$SECONDS; shift
  say "$name: $*"
  timeout --foreground --kill-after=30 "$LIMIT" "$@" 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  good=$(count passed pass) bad=$(count failed fail)
  if [ "$status" = 124 ]; then say "$name: stopped after $LIMIT s"; fi
  if [ "$status" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
  if [ "$status" = 0 ] && [ $((good + bad)) = 0 ]; then say "$name: ran no test"; bad=1; fi
  passed=$((passed + good)) failed=$((failed + bad))
  say "$name: $good passed, $bad failed in $((SECONDS - start)) s"
}

browser() {
  scripts/frontend.sh dev && cargo build -p server && node end2end/run.mjs
}

stack() { # its own stack on its own ports: one that `make stack` started is left alone
  deploy/stack/stack.sh up && cargo test -p server --test real_stack
}

run() {
  case $1 in
    pure) ring "pure crates" cargo test -p market -p cdc -p quality ;;
    # In one go and without default features, so that all that follows shares one build: apart, cargo compiles Leptos twice.
    server) ring "user interface and server" cargo test -p app -p server --no-default-features ;;
    contract) ring "contract" scripts/contract.sh ;;
    clients) ring "clients of others" scripts/clients.sh ;;
    oracle) ring "Great Expectations" scripts/oracle.sh ;;
    browser) ring "browser" bash -c "$(declare -f browser); browser" ;;
    stack)
      stack_dir=$(mktemp -d "${TMPDIR:-/tmp}/stockstream-test-XXXXXX")
      export STACK_DIR=$stack_dir STACK_PORT_OFFSET=${STACK_PORT_OFFSET:-1000}
      eval "$(deploy/stack/stack.sh env | sed 's/^/export /')"
      ring "real stack" bash -c "$(declare -f stack); stack" ;;
    # A hundred faults of one seed; `make chaos` goes on for longer, and with others.
    chaos) ring "chaos" scripts/chaos.sh --seed "${CHAOS_SEED:-1}" ;;
    *) echo "test: no such ring: $1 (pure, server, contract, clients, oracle, browser, stack, chaos)" >&2; exit 2 ;;
  esac
}

export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
if ! scripts/setup.sh test; then
  echo "test: the set-up failed; its message is above"
  echo "0 passed, 1 failed"
  exit 1
fi
# shellcheck source=/dev/null
. "$ROOT/.tools/env"
if [ $# = 0 ]; then set -- pure server contract clients oracle browser stack chaos; fi
for part in "$@"; do run "$part"; done

finish # before the sum, which is the last line
echo
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
