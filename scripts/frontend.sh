#!/usr/bin/env bash
# Builds what the browser downloads into target/site (or STOCKSTREAM_SITE_ROOT), and only what changed.
#
#   scripts/frontend.sh dev        quick to build: for tests and development
#   scripts/frontend.sh release    small to download: wasm-release profile, wasm-opt, minified
#
# Steps: cargo (WASM) -> wasm-bindgen -> wasm-opt (release) -> sass -> esbuild (chart bundle) -> public files, fonts
# -> brotli -> the service worker with the hashes of all that.
# Needs what scripts/setup.sh build puts in place.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=/dev/null
if [ -f .tools/env ]; then . .tools/env; fi

mode=${1:-dev}
# A release has one module per part of the pages (app/src/part.rs); development has all pages in one, under each of their names.
parts=(dashboard prices operations)
case $mode in
  dev) profile=dev; directory=debug; style=expanded; minify=(); quality=1; crates=(frontend) ;;
  release) profile="wasm-release"; directory="wasm-release"; style=compressed; minify=(--minify); quality=11; crates=("${parts[@]/#/frontend-}") ;;
  *) printf 'frontend: unknown mode %s (dev, release)\n' "$mode" >&2; exit 2 ;;
esac
site=${STOCKSTREAM_SITE_ROOT:-target/site}
pkg=$site/pkg
built=${CARGO_TARGET_DIR:-target}/wasm32-unknown-unknown/$directory
stamp=$pkg/.built-$mode

say() { printf 'frontend: %s\n' "$*" >&2; }
size() { printf '%s KB, %s KB gzipped' $(($(wc -c <"$1") / 1024)) $(($(gzip -c "$1" | wc -c) / 1024)); }
small() { # WASM
  wasm-opt -Oz --enable-bulk-memory --enable-nontrapping-float-to-int --enable-sign-ext --enable-mutable-globals \
    --enable-reference-types --enable-multivalue "$1" -o "$1"
}
mkdir -p "$pkg" "$site/fonts"

say "WASM ($profile)"
cargo build -q "${crates[@]/#/-p}" --lib --target wasm32-unknown-unknown --profile "$profile"

# A stamp of the other mode means that pkg holds the other mode's output.
stale=
for crate in "${crates[@]}"; do
  if [ "$built/${crate//-/_}.wasm" -nt "$stamp" ]; then stale=yes; fi
done
for part in "${parts[@]}"; do
  if [ ! -f "$pkg/${part}_bg.wasm" ]; then stale=yes; fi
done
if [ -n "$stale" ]; then
  rm -rf "$pkg/snippets" "$pkg"/.built-* "$pkg"/*_bg.wasm "$pkg"/*.js
  bind() { # PART WASM
    say "wasm-bindgen: $1"
    wasm-bindgen --target web --no-typescript --out-dir "$pkg" --out-name "$1" "$2"
  }
  if [ "$mode" = dev ]; then
    bind "${parts[0]}" "$built/frontend.wasm"
    for part in "${parts[@]:1}"; do
      cp "$pkg/${parts[0]}.js" "$pkg/$part.js"
      ln -f "$pkg/${parts[0]}_bg.wasm" "$pkg/${part}_bg.wasm"
    done
  else
    for part in "${parts[@]}"; do
      bind "$part" "$built/frontend_$part.wasm"
      say "wasm-opt -Oz: $part"
      small "$pkg/${part}_bg.wasm"
    done
  fi
  for part in "${parts[@]}"; do say "${part}_bg.wasm: $(size "$pkg/${part}_bg.wasm")"; done
  touch "$stamp"
else
  say "wasm-bindgen: nothing changed"
fi

say "stylesheet"
sass --no-source-map --style "$style" style/main.scss "$pkg/stockstream.css"

say "chart bundle"
esbuild app/js/chart.js --bundle --format=esm --target=es2022 --outfile="$pkg/chart.js" --log-level=warning \
  --legal-comments=linked "${minify[@]}"
say "chart.js: $(size "$pkg/chart.js")"

cp app/js/shell.js "$pkg/shell.js"

say "public files and fonts"
cp -R public/. "$site/"
for family in sans mono; do
  for weight in 400 500; do
    cp "node_modules/@fontsource/ibm-plex-$family/files/ibm-plex-$family-latin-$weight-normal.woff2" "$site/fonts/"
  done
  cp "node_modules/@fontsource/ibm-plex-$family/LICENSE" "$site/fonts/ibm-plex-$family-LICENSE.txt"
done
# In development too: without it, the server compresses 19 MB of WASM for every page that is opened.
say "brotli (quality $quality)"
find "$pkg" -name '*.br' -delete
find "$pkg" \( -name '*.wasm' -o -name '*.js' -o -name '*.css' \) -exec node scripts/compress.mjs "$quality" {} +
say "service worker"
node scripts/service_worker.mjs "$site"
say "done: $site"
