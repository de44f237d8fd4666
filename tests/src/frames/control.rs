//! The control frames of switches and NICs: what a dataplane must drop, consume or never answer.
//!
//! Each is complete enough that tshark decodes it and a real switch would believe it.

use proto::{EtherType, MacAddr, VlanId};

use super::{Frame, Tag};

/// Destination of STP, RSTP and MSTP (IEEE 802.1Q table 8-1).
pub const BRIDGE_GROUP: MacAddr = MacAddr::new([0x01, 0x80, 0xc2, 0, 0, 0]);
/// Destination of MAC control PAUSE (IEEE 802.3 annex 31B).
pub const PAUSE: MacAddr = MacAddr::new([0x01, 0x80, 0xc2, 0, 0, 1]);
/// Destination of the slow protocols: LACP, marker, OAM (IEEE 802.3 annex 57A).
pub const SLOW_PROTOCOLS: MacAddr = MacAddr::new([0x01, 0x80, 0xc2, 0, 0, 2]);
/// Destination of LLDP, nearest bridge (IEEE 802.1AB table 7-1).
pub const LLDP_NEAREST: MacAddr = MacAddr::new([0x01, 0x80, 0xc2, 0, 0, 0xe]);
/// Destination of Cisco's per-VLAN spanning tree.
pub const PVST: MacAddr = MacAddr::new([0x01, 0, 0x0c, 0xcc, 0xcc, 0xcd]);
/// Destination of CDP, VTP, DTP, PAgP and UDLD.
pub const CDP: MacAddr = MacAddr::new([0x01, 0, 0x0c, 0xcc, 0xcc, 0xcc]);

/// LLC header of the bridge spanning tree protocol: SAP 0x42, unnumbered information.
const LLC_STP: [u8; 3] = [0x42, 0x42, 0x03];

/// LLC/SNAP header of Cisco's protocols, before the protocol number.
const SNAP_CISCO: [u8; 6] = [0xaa, 0xaa, 0x03, 0x00, 0x00, 0x0c];

/// An STP configuration BPDU (IEEE 802.1D-1998 clause 9.3.1) of a bridge that is the root.
pub fn stp(src: MacAddr) -> Vec<u8> {
    Frame::new(src, BRIDGE_GROUP).llc(&[&LLC_STP[..], &bpdu(src, Version::Stp, 0x8000)].concat())
}

/// A topology change notification (IEEE 802.1D-1998 clause 9.3.2).
pub fn stp_topology_change(src: MacAddr) -> Vec<u8> {
    Frame::new(src, BRIDGE_GROUP).llc(&[&LLC_STP[..], &[0, 0, 0, 0x80]].concat())
}

/// An RST BPDU (IEEE 802.1D-2004 clause 9.3.3): designated port, learning, forwarding.
pub fn rstp(src: MacAddr) -> Vec<u8> {
    Frame::new(src, BRIDGE_GROUP).llc(&[&LLC_STP[..], &bpdu(src, Version::Rstp, 0x8000)].concat())
}

/// An MST BPDU (IEEE 802.1Q clause 14.4) of a region without instances.
pub fn mstp(src: MacAddr) -> Vec<u8> {
    let mut body = [&LLC_STP[..], &bpdu(src, Version::Mstp, 0x8000)].concat();
    // Version 3 length, configuration identifier (51 bytes), CIST fields (13 bytes).
    body.extend(64_u16.to_be_bytes());
    let mut identifier = [0; 51];
    identifier[1..5].copy_from_slice(b"weft");
    body.extend(identifier);
    body.extend([0; 4]);
    body.extend(bridge_id(src, 0x8000));
    body.push(20);
    Frame::new(src, BRIDGE_GROUP).llc(&body)
}

/// A PVST+ BPDU for one VLAN, tagged as Cisco sends it on a trunk.
pub fn pvst(src: MacAddr, vid: VlanId) -> Vec<u8> {
    let tag = Tag { tpid: EtherType::VLAN, tci: 0xe000 | vid.get() };
    Frame::new(src, PVST).tag(tag).llc(&pvst_body(src, vid))
}

/// A PVST+ BPDU without a tag, as Cisco sends it on an access port or for the native VLAN.
pub fn pvst_untagged(src: MacAddr, vid: VlanId) -> Vec<u8> {
    Frame::new(src, PVST).llc(&pvst_body(src, vid))
}

/// An LLDPDU (IEEE 802.1AB clause 8): chassis, port, time to live, system name.
pub fn lldp(src: MacAddr) -> Vec<u8> {
    lldp_of(src, "weft-lab", "eth1", 120)
}

/// The LLDPDU of a port of a switch; with a time to live of 0 the last one, which takes it back.
/// Names of up to 254 characters.
pub fn lldp_of(src: MacAddr, system: &str, port: &str, ttl_s: u16) -> Vec<u8> {
    let tlv = |kind: u8, parts: &[&[u8]]| {
        let value = parts.concat();
        [&[kind << 1, u8::try_from(value.len()).unwrap_or(u8::MAX)], &value[..]].concat()
    };
    let body = [
        tlv(1, &[&[4], &src.octets()]),
        tlv(2, &[&[5], port.as_bytes()]),
        tlv(3, &[&ttl_s.to_be_bytes()]),
        tlv(5, &[system.as_bytes()]),
        tlv(0, &[]),
    ];
    Frame::new(src, LLDP_NEAREST).payload(EtherType::LLDP, &body.concat())
}

/// A LACPDU (IEEE 802.1AX clause 6.4.2) of an active actor that has heard of no partner.
pub fn lacp(src: MacAddr) -> Vec<u8> {
    let mut body = vec![1, 1];
    // Actor: system priority and id, key, port priority, port, state (active, short timeout,
    // aggregation), reserved.
    body.extend([1, 20, 0x80, 0x00]);
    body.extend(src.octets());
    body.extend([0, 1, 0x80, 0x00, 0, 1, 0x07, 0, 0, 0]);
    // Partner unknown, collector with no delay, terminator.
    body.extend([2, 20]);
    body.extend([0; 18]);
    body.extend([3, 16]);
    body.extend([0; 14]);
    body.extend([0; 52]);
    Frame::new(src, SLOW_PROTOCOLS).payload(EtherType::SLOW, &body)
}

/// A marker PDU (IEEE 802.1AX clause 6.5.3), which a LACP port must answer.
pub fn lacp_marker(src: MacAddr, transaction: u32) -> Vec<u8> {
    let mut body = vec![2, 1, 1, 16, 0, 1];
    body.extend(src.octets());
    body.extend(transaction.to_be_bytes());
    body.extend([0, 0, 0, 0]);
    body.extend([0; 90]);
    Frame::new(src, SLOW_PROTOCOLS).payload(EtherType::SLOW, &body)
}

/// A CDP announcement, version 2, with a device name.
pub fn cdp(src: MacAddr) -> Vec<u8> {
    cdp_of(src, "weft-lab", "eth1", 180)
}

/// The CDP announcement of a port of a switch.
pub fn cdp_of(src: MacAddr, device: &str, port: &str, hold_time_s: u8) -> Vec<u8> {
    let mut message = vec![2, hold_time_s, 0, 0];
    for (kind, value) in [(1_u16, device), (3, port)] {
        message.extend(kind.to_be_bytes());
        message.extend(u16::try_from(4 + value.len()).unwrap_or(u16::MAX).to_be_bytes());
        message.extend(value.as_bytes());
    }
    let sum = super::checksum(&message);
    message[2..4].copy_from_slice(&sum);
    Frame::new(src, CDP).llc(&[&SNAP_CISCO[..], &[0x20, 0x00], &message].concat())
}

/// A PAUSE frame: it must never pass a bridge.
pub fn pause(src: MacAddr) -> Vec<u8> {
    Frame::new(src, PAUSE).payload(EtherType::new(0x8808), &[0, 1, 0xff, 0xff])
}

/// Which generation of spanning tree a BPDU speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Stp = 0,
    Rstp = 2,
    Mstp = 3,
}

/// The 35 bytes of a configuration BPDU, or the 36 of an RST or MST BPDU up to version 1 length.
fn bpdu(src: MacAddr, version: Version, priority: u16) -> Vec<u8> {
    let (kind, flags) = if version == Version::Stp { (0, 0) } else { (2, 0x3c) };
    let mut body = vec![0, 0, version as u8, kind, flags];
    body.extend(bridge_id(src, priority));
    body.extend([0; 4]);
    body.extend(bridge_id(src, priority));
    body.extend([0x80, 0x01]);
    // Message age 0, maximum age 20 s, hello time 2 s, forward delay 15 s, in 1/256 s.
    body.extend([0, 0, 20, 0, 2, 0, 15, 0]);
    if version != Version::Stp {
        body.push(0);
    }
    body
}

fn pvst_body(src: MacAddr, vid: VlanId) -> Vec<u8> {
    let mut body = [&SNAP_CISCO[..], &[0x01, 0x0b]].concat();
    body.extend(bpdu(src, Version::Rstp, 0x8000 | vid.get()));
    // Originating VLAN TLV: type 0, length 2.
    body.extend([0, 0, 0, 2]);
    body.extend(vid.get().to_be_bytes());
    body
}

fn bridge_id(mac: MacAddr, priority: u16) -> Vec<u8> {
    [&priority.to_be_bytes()[..], &mac.octets()].concat()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;
    use crate::netns::run_command;

    const SRC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xa]);

    /// A classic pcap file (libpcap's pcap-savefile(5)) of Ethernet frames.
    fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
        let mut file = Vec::new();
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
            file.extend(word.to_ne_bytes());
        }
        for frame in frames {
            let length = u32::try_from(frame.len()).unwrap();
            for word in [0, 0, length, length] {
                file.extend(word.to_ne_bytes());
            }
            file.extend(frame);
        }
        file
    }

    #[test]
    fn tshark_knows_every_frame_and_finds_no_fault() {
        let vid = VlanId::new(10_u16).unwrap();
        let cases = [
            (stp(SRC), "stp"),
            (stp_topology_change(SRC), "stp"),
            (rstp(SRC), "stp"),
            (mstp(SRC), "stp"),
            (pvst(SRC, vid), "stp"),
            (pvst_untagged(SRC, vid), "stp"),
            (lldp(SRC), "lldp"),
            (lldp_of(SRC, "tor-1", "Ethernet1/7", 0), "lldp"),
            (lacp(SRC), "lacp"),
            (lacp_marker(SRC, 1), "marker"),
            (cdp(SRC), "cdp"),
            (cdp_of(SRC, "tor-1.example", "Ethernet1/7", 1), "cdp"),
            (pause(SRC), "macc"),
        ];
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("control.pcap");
        let frames: Vec<_> = cases.iter().map(|(frame, _)| frame.clone()).collect();
        fs::write(&file, pcap(&frames)).unwrap();
        let path = file.to_str().unwrap();
        let fields = ["-T", "fields", "-e", "frame.protocols", "-e", "_ws.expert.message"];
        let table = run_command(Command::new("tshark").args(["-r", path]).args(fields)).unwrap();
        assert_eq!(table.lines().count(), cases.len(), "{table}");
        for (line, (_, protocol)) in table.lines().zip(cases) {
            let (protocols, problems) = line.split_once('\t').unwrap();
            assert!(protocols.split(':').any(|name| name == protocol), "{protocol}: {line}");
            assert!(!problems.to_lowercase().contains("malformed"), "{line}");
        }
    }
}
