#!/usr/bin/env bash
# shellcheck disable=SC2016 # backticks are meant as such
# Checks that every path that the documents name in backticks exists, and every test that RELIABILITY.md names.
set -euo pipefail
cd "$(dirname "$0")/.."
wrong=0 seen=0
for document in ARCHITECTURE.md README.md RELIABILITY.md; do
  # a path has a slash or a known ending; flags, commands, addresses and patterns are not paths
  while read -r path; do
    seen=$((seen + 1))
    if [ ! -e "$path" ]; then echo "paths: $document names $path, which does not exist" >&2; wrong=1; fi
  done < <(grep -oE '`[^` ]+`' "$document" | tr -d '`' |
    grep -E '^\.?[A-Za-z0-9_-][A-Za-z0-9_./-]*$' | grep -E '^[^/].*/|\.(md|toml|sh|rs|sql|yaml|json|mjs)$' |
    grep -vE '^(target|\.tools|\.stack|node_modules)/|^MIT/' | sort -u)
  # links to files
  while read -r path; do
    seen=$((seen + 1))
    if [ ! -e "$path" ]; then echo "paths: $document links to $path, which does not exist" >&2; wrong=1; fi
  done < <(grep -oE '\]\([^)#:]+\)' "$document" | sed 's/^](//; s/)$//' | sort -u)
done
tests=0
while read -r test; do
  tests=$((tests + 1))
  if ! grep -rqE --include=*.rs "fn $test\b" cdc market quality server; then
    echo "paths: RELIABILITY.md names the test $test, which does not exist" >&2; wrong=1
  fi
done < <(grep -oE '`[a-z][a-z0-9]*(_[a-z0-9]+){3,}`' RELIABILITY.md | tr -d '`' | sort -u)
[ $tests -gt 20 ] || { echo "paths: found only $tests tests in RELIABILITY.md: is the pattern still right?" >&2; exit 1; }
[ $seen -gt 10 ] || { echo "paths: found only $seen paths in the documents: is the pattern still right?" >&2; exit 1; }
[ $wrong = 0 ] && echo "paths: all $seen exist, and all $tests tests" >&2
exit $wrong
