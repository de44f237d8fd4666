//! A port-channel by LACP with Open vSwitch, which balances by flow as well.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use proto::VlanId;
use tests::checks::Watched;
use tests::daemons::rows;
use tests::lab::Lab;
use tests::netns::Namespace;
use tests::ovs::{BondConfig, BondMode, LacpTime, OpenVswitch};
use tests::patch::{End, Pass, Patch};
use tests::stream::{Report, Stream};
use tests::switch::PortMode;
use tests::topology::Topology;
use tests::wait::wait_for_ok;

use crate::{OUTAGE_MAX, STEADY, alone, check, load, tcp_survives};

/// The far end of each cable hangs on a patch, which can fall silent with its carrier up.
const TOPOLOGY: &str = "
name: channel
mgmt: { ipv4-subnet: 192.168.92.0/24 }
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
port-channel load-balance ethernet source-dest-ip-port
port-profile type vethernet LAN-10
  switchport access vlan 10
  state enabled
port-profile type ethernet UPLINK
  switchport mode trunk
  switchport trunk allowed vlan 10
  channel-group auto mode active
  lacp rate fast
  state enabled
interface Ethernet3/1-2
  inherit port-profile UPLINK
";

const NEGOTIATION: Duration = Duration::from_secs(30);
/// Three LACPDUs at the fast rate, and what a busy machine adds.
const SILENCE_MAX: Duration = Duration::from_secs(6);
/// Address of the PC behind Open vSwitch.
const PC: [u8; 4] = [10, 1, 10, 9];
const VM: [u8; 4] = [10, 1, 10, 1];
const TCP_PORT: u16 = 7000;

struct Rig {
    cables: [Patch; 2],
    ovs: OpenVswitch,
    pc: Namespace,
    site: Watched,
}

impl Rig {
    fn start() -> Self {
        let topology = Topology::parse(TOPOLOGY).expect("a good topology");
        let site = Watched::start(Lab::build(topology).expect("a lab")).expect("it runs");
        let (mid, tor) = (site.lab().ns("mid").expect("mid"), site.lab().ns("tor").expect("tor"));
        let cables = [("x1", "y1"), ("x2", "y2")]
            .map(|(near, far)| Patch::join((mid, near), (mid, far)).expect("a patch"));
        let vlan = VlanId::new(10_u16).expect("a VLAN");
        let ovs = OpenVswitch::start(tor, site.lab().dir()).expect("Open vSwitch runs");
        let trunk = PortMode::Trunk { allowed: BTreeSet::from([vlan]), native: None };
        let bond = BondConfig {
            mode: BondMode::BalanceTcp,
            lacp_time: LacpTime::Fast,
            ..BondConfig::lacp(trunk)
        };
        ovs.add_bond("bond0", &["p1", "p2"], &bond).expect("a bond");
        let pc = ovs.end_host("pc", vlan, "10.1.10.9/24").expect("a PC");
        site.apply_text(CONFIG).expect("applied");
        site.attach("a").expect("plugged in");
        let rig = Self { cables, ovs, pc, site };
        rig.wait_flags("PP");
        rig
    }

    fn wait_flags(&self, flags: &str) {
        wait_for_ok(format!("members to be {flags}"), NEGOTIATION, || {
            let reply = self.site.show("port-channel summary").map_err(|e| e.to_string())?;
            let members = rows(&reply["channels"][0]["members"]);
            let now: String = members.filter_map(|member| member["flag"].as_str()).collect();
            if now == flags { Ok(()) } else { Err(reply.to_string()) }
        })
        .expect("show port-channel summary");
        let carrying = flags.matches('P').count();
        self.ovs
            .wait_lacp("bond0", NEGOTIATION, |lacp| lacp.carrying().len() == carrying)
            .expect("Open vSwitch agrees");
    }

    /// Runs the streams, and lets this happen in their midst.
    fn under_load(
        &self,
        happens: impl FnOnce() -> Instant,
        after: Duration,
    ) -> ([Report; 2], Instant) {
        let vm = self.site.lab().ns("a").expect("the VM");
        let ends = [(vm, IpAddr::from(VM)), (&self.pc, IpAddr::from(PC))];
        let stream = Stream::start(ends, &load()).expect("a stream");
        stream.run(STEADY).expect("it runs");
        let event = happens();
        stream.run(after).expect("it runs on");
        (stream.finish().expect("reports"), event)
    }

    /// Lets this happen in the midst of a TCP stream, which must come through whole.
    fn under_tcp(&self, happens: impl FnOnce() -> Instant) {
        let vm = self.site.lab().ns("a").expect("the VM");
        let to = SocketAddr::new(IpAddr::from(VM), TCP_PORT);
        tcp_survives(&self.pc, (vm, to), happens);
    }
}

#[test]
fn a_member_of_a_channel_is_lost_by_its_carrier_and_by_silence() {
    let _alone = alone();
    let mut rig = Rig::start();
    let pull = || rig.cables[0].pull(End::A).expect("pulled").not_before;
    let (reports, event) = rig.under_load(pull, STEADY);
    check("port-channel, carrier lost", &reports, event, OUTAGE_MAX);
    rig.wait_flags("DP");
    rig.cables[0].put_back().expect("put back");
    rig.wait_flags("PP");
    rig.under_tcp(pull);
    rig.cables[0].put_back().expect("put back");
    rig.wait_flags("PP");

    let silence = || {
        let event = Instant::now();
        rig.cables[0].set_both(Pass::Nothing);
        event
    };
    let (reports, event) = rig.under_load(silence, SILENCE_MAX);
    check("port-channel, member silent", &reports, event, SILENCE_MAX);
    rig.wait_flags("sP");
    rig.cables[0].set_both(Pass::All);
    rig.wait_flags("PP");
    rig.site.check_running().expect("all daemons run");
    rig.site.wait_conserved("h1").expect("frames are conserved");
}
