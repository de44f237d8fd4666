//! Tags, priorities and DSCPs on the wire and in the VMs, by tcpdump and tshark.

use std::net::{Ipv4Addr, SocketAddrV4};

use proto::{EtherType, MacAddr};
use tests::checks::Watched;
use tests::frames::{Frame, Header, Tag, checksum};
use tests::inject::Injector;
use tests::wire::{Recorded, Recording};

use crate::{HOST, injector, mac, ns, start};

/// VM on an access port of VLAN 10, VM on a trunk, a station on the wire.
pub(crate) const A: MacAddr = mac(0xa);
pub(crate) const T: MacAddr = mac(0x7);
pub(crate) const REMOTE: MacAddr = mac(0xee);

/// Drop eligible indicator of a tag (IEEE 802.1Q-2018 clause 9.6).
const DEI: u16 = 1 << 12;

/// Expedited forwarding (RFC 3246).
const EF: u8 = 46;

/// UDP port of the frame that ends a recording.
const LAST_PORT: u16 = 4999;

pub(crate) const TOPOLOGY: &str = "
name: tags
mgmt: { ipv4-subnet: 192.168.95.0/24 }
topology:
  nodes:
    vsm: { kind: supervisor }
    h1: { kind: host }
    wire: { kind: pc, nics: [ { name: eth1 } ] }
    a: { kind: vm, host: h1,
         nics: [ { name: eth0, profile: LAN-10, mac: '02:00:00:00:00:0a' } ] }
    t: { kind: vm, host: h1,
         nics: [ { name: eth0, profile: TRUNK, mac: '02:00:00:00:00:07' } ] }
  links:
    - endpoints: [ 'h1:eth1', 'wire:eth1' ]
";

pub(crate) const CONFIG: &str = "
vlan 10,20,30
port-profile type vethernet LAN-10
  switchport access vlan 10
  state enabled
port-profile type vethernet TRUNK
  switchport mode trunk
  switchport trunk native vlan 30
  switchport trunk allowed vlan 10,20,30
  state enabled
port-profile type ethernet UPLINK
  switchport mode trunk
  switchport trunk allowed vlan 10,20,30
  state enabled
interface Ethernet3/1
  inherit port-profile UPLINK
";

/// Makes VLAN 30 the native one of the uplink, while traffic may go on.
const NATIVE_30: &str = "
port-profile type ethernet UPLINK
  switchport trunk native vlan 30
";

/// What tshark says of a frame, told by its UDP destination port.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    port: u16,
    /// VIDs of the 802.1Q tags, the outer one first, and VID of an 802.1ad tag.
    vids: String,
    /// Priorities of the 802.1Q tags.
    priorities: String,
    dscp: String,
}

fn seen(port: u16, vids: &str, priorities: &str, dscp: u8) -> Seen {
    let (vids, priorities) = (vids.to_owned(), priorities.to_owned());
    Seen { port, vids, priorities, dscp: dscp.to_string() }
}

/// What was recorded of frames from an address, by port, without the last one.
fn decode(recorded: &Recorded, src: MacAddr) -> Vec<Seen> {
    let fields = ["udp.dstport", "vlan.id", "ieee8021ad.id", "vlan.priority", "ip.dsfield.dscp"];
    let filter = format!("udp && eth.src == {src} && udp.dstport != {LAST_PORT}");
    let rows = recorded.fields(&filter, &fields).expect("tshark decodes");
    let mut seen: Vec<_> = rows
        .into_iter()
        .map(|row| Seen {
            port: row[0].parse().expect("a port"),
            vids: [row[1].as_str(), &row[2]].concat(),
            priorities: row[3].clone(),
            dscp: row[4].clone(),
        })
        .collect();
    seen.sort();
    seen
}

/// Tags of a frame, the outer one first: TPID 0x8100 unless said otherwise.
fn tags(tcis: &[u16]) -> Vec<Tag> {
    tcis.iter().map(|tci| Tag { tpid: EtherType::VLAN, tci: *tci }).collect()
}

/// A UDP datagram behind tags.
fn datagram(src: MacAddr, dst: MacAddr, tags: &[Tag], port: u16) -> Vec<u8> {
    let frame = tags.iter().fold(Frame::new(src, dst), |frame, tag| frame.tag(*tag));
    let from = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 4000);
    let to = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), port);
    frame.udp4(from, to, b"a datagram")
}

/// The frame with another DSCP, its header's checksum made good.
fn with_dscp(mut frame: Vec<u8>, dscp: u8) -> Vec<u8> {
    let at = Header::read(&frame).expect("a frame").payload_at;
    frame[at + 1] = dscp << 2;
    frame[at + 10..at + 12].fill(0);
    let sum = checksum(&frame[at..at + 20]);
    frame[at + 10..at + 12].copy_from_slice(&sum);
    frame
}

/// The frame with a byte of its UDP payload changed and the checksum as it was.
fn with_bad_checksum(mut frame: Vec<u8>) -> Vec<u8> {
    let at = Header::read(&frame).expect("a frame").payload_at;
    frame[at + 28] ^= 0xff;
    frame
}

const fn pcp(priority: u16, vid: u16) -> u16 {
    priority << 13 | vid
}

/// A recording that ends when the last frame has come by.
struct Take {
    recording: Recording,
    last: Vec<u8>,
}

impl Take {
    fn start(weft: &Watched, node: &str, interface: &str, last: &[u8]) -> Self {
        let recording =
            Recording::start(ns(weft, node), interface, weft.lab().dir()).expect("tcpdump records");
        // Tags change on the way; what is behind the addresses and tags does not.
        let at = Header::read(last).expect("a frame").payload_at;
        Self { recording, last: last[at..].to_vec() }
    }

    fn end(self) -> Recorded {
        self.recording.finish_after(&self.last).expect("the last frame comes")
    }
}

#[test]
fn tags_priorities_and_dscp_on_the_wire() {
    let weft = start(TOPOLOGY, CONFIG, &["a", "t"]);
    let (a, t) = (injector(&weft, "a"), injector(&weft, "t"));
    out_by_a_tagged_uplink(&weft, &a, &t);
    weft.apply_text(NATIVE_30).expect("the native VLAN changes");
    out_by_the_native_vlan(&weft, &t);
    in_to_access_and_trunk(&weft);
    weft.wait_conserved(HOST).expect("frames are conserved");
}

/// The uplink's native VLAN is 1, which it does not carry: all frames leave tagged.
fn out_by_a_tagged_uplink(weft: &Watched, a: &Injector, t: &Injector) {
    let last = datagram(T, REMOTE, &tags(&[20]), LAST_PORT);
    let take = Take::start(weft, "wire", "eth1", &last);
    let service = Tag { tpid: EtherType::SERVICE_VLAN, tci: 100 };
    let before_service = Tag { tpid: EtherType::VLAN, tci: pcp(2, 20) };
    for frame in [
        datagram(A, REMOTE, &[], 4001),
        datagram(A, REMOTE, &tags(&[pcp(6, 0)]), 4002),
        with_dscp(datagram(A, REMOTE, &[], 4004), EF),
        with_bad_checksum(datagram(A, REMOTE, &[], 4005)),
    ] {
        a.send(&frame).expect("a sends");
    }
    for frame in [
        datagram(T, REMOTE, &[], 4011),
        datagram(T, REMOTE, &tags(&[pcp(6, 0)]), 4012),
        datagram(T, REMOTE, &tags(&[pcp(5, 20)]), 4013),
        with_dscp(datagram(T, REMOTE, &tags(&[pcp(7, 10)]), 4014), EF),
        datagram(T, REMOTE, &tags(&[pcp(5, 20), pcp(3, 77)]), 4015),
        datagram(T, REMOTE, &tags(&[20 | DEI]), 4016),
        datagram(T, REMOTE, &tags(&[pcp(4, 0), pcp(3, 77)]), 4017),
        datagram(T, REMOTE, &[before_service, service], 4018),
        last,
    ] {
        t.send(&frame).expect("t sends");
    }
    let recorded = take.end();
    let from_a = [
        seen(4001, "10", "0", 0),
        seen(4002, "10", "6", 0),
        seen(4004, "10", "0", EF),
        seen(4005, "10", "0", 0),
    ];
    assert_eq!(decode(&recorded, A), from_a);
    let from_t = [
        seen(4011, "30", "0", 0),
        seen(4012, "30", "6", 0),
        seen(4013, "20", "5", 0),
        seen(4014, "10", "7", EF),
        seen(4015, "20,77", "5,3", 0),
        seen(4016, "20", "0", 0),
        seen(4017, "30,77", "4,3", 0),
        seen(4018, "20100", "2", 0),
    ];
    assert_eq!(decode(&recorded, T), from_t);
    let dei = recorded.fields("vlan.dei == 1", &["udp.dstport"]).expect("tshark decodes");
    assert_eq!(dei, [["4016"]]);
    // A checksum that was wrong when it came leaves wrong, and no other is.
    let bad = recorded.fields("udp.checksum.status == 0", &["udp.dstport"]);
    assert_eq!(bad.expect("tshark decodes"), [["4005"]]);
    assert_eq!(recorded.count("ip.checksum.status == 0").expect("tshark decodes"), 0);
}

/// VLAN 30 leaves untagged, but not when a second tag would then stand first.
fn out_by_the_native_vlan(weft: &Watched, t: &Injector) {
    let last = datagram(T, REMOTE, &tags(&[20]), LAST_PORT);
    let take = Take::start(weft, "wire", "eth1", &last);
    for frame in [
        datagram(T, REMOTE, &[], 4021),
        datagram(T, REMOTE, &tags(&[pcp(6, 0)]), 4022),
        datagram(T, REMOTE, &tags(&[pcp(5, 30)]), 4023),
        datagram(T, REMOTE, &tags(&[pcp(5, 10)]), 4024),
        datagram(T, REMOTE, &tags(&[pcp(2, 30), pcp(3, 77)]), 4025),
        last,
    ] {
        t.send(&frame).expect("t sends");
    }
    let expected = [
        seen(4021, "", "", 0),
        seen(4022, "", "", 0),
        seen(4023, "", "", 0),
        seen(4024, "10", "5", 0),
        seen(4025, "30,77", "2,3", 0),
    ];
    assert_eq!(decode(&take.end(), T), expected);
}

/// Access ports get frames without tag, trunks with the tag and priority of the wire.
fn in_to_access_and_trunk(weft: &Watched) {
    let last_a = datagram(REMOTE, A, &tags(&[10]), LAST_PORT);
    let last_t = datagram(REMOTE, T, &tags(&[20]), LAST_PORT);
    let (at_a, at_t) =
        (Take::start(weft, "a", "eth0", &last_a), Take::start(weft, "t", "eth0", &last_t));
    let wire = Injector::open(ns(weft, "wire"), "eth1").expect("an injector");
    for frame in [
        datagram(REMOTE, A, &tags(&[pcp(5, 10)]), 4031),
        with_dscp(datagram(REMOTE, A, &tags(&[10]), 4032), EF),
        datagram(REMOTE, A, &tags(&[10, pcp(3, 77)]), 4033),
        last_a,
        datagram(REMOTE, T, &tags(&[pcp(5, 20)]), 4041),
        datagram(REMOTE, T, &[], 4042),
        datagram(REMOTE, T, &tags(&[pcp(4, 0)]), 4043),
        datagram(REMOTE, T, &tags(&[pcp(4, 30)]), 4044),
        datagram(REMOTE, T, &tags(&[pcp(5, 20), pcp(3, 77)]), 4045),
        last_t,
    ] {
        wire.send(&frame).expect("the wire sends");
    }
    let expected = [seen(4031, "", "", 0), seen(4032, "", "", EF), seen(4033, "77", "3", 0)];
    assert_eq!(decode(&at_a.end(), REMOTE), expected);
    let expected = [
        seen(4041, "20", "5", 0),
        seen(4042, "", "", 0),
        seen(4043, "", "", 0),
        seen(4044, "", "", 0),
        seen(4045, "20,77", "5,3", 0),
    ];
    assert_eq!(decode(&at_t.end(), REMOTE), expected);
}
