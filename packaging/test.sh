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
step build  cargo build --quiet --locked --workspace --bins
step unit   cargo test --quiet --locked --workspace --exclude tests --all-features
# Counted of what ships, so with the flags of a release; its build is shared with `make build`.
step instructions cargo run --quiet --release --locked -p benches --bin instructions -- --check
step e2e    cargo test --locked -p tests
echo "== all of it: $SECONDS s"
