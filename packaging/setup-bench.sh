#!/usr/bin/env bash
# What `make bench` measures Weft against, beyond what `packaging/setup.sh` has: nftables, installed, and
# Open vSwitch on DPDK, unpacked. Both are optional: what cannot be had is left out of the measurement.
# Does nothing, quickly, when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v nft >/dev/null; then
    echo "make bench: installing nftables"
    { ((EUID == 0)) && apt-get install -y -qq --no-install-recommends nftables >/dev/null; } ||
        echo "make bench: no nftables, so the Linux bridge is measured without rules" >&2
fi

# Unpacked and not installed: that would start daemons, and reserve huge pages at every boot.
target=target/tools/openvswitch-dpdk
[[ -x $target/ovs-vswitchd-dpdk ]] && exit 0

# The daemon, the driver, the bus and the memory pool that it is a plug-in of, and what they link to.
packages=(openvswitch-switch-dpdk librte-net-af-xdp23 librte-bus-vdev23 librte-mempool-ring23
          librte-bus-pci23 librte-{pci,eal,ethdev,kvargs,mbuf,mempool,meter,net,ring,telemetry}23
          librte-{vhost,cryptodev,dmadev,hash,rcu}23 libbsd0 libmd0 libfdt1)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch" "$target.new"' EXIT
download() {
    (cd "$scratch" && apt-get download -qq "${packages[@]}" >/dev/null 2>&1)
}
download || { apt-get update -qq >/dev/null 2>&1 && download; } || {
    echo "make bench: apt cannot download openvswitch-switch-dpdk, so it is not measured" >&2
    exit 0
}
for package in "$scratch"/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$scratch"
done
libraries=$scratch/usr/lib/$(uname -m)-linux-gnu
rm -rf "$target.new" "$target"
mkdir -p "$target.new/lib"
mv "$libraries"/*.so* "$target.new/lib/"
# In the place of symbolic links to them.
mv -f "$libraries"/dpdk/pmds-*/* "$target.new/lib/"
mv "$scratch/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk" "$target.new/"
mv "$target.new" "$target"
