//! Super-frames behind tags: whole between VMs, in segments on the wire, and held against the MTU
//! by the length of their segments.

use std::net::IpAddr;

use proto::{EtherType, MacAddr};
use tests::checks::{Counts, Watched};
use tests::frames::{Frame, Tag, contains};
use tests::sniff::Sniffer;
use tests::super_frame::{PORT, SEQUENCE, SuperFrame, SuperInjector};
use tests::wait::{SOON, wait_for_ok};
use tests::wire::{Recorded, Recording};

use crate::tags::{A, CONFIG, REMOTE, T, TOPOLOGY};
use crate::{HOST, injector, ip, ns, start};

const PAYLOAD_BYTES: usize = 20_500;
const SEGMENT_BYTES: u16 = 1_000;
/// 20 whole ones and one of 500 bytes.
const SEGMENTS: usize = 21;

/// Which way a super-frame goes, and its tags on the wire as tshark says them.
struct Way {
    from: &'static str,
    macs: (MacAddr, MacAddr),
    tci: Option<u16>,
    ips: (IpAddr, IpAddr),
    vlan: &'static str,
    priority: &'static str,
}

fn super_frame(way: &Way) -> SuperFrame {
    let bytes = (0..PAYLOAD_BYTES).map(|at| u8::try_from(at % 251).expect("below 251"));
    SuperFrame {
        macs: way.macs,
        tags: way.tci.map(|tci| Tag { tpid: EtherType::VLAN, tci }).into_iter().collect(),
        ips: way.ips,
        segment_bytes: SEGMENT_BYTES,
        payload: bytes.collect(),
    }
}

#[test]
fn tagged_super_frames_stay_whole_between_vms_and_are_segmented_for_the_wire() {
    let weft = start(TOPOLOGY, CONFIG, &["a", "t"]);
    let v4 = (ip("10.0.0.1"), ip("10.0.0.2"));
    let v6 = (ip("2001:db8::1"), ip("2001:db8::2"));
    for (from, src, tci, ips, vlan, priority) in [
        ("a", A, None, v4, "10", "0"),
        ("a", A, None, v6, "10", "0"),
        ("t", T, Some(5 << 13 | 20), v4, "20", "5"),
        ("t", T, Some(5 << 13 | 20), v6, "20", "5"),
        ("t", T, None, v4, "30", "0"),
        ("t", T, Some(6 << 13), v6, "30", "6"),
    ] {
        segmented_for_the_wire(&weft, &Way { from, macs: (src, REMOTE), tci, ips, vlan, priority });
    }
    whole_between_vms(&weft, v4);
    mtu_counts_for_segments(&weft, v4);
    weft.wait_conserved(HOST).expect("frames are conserved");
}

fn segmented_for_the_wire(weft: &Watched, way: &Way) {
    let recording = Recording::start(ns(weft, "wire"), "eth1", weft.lab().dir()).expect("tcpdump");
    let frame = super_frame(way);
    SuperInjector::open(ns(weft, way.from), "eth0").expect("a socket").send(&frame).expect("sent");
    let last = Frame::new(way.macs.0, MacAddr::BROADCAST).marker(u64::MAX - 3);
    injector(weft, way.from).send(&last).expect("the marker is sent");
    let recorded = recording.finish_after(&last[12..]).expect("the marker comes");
    check_segments(&recorded, way, &frame.payload);
}

/// Sequence numbers, flags, identifications, checksums, tags and content of all segments.
fn check_segments(recorded: &Recorded, way: &Way, content: &[u8]) {
    let mut fields =
        vec!["vlan.id", "vlan.priority", "tcp.seq_raw", "tcp.flags.push", "tcp.payload"];
    let family = if way.ips.0.is_ipv4() { "ip.checksum.status == 1" } else { "ipv6" };
    if way.ips.0.is_ipv4() {
        fields.push("ip.id");
    }
    let filter = format!("tcp.dstport == {PORT} && tcp.checksum.status == 1 && {family}");
    let rows = recorded.fields(&filter, &fields).expect("tshark decodes");
    assert_eq!(rows.len(), SEGMENTS, "good segments {rows:?}");
    let all = recorded.count("tcp").expect("tshark decodes");
    assert_eq!(all, SEGMENTS, "segments in all");
    let mut sequence = SEQUENCE;
    for (number, (row, content)) in
        rows.iter().zip(content.chunks(usize::from(SEGMENT_BYTES))).enumerate()
    {
        assert_eq!([row[0].as_str(), &row[1]], [way.vlan, way.priority]);
        assert_eq!(row[2], sequence.to_string());
        assert_eq!(row[3] == "1", number == SEGMENTS - 1, "PSH is for the last: {row:?}");
        let hex: String = content.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(row[4].replace(':', ""), hex, "content of segment {number}");
        if let Some(id) = row.get(5) {
            let expected = 0xfffe_u16.wrapping_add(u16::try_from(number).expect("few segments"));
            assert_eq!(*id, format!("{expected:#06x}"), "identification of segment {number}");
        }
        sequence = sequence.wrapping_add(u32::from(SEGMENT_BYTES));
    }
}

/// From the trunk into the access port: one frame, its tag gone, its content untouched.
fn whole_between_vms(weft: &Watched, ips: (IpAddr, IpAddr)) {
    let way = Way { from: "t", macs: (T, A), tci: Some(10), ips, vlan: "", priority: "" };
    let sniffer = Sniffer::start(ns(weft, "a"), "eth0").expect("a sniffer");
    let frame = super_frame(&way);
    SuperInjector::open(ns(weft, "t"), "eth0").expect("a socket").send(&frame).expect("sent");
    let seen = sniffer.wait_count(1, SOON, |bytes| contains(bytes, &frame.payload));
    let seen = seen.expect("the super-frame comes");
    let whole = frame.bytes();
    assert_eq!(seen[0].bytes, [&whole[..12], &whole[16..]].concat());
}

/// The uplink's MTU is 1500: segments of 1,460 bytes fit with their headers, 1,461 do not.
fn mtu_counts_for_segments(weft: &Watched, ips: (IpAddr, IpAddr)) {
    let way = Way { from: "t", macs: (T, REMOTE), tci: Some(20), ips, vlan: "", priority: "" };
    let socket = SuperInjector::open(ns(weft, "t"), "eth0").expect("a socket");
    let before = weft.wait_conserved(HOST).expect("frames are conserved");
    for segment_bytes in [1_460, 1_461] {
        socket.send(&SuperFrame { segment_bytes, ..super_frame(&way) }).expect("sent");
    }
    let mut expected = Counts::default();
    let port = expected.port("t");
    (port.rx, port.forwarded) = (2, 1);
    port.drops.insert("mtu-exceeded".to_owned(), 1);
    expected.port("eth1").tx = u64::try_from(PAYLOAD_BYTES.div_ceil(1_460)).expect("few");
    expected.port("eth1").tx_drops.insert("mtu-exceeded".to_owned(), 1);
    wait_for_ok("the second super-frame to be dropped", SOON, || {
        let moved = weft.counts(HOST).map_err(|error| error.to_string())?.since(&before);
        if moved == expected { Ok(()) } else { Err(moved.to_string()) }
    })
    .expect("the MTU counts for segments");
}
