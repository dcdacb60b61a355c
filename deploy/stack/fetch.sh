#!/usr/bin/env bash
# Fetches Kafka, Kafka Connect and the Debezium connectors through Maven into .tools/stack, once.
#
#   deploy/stack/fetch.sh          what the stack needs (about 110 MB)
#   deploy/stack/fetch.sh bench    and Debezium's JDBC sink, the peer of `make bench` (55 MB more)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(cd "$here/../.." && pwd)/.tools/stack
profile=${1:-stack}
case $profile in stack | bench) ;; *) echo "fetch: unknown part: $profile (nothing, or bench)" >&2; exit 2 ;; esac

# The marker holds the checksum of the list: a changed version is fetched again.
want=$(cksum < "$here/pom.xml")
if [ "$(cat "$out/fetched.$profile" 2>/dev/null)" = "$want" ]; then
  echo "fetch: Kafka, Connect and Debezium are in .tools/stack" >&2
  exit 0
fi
command -v mvn >/dev/null || { echo "fetch: Maven (mvn) is missing: scripts/setup.sh stack installs it" >&2; exit 1; }
if [ "$(cat "$out/fetched.stack" 2>/dev/null)" != "$want" ]; then rm -rf "$out"; fi
mkdir -p "$out"
flags=()
[ "$profile" = bench ] && flags=(-P bench)
for attempt in 1 2 3; do
  echo "fetch: Kafka, Connect and Debezium ($profile) from Maven Central into .tools/stack, attempt $attempt" >&2
  if mvn -q -B -ntp -f "$here/pom.xml" -Dout="$out" "${flags[@]}" generate-resources; then
    echo "$want" > "$out/fetched.$profile"
    echo "$want" > "$out/fetched.stack"
    exit 0
  fi
done
echo "fetch: Maven could not fetch the stack: its message is above" >&2
exit 1
