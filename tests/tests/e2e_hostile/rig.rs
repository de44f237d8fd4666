//! One host whose every port kind can be attacked, and witnesses who must not notice.
//!
//! | place | port | VLAN | what is special |
//! |---|---|---|---|
//! | `a` | TAP | 10 | |
//! | `b` | TAP | 10 | access lists of all three families, both ways |
//! | `x` | AF_XDP on a veth | 10 | the same access lists |
//! | `d` | TAP | 20 | the witness in another VLAN |
//! | `wire` | the far end of uplink `eth1` | trunk 10, 20 | |
//!
//! All have an MTU of 9000, and nobody an IP address while an attack lasts: so no kernel answers, and
//! every frame that a port receives is one that the test has sent.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use proto::{EtherType, MacAddr};
use tests::checks::{PortCounts, Watched};
use tests::frames::{Frame, Header, Tag};
use tests::inject::Injector;
use tests::lab::Lab;
use tests::link;
use tests::netns::Namespace;
use tests::sniff::Sniffer;
use tests::topology::Topology;
use tests::traffic::wait_ping;
use tests::wait::{SOON, wait_for_ok};

/// The one host.
pub(crate) const HOST: &str = "h1";

/// Addresses of the VMs.
pub(crate) const A: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xa]);
pub(crate) const B: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xb]);
pub(crate) const X: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xc]);
pub(crate) const D: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xd]);
/// A station on the wire.
pub(crate) const REMOTE: MacAddr = MacAddr::new([2, 0, 0, 0, 1, 1]);

/// MTU of everything.
const MTU_BYTES: u16 = 9000;

/// Frames that are on their way at once: a veth's ring has room for 256.
const BATCH: usize = 128;

/// Chunks by which the free ones of a quiet dataplane may differ: an AF_XDP port refills its fill
/// ring when this many are missing, and there are two such ports.
const FREE_CHUNKS_TOLERANCE: u64 = 2 * 32;

const TOPOLOGY: &str = "
name: hostile
mgmt: { ipv4-subnet: 192.168.89.0/24 }
topology:
  nodes:
    vsm: { kind: supervisor }
    h1: { kind: host }
    wire: { kind: pc, nics: [ { name: eth1, mtu: 9000, mac: '02:00:00:00:01:01' } ] }
    a: { kind: vm, host: h1,
         nics: [ { name: eth0, profile: LAN-10, mac: '02:00:00:00:00:0a' } ] }
    b: { kind: vm, host: h1,
         nics: [ { name: eth0, profile: GUARDED, mac: '02:00:00:00:00:0b' } ] }
    d: { kind: vm, host: h1,
         nics: [ { name: eth0, profile: LAN-20, mac: '02:00:00:00:00:0d' } ] }
  links:
    - { endpoints: [ 'h1:eth1', 'wire:eth1' ], mtu: 9000 }
";

/// The configuration.
pub(crate) const CONFIG: &str = "
vlan 10,20
ip access-list SOME-IPV4
  10 deny tcp any any established
  20 deny udp any any eq 53
  30 deny igmp any any
  40 permit icmp any any
  50 permit ip 10.0.0.0/24 any
ipv6 access-list SOME-IPV6
  10 deny udp any any eq 53
  20 permit ipv6 any any
mac access-list NO-EXPERIMENT-2
  10 deny any any 0x88b6
  20 permit any any
port-profile type vethernet LAN-10
  switchport access vlan 10
  mtu 9000
  state enabled
port-profile type vethernet GUARDED
  inherit port-profile LAN-10
  ip port access-group SOME-IPV4 in
  ip port access-group SOME-IPV4 out
  ipv6 port traffic-filter SOME-IPV6 in
  ipv6 port traffic-filter SOME-IPV6 out
  mac port access-group NO-EXPERIMENT-2 in
  mac port access-group NO-EXPERIMENT-2 out
  state enabled
port-profile type vethernet LAN-20
  switchport access vlan 20
  mtu 9000
  state enabled
port-profile type ethernet UPLINK
  switchport mode trunk
  switchport trunk allowed vlan 10,20
  mtu 9000
  state enabled
interface Ethernet3/1
  inherit port-profile UPLINK
";

/// The product in that network.
#[derive(Debug)]
pub(crate) struct Rig {
    // Field order is drop order: the logs are printed while everything still stands.
    pub(crate) weft: Watched,
    x: Namespace,
    pid: u32,
}

impl Rig {
    /// Builds it; all ports are up.
    pub(crate) fn start() -> Self {
        let topology = Topology::parse(TOPOLOGY).expect("a good topology");
        let weft = Watched::start(Lab::build(topology).expect("a lab")).expect("the product runs");
        let x = Namespace::create("x").expect("a namespace");
        let mut rig = Self { weft, x, pid: 0 };
        rig.weft.apply_text(CONFIG).expect("the configuration is applied");
        for vm in ["a", "b", "d"] {
            rig.weft.attach(vm).expect("the VM is attached");
        }
        rig.attach_x();
        for vm in ["a", "b", "d", "x"] {
            rig.weft.wait_port_up(HOST, vm).expect("its port comes up");
        }
        rig.pid = rig.weft.dataplane(HOST).expect("a dataplane").pid();
        rig
    }

    /// A veth pair, one end in the VM and the other one a port of the host.
    fn attach_x(&self) {
        let host = self.weft.lab().ns(HOST).expect("the host");
        link::cable((host, "x0"), (&self.x, "eth0"), MTU_BYTES).expect("a veth pair");
        link::set_mac(&self.x, "eth0", X).expect("its address");
        let mac = X.to_string();
        let of_vm = ["--vm", "x", "--adapter", "eth0", "--profile", "GUARDED", "--mac", &mac];
        let device = ["--kind", "afxdp", "--ifname", "x0"];
        let attached = self.weft.try_local(HOST, "attach", &[&of_vm[..], &device].concat());
        let attached = attached.expect("attach");
        assert!(attached.status.success(), "{attached:?}");
    }

    /// Namespace of a place.
    pub(crate) fn ns(&self, place: &str) -> &Namespace {
        if place == "x" { &self.x } else { self.weft.lab().ns(place).expect("a node") }
    }

    /// Watches what a VM gets.
    pub(crate) fn sniffer(&self, vm: &str) -> Sniffer {
        Sniffer::start(self.ns(vm), "eth0").expect("a sniffer")
    }

    /// Counters of one port.
    fn counts(&self, port: &str) -> PortCounts {
        self.weft.counts(HOST).expect("counters").0[port].clone()
    }

    /// Chunks of packet memory that nobody holds.
    pub(crate) fn free_chunks(&self) -> u64 {
        let status = self.weft.status(HOST).expect("the dataplane answers");
        status["memory"]["chunks_free"].as_u64().expect("a number of chunks")
    }

    /// Sends frames into a port, no faster than it takes them, and gives how its counters moved:
    /// one for each frame that the kernel sent.
    pub(crate) fn attack(&self, place: &str, interface: &str, frames: &[Vec<u8>]) -> PortCounts {
        let port = if place == "wire" { interface } else { place };
        let before = self.weft.wait_conserved(HOST).expect("frames are conserved").0[port].clone();
        let injector = Injector::open(self.ns(place), interface).expect("an injector");
        let (mut sent, mut refused) = (0, 0);
        for batch in frames.chunks(BATCH) {
            let injected = injector.send_all(batch).expect("the interface is up");
            sent += injected.sent;
            refused += injected.refused;
            self.wait_received(port, &before, sent);
        }
        assert_eq!(sent + refused, frames.len() as u64);
        assert!(refused < sent / 10, "the kernel refused {refused}, which proves nothing");
        self.weft.wait_conserved(HOST).expect("frames are conserved");
        let moved = &self.counts(port) - &before;
        assert_eq!(moved.rx, sent, "{port} received frames that nobody has sent:{moved}");
        moved
    }

    fn wait_received(&self, port: &str, before: &PortCounts, sent: u64) {
        wait_for_ok(format!("{port} to account for {sent} frames"), SOON, || {
            let moved = &self.counts(port) - before;
            if moved.rx >= sent { Ok(()) } else { Err(moved.to_string()) }
        })
        .expect("every frame is counted");
    }

    /// Everything that a VM got before a broadcast that comes now by the wire.
    pub(crate) fn came(&self, sniffer: &Sniffer, vid: u16) -> BTreeSet<Vec<u8>> {
        let tag = Tag { tpid: EtherType::VLAN, tci: vid };
        let last = u64::from(vid) << 48 | 0xfe;
        let fence = Frame::new(REMOTE, MacAddr::BROADCAST).tag(tag).marker(last);
        let injector = Injector::open(self.ns("wire"), "eth1").expect("an injector");
        injector.send(&fence).expect("the fence is sent");
        let came = sniffer.before_marker(last, SOON).expect("the fence comes");
        came.into_iter().map(|frame| frame.bytes).collect()
    }

    /// A VM in VLAN 10 answers a question of the wire.
    fn assert_answers_wire(&self, vm: &str, mac: MacAddr, address: Ipv4Addr) {
        let tag = Tag { tpid: EtherType::VLAN, tci: 10 };
        let asker = (REMOTE, Ipv4Addr::new(10, 0, 0, 9));
        let question = Frame::new(REMOTE, MacAddr::BROADCAST).tag(tag);
        let question = question.arp(1, asker, (MacAddr::ZERO, address));
        let sniffer = Sniffer::start(self.ns("wire"), "eth1").expect("a sniffer");
        let injector = Injector::open(self.ns("wire"), "eth1").expect("an injector");
        injector.send(&question).expect("the question is sent");
        let is_answer = |frame: &[u8]| {
            Header::read(frame).is_some_and(|header| {
                (header.src, header.dst, header.vid()) == (mac, REMOTE, Some(10))
                    && header.ethertype == EtherType::ARP
            })
        };
        let answers = sniffer.wait_count(1, SOON, is_answer);
        answers.unwrap_or_else(|error| panic!("{vm} does not answer the wire: {error}"));
    }

    /// Gives the VMs of VLAN 10 addresses: they reach each other, and the wire reaches them.
    pub(crate) fn assert_reachable(&self) {
        for (place, address) in [("a", 1), ("b", 2), ("x", 3)] {
            let address = format!("10.0.0.{address}/24");
            link::add_address(self.ns(place), "eth0", &address).expect("an address");
        }
        for (from, to) in [("a", 2), ("a", 3), ("b", 3), ("x", 1)] {
            wait_ping(self.ns(from), Ipv4Addr::new(10, 0, 0, to).into()).expect("an answer");
        }
        for (vm, mac, address) in [("a", A, 1), ("b", B, 2), ("x", X, 3)] {
            self.assert_answers_wire(vm, mac, Ipv4Addr::new(10, 0, 0, address));
        }
    }

    /// The daemon is the same one and has not panicked, no chunk is lost, and the VMs reach each
    /// other and the wire. Ends with a daemon that ends cleanly: then it counts its chunks itself.
    pub(crate) fn assert_unharmed(&mut self, free_chunks: u64) {
        wait_for_ok(format!("{free_chunks} free chunks"), SOON, || match self.free_chunks() {
            now if now.abs_diff(free_chunks) < FREE_CHUNKS_TOLERANCE => Ok(()),
            now => Err(format!("{now}")),
        })
        .expect("no chunk is lost");
        self.weft.check_running().expect("all daemons run");
        self.assert_reachable();
        self.weft.wait_conserved(HOST).expect("frames are conserved");
        let daemon = self.weft.dataplane(HOST).expect("a dataplane");
        assert_eq!(daemon.pid(), self.pid);
        let ended = daemon.terminate().expect("it ends");
        let log = daemon.log();
        assert_eq!(ended.code(), Some(0), "{log}");
        assert!(!log.contains("panicked"), "{log}");
    }
}
