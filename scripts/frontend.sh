#!/usr/bin/env bash
# Builds what the browser downloads into target/site (or STOCKSTREAM_SITE_ROOT), and only what changed.
#
#   scripts/frontend.sh dev        quick to build: for tests and development
#   scripts/frontend.sh release    small to download: wasm-release profile, wasm-opt, minified
#
# Steps: cargo (WASM) -> wasm-bindgen -> wasm-opt (release) -> sass -> esbuild (chart bundle) -> public files, fonts.
# Needs what scripts/setup.sh build puts in place.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=/dev/null
if [ -f .tools/env ]; then . .tools/env; fi

mode=${1:-dev}
case $mode in
  dev) profile=dev; directory=debug; style=expanded; minify=() ;;
  release) profile="wasm-release"; directory="wasm-release"; style=compressed; minify=(--minify) ;;
  *) printf 'frontend: unknown mode %s (dev, release)\n' "$mode" >&2; exit 2 ;;
esac
site=${STOCKSTREAM_SITE_ROOT:-target/site}
pkg=$site/pkg
wasm=${CARGO_TARGET_DIR:-target}/wasm32-unknown-unknown/$directory/frontend.wasm
stamp=$pkg/.built-$mode

say() { printf 'frontend: %s\n' "$*" >&2; }
size() { printf '%s KB, %s KB gzipped' $(($(wc -c <"$1") / 1024)) $(($(gzip -c "$1" | wc -c) / 1024)); }
mkdir -p "$pkg" "$site/fonts"

say "WASM ($profile)"
cargo build -q -p frontend --lib --target wasm32-unknown-unknown --profile "$profile"

# A stamp of the other mode means that pkg holds the other mode's output.
if [ "$wasm" -nt "$stamp" ] || [ ! -f "$pkg/stockstream_bg.wasm" ]; then
  say "wasm-bindgen"
  rm -rf "$pkg/snippets" "$pkg"/.built-*
  wasm-bindgen --target web --no-typescript --out-dir "$pkg" --out-name stockstream "$wasm"
  if [ "$mode" = release ]; then
    say "wasm-opt -Oz"
    wasm-opt -Oz --enable-bulk-memory --enable-nontrapping-float-to-int --enable-sign-ext --enable-mutable-globals \
      --enable-reference-types --enable-multivalue "$pkg/stockstream_bg.wasm" -o "$pkg/optimised.wasm"
    mv "$pkg/optimised.wasm" "$pkg/stockstream_bg.wasm"
  fi
  touch "$stamp"
  say "stockstream_bg.wasm: $(size "$pkg/stockstream_bg.wasm")"
else
  say "wasm-bindgen: nothing changed"
fi

say "stylesheet"
sass --no-source-map --style "$style" style/main.scss "$pkg/stockstream.css"

say "chart bundle"
esbuild app/js/chart.js --bundle --format=esm --target=es2022 --outfile="$pkg/chart.js" --log-level=warning \
  --legal-comments=linked "${minify[@]}"
say "chart.js: $(size "$pkg/chart.js")"

say "public files and fonts"
cp -R public/. "$site/"
for family in sans mono; do
  for weight in 400 500; do
    cp "node_modules/@fontsource/ibm-plex-$family/files/ibm-plex-$family-latin-$weight-normal.woff2" "$site/fonts/"
  done
  cp "node_modules/@fontsource/ibm-plex-$family/LICENSE" "$site/fonts/ibm-plex-$family-LICENSE.txt"
done
say "done: $site"
