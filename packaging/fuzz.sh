#!/usr/bin/env bash
# Fuzzes one target for so many seconds, or with `all` each of them: packaging/fuzz.sh TARGET SECONDS
#
# libFuzzer on the stable compiler: the flags below are what cargo-fuzz passes, without a sanitizer,
# which would need nightly (the code under test has no unsafe blocks, so it would find nothing).
# What is found stays in target/fuzz/found/TARGET and fails the run. The corpus grows in
# target/fuzz/corpus/TARGET; the committed start of it is fuzz/seeds/TARGET.
set -euo pipefail
cd "$(dirname "$0")/.."

targets=(frame_key lacp lldp cdp config push)

if (($# != 2)) || [[ ! $2 =~ ^[1-9][0-9]*$ ]] || [[ " all ${targets[*]} " != *" $1 "* ]]; then
    echo "usage: packaging/fuzz.sh TARGET SECONDS, where TARGET is all or one of: ${targets[*]}" >&2
    exit 2
fi
seconds=$2
[[ $1 == all ]] || targets=("$1")

host=$(rustc -vV | sed -n 's/^host: //p')
# --target keeps the flags away from build scripts, which have no fuzzer to link with.
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares"
# The C++ compiler that `make setup` installs.
export CXX=${CXX:-clang++} CARGO_TERM_PROGRESS_WHEN=never
features=()
[[ " ${targets[*]} " != *" push "* ]] || features=(--features dataplane)
cargo build --quiet --release --locked --manifest-path fuzz/Cargo.toml --target "$host" \
    --target-dir target/fuzz "${features[@]}" "${targets[@]/#/--bin=}"

for target in "${targets[@]}"; do
    corpus=target/fuzz/corpus/$target found=target/fuzz/found/$target
    mkdir -p "$corpus" "$found"
    options=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
             -use_value_profile=1 -artifact_prefix="$found/")
    [[ ! -f fuzz/$target.dict ]] || options+=(-dict="fuzz/$target.dict")
    log=target/fuzz/$target.log
    start=$SECONDS
    if ! "target/fuzz/$host/release/$target" "${options[@]}" "$corpus" "fuzz/seeds/$target" \
        >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        echo "== fuzz $target: FAILED, see $log and $found" >&2
        exit 1
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    coverage=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    echo "== fuzz $target: ok, $runs runs, $coverage edges, $((SECONDS - start)) s"
done
