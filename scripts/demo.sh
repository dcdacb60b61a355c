# shellcheck shell=bash
# For scripts that ask a server with live data; sourced, with `say` defined. Starts one on a free port, and ends it with the
# script. Sets `work` (a directory that is deleted at the end; the server's log is in it), `server` (its process) and `url`.
# STOCKSTREAM names a binary that is already built.

work=$(mktemp -d "${TMPDIR:-/tmp}/stockstream-demo-XXXXXX")
# As root, PostgreSQL runs as another user, who has to get in.
chmod 711 "$work"
server=
finish() {
  if [ -n "$server" ]; then kill -TERM "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap finish EXIT

binary=${STOCKSTREAM:-}
if [ -z "$binary" ]; then
  cargo build -q -p server --no-default-features
  binary=${CARGO_TARGET_DIR:-target}/debug/stockstream
fi
mkdir "$work/site"
"$binary" demo --listen 127.0.0.1:0 --data-dir "$work/data" --site-root "$work/site" --seed 7 --log warn \
  >"$work/out" 2>"$work/log" &
server=$!
url=
for _ in $(seq 1200); do
  url=$(sed -n 's/.*live: \(http:[^ ]*\)\/dashboard.*/\1/p' "$work/out")
  if [ -n "$url" ]; then break; fi
  if ! kill -0 "$server" 2>/dev/null; then cat "$work/log" >&2; say "the server ended"; server=; exit 1; fi
  sleep 0.1
done
if [ -z "$url" ]; then cat "$work/log" >&2; say "the server did not come up within two minutes"; exit 1; fi
