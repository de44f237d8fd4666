#!/usr/bin/env bash
# Everything CI runs, in the order in which it is cheapest to fail, each step with its time.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_PROGRESS_WHEN=never

step() {
    local name=$1 start=$SECONDS
    shift
    echo "== $name"
    "$@" || { echo "== $name: FAILED after $((SECONDS - start)) s" >&2; exit 1; }
    echo "== $name: ok, $((SECONDS - start)) s"
}

step fmt    cargo fmt --all --check
step deny   target/tools/bin/cargo-deny -L error --locked check bans licenses sources
step clippy cargo clippy --quiet --locked --workspace --all-targets --all-features -- -D warnings
step doc    env RUSTDOCFLAGS="-D warnings" cargo doc --quiet --locked --workspace --no-deps --all-features
# One selection of packages and features for all tests: with another, cargo builds dependencies anew.
step build  cargo build --quiet --locked --workspace --all-features --bins --tests
# Counted of what ships, so with the flags of a release; its build is shared with `make build`.
step instructions cargo run --quiet --release --locked -p benches --bin instructions -- --check
# Unit, property and end-to-end tests. Most of the latter wait for timers of their partners, so more
# of them run at a time than there are cores.
step tests  env RUST_TEST_THREADS=4 cargo test --locked --workspace --all-features
echo "== all of it: $SECONDS s"
