#!/usr/bin/env bash
# `make chaos`: the real server against a real Kafka and PostgreSQL while everything around it is killed, frozen, cut and
# filled up; then a judge compares what is left with what must be. Ends with "N passed, N failed".
#
#   scripts/chaos.sh [--seed N] [--faults N | --minutes N] [--only NAME] [--write]
#
# Data and logs are in a directory of its own, which is deleted when every promise was kept, and named otherwise.
# PostgreSQL's data lies on a small tmpfs, so that its disk can be filled; where none can be mounted, the run says that
# this fault was not injected. CHAOS_PROFILE=release measures a release build.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
if [ -f .tools/env ]; then
  # shellcheck source=/dev/null
  . .tools/env
fi
deploy/stack/fetch.sh || exit 1

dir=$(mktemp -d "${TMPDIR:-/tmp}/stockstream-chaos-XXXXXX")
chmod 755 "$dir" # PostgreSQL does not run as root, and its user must get there
mkdir "$dir/small"
if ! mount -t tmpfs -o size=768m,mode=755 stockstream-chaos "$dir/small" 2>/dev/null; then rmdir "$dir/small"; fi
status=1
finish() {
  if mountpoint -q "$dir/small" 2>/dev/null; then umount -l "$dir/small"; fi
  if [ "$status" = 0 ]; then rm -rf "$dir"
  else rm -rf "$dir/small" "$dir/kafka/data"; echo "chaos: the logs are in $dir" >&2; fi
}
trap finish EXIT

flags=(--no-default-features --features failpoints)
if [ "${CHAOS_PROFILE:-dev}" = release ]; then flags+=(--release); fi
cargo test -q -p server "${flags[@]}" --test chaos -- --dir "$dir" "$@"
status=$?
[ "$status" = 0 ]
