//! One host with two uplinks, and a Linux guest at the other end of both cables.
//!
//! NIC `n` of the guest is at the far end of `Ethernet3/n+1`. Everything is looked at from both
//! ends: `show port-channel summary` here, `/proc/net/bonding` there, and on the cables the frames
//! of VLAN 10 between VM `a` and the guest.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::time::Duration;

use proto::EtherType;
use serde_json::Value;
use tests::checks::Watched;
use tests::daemons::rows;
use tests::guest::bond::status::BondStatus;
use tests::guest::bond::{BondConfig, LacpRate};
use tests::guest::{Guest, GuestConfig};
use tests::lab::Lab;
use tests::netns::Namespace;
use tests::packet::{Direction, Hear};
use tests::port_channel::{self, PortChannel};
use tests::sniff::{Captured, Sniffer};
use tests::topology::Topology;
use tests::traffic::{ping_count, ping_once, wait_ping};
use tests::wait::{SOON, wait_for_ok, wait_until};

/// Negotiation with the slow rate, or the loss of a partner, on a busy machine.
pub(crate) const NEGOTIATION: Duration = Duration::from_secs(60);

/// Host and far ends of both cables.
pub(crate) const CABLES: [(&str, &str); 2] = [("eth1", "p1"), ("eth2", "p2")];

const TOPOLOGY: &str = "
name: bonding
mgmt: { ipv4-subnet: 192.168.93.0/24 }
topology:
  nodes:
    vsm: { kind: supervisor }
    h1: { kind: host }
    far: { kind: pc, nics: [ { name: p1 }, { name: p2 } ] }
    a: { kind: vm, host: h1, nics: [ { name: eth0, profile: LAN-10, address: 10.1.10.1/24 } ] }
    b: { kind: vm, host: h1, nics: [ { name: eth0, profile: LAN-20, address: 10.1.20.1/24 } ] }
  links:
    - endpoints: [ 'h1:eth1', 'far:p1' ]
    - endpoints: [ 'h1:eth2', 'far:p2' ]
";

/// Networks of the VLANs and the profiles of their VMs.
const CONFIG: &str = "
vlan 10
vlan 20
port-profile type vethernet LAN-10
  switchport access vlan 10
  state enabled
port-profile type vethernet LAN-20
  switchport access vlan 20
  state enabled
port-profile type ethernet UPLINK
  switchport mode trunk
  switchport trunk allowed vlan 10,20
  state enabled
";

/// Echo requests that must all be answered, and all by the expected cable.
const REQUESTS: u32 = 5;

/// Address of the guest in a VLAN.
pub(crate) fn guest_address(vlan: u16) -> String {
    format!("10.1.{vlan}.100")
}

/// A bond of both NICs that wants to hear every second.
pub(crate) fn fast_bond() -> BondConfig {
    BondConfig { lacp_rate: LacpRate::Fast, ..BondConfig::lacp("bond0", &[0, 1]) }
}

/// Whether it is an LACPDU (IEEE 802.3 annex 57A: slow protocol, subtype 1).
fn is_lacpdu(frame: &Captured) -> bool {
    frame.header().is_some_and(|header| {
        header.ethertype == EtherType::SLOW && frame.bytes.get(header.payload_at) == Some(&1)
    })
}

/// The product on one host, and the guest.
pub(crate) struct Rig {
    channel: PortChannel,
    pub(crate) guest: Guest,
    /// On the far ends of both cables.
    wires: [Sniffer; 2],
}

impl Rig {
    /// Both run, not configured yet.
    pub(crate) fn start() -> Self {
        let topology = Topology::parse(TOPOLOGY).expect("a good topology");
        let site = Watched::start(Lab::build(topology).expect("a lab")).expect("the product runs");
        let far = site.lab().ns("far").expect("a namespace");
        let config = GuestConfig::new("partner").nic(far, "p1").nic(far, "p2");
        let guest = Guest::boot(config).expect("the guest boots");
        let wires = CABLES.map(|(_, end)| {
            Sniffer::start_hearing(far, end, Hear::Both).expect("a sniffer on the cable")
        });
        Self { channel: PortChannel::new(site, NEGOTIATION), guest, wires }
    }

    /// Configures the switch, with these lines in the uplinks' profile, and plugs VM `a` in.
    pub(crate) fn configure(&self, lines: &[&str]) {
        self.channel.configure(CONFIG, lines, &["a"]);
    }

    /// Makes a bond in the guest with its address in VLAN 10.
    pub(crate) fn bond(&self, config: &BondConfig) {
        self.guest.bond(config).expect("a bond");
        self.vlan(&config.name, 10);
    }

    /// Gives an interface of the guest its address in a VLAN.
    pub(crate) fn vlan(&self, parent: &str, vlan: u16) {
        let address = format!("{}/24", guest_address(vlan));
        self.guest.vlan(parent, vlan, Some(&address)).expect("a VLAN");
    }

    pub(crate) fn ns(&self, node: &str) -> &Namespace {
        self.site.lab().ns(node).expect("a node")
    }

    pub(crate) fn dir(&self) -> &Path {
        self.site.lab().dir()
    }

    /// Waits until exactly these NICs of the guest carry for `bond0` by agreement.
    pub(crate) fn wait_bond(&self, nics: &[usize]) -> BondStatus {
        let names: Vec<String> = nics.iter().map(|nic| format!("eth{nic}")).collect();
        self.guest
            .wait_bond("bond0", NEGOTIATION, |bond| bond.aggregated() == names)
            .expect("the bond as wanted")
    }

    /// Waits until both ends agree that exactly these members carry, then checks that all traffic
    /// takes them and nothing is lost. Flags are in the order of members.
    pub(crate) fn wait_carried(&self, flags: &str, nics: &[usize]) -> (Value, BondStatus) {
        let channel = self.wait_flags(flags);
        assert_eq!(channel["up"], !nics.is_empty(), "{channel:#}");
        let names: Vec<String> = nics.iter().map(|nic| format!("eth{nic}")).collect();
        // A bond may send by a member for some time after it has been left (6.4.15).
        let settled = |bond: &BondStatus| {
            bond.aggregated() == names && (names.is_empty() || bond.distributing() == names)
        };
        let bond = self.guest.wait_bond("bond0", NEGOTIATION, settled).expect("the bond agrees");
        if !nics.is_empty() {
            self.assert_carried_by(nics);
        }
        (channel, bond)
    }

    /// Checks that VM `a` and the guest reach each other without a loss, by these cables alone.
    pub(crate) fn assert_carried_by(&self, nics: &[usize]) {
        let address = guest_address(10).parse().expect("an address");
        wait_ping(self.ns("a"), address).expect("an answer");
        self.forget_frames();
        let answers = ping_count(self.ns("a"), address, REQUESTS).expect("ping");
        assert_eq!(answers, REQUESTS, "answers by {nics:?}");
        for direction in [Direction::In, Direction::Out] {
            let by = || [0, 1].map(|nic| self.data(nic, direction));
            let all = REQUESTS as usize;
            // The sniffer may be later than the answer.
            wait_until("the sniffer", SOON, || by().iter().sum::<usize>() >= all).expect("frames");
            let strays: usize = (0..2).filter(|nic| !nics.contains(nic)).map(|nic| by()[nic]).sum();
            assert_eq!(strays, 0, "{direction:?}: {:?}, expected by {nics:?}", by());
        }
    }

    /// Checks that VM `a` gets no answer, and that nothing of it comes to any cable.
    pub(crate) fn assert_cut_off(&self) {
        self.forget_frames();
        let address = guest_address(10).parse().expect("an address");
        assert!(!ping_once(self.ns("a"), address).expect("ping"), "the guest has answered");
        for nic in 0..2 {
            assert_eq!(self.data(nic, Direction::In), 0, "frames on the cable of NIC {nic}");
        }
    }

    pub(crate) fn forget_frames(&self) {
        self.wires.iter().for_each(Sniffer::clear);
    }

    /// Frames of VLAN 10 on the cable of a NIC of the guest: `In` are ours, `Out` the guest's.
    fn data(&self, nic: usize, direction: Direction) -> usize {
        let frames = self.wires[nic].frames();
        let is_data = |frame: &&Captured| {
            frame.direction == direction
                && frame.header().is_some_and(|header| header.vid() == Some(10))
        };
        frames.iter().filter(is_data).count()
    }

    /// LACPDUs on the cable of a NIC of the guest: `In` are ours, `Out` the guest's.
    pub(crate) fn lacpdus(&self, nic: usize, direction: Direction) -> usize {
        let frames = self.wires[nic].frames();
        frames.iter().filter(|frame| frame.direction == direction && is_lacpdu(frame)).count()
    }

    /// Waits until as many LACPDUs have passed each cable since they were forgotten.
    pub(crate) fn wait_lacpdus(&self, direction: Direction, count: usize) {
        let have_passed = || (0..2).all(|nic| self.lacpdus(nic, direction) >= count);
        wait_until(format!("{count} LACPDUs {direction:?}"), SOON, have_passed).expect("LACPDUs");
    }

    /// Waits until `show lacp internal` has this in the row of a member, and gives the row.
    pub(crate) fn wait_lacp(&self, nic: usize, field: &str, value: &str) -> Value {
        let port = port_channel::name(nic);
        wait_for_ok(format!("{field} of {port} to be {value}"), SOON, || {
            let reply = self.site.show("lacp internal").map_err(|error| error.to_string())?;
            let row = rows(&reply["ports"]).find(|row| row["port"] == *port).cloned();
            row.filter(|row| row[field] == value).ok_or_else(|| reply.to_string())
        })
        .expect("show lacp internal")
    }

    /// Waits for an event of a member with these words that came after a time.
    pub(crate) fn wait_event(&self, kind: &str, nic: usize, since_unix_ns: u64, words: &str) {
        let port = port_channel::name(nic);
        wait_for_ok(format!("event {kind} of {port}: {words}"), SOON, || {
            let table = self.site.show("events").map_err(|error| error.to_string())?;
            let is_it = |event: &Value| {
                event["kind"] == kind
                    && event["port"] == *port
                    && event["unix_time_ns"].as_u64().is_some_and(|at| at >= since_unix_ns)
                    && event["message"].as_str().is_some_and(|message| message.contains(words))
            };
            if rows(&table).any(is_it) { Ok(()) } else { Err(table.to_string()) }
        })
        .expect("the event comes");
    }
}

impl Deref for Rig {
    type Target = PortChannel;

    fn deref(&self) -> &PortChannel {
        &self.channel
    }
}

impl DerefMut for Rig {
    fn deref_mut(&mut self) -> &mut PortChannel {
        &mut self.channel
    }
}
