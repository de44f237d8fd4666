//! One host with two uplinks, and Open vSwitch with a PC at the other end of both cables.
//!
//! Cable `n` is between `Ethernet3/n+1` and port `p(n+1)`; it runs through a patch, so that it can
//! fail with its carrier or behind the back of both ends. Everything is looked at from both ends.
//!
//! *Where it sits:* above [`crate::port_channel`] and [`crate::ovs`]. Its functions panic instead of
//! returning an error, as those of the former.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::checks::Watched;
use crate::daemons::rows;
use crate::lab::Lab;
use crate::netns::Namespace;
use crate::ovs::{BondConfig, LacpFlag, LacpMember, LacpPort, OpenVswitch};
use crate::patch::{End, Patch};
use crate::port_channel::{LAN_CONFIG, PortChannel};
use crate::switch::PortMode;
use crate::topology::Topology;
use crate::traffic::{ping_once, wait_ping};
use crate::wait::wait_for_ok;
use proto::VlanId;
use serde_json::Value;

/// Negotiation, or the loss of a partner, on a busy machine. A side that speaks every thirty
/// seconds must not need its next turn to agree.
pub const NEGOTIATION: Duration = Duration::from_secs(25);

/// The bond of Open vSwitch.
pub const BOND: &str = "bond0";
/// Its ports, by cable.
pub const PORTS: [&str; 2] = ["p1", "p2"];

const VM: [u8; 4] = [10, 1, 10, 1];
/// The PC behind Open vSwitch.
const PC: [u8; 4] = [10, 1, 10, 9];

const TOPOLOGY: &str = "
name: ovs
mgmt: { ipv4-subnet: 192.168.94.0/24 }
topology:
  nodes:
    vsm: { kind: supervisor }
    h1: { kind: host }
    mid: { kind: pc, nics: [ { name: x1 }, { name: x2 }, { name: y1 }, { name: y2 } ] }
    tor: { kind: pc, nics: [ { name: p1 }, { name: p2 } ] }
    a: { kind: vm, host: h1, nics: [ { name: eth0, profile: LAN-10, address: 10.1.10.1/24 } ] }
  links:
    - endpoints: [ 'h1:eth1', 'mid:x1' ]
    - endpoints: [ 'h1:eth2', 'mid:x2' ]
    - endpoints: [ 'tor:p1', 'mid:y1' ]
    - endpoints: [ 'tor:p2', 'mid:y2' ]
";

/// The mode of the ports towards the host.
pub fn trunk() -> PortMode {
    let vlan = VlanId::new(10_u16).expect("a VLAN");
    PortMode::Trunk { allowed: BTreeSet::from([vlan]), native: None }
}

/// The product on one host, and Open vSwitch.
#[derive(Debug)]
pub struct OvsSite {
    // Field order is drop order: the patches are in the namespaces of the lab.
    /// Between uplink 0 or 1 and its port of Open vSwitch.
    pub cables: [Patch; 2],
    /// Open vSwitch.
    pub ovs: OpenVswitch,
    /// The PC behind it, in VLAN 10.
    pub pc: Namespace,
    channel: PortChannel,
}

impl OvsSite {
    /// All of it runs, with these lines in the uplinks' profile; Open vSwitch has no bond yet.
    pub fn start(lines: &[&str]) -> Self {
        let topology = Topology::parse(TOPOLOGY).expect("a good topology");
        let site = Watched::start(Lab::build(topology).expect("a lab")).expect("it runs");
        let (mid, tor) = (site.lab().ns("mid").expect("mid"), site.lab().ns("tor").expect("tor"));
        let cables = [("x1", "y1"), ("x2", "y2")]
            .map(|(near, far)| Patch::join((mid, near), (mid, far)).expect("a patch"));
        let ovs = OpenVswitch::start(tor, site.lab().dir()).expect("Open vSwitch runs");
        let vlan = VlanId::new(10_u16).expect("a VLAN");
        let pc = ovs.end_host("pc", vlan, "10.1.10.9/24").expect("a PC");
        let channel = PortChannel::new(site, NEGOTIATION);
        channel.configure(LAN_CONFIG, lines, &["a"]);
        Self { cables, ovs, pc, channel }
    }

    /// Makes the bond of both ports.
    pub fn bond(&self, config: &BondConfig) {
        self.ovs.add_bond(BOND, &PORTS, config).expect("a bond");
    }

    /// The VM, in VLAN 10.
    pub fn vm(&self) -> &Namespace {
        self.site.lab().ns("a").expect("the VM")
    }

    /// Takes the carrier of both ends of all cables, or gives it back.
    pub fn set_links(&self, up: bool) {
        for cable in &self.cables {
            let moment = if up { cable.put_back() } else { cable.pull(End::A) };
            moment.expect("the cable obeys");
        }
    }

    /// Waits until exactly these ports carry for a bond by agreement.
    pub fn wait_carrying(&self, bond: &str, ports: &[&str]) {
        self.ovs
            .wait_lacp(bond, NEGOTIATION, |lacp| lacp.carrying() == ports)
            .expect("Open vSwitch agrees");
    }

    /// Waits until both ends say the same of both cables: who they are, and that all is in sync.
    pub fn wait_agreed(&self) {
        wait_for_ok("both ends to say the same", NEGOTIATION, || {
            let reply = self.site.show("lacp internal").map_err(|error| error.to_string())?;
            let lacp = self.ovs.lacp(BOND).map_err(|error| error.to_string())?;
            let theirs = PORTS.iter().filter_map(|port| lacp.members.get(*port));
            let agreed = rows(&reply["ports"]).zip(theirs).filter(|pair| is_agreed(*pair));
            let all = agreed.count() == PORTS.len();
            if all { Ok(()) } else { Err(format!("{reply}\n{lacp:#?}")) }
        })
        .expect("agreement");
    }

    /// Waits until VM and PC reach each other, whoever begins.
    pub fn wait_traffic(&self) {
        wait_ping(self.vm(), IpAddr::from(PC)).expect("the PC answers");
        wait_ping(&self.pc, IpAddr::from(VM)).expect("the VM answers");
    }

    /// Checks that the PC does not answer the VM, nor the VM the PC.
    pub fn assert_cut_off(&self) {
        assert!(!ping_once(self.vm(), IpAddr::from(PC)).expect("ping"), "the PC has answered");
        assert!(!ping_once(&self.pc, IpAddr::from(VM)).expect("ping"), "the VM has answered");
    }

    /// Checks that the VM gets one answer to each of twenty requests.
    pub fn assert_answered_once(&self) {
        let to = IpAddr::from(PC).to_string();
        let args = ["-n", "-c", "20", "-i", "0.05", "-W", "2", &to];
        let output = self.vm().output("ping", &args).expect("ping");
        let once = output.contains("20 received") && !output.contains("DUP");
        assert!(once, "{output}");
    }

    /// The address of the VM.
    pub fn vm_address() -> IpAddr {
        IpAddr::from(VM)
    }

    /// The address of the PC.
    pub fn pc_address() -> IpAddr {
        IpAddr::from(PC)
    }

    /// Waits until both members carry, on both ends.
    pub fn wait_whole(&self) {
        self.wait_flags("PP");
        self.wait_carrying(BOND, &PORTS);
        self.wait_agreed();
        self.wait_traffic();
    }
}

impl Deref for OvsSite {
    type Target = PortChannel;

    fn deref(&self) -> &PortChannel {
        &self.channel
    }
}

impl DerefMut for OvsSite {
    fn deref_mut(&mut self) -> &mut PortChannel {
        &mut self.channel
    }
}

/// Whether our row and that of Open vSwitch say the same of a cable, and that it carries.
fn is_agreed((ours, theirs): (&Value, &LacpMember)) -> bool {
    let in_use = [LacpFlag::Synchronized, LacpFlag::Collecting, LacpFlag::Distributing];
    theirs.attached
        && theirs.may_enable
        && is_same(&ours["actor"], &theirs.partner)
        && is_same(&ours["partner"], &theirs.actor)
        && in_use.iter().all(|flag| theirs.actor.has(*flag) && theirs.partner.has(*flag))
}

/// Whether both say the same of one side.
fn is_same(ours: &Value, theirs: &LacpPort) -> bool {
    let bits: BTreeSet<&str> = rows(&ours["state_bits"]).filter_map(Value::as_str).collect();
    ours["system"] == theirs.system_id.to_string()
        && ours["system_priority"] == theirs.system_priority
        && ours["key"] == theirs.key
        && ours["port"] == theirs.port_id
        && ours["port_priority"] == theirs.port_priority
        && bits == theirs.state.iter().map(|flag| name_of(*flag)).collect()
}

/// What `show lacp internal` calls a bit.
fn name_of(flag: LacpFlag) -> &'static str {
    match flag {
        LacpFlag::Activity => "activity",
        LacpFlag::Timeout => "timeout",
        LacpFlag::Aggregation => "aggregation",
        LacpFlag::Synchronized => "synchronization",
        LacpFlag::Collecting => "collecting",
        LacpFlag::Distributing => "distributing",
        LacpFlag::Defaulted => "defaulted",
        LacpFlag::Expired => "expired",
    }
}
