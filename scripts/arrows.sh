#!/usr/bin/env bash
# Checks the arrows between the crates, and that the pure ones stay pure: what ARCHITECTURE.md says of them is true.
set -euo pipefail
cd "$(dirname "$0")/.."
OURS='app|cdc|frontend|frontend-dashboard|frontend-operations|frontend-prices|market|quality|server'
wrong=0
complain() { echo "arrows: $*" >&2; wrong=1; }

# CRATE, and which of ours it may depend on
while read -r crate allowed; do
  for found in $(cargo tree --quiet -p "$crate" --depth 1 -e normal,build --target all --prefix none --format '{p}' |
      tail -n +2 | cut -d' ' -f1 | grep -xE "$OURS" | sort -u); do
    case " $allowed " in *" $found "*) ;; *) complain "$crate depends on $found; it may depend on: ${allowed:-none of ours}" ;; esac
  done
done <<'ARROWS'
market
cdc market
quality market
app market
frontend app
frontend-dashboard app
frontend-operations app
frontend-prices app
server app cdc market quality
ARROWS

for crate in market cdc quality; do
  tree=$(cargo tree --quiet -p "$crate" -e normal,build --target all --prefix none --format '{p}' | cut -d' ' -f1 | sort -u)
  for banned in tokio async-std axum hyper reqwest sqlx rdkafka leptos web-sys rand; do
    if grep -qx "$banned" <<< "$tree"; then complain "$crate is pure, but $banned is in its tree"; fi
  done
  # what stands above a file's tests
  found=$(find "$crate/src" -name '*.rs' -exec awk 'FNR == 1 { tests = 0 } /#\[cfg\(test\)\]/ { tests = 1 }
    !tests && /Utc::now|Local::now|SystemTime::now|Instant::now|std::(env|fs|net|process|thread)|env::var/ { print FILENAME ":" FNR ": " $0 }' {} +)
  if [ -n "$found" ]; then complain "$crate is pure: it takes the clock and reads nothing by itself, but: $found"; fi
done
[ $wrong = 0 ] && echo "arrows: as they should be" >&2
exit $wrong
