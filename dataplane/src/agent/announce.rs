//! Telling the physical network that an address is now behind another uplink: a reverse ARP request
//! for each MAC of the port (RFC 903; what hypervisors send after a migration), tagged as the uplink
//! wants it. Physical switches learn the new place from its source address.

use policy::Snapshot;
use policy::snapshot::VlanMode;
use proto::frame::arp;
use proto::{EtherType, MacAddr, PortId, VlanId};

/// Frames that one port's move may cause: a trunk with many VLANs is announced in the first ones.
const FRAMES_MAX: usize = 64;

/// How often an announcement is told again, once a tick.
const REPEATS: u8 = 3;

/// An announcement that is still to be told again.
#[derive(Debug)]
pub(super) struct Repeat {
    pub(super) port: PortId,
    pub(super) uplink: PortId,
    left: u8,
}

impl Repeat {
    pub(super) const fn new(port: PortId, uplink: PortId) -> Self {
        Self { port, uplink, left: REPEATS }
    }

    /// Counts one telling; false when that was the last.
    pub(super) const fn next(&mut self) -> bool {
        self.left -= 1;
        self.left > 0
    }
}

/// What has to be announced when `port` moves to `uplink`: each of its addresses in each VLAN that
/// both carry. `None` as the VLAN: untagged, the uplink's native VLAN.
pub(super) fn announcements(
    snapshot: &Snapshot,
    port: PortId,
    uplink: PortId,
) -> Vec<(MacAddr, Option<VlanId>)> {
    let Some(wire) = snapshot.port(uplink) else { return Vec::new() };
    let own = snapshot.fib().iter().filter(|(_, _, owner)| *owner == port);
    let carried = own.filter(|(vlan, _, _)| wire.vlan_mode.carries(*vlan));
    carried
        .map(|(vlan, mac, _)| (mac, (!leaves_untagged(&wire.vlan_mode, vlan)).then_some(vlan)))
        .take(FRAMES_MAX)
        .collect()
}

fn leaves_untagged(mode: &VlanMode, vlan: VlanId) -> bool {
    match mode {
        VlanMode::Access(_) => true,
        VlanMode::Trunk { native, .. } => *native == vlan,
    }
}

/// The announcement of an address, with the tag of a VLAN or without.
pub(super) fn frame(mac: MacAddr, vlan: Option<VlanId>) -> Vec<u8> {
    let mut frame = arp::build_rarp(mac).to_vec();
    if let Some(vlan) = vlan {
        let [tpid_hi, tpid_lo] = EtherType::VLAN.get().to_be_bytes();
        let [tci_hi, tci_lo] = vlan.get().to_be_bytes();
        frame.splice(12..12, [tpid_hi, tpid_lo, tci_hi, tci_lo]);
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_goes_behind_the_addresses() {
        let mac = MacAddr::new([2, 0, 0, 0, 0, 9]);
        let plain = frame(mac, None);
        let tagged = frame(mac, VlanId::new(10u16).ok());
        assert_eq!(plain[..12], tagged[..12]);
        assert_eq!(tagged[12..16], [0x81, 0, 0, 10]);
        assert_eq!(plain[12..], tagged[16..]);
        assert_eq!(plain[6..12], mac.octets());
    }
}
