//! What a port-profile adds to the table or takes from it: access lists, MTU, allowed sources,
//! unknown unicast, promiscuous ports. One uplink, which has no native VLAN.
//!
//! | place | VLAN | what is special |
//! |---|---|---|
//! | `x` | 10 | MTU 9000 |
//! | `small` | 10 | MTU 1400 |
//! | `acl-in`, `acl-out` | 10 | access lists for what the VM sends, and for what it gets |
//! | `list` | 10 | may also send from [`LISTED`] |
//! | `guard` | 10 | BPDU guard |
//! | `y` | 20 | nothing |
//! | `prom` | 20 | promiscuous |
//! | `open` | 20 | may send from any address, gets unknown unicast |
//! | `eth1` | trunk 10, 20 | cable of MTU 9000, port of MTU 1500 |

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use proto::{EtherType, IpProto, MacAddr};
use tests::frames::{EXPERIMENTAL, Frame, control};

use crate::main_lab::{ALL, GROUP, REMOTE, UNKNOWN};
use crate::rig::{Case, Fence, Rig, fresh, plain, pop, push};

const X: MacAddr = MacAddr::new([2, 0, 0, 0, 2, 1]);
const SMALL: MacAddr = MacAddr::new([2, 0, 0, 0, 2, 2]);
const ACL_IN: MacAddr = MacAddr::new([2, 0, 0, 0, 2, 3]);
const ACL_OUT: MacAddr = MacAddr::new([2, 0, 0, 0, 2, 4]);
const LIST: MacAddr = MacAddr::new([2, 0, 0, 0, 2, 5]);
/// Address of the VM behind BPDU guard.
pub(crate) const GUARD: MacAddr = MacAddr::new([2, 0, 0, 0, 2, 6]);
const Y: MacAddr = MacAddr::new([2, 0, 0, 0, 2, 0x11]);
const PROM: MacAddr = MacAddr::new([2, 0, 0, 0, 2, 0x12]);
const OPEN: MacAddr = MacAddr::new([2, 0, 0, 0, 2, 0x13]);

/// A second address that `list` may send from.
const LISTED: MacAddr = MacAddr::new([2, 0, 0, 0, 3, 1]);
/// An address that only `open` may send from.
const ANY: MacAddr = MacAddr::new([2, 0, 0, 0, 3, 2]);

/// IEEE 802 local experimental EtherType 2.
const EXPERIMENTAL_2: EtherType = EtherType::new(0x88b6);

/// Flags of a TCP header (RFC 9293 section 3.1).
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

const TOPOLOGY: &str = "
name: policy
mgmt: { ipv4-subnet: 192.168.96.0/24 }
topology:
  nodes:
    vsm: { kind: supervisor }
    h1: { kind: host }
    wire: { kind: pc, nics: [ { name: eth1 } ] }
    x: { kind: vm, host: h1,
         nics: [ { name: eth0, profile: JUMBO, mac: '02:00:00:00:02:01' } ] }
    small: { kind: vm, host: h1,
         nics: [ { name: eth0, profile: SMALL, mac: '02:00:00:00:02:02' } ] }
    acl-in: { kind: vm, host: h1,
         nics: [ { name: eth0, profile: ACL-IN, mac: '02:00:00:00:02:03' } ] }
    acl-out: { kind: vm, host: h1,
         nics: [ { name: eth0, profile: ACL-OUT, mac: '02:00:00:00:02:04' } ] }
    list: { kind: vm, host: h1,
         nics: [ { name: eth0, profile: LIST, mac: '02:00:00:00:02:05' } ] }
    guard: { kind: vm, host: h1,
         nics: [ { name: eth0, profile: GUARD, mac: '02:00:00:00:02:06' } ] }
    y: { kind: vm, host: h1,
         nics: [ { name: eth0, profile: LAN-20, mac: '02:00:00:00:02:11' } ] }
    prom: { kind: vm, host: h1,
         nics: [ { name: eth0, profile: PROM, mac: '02:00:00:00:02:12' } ] }
    open: { kind: vm, host: h1,
         nics: [ { name: eth0, profile: OPEN, mac: '02:00:00:00:02:13' } ] }
  links:
    - endpoints: [ 'h1:eth1', 'wire:eth1' ]
      mtu: 9000
";

const CONFIG: &str = "
vlan 10,20
ip access-list NO-PING
  10 deny icmp any any
  20 permit ip any any
ipv6 access-list NO-DNS
  10 deny udp any any eq 53
  20 permit ipv6 any any
mac access-list NO-EXPERIMENT-2
  10 deny any any 0x88b6
  20 permit any any
ip access-list ANSWERS
  10 permit tcp any any established
  20 permit udp 10.0.0.0/24 any
port-profile type vethernet LAN-10
  switchport access vlan 10
  state enabled
port-profile type vethernet JUMBO
  inherit port-profile LAN-10
  mtu 9000
  state enabled
port-profile type vethernet SMALL
  inherit port-profile LAN-10
  mtu 1400
  state enabled
port-profile type vethernet ACL-IN
  inherit port-profile LAN-10
  ip port access-group NO-PING in
  ipv6 port traffic-filter NO-DNS in
  mac port access-group NO-EXPERIMENT-2 in
  state enabled
port-profile type vethernet ACL-OUT
  inherit port-profile LAN-10
  ip port access-group ANSWERS out
  ipv6 port traffic-filter NO-DNS out
  mac port access-group NO-EXPERIMENT-2 out
  state enabled
port-profile type vethernet LIST
  inherit port-profile LAN-10
  mac-address allow 0200.0000.0301
  state enabled
port-profile type vethernet GUARD
  inherit port-profile LAN-10
  spanning-tree bpduguard enable
  state enabled
port-profile type vethernet LAN-20
  switchport access vlan 20
  state enabled
port-profile type vethernet PROM
  inherit port-profile LAN-20
  switchport promiscuous
  state enabled
port-profile type vethernet OPEN
  inherit port-profile LAN-20
  mac-address allow any
  switchport uufb disable
  state enabled
port-profile type ethernet UPLINK
  switchport mode trunk
  switchport trunk allowed vlan 10,20
  state enabled
interface Ethernet3/1
  inherit port-profile UPLINK
";

/// Builds it.
pub(crate) fn start() -> Rig {
    let fence = |from, src, reaches: &[&'static str]| Fence {
        from,
        src,
        vid: None,
        reaches: reaches.to_vec(),
    };
    let fences = [
        fence("x", X, &["small", "acl-in", "acl-out", "list", "guard", "eth1"]),
        fence("small", SMALL, &["x", "acl-in", "acl-out", "list", "guard", "eth1"]),
        fence("y", Y, &["prom", "open", "eth1"]),
        fence("open", OPEN, &["y", "prom", "eth1"]),
    ];
    Rig::start(TOPOLOGY, CONFIG, &fences)
}

/// A frame whose payload, behind Ethernet header and tag, has this length.
fn sized(src: MacAddr, dst: MacAddr, payload_bytes: usize) -> Vec<u8> {
    let mut payload = fresh().to_be_bytes().to_vec();
    payload.resize(payload_bytes, 0x5a);
    Frame::new(src, dst).payload(EXPERIMENTAL, &payload)
}

fn v4(last: u8, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, last), port)
}

fn v6(last: u16, port: u16) -> SocketAddrV6 {
    SocketAddrV6::new(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last), port, 0, 0)
}

/// Lists of both directions and all three kinds.
pub(crate) fn access_lists() -> Vec<Case> {
    let mut cases = ingress_lists();
    cases.extend(egress_lists());
    cases
}

fn ingress_lists() -> Vec<Case> {
    let reason = "acl-ingress";
    let to_x = || Frame::new(ACL_IN, X);
    let (one, two) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
    let udp = to_x().udp4(v4(1, 9), v4(2, 9), b"permitted");
    let dns_4 = to_x().udp4(v4(1, 9), v4(2, 53), b"another list's rule");
    let udp_6 = to_x().udp6(v6(1, 9), v6(2, 54), b"permitted");
    // Version 6 where the EtherType says 4, and a total length that is below that of the header.
    let other_version = to_x().payload(EtherType::IPV4, &[0x65; 40]);
    let too_short = to_x().payload(EtherType::IPV4, &[0x45, 0, 0, 19]);
    let echo_to_wire = Frame::new(ACL_IN, UNKNOWN).echo4(one, two, 1, 1);
    let echo_to_all = Frame::new(ACL_IN, ALL).echo4(one, two, 1, 1);
    vec![
        Case::dropped("ACL in: ICMP", "acl-in", to_x().echo4(one, two, 1, 1), reason),
        Case::dropped("ACL in: ICMP to the wire", "acl-in", echo_to_wire, reason),
        Case::dropped("ACL in: ICMP to all", "acl-in", echo_to_all, reason),
        Case::forwarded("ACL in: UDP", "acl-in", udp.clone()).out("x", udp),
        Case::forwarded("ACL in: UDP 53", "acl-in", dns_4.clone()).out("x", dns_4),
        Case::forwarded("ACL in: UDP over IPv6", "acl-in", udp_6.clone()).out("x", udp_6),
        Case::dropped(
            "ACL in: UDP 53 over IPv6",
            "acl-in",
            to_x().udp6(v6(1, 9), v6(2, 53), b"denied"),
            reason,
        ),
        Case::dropped("ACL in: an IP header of another version", "acl-in", other_version, reason),
        Case::dropped("ACL in: an IP header that ends too early", "acl-in", too_short, reason),
        Case::dropped("ACL in: EtherType", "acl-in", to_x().payload(EXPERIMENTAL_2, b"x"), reason),
        Case::dropped(
            "ACL in: EtherType behind a priority tag",
            "acl-in",
            push(&to_x().payload(EXPERIMENTAL_2, b"x"), 0),
            reason,
        ),
    ]
}

fn egress_lists() -> Vec<Case> {
    let reason = "acl-egress";
    let to_vm = |src| Frame::new(src, ACL_OUT);
    let denied =
        |name, from, frame| Case::dropped(name, from, frame, reason).refused("acl-out", reason);
    let ack = to_vm(X).tcp4(v4(1, 80), v4(2, 99), ACK, b"");
    let wire_ack = push(&to_vm(REMOTE).tcp4(v4(1, 80), v4(2, 99), ACK, b""), 10);
    let wire_syn = push(&to_vm(REMOTE).tcp4(v4(1, 80), v4(2, 99), SYN, b""), 10);
    let udp = to_vm(X).udp4(v4(1, 9), v4(2, 9), b"permitted");
    let source = SocketAddrV4::new(Ipv4Addr::new(10, 0, 1, 1), 9);
    let experiment = || Frame::new(X, ALL).payload(EXPERIMENTAL_2, &fresh().to_be_bytes());
    let to_all = experiment();
    let gre = to_vm(X).ipv4(IpProto::new(47), *v4(1, 0).ip(), *v4(2, 0).ip(), &[0; 8]);
    vec![
        denied("ACL out: SYN", "x", to_vm(X).tcp4(v4(1, 80), v4(2, 99), SYN, b"")),
        Case::forwarded("ACL out: ACK", "x", ack.clone()).out("acl-out", ack),
        Case::forwarded("ACL out: ACK from the wire", "eth1", wire_ack.clone())
            .out("acl-out", pop(&wire_ack)),
        denied("ACL out: SYN from the wire", "eth1", wire_syn),
        Case::forwarded("ACL out: UDP of the prefix", "x", udp.clone()).out("acl-out", udp),
        denied("ACL out: UDP of another", "x", to_vm(X).udp4(source, v4(2, 9), b"denied")),
        denied("ACL out: implicit deny", "x", gre),
        denied("ACL out: UDP 53 over IPv6", "x", to_vm(X).udp6(v6(1, 9), v6(2, 53), b"denied")),
        Case::forwarded("ACL out: only that copy of a broadcast", "x", to_all.clone())
            .out_all(&["small", "acl-in", "list", "guard"], &to_all)
            .out("eth1", push(&to_all, 10))
            .refused("acl-out", reason),
    ]
}

/// The largest frame that fits each port, and one byte more.
pub(crate) fn mtu() -> Vec<Case> {
    let reason = "mtu-exceeded";
    let (fits, too_big) = (sized(X, SMALL, 1400), sized(X, SMALL, 1401));
    let (wire_fits, wire_too_big) = (sized(X, UNKNOWN, 1500), sized(X, UNKNOWN, 1501));
    let (from_wire, jumbo) = (sized(REMOTE, SMALL, 1400), sized(REMOTE, X, 8996));
    let to_all = sized(X, ALL, 1450);
    vec![
        Case::forwarded("MTU of a VM", "x", fits.clone()).out("small", fits),
        Case::dropped("MTU of a VM exceeded", "x", too_big, reason).refused("small", reason),
        Case::forwarded("MTU of the uplink", "x", wire_fits.clone())
            .out("eth1", push(&wire_fits, 10)),
        Case::dropped("MTU of the uplink exceeded", "x", wire_too_big, reason)
            .refused("eth1", reason),
        Case::dropped("MTU of the uplink exceeded by far", "x", sized(X, UNKNOWN, 9000), reason)
            .refused("eth1", reason),
        Case::forwarded("MTU of a VM, from the wire", "eth1", push(&from_wire, 10))
            .out("small", from_wire),
        Case::dropped(
            "MTU of a VM exceeded from the wire",
            "eth1",
            push(&sized(REMOTE, SMALL, 1401), 10),
            reason,
        )
        .refused("small", reason),
        Case::forwarded("a jumbo frame from the wire", "eth1", push(&jumbo, 10)).out("x", jumbo),
        Case::forwarded("MTU of one VM exceeded by a broadcast", "x", to_all.clone())
            .out_all(&["acl-in", "acl-out", "list", "guard"], &to_all)
            .out("eth1", push(&to_all, 10))
            .refused("small", reason),
    ]
}

/// F1 as profiles relax it. The table has the addresses of a list, and learns none from traffic.
pub(crate) fn relaxed_sources() -> Vec<Case> {
    let (own, listed, any) = (plain(LIST, X), plain(LISTED, X), plain(ANY, Y));
    let (to_listed, to_any) = (plain(X, LISTED), plain(Y, ANY));
    let back = push(&plain(LISTED, X), 10);
    vec![
        Case::forwarded("F1 its own address beside a list", "list", own.clone()).out("x", own),
        Case::forwarded("F1 an allowed address", "list", listed.clone()).out("x", listed),
        Case::dropped("F1 one that is not", "list", plain(ANY, X), "source-mac-violation"),
        Case::forwarded("F4 to an allowed address", "x", to_listed.clone()).out("list", to_listed),
        Case::dropped("R4 an allowed address", "eth1", back, "own-source-from-uplink"),
        Case::forwarded("F1 any address", "open", any.clone()).out_all(&["y", "prom"], &any),
        Case::dropped("F1 any, but no group", "open", plain(GROUP, Y), "source-mac-invalid"),
        Case::forwarded("F5 an address that was only seen", "y", to_any.clone())
            .out_all(&["prom", "open"], &to_any)
            .out("eth1", push(&to_any, 20)),
    ]
}

/// F4, F5, R5 and R7 with ports that want more than their own.
pub(crate) fn promiscuous() -> Vec<Case> {
    let (to_open, to_y, unknown) = (plain(Y, OPEN), plain(PROM, Y), plain(Y, UNKNOWN));
    let (wire_known, wire_unknown) = (plain(REMOTE, Y), plain(REMOTE, UNKNOWN));
    let not_here = push(&plain(REMOTE, UNKNOWN), 10);
    vec![
        Case::forwarded("F4 and the promiscuous port", "y", to_open.clone())
            .out_all(&["open", "prom"], &to_open),
        Case::forwarded("F4 from the promiscuous port", "prom", to_y.clone()).out("y", to_y),
        Case::forwarded("F5 and the ports that want it", "y", unknown.clone())
            .out_all(&["open", "prom"], &unknown)
            .out("eth1", push(&unknown, 20)),
        Case::forwarded("R5 and the promiscuous port", "eth1", push(&wire_known, 20))
            .out_all(&["y", "prom"], &wire_known),
        Case::forwarded("R7 the ports that want it", "eth1", push(&wire_unknown, 20))
            .out_all(&["open", "prom"], &wire_unknown),
        Case::dropped(
            "R7 but not in another VLAN",
            "eth1",
            not_here,
            "unknown-unicast-from-uplink",
        ),
    ]
}

/// R3 on a trunk whose native VLAN is not among the allowed ones: only tagged frames come in.
pub(crate) fn uplink_without_native_vlan() -> Vec<Case> {
    let reason = "vlan-not-allowed";
    let broadcast = plain(REMOTE, ALL);
    vec![
        Case::dropped("R3 untagged", "eth1", plain(REMOTE, X), reason),
        Case::dropped("R3 untagged broadcast", "eth1", broadcast.clone(), reason),
        Case::dropped("R3 priority tag", "eth1", push(&plain(REMOTE, X), 0xa000), reason),
        Case::consumed("R1 LLDP has no VLAN", "eth1", control::lldp(REMOTE)),
        Case::forwarded("R8 tagged", "eth1", push(&broadcast, 20))
            .out_all(&["y", "prom", "open"], &broadcast),
    ]
}
