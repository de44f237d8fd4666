//! More frames than can be moved, on every member of a port-channel with the fast rate: no LACPDU is
//! lost to them and no member flaps. `WEFT_SOAK_S` says for how long; `make soak` for two minutes.

use std::thread;
use std::time::{Duration, Instant};

use proto::{MacAddr, VlanId};
use serde_json::Value;
use tests::checks::Watched;
use tests::daemons::rows;
use tests::frames::Frame;
use tests::inject::Injector;
use tests::lab::Lab;
use tests::lacp_partner::LacpPartner;
use tests::netns::Namespace;
use tests::port_channel::{LAN_CONFIG, PortChannel, member};
use tests::topology::Topology;
use tests::wait::wait_for_ok;

/// Without `WEFT_SOAK_S`: longer than three missed LACPDUs would take to be noticed.
const DURATION: Duration = Duration::from_secs(8);
const NEGOTIATION: Duration = Duration::from_secs(20);
/// Frames sent between two looks at the clock.
const BLOCK: usize = 256;

/// Each gets a copy of every frame, so that a host moves far fewer than a sender sends.
const VMS: [&str; 8] = ["vm1", "vm2", "vm3", "vm4", "vm5", "vm6", "vm7", "vm8"];

const TOPOLOGY: &str = "
name: overload
mgmt: { ipv4-subnet: 192.168.94.0/24 }
topology:
  nodes:
    vsm: { kind: supervisor }
    h1: { kind: host }
    far: { kind: pc, nics: [ { name: p1 }, { name: p2 } ] }
VMS  links:
    - endpoints: [ 'h1:eth1', 'far:p1' ]
    - endpoints: [ 'h1:eth2', 'far:p2' ]
";

#[test]
fn overload_loses_no_lacpdu_and_flaps_no_member() {
    let vm = |vm| {
        format!("    {vm}: {{ kind: vm, host: h1, nics: [ {{ name: eth0, profile: LAN-10 }} ] }}\n")
    };
    let vms: String = VMS.map(vm).concat();
    let topology = Topology::parse(&TOPOLOGY.replace("VMS", &vms)).expect("a good topology");
    let site = Watched::start(Lab::build(topology).expect("a lab")).expect("it runs");
    let mut channel = PortChannel::new(site, NEGOTIATION);
    channel.configure(LAN_CONFIG, &["channel-group auto mode active", "lacp rate fast"], &VMS);
    let site = &channel.site;
    let far = site.lab().ns("far").expect("a namespace");
    let partner = [("p1", 1), ("p2", 2)]
        .map(|(port, number)| LacpPartner::start(far, port, number).expect("a partner"));
    let before = members(&channel.wait_flags("PP"));

    let duration = std::env::var("WEFT_SOAK_S").ok().and_then(|text| text.parse().ok());
    let duration = duration.map_or(DURATION, Duration::from_secs);
    let (heard, said) = (heard(site), partner.each_ref().map(LacpPartner::sent));
    let taken = taken(site);
    let offered = flood(far, duration);
    let said_by_now = partner.each_ref().map(LacpPartner::sent);
    wait_for_ok("all LACPDUs to be counted", NEGOTIATION, || {
        let now = self::heard(site);
        let is_all = (0..2).all(|i| now[i] - heard[i] >= said_by_now[i] - said[i]);
        if is_all { Ok(()) } else { Err(format!("{now:?} heard since {heard:?}")) }
    })
    .expect("no LACPDU is lost");
    let taken = self::taken(site) - taken;
    println!("overload of {duration:?}: {offered} frames offered, {taken} taken");
    let reply = site.show("port-channel summary").expect("show port-channel summary");
    let after = members(&reply["channels"][0]);
    assert_eq!(after, before, "a member has flapped");
    channel.assert_healthy();
}

/// Flag of each member, and since when it has it.
fn members(channel: &Value) -> [(String, Value); 2] {
    [0, 1].map(|number| {
        let member = member(channel, number);
        (member["flag"].to_string(), member["since_unix_ns"].clone())
    })
}

/// LACPDUs that each member has received.
fn heard(site: &Watched) -> [u64; 2] {
    let reply = site.show("lacp counters").expect("show lacp counters");
    [0, 1].map(|i| reply["ports"][i]["pdus_received"].as_u64().expect("a count"))
}

/// Frames that the uplinks have received.
fn taken(site: &Watched) -> u64 {
    let status = site.status("h1").expect("a status");
    let uplinks = rows(&status["ports"]).filter(|port| port["vm"] == "");
    uplinks.filter_map(|port| port["rx_frames"].as_u64()).sum()
}

/// Sends broadcasts by both members as fast as they go; says how many.
fn flood(far: &Namespace, duration: Duration) -> u64 {
    let until = Instant::now() + duration;
    let by = |(port, source): (&str, u8)| {
        let injector = Injector::open(far, port).expect("an injector");
        let frame = Frame::new(MacAddr::new([2, 0xbb, 0, 0, 0, source]), MacAddr::BROADCAST);
        let frame = frame.vlan(VlanId::new(10_u16).expect("a VLAN")).marker(1);
        let mut sent = 0;
        while Instant::now() < until {
            let block = std::iter::repeat_n(&frame, BLOCK);
            sent += injector.send_all(block).expect("sent").sent;
        }
        sent
    };
    thread::scope(|scope| {
        let senders = [("p1", 1), ("p2", 2)].map(|port| scope.spawn(move || by(port)));
        senders.into_iter().map(|sender| sender.join().expect("no panic")).sum()
    })
}
