//! Announcements of a MAC address: RARP (RFC 903) and gratuitous ARP (RFC 826, RFC 5227).
//!
//! After a VM has moved, or its vEthernet has been pinned to another uplink, one of these goes out
//! by the new way, and the switches upstream learn it at once.

use core::net::Ipv4Addr;

use super::bytes::put;
use super::ethernet::{self, FRAME_LEN_MIN};
use crate::types::{EtherType, MacAddr};

/// Places in a whole frame: the ARP packet starts behind the Ethernet header.
mod field {
    use super::ethernet::HEADER_LEN;

    /// Hardware type, protocol type, their address lengths, and the operation.
    pub(super) const TYPES_AND_OPERATION: usize = HEADER_LEN;
    pub(super) const SENDER_HARDWARE: usize = HEADER_LEN + 8;
    pub(super) const SENDER_PROTOCOL: usize = HEADER_LEN + 14;
    pub(super) const TARGET_HARDWARE: usize = HEADER_LEN + 18;
    pub(super) const TARGET_PROTOCOL: usize = HEADER_LEN + 24;
}

const OPERATION_REQUEST: u8 = 1;
const OPERATION_REQUEST_REVERSE: u8 = 3;

/// A broadcast "request reverse" for `mac` itself: announces the MAC address alone, whatever
/// addresses its VM has. Nobody answers it. Untagged and padded to the shortest frame.
#[must_use]
pub fn build_rarp(mac: MacAddr) -> [u8; FRAME_LEN_MIN] {
    let unknown = Ipv4Addr::UNSPECIFIED;
    build(EtherType::RARP, OPERATION_REQUEST_REVERSE, (mac, unknown), (mac, unknown))
}

/// A broadcast ARP announcement (RFC 5227 section 3): `ip` is at `mac`. Untagged and padded to the
/// shortest frame.
#[must_use]
pub fn build_gratuitous(mac: MacAddr, ip: Ipv4Addr) -> [u8; FRAME_LEN_MIN] {
    build(EtherType::ARP, OPERATION_REQUEST, (mac, ip), (MacAddr::ZERO, ip))
}

fn build(
    ether_type: EtherType,
    operation: u8,
    sender: (MacAddr, Ipv4Addr),
    target: (MacAddr, Ipv4Addr),
) -> [u8; FRAME_LEN_MIN] {
    let mut frame = [0; FRAME_LEN_MIN];
    let header = ethernet::Header::new(MacAddr::BROADCAST, sender.0, ether_type);
    put::<0, _, _>(&mut frame, header.into_octets());
    // Ethernet (1), IPv4 (0x0800), addresses of 6 and 4 octets.
    put::<{ field::TYPES_AND_OPERATION }, _, _>(&mut frame, [0, 1, 8, 0, 6, 4, 0, operation]);
    put::<{ field::SENDER_HARDWARE }, _, _>(&mut frame, sender.0.octets());
    put::<{ field::SENDER_PROTOCOL }, _, _>(&mut frame, sender.1.octets());
    put::<{ field::TARGET_HARDWARE }, _, _>(&mut frame, target.0.octets());
    put::<{ field::TARGET_PROTOCOL }, _, _>(&mut frame, target.1.octets());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{ArpOperation, NetSlice, SlicedPacket};

    const MAC: MacAddr = MacAddr::new([0x02, 0, 0, 0, 0, 7]);

    fn check(frame: &[u8], ether_type: u16, operation: u16, target_hardware: MacAddr, ip: [u8; 4]) {
        assert_eq!(frame.len(), 60);
        assert_eq!(
            frame[..14],
            *[&[0xff; 6], &MAC.octets()[..], &ether_type.to_be_bytes()].concat()
        );
        // etherparse knows no RARP; its packet is that of ARP.
        let mut as_arp = frame.to_vec();
        as_arp[12..14].copy_from_slice(&[0x08, 0x06]);
        let Some(NetSlice::Arp(arp)) = SlicedPacket::from_ethernet(&as_arp).unwrap().net else {
            panic!("not ARP");
        };
        assert_eq!(arp.operation(), ArpOperation(operation));
        assert_eq!(arp.sender_hw_addr(), MAC.octets());
        assert_eq!(arp.target_hw_addr(), target_hardware.octets());
        assert_eq!(arp.sender_protocol_addr(), ip);
        assert_eq!(arp.target_protocol_addr(), ip);
    }

    #[test]
    fn rarp_announces_the_mac_alone() {
        check(&build_rarp(MAC), 0x8035, 3, MAC, [0; 4]);
    }

    #[test]
    fn gratuitous_arp_announces_the_address() {
        let ip = Ipv4Addr::new(192, 0, 2, 9);
        check(&build_gratuitous(MAC, ip), 0x0806, 1, MacAddr::ZERO, ip.octets());
    }
}
