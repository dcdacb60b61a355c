#!/usr/bin/env bash
# Puts everything in place that `make` needs, and nothing that is there already.
#
#   scripts/setup.sh build     Rust with the wasm target, wasm-bindgen, wasm-opt, sass, the chart bundle's tools
#   scripts/setup.sh test      the same, and Chromium, PostgreSQL, and the real CDC stack for the test rings
#   scripts/setup.sh stack     the real CDC stack alone: MariaDB, PostgreSQL, Kafka, Connect with Debezium
#   scripts/setup.sh lint      cargo-deny
#
# Order of preference for each tool: what is installed, its normal channel, Debian's package.
# Choices are written to .tools/env, which every recipe of the Makefile sources.
set -euo pipefail
cd "$(dirname "$0")/.."
ROOT=$PWD
TOOLS=$ROOT/.tools
mkdir -p "$TOOLS/bin"

say() { printf 'setup: %s\n' "$*" >&2; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif have sudo && sudo -n true 2>/dev/null; then sudo "$@"
  else die "needs root to run: $* — run it once yourself, then try again"; fi
}

apt_updated=0
apt_get() { # install Debian packages, with one update before the first
  have apt-get || die "please install with your package manager: $*"
  if [ $apt_updated = 0 ]; then say "apt-get update"; as_root apt-get update -q >/dev/null; apt_updated=1; fi
  say "apt-get install $*"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >/dev/null
}

# --- a C toolchain for librdkafka ------------------------------------------------------------
need_cc() {
  local missing=()
  have cc || missing+=(gcc libc6-dev)
  have c++ || missing+=(g++)
  have make || missing+=(make)
  have curl || missing+=(curl ca-certificates)
  have perl || missing+=(perl)
  [ -e /usr/include/zlib.h ] || missing+=(zlib1g-dev)
  [ ${#missing[@]} = 0 ] || apt_get "${missing[@]}"
}

# --- Rust with wasm32-unknown-unknown --------------------------------------------------------
MIN_RUST=95 # 1.95, as rust-version in Cargo.toml says
rust_minor() { "$1" --version 2>/dev/null | sed -n 's/^rustc 1\.\([0-9]*\)\..*/\1/p'; }
has_wasm() { # $1: a rustc recent enough and with the std of the wasm target
  local minor; minor=$(rust_minor "$1"); [ -n "$minor" ] && [ "$minor" -ge $MIN_RUST ] &&
    ls "$("$1" --print sysroot)"/lib/rustlib/wasm32-unknown-unknown/lib/libstd-*.rlib >/dev/null 2>&1
}

debian_rust() {
  [ -x /usr/bin/rustc ] && [ "$(rust_minor /usr/bin/rustc)" -ge $MIN_RUST ] 2>/dev/null && [ -d /usr/src/rustc-*/library/std ] 2>/dev/null && have wasm-ld-22 && [ -x /usr/bin/cargo-clippy ] && [ -x /usr/bin/cargo-fmt ] ||
    apt_get rustc-web cargo-web rust-web-src lld-22 rust-web-clippy rustfmt-web
  has_wasm /usr/bin/rustc && return
  say "building the wasm standard library from Debian's source package (about two minutes, once)"
  local dir; dir=$(mktemp -d)
  mkdir -p "$dir/src"; : > "$dir/src/lib.rs"
  printf '[package]\nname = "std-for-wasm"\nversion = "0.0.0"\nedition = "2021"\n' > "$dir/Cargo.toml"
  (cd "$dir" && env -u RUSTUP_TOOLCHAIN PATH=/usr/bin:/bin RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$dir/target" RUSTFLAGS= \
    /usr/bin/cargo build -q --release --target wasm32-unknown-unknown -Zbuild-std=std,panic_abort)
  rm -f "$dir"/target/wasm32-unknown-unknown/release/deps/*std_for_wasm*
  as_root mkdir -p /usr/lib/rustlib/wasm32-unknown-unknown/lib /usr/lib/rustlib/x86_64-unknown-linux-gnu/bin
  as_root cp "$dir"/target/wasm32-unknown-unknown/release/deps/*.rlib /usr/lib/rustlib/wasm32-unknown-unknown/lib/
  as_root ln -sf /usr/bin/wasm-ld-22 /usr/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld
  rm -rf "$dir"
  has_wasm /usr/bin/rustc || die "Debian's rustc still has no wasm target"
}

setup_rust() {
  local path=$PATH
  if have rustc && has_wasm rustc; then say "Rust: $(rustc --version)"
  elif have rustup && say "Rust: asking rustup for the wasm target" && timeout 300 rustup target add wasm32-unknown-unknown >/dev/null 2>&1 && has_wasm rustc; then
    say "Rust: $(rustc --version), wasm target added by rustup"
  else
    if ! has_wasm /usr/bin/rustc; then say "Rust: rustup cannot add the wasm target here; taking Debian's"; fi
    debian_rust
    path=$TOOLS/debian-rust:$PATH
    mkdir -p "$TOOLS/debian-rust"
    for tool in cargo rustc rustdoc rustfmt cargo-fmt cargo-clippy clippy-driver; do
      [ -x /usr/bin/$tool ] && ln -sf /usr/bin/$tool "$TOOLS/debian-rust/$tool"
    done
    say "Rust: $(/usr/bin/rustc --version), Debian's"
  fi
  export PATH=$path
}

setup_wasm_bindgen() {
  local want; want=$(sed -n 's/^wasm-bindgen = "=\([0-9.]*\)".*/\1/p' Cargo.toml)
  if have wasm-bindgen && [ "$(wasm-bindgen --version)" = "wasm-bindgen $want" ]; then say "wasm-bindgen $want"; return; fi
  if [ -x "$TOOLS/bin/wasm-bindgen" ] && [ "$("$TOOLS/bin/wasm-bindgen" --version)" = "wasm-bindgen $want" ]; then say "wasm-bindgen $want (in .tools)"; return; fi
  say "building wasm-bindgen $want (a few minutes, once)"
  env CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 RUSTFLAGS= \
    CARGO_TARGET_DIR="$TOOLS/build" cargo install -q wasm-bindgen-cli --version "$want" --bin wasm-bindgen --root "$TOOLS" --force
  rm -rf "$TOOLS/build"
}

setup_node() {
  have node && have npm || apt_get nodejs npm
  if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    say "npm ci (wasm-opt, sass, esbuild, echarts, fonts, playwright-core, axe-core)"
    npm ci --silent --no-audit --no-fund --loglevel=error >/dev/null
    touch node_modules/.package-lock.json
  fi
}

setup_postgres() {
  have initdb || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || apt_get postgresql
}

setup_browser() {
  for c in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do [ -n "$c" ] && have "$c" && return; done
  apt_get chromium fonts-liberation
}

setup_stack() {
  have java || apt_get openjdk-17-jre-headless
  have mvn || apt_get maven
  have mariadbd || apt_get mariadb-server
  setup_postgres
  deploy/stack/fetch.sh
}

setup_lint() {
  have cargo-deny || [ -x "$TOOLS/bin/cargo-deny" ] && return
  say "building cargo-deny (a few minutes, once)"
  env CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 RUSTFLAGS= \
    CARGO_TARGET_DIR="$TOOLS/build" cargo install -q cargo-deny --locked --root "$TOOLS"
  rm -rf "$TOOLS/build"
}

need_cc
setup_rust
case "${1:-build}" in
  build) setup_wasm_bindgen; setup_node ;;
  test)  setup_wasm_bindgen; setup_node; setup_browser; setup_stack ;;
  stack) setup_stack ;;
  lint)  setup_lint ;;
  *) die "unknown part: $1 (build, test, stack, lint)" ;;
esac

{
  echo "# written by scripts/setup.sh; sourced by the Makefile's recipes"
  [ -d "$TOOLS/debian-rust" ] && case ":$PATH:" in *":$TOOLS/debian-rust:"*) echo "PATH=$TOOLS/debian-rust:\$PATH" ;; esac
  echo "PATH=\$PATH:$TOOLS/bin:$ROOT/node_modules/.bin"
  echo "export PATH"
} > "$TOOLS/env.new"
mv "$TOOLS/env.new" "$TOOLS/env"
