#!/usr/bin/env bash
# Proves for longer what `make test` proves for a minute: the model, the state machine and the fuzzers, with new histories
# and inputs each round.
#
#   scripts/soak.sh            for MINUTES (10)
#
# MINUTES=n        how long to go on; the round that has begun then is finished
# PROOF_SEED=n     the first round's seed (default: the clock); each round takes the next one
# PROOF_TIMES=n    how many times the cases of `make test` a round has (4)
#
# Each round's sums go to target/soak.log. The last line is for RELIABILITY.md. A failure ends the soak with its seed and
# its smallest case; run that again with the same PROOF_SEED and PROOF_TIMES, and make it a named test.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
# shellcheck source=/dev/null
if [ -f .tools/env ]; then . .tools/env; fi
MINUTES=${MINUTES:-10}
PROOF_TIMES=${PROOF_TIMES:-4}
first=${PROOF_SEED:-$(date +%s)}
log=target/soak.log
mkdir -p target
: > "$log"
end=$((SECONDS + MINUTES * 60))
rounds=0

round() { # SEED
  export PROOF_SEED=$1 PROOF_TIMES CARGO_TERM_COLOR=never
  cargo test -p server --no-default-features --lib -- store::model --nocapture &&
    cargo test -p server --no-default-features --test fuzz -- --nocapture
}

sum() { # WORD
  awk -v word="$1" '/^proof: / { for (i = 2; i <= NF; i++) if ($i == word) sum += $(i - 1) } END { print sum + 0 }' "$log"
}

while :; do
  seed=$((first + rounds))
  if ! round "$seed" > target/soak.round 2>&1; then
    tail -n 200 target/soak.round
    echo "soak: failed with PROOF_SEED=$seed PROOF_TIMES=$PROOF_TIMES, in round $((rounds + 1)); the whole round is in target/soak.round"
    exit 1
  fi
  grep '^proof: ' target/soak.round | tee -a "$log"
  rounds=$((rounds + 1))
  if [ "$SECONDS" -ge "$end" ]; then break; fi
done
echo "soak: $(sum cases) histories and $(sum inputs) broken inputs held, $rounds seeds from $first, in $((SECONDS / 60)) min ($(date -u +%F))"
