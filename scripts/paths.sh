#!/usr/bin/env bash
# shellcheck disable=SC2016 # backticks are meant as such
# Checks that every path that the documents name in backticks exists.
set -euo pipefail
cd "$(dirname "$0")/.."
wrong=0 seen=0
for document in ARCHITECTURE.md README.md; do
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
[ $seen -gt 10 ] || { echo "paths: found only $seen paths in the documents: is the pattern still right?" >&2; exit 1; }
[ $wrong = 0 ] && echo "paths: all $seen exist" >&2
exit $wrong
