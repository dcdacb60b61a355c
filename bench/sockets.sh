#!/usr/bin/env bash
# Holds CLIENTS live sockets for MINUTES on `stockstream demo`, and tells every ten seconds what a client costs in
# memory, how many frames are delivered, and how old a change is when it arrives.
#
#   bench/sockets.sh [CLIENTS [MINUTES [SPEED]]]      9000 clients, 5 minutes, a replay in real time
#
# Fails when a client sees a gap or is cut. Both sides need a file descriptor per client; SOAK_PORT (18080) is the
# server's port. SOAK_PROFILE (release) chooses the build.
set -euo pipefail
cd "$(dirname "$0")/.."
CLIENTS=${1:-9000} MINUTES=${2:-5} SPEED=${3:-1} PORT=${SOAK_PORT:-18080} PROFILE=${SOAK_PROFILE:-release}
say() { printf 'soak: %s\n' "$*" >&2; }
ulimit -n $((CLIENTS + 1000)) || { say "raise the limit of open files: ulimit -Hn $((CLIENTS + 1000))"; exit 1; }
if [ "$PROFILE" = dev ]; then directory=debug; else directory=$PROFILE; fi
BIN=${CARGO_TARGET_DIR:-target}/$directory
say "building ($PROFILE)"
cargo build -q --profile "$PROFILE" -p server --no-default-features --bin stockstream --example soak_sockets
scratch=$(mktemp -d "${TMPDIR:-/tmp}/stockstream-soak-XXXXXX")
# As root, PostgreSQL runs as another user, who must get through.
chmod 711 "$scratch"
server=
finish() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" || true; fi
  rm -rf "$scratch"
}
trap finish EXIT
"$BIN/stockstream" demo --listen "127.0.0.1:$PORT" --data-dir "$scratch/data" --speed "$SPEED" \
  --max-sockets $((CLIENTS + 100)) > "$scratch/log" 2>&1 &
server=$!
for ((second = 0; second < 120; second++)); do
  if grep -q 'Stockstream is live' "$scratch/log"; then break; fi
  kill -0 "$server" 2>/dev/null || { cat "$scratch/log" >&2; exit 1; }
  sleep 1
done
"$BIN/examples/soak_sockets" "127.0.0.1:$PORT" "$CLIENTS" "$MINUTES" AAPL,AMZN,MSFT,NVDA,TSLA "$server"
