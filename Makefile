# Weft. `make test` is everything CI runs; `make demo` shows the switch at work. Both need nothing
# done before on Debian 12 with a Rust toolchain: they call `make setup`. Namespaces need root.

SHELL := /bin/bash
CARGO ?= cargo
DENY  := target/tools/bin/cargo-deny

.PHONY: help setup build test lint unit e2e soak deny doc demo bench bench-core instructions ceilings
.PHONY: fuzz clean

help:
	@echo "make setup   install the Debian packages that building and testing need"
	@echo "make build   release binaries in target/release"
	@echo "make test    everything CI runs: fmt, clippy, deny, doc, unit, property and end-to-end tests"
	@echo "make demo    two hosts, a supervisor and six VMs in namespaces, with a report"
	@echo "make bench   rates on real interfaces, against rivals, and the footprint; writes docs/bench"
	@echo "make bench-core   how long a frame takes in the parts without I/O"
	@echo "make instructions   how many instructions a frame costs there, held against benches/ceilings.toml"
	@echo "make ceilings   write the ceilings anew, after a gain"
	@echo "make soak    two minutes of overload on a port-channel with the fast rate"
	@echo "make fuzz    every parser under the fuzzer, FUZZ_SECONDS=20 each"

setup:
	@packaging/setup.sh

build: setup
	$(CARGO) build --release --locked --workspace --bins

test: setup
	@packaging/test.sh

lint: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets --all-features -- -D warnings

deny: setup
	$(DENY) -L error --locked check bans licenses sources

doc: setup
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --all-features

# The same features as in `make test`, so that nothing is built twice.
unit: setup
	$(CARGO) test --locked --workspace --exclude tests --all-features

e2e: setup
	$(CARGO) build --locked --workspace --bins
	$(CARGO) test --locked -p tests

soak: setup
	$(CARGO) build --release --locked --workspace --bins
	WEFT_SOAK_S=120 $(CARGO) test --release --locked -p tests --test e2e_overload -- --nocapture

demo: build
	$(CARGO) run --release --locked -q -p tests --bin lab -- demo examples/practica.yaml

# Measure on a machine that does nothing else. packet-rate comes last: its page has what the others say.
MEASURE := $(CARGO) run --release --locked -q -p benches --bin
bench: build
	@packaging/setup-bench.sh
	@mkdir -p docs/bench
	$(MEASURE) tap-rate > docs/bench/taps.txt
	$(MEASURE) footprint > docs/bench/footprint.txt
	$(MEASURE) packet-rate -- run --out docs/bench

bench-core: setup
	$(CARGO) bench --locked -p benches --bench '*'

INSTRUCTIONS := $(CARGO) run --release --locked -q -p benches --bin instructions --
instructions: setup
	$(INSTRUCTIONS) --check

ceilings: setup
	$(INSTRUCTIONS) --write

FUZZ_SECONDS ?= 20
fuzz: setup
	@packaging/fuzz.sh all $(FUZZ_SECONDS)

clean:
	$(CARGO) clean
