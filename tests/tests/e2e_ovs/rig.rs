//! One host with two uplinks, and Open vSwitch with a PC at the other end of both cables.
//!
//! Cable `n` is between `Ethernet3/n+1` and port `p(n+1)`; it runs through a patch, so that it can
//! fail with its carrier or behind the back of both ends. Everything is looked at from both ends.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proto::VlanId;
use serde_json::Value;
use tests::checks::Watched;
use tests::daemons::rows;
use tests::lab::Lab;
use tests::netns::Namespace;
use tests::ovs::{BondConfig, LacpFlag, LacpMember, LacpPort, OpenVswitch};
use tests::patch::{End, Patch};
use tests::switch::PortMode;
use tests::topology::Topology;
use tests::traffic::{ping_once, wait_ping};
use tests::wait::wait_for_ok;

/// Negotiation, or the loss of a partner, on a busy machine. A side that speaks every thirty
/// seconds must not need its next turn to agree.
pub(crate) const NEGOTIATION: Duration = Duration::from_secs(25);

/// The bond of Open vSwitch, and its ports.
pub(crate) const BOND: &str = "bond0";
pub(crate) const PORTS: [&str; 2] = ["p1", "p2"];

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

const CONFIG: &str = "
vlan 10
port-profile type vethernet LAN-10
  switchport access vlan 10
  state enabled
port-profile type ethernet UPLINK
  switchport mode trunk
  switchport trunk allowed vlan 10
  state enabled
";

/// The mode of the ports towards the host.
pub(crate) fn trunk() -> PortMode {
    let vlan = VlanId::new(10_u16).expect("a VLAN");
    PortMode::Trunk { allowed: BTreeSet::from([vlan]), native: None }
}

/// Wall-clock time, as members have it in `since_unix_ns`.
pub(crate) fn unix_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is set");
    u64::try_from(now.as_nanos()).expect("a time before 2500")
}

/// The member of a port-channel on a cable.
pub(crate) fn member(channel: &Value, cable: usize) -> &Value {
    let port = format!("Ethernet3/{}", cable + 1);
    rows(&channel["members"]).find(|member| member["port"] == *port).unwrap_or(&Value::Null)
}

/// The product on one host, and Open vSwitch.
pub(crate) struct Rig {
    // Field order is drop order: the patches are in the namespaces of the lab.
    pub(crate) cables: [Patch; 2],
    pub(crate) ovs: OpenVswitch,
    pub(crate) pc: Namespace,
    pub(crate) site: Watched,
}

impl Rig {
    /// All of it runs, with these lines in the uplinks' profile; Open vSwitch has no bond yet.
    pub(crate) fn start(lines: &[&str]) -> Self {
        let topology = Topology::parse(TOPOLOGY).expect("a good topology");
        let site = Watched::start(Lab::build(topology).expect("a lab")).expect("it runs");
        let (mid, tor) = (site.lab().ns("mid").expect("mid"), site.lab().ns("tor").expect("tor"));
        let cables = [("x1", "y1"), ("x2", "y2")]
            .map(|(near, far)| Patch::join((mid, near), (mid, far)).expect("a patch"));
        let ovs = OpenVswitch::start(tor, site.lab().dir()).expect("Open vSwitch runs");
        let vlan = VlanId::new(10_u16).expect("a VLAN");
        let pc = ovs.end_host("pc", vlan, "10.1.10.9/24").expect("a PC");
        let rig = Self { cables, ovs, pc, site };
        rig.site.apply_text(CONFIG).expect("applied");
        rig.uplinks(lines);
        let inherit = "interface Ethernet3/1-2\n  inherit port-profile UPLINK\n";
        rig.site.apply_text(inherit).expect("applied");
        rig.site.attach("a").expect("the VM is plugged in");
        rig
    }

    /// Puts these lines into the uplinks' profile.
    pub(crate) fn uplinks(&self, lines: &[&str]) {
        self.under("port-profile type ethernet UPLINK", lines);
    }

    /// Puts these lines under the uplink at the end of a cable.
    pub(crate) fn uplink(&self, cable: usize, lines: &[&str]) {
        self.under(&format!("interface Ethernet3/{}", cable + 1), lines);
    }

    fn under(&self, head: &str, lines: &[&str]) {
        let lines: String = lines.iter().map(|line| format!("  {line}\n")).collect();
        self.site.apply_text(&format!("{head}\n{lines}")).expect("applied");
    }

    /// Makes the bond of both ports.
    pub(crate) fn bond(&self, config: &BondConfig) {
        self.ovs.add_bond(BOND, &PORTS, config).expect("a bond");
    }

    pub(crate) fn vm(&self) -> &Namespace {
        self.site.lab().ns("a").expect("the VM")
    }

    /// Takes the carrier of both ends of all cables, or gives it back.
    pub(crate) fn set_links(&self, up: bool) {
        for cable in &self.cables {
            let moment = if up { cable.put_back() } else { cable.pull(End::A) };
            moment.expect("the cable obeys");
        }
    }

    /// Waits until the port-channel is as wanted in `show port-channel summary`.
    pub(crate) fn wait_channel(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        wait_for_ok(what, NEGOTIATION, || {
            let reply = self.site.show("port-channel summary").map_err(|e| e.to_string())?;
            let channel = rows(&reply["channels"]).next().cloned();
            channel.filter(|channel| wanted(channel)).ok_or_else(|| reply.to_string())
        })
        .expect("show port-channel summary")
    }

    /// Waits until members have these flags, in their order.
    pub(crate) fn wait_flags(&self, wanted: &str) -> Value {
        let flags = |channel: &Value| -> String {
            rows(&channel["members"]).filter_map(|member| member["flag"].as_str()).collect()
        };
        self.wait_channel(&format!("members to be {wanted}"), |channel| flags(channel) == wanted)
    }

    /// Waits until a member has this flag and a reason with these words.
    pub(crate) fn wait_member(&self, cable: usize, flag: &str, reason: &str) -> Value {
        let is_so = |channel: &Value| {
            let of = member(channel, cable);
            of["flag"] == flag && of["reason"].as_str().is_some_and(|text| text.contains(reason))
        };
        self.wait_channel(&format!("cable {cable} to be {flag}, {reason}"), is_so)
    }

    /// Waits until exactly these ports carry for a bond by agreement.
    pub(crate) fn wait_carrying(&self, bond: &str, ports: &[&str]) {
        self.ovs
            .wait_lacp(bond, NEGOTIATION, |lacp| lacp.carrying() == ports)
            .expect("Open vSwitch agrees");
    }

    /// Waits until both ends say the same of both cables: who they are, and that all is in sync.
    pub(crate) fn wait_agreed(&self) {
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
    pub(crate) fn wait_traffic(&self) {
        wait_ping(self.vm(), IpAddr::from(PC)).expect("the PC answers");
        wait_ping(&self.pc, IpAddr::from(VM)).expect("the VM answers");
    }

    /// Checks that the PC does not answer the VM, nor the VM the PC.
    pub(crate) fn assert_cut_off(&self) {
        assert!(!ping_once(self.vm(), IpAddr::from(PC)).expect("ping"), "the PC has answered");
        assert!(!ping_once(&self.pc, IpAddr::from(VM)).expect("ping"), "the VM has answered");
    }

    /// Checks that the VM gets one answer to each of twenty requests.
    pub(crate) fn assert_answered_once(&self) {
        let to = IpAddr::from(PC).to_string();
        let args = ["-n", "-c", "20", "-i", "0.05", "-W", "2", &to];
        let output = self.vm().output("ping", &args).expect("ping");
        let once = output.contains("20 received") && !output.contains("DUP");
        assert!(once, "{output}");
    }

    /// The address of the VM.
    pub(crate) fn vm_address() -> IpAddr {
        IpAddr::from(VM)
    }

    /// The address of the PC.
    pub(crate) fn pc_address() -> IpAddr {
        IpAddr::from(PC)
    }

    pub(crate) fn assert_healthy(&mut self) {
        self.site.check_running().expect("all daemons run");
        self.site.wait_conserved("h1").expect("frames are conserved");
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
