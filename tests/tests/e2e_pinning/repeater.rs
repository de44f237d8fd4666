//! Pinning with the worst upstream that there is: both uplinks of two hosts on one dumb repeater,
//! which gives every host back what it has sent, and everything else twice.
//!
//! Frames of every kind are sent in rounds, by every station to every other; [`Network::pass`] says
//! what must become of each copy. Then all counters of both hosts must have moved like this, and
//! the captures in the VMs and on the repeater have these frames and no others.

use std::collections::BTreeMap;

use proto::{MacAddr, VlanId};
use serde_json::Value;
use tests::checks::{Counts, PortCounts, Watched};
use tests::daemons::rows;
use tests::frames::{Frame, marker_of};
use tests::hub::Hub;
use tests::inject::Injector;
use tests::lab::Lab;
use tests::link;
use tests::sniff::Sniffer;
use tests::topology::Topology;
use tests::wait::{SOON, wait_for_ok, wait_until};

use crate::rig::{ALL, REMOTE, fresh};

const TOPOLOGY: &str = "
name: repeater
mgmt: { ipv4-subnet: 192.168.95.0/24 }
topology:
  nodes:
    vsm: { kind: supervisor }
    h1: { kind: host }
    h2: { kind: host }
    hub: { kind: pc, nics: [ { name: h1-1 }, { name: h1-2 }, { name: h2-1 }, { name: h2-2 } ] }
    a: { kind: vm, host: h1, nics: [ { name: eth0, profile: LAN-10, mac: '02:00:00:00:00:0a' } ] }
    b: { kind: vm, host: h1, nics: [ { name: eth0, profile: LAN-10, mac: '02:00:00:00:00:0b' } ] }
    c: { kind: vm, host: h2, nics: [ { name: eth0, profile: LAN-10, mac: '02:00:00:00:00:0c' } ] }
    d: { kind: vm, host: h2, nics: [ { name: eth0, profile: LAN-10, mac: '02:00:00:00:00:0d' } ] }
    e: { kind: vm, host: h1, nics: [ { name: eth0, profile: LAN-20, mac: '02:00:00:00:00:0e' } ] }
    f: { kind: vm, host: h2, nics: [ { name: eth0, profile: LAN-20, mac: '02:00:00:00:00:0f' } ] }
  links:
    - endpoints: [ 'h1:eth1', 'hub:h1-1' ]
    - endpoints: [ 'h1:eth2', 'hub:h1-2' ]
    - endpoints: [ 'h2:eth1', 'hub:h2-1' ]
    - endpoints: [ 'h2:eth2', 'hub:h2-2' ]
";

const CONFIG: &str = "
vlan 10,20
port-profile type vethernet LAN-10
  switchport access vlan 10
  state enabled
port-profile type vethernet LAN-20
  switchport access vlan 20
  state enabled
port-profile type ethernet UPLINK
  switchport mode trunk
  switchport trunk allowed vlan 10,20
  channel-group auto mode on mac-pinning
  link-up delay 1
  state enabled
interface Ethernet3/1-2
  inherit port-profile UPLINK
interface Ethernet4/1-2
  inherit port-profile UPLINK
";

const HOSTS: [&str; 2] = ["h1", "h2"];
const VLANS: [u16; 2] = [10, 20];
const MTU: u16 = 1500;

/// A port of the repeater for each uplink, and one for a station that is no VM.
const PORTS: [&str; 5] = ["h1-1", "h1-2", "h2-1", "h2-2", "station"];

const GROUP: MacAddr = MacAddr::new([1, 0, 0x5e, 1, 2, 3]);
const NOBODY: MacAddr = MacAddr::new([2, 0, 0, 0, 1, 2]);

/// More than all rounds together: only a loop blows it.
const FUSE: u64 = 200_000;

/// Rounds after which the counters are looked at: few enough that no queue overflows.
const ROUNDS_AT_ONCE: usize = 3;

/// Frames of each kind while all links are up, and while one is down.
const ROUNDS: usize = 201;
const ROUNDS_DEGRADED: usize = 102;

/// A VM, and where it is.
#[derive(Debug)]
struct Vm {
    name: &'static str,
    host: &'static str,
    vlan: u16,
    mac: MacAddr,
    /// NIC that it sends by.
    nic: u8,
    sniffer: Sniffer,
    injector: Injector,
}

/// Who sends: a VM, by its index, or the station on the repeater, in a VLAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    Vm(usize),
    Station(u16),
}

/// A frame on its way.
#[derive(Debug, Clone, Copy)]
struct Sent {
    src: MacAddr,
    dst: MacAddr,
    vlan: u16,
    id: u64,
}

/// What must have happened.
#[derive(Debug, Default)]
struct Ledger {
    /// By host.
    counts: BTreeMap<&'static str, Counts>,
    /// By port of the repeater or VM: the numbers of the frames.
    out: BTreeMap<String, Vec<u64>>,
}

impl Ledger {
    fn port(&mut self, host: &'static str, port: &str) -> &mut PortCounts {
        self.counts.entry(host).or_default().port(port)
    }

    fn come_out(&mut self, place: &str, id: u64) {
        self.out.entry(place.to_owned()).or_default().push(id);
    }
}

struct Network {
    // Field order is drop order.
    weft: Watched,
    hub: Hub,
    /// By port: what comes in from there.
    taps: BTreeMap<&'static str, Sniffer>,
    station: Injector,
    station_hears: Sniffer,
    vms: Vec<Vm>,
    /// D(v), by host and VLAN: a NIC.
    designated: BTreeMap<(&'static str, u16), u8>,
    /// The uplink that has no link.
    dark: Option<(&'static str, u8)>,
}

impl Network {
    fn start() -> Self {
        let topology = Topology::parse(TOPOLOGY).expect("a good topology");
        let weft = Watched::start(Lab::build(topology).expect("a lab")).expect("the product runs");
        let wires = weft.lab().ns("hub").expect("the repeater");
        link::cable((wires, "station"), (wires, "eth0"), MTU).expect("a cable");
        let hub = Hub::start(wires, &PORTS, FUSE).expect("a repeater");
        let taps = PORTS
            .into_iter()
            .map(|port| (port, Sniffer::start(wires, port).expect("a sniffer")))
            .collect();
        let station = Injector::open(wires, "eth0").expect("an injector");
        let station_hears = Sniffer::start(wires, "eth0").expect("a sniffer");
        weft.apply_text(CONFIG).expect("the configuration is applied");
        let mut network = Self {
            weft,
            hub,
            taps,
            station,
            station_hears,
            vms: Vec::new(),
            designated: BTreeMap::new(),
            dark: None,
        };
        network.wait_uplinks(4);
        for (name, host, vlan) in [
            ("a", "h1", 10),
            ("b", "h1", 10),
            ("c", "h2", 10),
            ("d", "h2", 10),
            ("e", "h1", 20),
            ("f", "h2", 20),
        ] {
            network.plug_in(name, host, vlan);
        }
        network
    }

    fn plug_in(&mut self, name: &'static str, host: &'static str, vlan: u16) {
        let attached = self.weft.attach(name).expect("the VM is plugged in");
        self.weft.wait_port_up(host, name).expect("its port comes up");
        let namespace = self.weft.lab().ns(name).expect("the VM");
        let sniffer = Sniffer::start(namespace, "eth0").expect("a sniffer");
        let injector = Injector::open(namespace, "eth0").expect("an injector");
        let mac = attached[0].mac;
        self.vms.push(Vm { name, host, vlan, mac, nic: 0, sniffer, injector });
    }

    fn ports(&self, host: &str) -> Vec<Value> {
        let status = self.weft.status(host).expect("the dataplane answers");
        rows(&status["ports"]).cloned().collect()
    }

    /// Waits until so many uplinks of both hosts have a link.
    fn wait_uplinks(&self, count: usize) {
        wait_for_ok(format!("{count} uplinks"), SOON, || {
            let all = HOSTS.iter().flat_map(|host| self.ports(host));
            let up = all.filter(|port| port["vm"] == "" && port["link_up"] == true).count();
            if up == count { Ok(()) } else { Err(up) }
        })
        .expect("the uplinks");
    }

    fn counts(&self, host: &str) -> Counts {
        self.weft.counts(host).expect("the dataplane answers")
    }

    /// Waits until nothing moves any more, then finds out who sends and receives by which uplink.
    fn learn(&mut self) {
        let received = || self.hub.received();
        let (mut last, mut since) = (received(), std::time::Instant::now());
        wait_until("silence on the repeater", SOON, || {
            if received() != last {
                (last, since) = (received(), std::time::Instant::now());
            }
            since.elapsed() >= std::time::Duration::from_millis(700)
        })
        .expect("it becomes silent");
        for host in HOSTS {
            let ports = self.ports(host);
            for vm in self.vms.iter_mut().filter(|vm| vm.host == host) {
                let port = ports.iter().find(|port| port["vm"] == vm.name);
                let pin = port.and_then(|port| port["pinned_to"].as_str()?.split_once('/'));
                vm.nic = pin.and_then(|(_, nic)| nic.parse().ok()).expect("an uplink");
            }
        }
        for vlan in VLANS {
            let before = HOSTS.map(|host| self.counts(host));
            self.send(Sender::Station(vlan), ALL, fresh());
            for (host, before) in HOSTS.into_iter().zip(before) {
                let nic = wait_for_ok(format!("D({vlan}) of {host}"), SOON, || {
                    let mut now = self.counts(host).since(&before);
                    let took: Vec<u8> =
                        (1..=2).filter(|nic| now.port(&uplink(*nic)).forwarded == 1).collect();
                    if let [nic] = took[..] { Ok(nic) } else { Err(format!("{took:?}")) }
                });
                self.designated.insert((host, vlan), nic.expect("one uplink receives"));
            }
        }
    }

    fn send(&self, from: Sender, dst: MacAddr, id: u64) {
        let sent = match from {
            Sender::Vm(index) => {
                let vm = &self.vms[index];
                vm.injector.send(&Frame::new(vm.mac, dst).marker(id))
            }
            Sender::Station(vlan) => {
                let vlan = VlanId::new(vlan).expect("a VLAN");
                self.station.send(&Frame::new(REMOTE, dst).vlan(vlan).marker(id))
            }
        };
        sent.expect("the sender sends");
    }

    /// Every sender with every kind of destination: broadcast, multicast, each VM of its VLAN, the
    /// station, and nobody.
    fn kinds(&self) -> Vec<(Sender, MacAddr)> {
        let vms = (0..self.vms.len()).map(Sender::Vm);
        let senders = vms.chain(VLANS.into_iter().map(Sender::Station));
        let of_sender = |from: Sender| {
            let (own, vlan) = self.identity(from);
            let others = self.vms.iter().filter(move |vm| vm.vlan == vlan).map(|vm| vm.mac);
            let destinations = others.chain([REMOTE]).filter(move |mac| *mac != own);
            destinations.chain([ALL, GROUP, NOBODY]).map(move |dst| (from, dst))
        };
        senders.flat_map(of_sender).collect()
    }

    fn identity(&self, sender: Sender) -> (MacAddr, u16) {
        match sender {
            Sender::Vm(index) => (self.vms[index].mac, self.vms[index].vlan),
            Sender::Station(vlan) => (REMOTE, vlan),
        }
    }

    /// What must become of a frame: how it is counted, and where it must come out.
    fn pass(&self, from: Sender, dst: MacAddr, id: u64, ledger: &mut Ledger) {
        let (src, vlan) = self.identity(from);
        let sent = Sent { src, dst, vlan, id };
        let sender_port = match from {
            Sender::Station(_) => "station".to_owned(),
            Sender::Vm(index) => {
                let vm = &self.vms[index];
                let port = ledger.port(vm.host, vm.name);
                port.rx += 1;
                port.forwarded += 1;
                self.deliver(vm.host, sent, ledger);
                if self.vms.iter().any(|other| other.mac == dst && other.host == vm.host) {
                    return;
                }
                ledger.port(vm.host, &uplink(vm.nic)).tx += 1;
                format!("{}-{}", vm.host, vm.nic)
            }
        };
        ledger.come_out(&sender_port, id);
        let uplinks = HOSTS.into_iter().flat_map(|host| [(host, 1), (host, 2)]);
        for (host, nic) in uplinks.filter(|uplink| Some(*uplink) != self.dark) {
            if format!("{host}-{nic}") == sender_port {
                continue;
            }
            let port = ledger.port(host, &uplink(nic));
            port.rx += 1;
            match self.refusal(host, nic, sent) {
                Some(reason) => *port.drops.entry(reason.to_owned()).or_default() += 1,
                None => {
                    port.forwarded += 1;
                    self.deliver(host, sent, ledger);
                }
            }
        }
    }

    /// A copy to each VM of a host that the frame is for.
    fn deliver(&self, host: &'static str, sent: Sent, ledger: &mut Ledger) {
        let is_for = |vm: &&Vm| {
            let is_named = sent.dst.is_multicast() || vm.mac == sent.dst;
            vm.host == host && vm.vlan == sent.vlan && vm.mac != sent.src && is_named
        };
        for vm in self.vms.iter().filter(is_for) {
            ledger.port(host, vm.name).tx += 1;
            ledger.come_out(vm.name, sent.id);
        }
    }

    /// Why an uplink of a host drops a copy; `None`: it is delivered.
    fn refusal(&self, host: &'static str, nic: u8, sent: Sent) -> Option<&'static str> {
        let mut here = self.vms.iter().filter(|vm| vm.host == host && vm.vlan == sent.vlan);
        if here.clone().any(|vm| vm.mac == sent.src) {
            return Some("own-source-from-uplink");
        }
        if sent.dst.is_multicast() {
            let is_designated = self.designated[&(host, sent.vlan)] == nic;
            return (!is_designated).then_some("not-designated-uplink");
        }
        match here.find(|vm| vm.mac == sent.dst) {
            Some(vm) => (vm.nic != nic).then_some("not-pinned-uplink"),
            None => Some("unknown-unicast-from-uplink"),
        }
    }

    /// Sends rounds of all kinds of frames and checks what becomes of each copy.
    fn check(&self, rounds: usize) {
        let start = HOSTS.map(|host| (host, self.counts(host)));
        let received = self.hub.received();
        self.taps.values().for_each(Sniffer::clear);
        self.station_hears.clear();
        self.vms.iter().for_each(|vm| vm.sniffer.clear());
        let mut ledger = Ledger::default();
        for _ in 0..rounds / ROUNDS_AT_ONCE {
            for (from, dst) in (0..ROUNDS_AT_ONCE).flat_map(|_| self.kinds()) {
                let id = fresh();
                self.pass(from, dst, id, &mut ledger);
                self.send(from, dst, id);
            }
            for (host, before) in &start {
                let expected = &ledger.counts[host];
                wait_for_ok(format!("{host} to count{expected}"), SOON, || {
                    let now = self.counts(host).since(before);
                    if now == *expected { Ok(()) } else { Err(now.to_string()) }
                })
                .expect("copies are counted");
            }
        }
        let mut out = ledger.out;
        let entered: usize = PORTS.iter().filter_map(|port| out.get(*port)).map(Vec::len).sum();
        assert_eq!(self.hub.received() - received, entered as u64, "frames on the repeater");
        assert!(!self.hub.blown());
        for (port, tap) in &self.taps {
            assert_frames(port, tap, out.remove(*port).unwrap_or_default());
        }
        for vm in &self.vms {
            assert_frames(vm.name, &vm.sniffer, out.remove(vm.name).unwrap_or_default());
        }
        for (host, _) in &start {
            self.weft.wait_conserved(host).expect("frames are conserved");
        }
    }

    fn wait_pinned(&self, vm: &str, host: &str, is_right: impl Fn(&str) -> bool) {
        wait_for_ok(format!("the uplink of {vm}"), SOON, || {
            let ports = self.ports(host);
            let port = ports.iter().find(|port| port["vm"] == vm);
            let pin = port.and_then(|port| port["pinned_to"].as_str()).unwrap_or_default();
            if is_right(pin) { Ok(()) } else { Err(pin.to_owned()) }
        })
        .expect("the pin moves");
    }

    /// Waits until unicast for a VM that has just moved is taken by one uplink only.
    fn wait_grace_over(&self, vm: usize) {
        let refused = || {
            let mut counts = self.counts(self.vms[vm].host);
            let nics = [1, 2].map(|nic| counts.port(&uplink(nic)).clone());
            nics.iter().filter_map(|port| port.drops.get("not-pinned-uplink")).sum::<u64>()
        };
        let before = refused();
        wait_until("the time of grace to end", SOON, || {
            self.send(Sender::Station(self.vms[vm].vlan), self.vms[vm].mac, fresh());
            refused() > before
        })
        .expect("a duplicate is refused again");
    }
}

fn uplink(nic: u8) -> String {
    format!("eth{nic}")
}

/// Checks that a capture has these numbered frames, once each, and no other frame at all.
fn assert_frames(place: &str, sniffer: &Sniffer, mut expected: Vec<u64>) {
    wait_for_ok(format!("{} frames at {place}", expected.len()), SOON, || {
        let came = sniffer.count(|_| true);
        if came >= expected.len() { Ok(()) } else { Err(came) }
    })
    .expect("all frames come out");
    let frames = sniffer.frames();
    let mut came: Vec<_> = frames.iter().filter_map(|frame| marker_of(&frame.bytes)).collect();
    assert_eq!(came.len(), frames.len(), "{place} has frames that nobody sent");
    came.sort_unstable();
    expected.sort_unstable();
    if came != expected {
        let not_in =
            |these: &[u64], those: &[u64]| these.iter().filter(|id| !those.contains(id)).count();
        let (missing, strange) = (not_in(&expected, &came), not_in(&came, &expected));
        came.dedup();
        panic!(
            "{place}: of {} frames {missing} are missing, {strange} are strange, {} are doubled",
            expected.len(),
            frames.len() - came.len()
        );
    }
}

#[test]
fn on_a_repeater_every_frame_is_delivered_once_and_none_goes_back_to_the_wire() {
    let mut network = Network::start();
    network.learn();
    let nics: Vec<u8> = network.vms.iter().map(|vm| vm.nic).collect();
    assert_eq!(nics, [1, 2, 1, 2, 1, 1], "VMs spread over the uplinks");
    network.check(ROUNDS);

    // The same when a host has one uplink left.
    let wires = network.weft.lab().ns("hub").expect("the repeater");
    link::down(wires, "h1-1").expect("the link goes down");
    network.wait_pinned("a", "h1", |pin| pin == "Ethernet3/2");
    network.wait_pinned("e", "h1", |pin| pin == "Ethernet3/2");
    network.dark = Some(("h1", 1));
    network.learn();
    network.check(ROUNDS_DEGRADED);

    // And when it has the other one back, once duplicates are refused again.
    let wires = network.weft.lab().ns("hub").expect("the repeater");
    link::up(wires, "h1-1").expect("the link comes up");
    network.wait_pinned("a", "h1", |pin| pin == "Ethernet3/1");
    network.wait_pinned("e", "h1", |pin| pin == "Ethernet3/1");
    network.dark = None;
    network.wait_grace_over(0);
    network.learn();
    network.check(ROUNDS_DEGRADED);
    network.weft.check_running().expect("all daemons run");
}
