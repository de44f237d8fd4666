//! Frames that speak to a switch and not through it: which protocol a destination address means.
//!
//! Rules F2, R1 and R2 hang on this. A frame is told by its destination address, refined by its
//! EtherType or LLC header; tags do not matter, since PVST+ sends its frames tagged.

use super::ethernet::ETHER_TYPE_MIN;
use super::key::FrameKey;
use crate::types::{EtherType, MacAddr};

/// Nearest customer bridge: STP, RSTP and MSTP (IEEE 802.1Q-2018 table 8-1).
pub const BRIDGE_GROUP: MacAddr = MacAddr::new([0x01, 0x80, 0xc2, 0, 0, 0x00]);
/// Slow protocols: LACP and marker (IEEE 802.3-2018 annex 57A).
pub const SLOW_PROTOCOLS: MacAddr = MacAddr::new([0x01, 0x80, 0xc2, 0, 0, 0x02]);
/// Nearest non-TPMR bridge: LLDP, 802.1X.
pub const NON_TPMR_BRIDGE: MacAddr = MacAddr::new([0x01, 0x80, 0xc2, 0, 0, 0x03]);
/// Provider bridge: STP among service providers' bridges.
pub const PROVIDER_BRIDGE_GROUP: MacAddr = MacAddr::new([0x01, 0x80, 0xc2, 0, 0, 0x08]);
/// Nearest bridge: LLDP.
pub const NEAREST_BRIDGE: MacAddr = MacAddr::new([0x01, 0x80, 0xc2, 0, 0, 0x0e]);
/// Cisco: CDP, VTP, DTP, PAgP, UDLD.
pub const CISCO: MacAddr = MacAddr::new([0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcc]);
/// Cisco: PVST+ and rapid PVST+.
pub const PVST: MacAddr = MacAddr::new([0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcd]);

/// DSAP, SSAP and control octet of a BPDU (IEEE 802.1Q-2018 clause 8.13.1).
const LLC_BPDU: [u8; 3] = [0x42, 0x42, 0x03];

/// What a frame is to a switch, beyond something to forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ControlKind {
    /// Nothing: an ordinary frame.
    None,
    /// A spanning-tree frame of IEEE 802.1: STP, RSTP, MSTP, also of a provider bridge.
    Bpdu,
    /// A spanning-tree frame of Cisco's per-VLAN kinds.
    Pvst,
    /// CDP, VTP, DTP, PAgP or UDLD.
    Cdp,
    /// LACP or marker.
    Slow,
    /// LLDP.
    Lldp,
    /// Another frame to 01:80:c2:00:00:0x, which no bridge may relay: pause, 802.1X, ...
    LinkLocalOther,
}

impl ControlKind {
    /// Whether this is spanning tree of any kind, in which the switch takes no part.
    #[must_use]
    pub const fn is_spanning_tree(self) -> bool {
        matches!(self, Self::Bpdu | Self::Pvst)
    }
}

impl FrameKey {
    /// What this frame is to a switch. `frame` holds the bytes that the key was read from.
    #[must_use]
    #[inline]
    pub fn control_kind(&self, frame: &[u8]) -> ControlKind {
        // Two compares settle it for all but control frames.
        if self.dst.is_link_local() {
            link_local(self, frame)
        } else if self.dst == PVST {
            ControlKind::Pvst
        } else if self.dst == CISCO {
            ControlKind::Cdp
        } else {
            ControlKind::None
        }
    }
}

/// Tells the protocols of the sixteen link-constrained addresses apart.
#[cold]
fn link_local(key: &FrameKey, frame: &[u8]) -> ControlKind {
    match (key.ether_type, key.dst) {
        (EtherType::LLDP, NEAREST_BRIDGE | NON_TPMR_BRIDGE | BRIDGE_GROUP) => ControlKind::Lldp,
        (_, BRIDGE_GROUP | PROVIDER_BRIDGE_GROUP) => ControlKind::Bpdu,
        _ if is_llc_bpdu(key, frame) => ControlKind::Bpdu,
        (EtherType::SLOW, SLOW_PROTOCOLS) => ControlKind::Slow,
        _ => ControlKind::LinkLocalOther,
    }
}

/// Whether the type/length field is a length and an LLC header of spanning tree follows.
fn is_llc_bpdu(key: &FrameKey, frame: &[u8]) -> bool {
    let llc = frame.get(usize::from(key.l3_offset)..).unwrap_or_default();
    key.ether_type.get() < ETHER_TYPE_MIN && llc.starts_with(&LLC_BPDU)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::parse;

    fn check(dst: [u8; 6], rest: &[u8], expected: ControlKind) {
        let mut frame = dst.to_vec();
        frame.extend([0x02, 0, 0, 0, 0, 1]);
        frame.extend(rest);
        frame.resize(60, 0);
        let key = parse(&frame).unwrap();
        assert_eq!(key.control_kind(&frame), expected, "{dst:02x?} {rest:02x?}");
    }

    const fn reserved(last: u8) -> [u8; 6] {
        [0x01, 0x80, 0xc2, 0, 0, last]
    }

    #[test]
    fn f2_r2_bpdus_of_every_kind() {
        let llc_bpdu = [0, 0x26, 0x42, 0x42, 0x03];
        check(reserved(0x00), &llc_bpdu, ControlKind::Bpdu);
        check(reserved(0x08), &llc_bpdu, ControlKind::Bpdu);
        check(reserved(0x05), &llc_bpdu, ControlKind::Bpdu);
        // To these two addresses nothing else is expected.
        check(reserved(0x00), &[0x08, 0x00], ControlKind::Bpdu);
        // A BPDU behind a tag is one still.
        check(reserved(0x03), &[0x81, 0, 0, 5, 0, 0x26, 0x42, 0x42, 0x03], ControlKind::Bpdu);
        let snap = [0, 0x32, 0xaa, 0xaa, 0x03, 0, 0, 0x0c, 0x01, 0x0b];
        check([0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcd], &snap, ControlKind::Pvst);
        assert!(ControlKind::Bpdu.is_spanning_tree() && ControlKind::Pvst.is_spanning_tree());
    }

    #[test]
    fn r1_protocols_of_the_control_tasks() {
        check(reserved(0x02), &[0x88, 0x09, 1], ControlKind::Slow);
        for last in [0x0e, 0x03, 0x00] {
            check(reserved(last), &[0x88, 0xcc], ControlKind::Lldp);
        }
        let snap = [0, 0x32, 0xaa, 0xaa, 0x03, 0, 0, 0x0c, 0x20, 0x00];
        check([0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcc], &snap, ControlKind::Cdp);
    }

    #[test]
    fn the_rest_of_the_sixteen_is_link_local_and_nothing_beyond() {
        check(reserved(0x01), &[0x88, 0x08], ControlKind::LinkLocalOther);
        check(reserved(0x03), &[0x88, 0x8e], ControlKind::LinkLocalOther);
        check(reserved(0x02), &[0x88, 0xcc], ControlKind::LinkLocalOther);
        check(reserved(0x05), &[0x88, 0x09], ControlKind::LinkLocalOther);
        check(reserved(0x0f), &[0x08, 0x00], ControlKind::LinkLocalOther);
        // An EtherType, so what follows is no LLC header.
        check(reserved(0x03), &[0x88, 0x8e, 0x42, 0x42, 0x03], ControlKind::LinkLocalOther);
        check(reserved(0x10), &[0, 0x26, 0x42, 0x42, 0x03], ControlKind::None);
        check([0xff; 6], &[0x08, 0x06], ControlKind::None);
        check([0x02, 0, 0, 0, 0, 2], &[0x88, 0x09], ControlKind::None);
        check([0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xce], &[0, 0x26], ControlKind::None);
    }
}
