//! `channel-group auto mode on`: a static port-channel of all members that have a link, three of
//! them here.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use proto::{MacAddr, VlanId};
use tests::frames::{Frame, Header};
use tests::wait::{SOON, wait_for_ok};

use crate::rig::{ALL, HOST, REMOTE, Rig, fresh, mac};

const DELAY: Duration = Duration::from_secs(1);

const CONFIG: &str = "
port-channel load-balance ethernet source-dest-ip-port
vlan 10
port-profile type vethernet A
  switchport access vlan 10
  state enabled
port-profile type vethernet B
  inherit port-profile A
  state enabled
port-profile type ethernet UPLINK
  switchport mode trunk
  switchport trunk allowed vlan 10
  channel-group auto mode on
  link-up delay 1
  state enabled
interface Ethernet3/1-3
  inherit port-profile UPLINK
";

const NICS: [u8; 3] = [1, 2, 3];

/// Flows of a VM: so many source ports, of so many addresses.
const PORTS: u16 = 200;
const ADDRESSES: u8 = 3;
const FLOWS: usize = PORTS as usize * ADDRESSES as usize;

/// Frames of a kind.
const ROUNDS: u64 = 200;

/// A flow: the last octet of its source address, and its source port.
type Flow = (u8, u16);

fn flows() -> impl Iterator<Item = Flow> {
    (1..=ADDRESSES).flat_map(|host| (0..PORTS).map(move |port| (host, 20_000 + port)))
}

/// Sends a datagram of every flow out of `a`, and gives the member by which each left: one, once.
fn members_of_flows(rig: &Rig) -> BTreeMap<Flow, u8> {
    let round = fresh();
    let to = SocketAddrV4::new(Ipv4Addr::new(10, 1, 10, 200), 5_000);
    // In portions that no ring is too small for.
    let all: Vec<Flow> = flows().collect();
    let mut members = BTreeMap::new();
    for portion in all.chunks(100) {
        let frames = portion.iter().map(|(host, port)| {
            let from = SocketAddrV4::new(Ipv4Addr::new(10, 1, 10, *host), *port);
            Frame::new(mac("a"), REMOTE).udp4(from, to, &round.to_be_bytes())
        });
        rig.vm("a").injector.send_all(frames).expect("the VM sends");
        members = wait_for_ok("a datagram of each flow", SOON, || {
            let left = datagrams(rig, round);
            let missing = portion.iter().filter(|flow| !left.contains_key(*flow)).count();
            if missing == 0 { Ok(left) } else { Err(format!("{missing} are missing")) }
        })
        .expect("every flow leaves");
    }
    members
        .into_iter()
        .map(|(flow, nics)| match nics[..] {
            [nic] => (flow, nic),
            _ => panic!("{flow:?} left by {nics:?}"),
        })
        .collect()
}

/// By which members the datagrams of a round left, by flow; a member for each copy.
fn datagrams(rig: &Rig, round: u64) -> BTreeMap<Flow, Vec<u8>> {
    let mut left: BTreeMap<Flow, Vec<u8>> = BTreeMap::new();
    for nic in NICS {
        for frame in rig.end(nic).sniffer.frames() {
            if let Some(flow) = flow_of(&frame.bytes, round) {
                left.entry(flow).or_default().push(nic);
            }
        }
    }
    left
}

/// The flow of a datagram of this round, which must be tagged with the VLAN.
fn flow_of(frame: &[u8], round: u64) -> Option<Flow> {
    let header = Header::read(frame)?;
    let packet = frame.get(header.payload_at..)?;
    let is_it = header.src == mac("a") && packet.get(28..36)? == round.to_be_bytes();
    assert!(!is_it || header.vid() == Some(10), "not tagged: {frame:02x?}");
    is_it.then(|| (packet[15], u16::from_be_bytes([packet[20], packet[21]])))
}

/// How many flows each member has.
fn shares(members: &BTreeMap<Flow, u8>) -> BTreeMap<u8, usize> {
    let mut shares = BTreeMap::new();
    for nic in members.values() {
        *shares.entry(*nic).or_default() += 1;
    }
    shares
}

/// Checks that these members have all flows, each about as many.
fn assert_even(members: &BTreeMap<Flow, u8>, nics: &[u8]) {
    let shares = shares(members);
    assert_eq!(members.len(), FLOWS);
    assert!(shares.keys().eq(nics), "members {nics:?} have {shares:?}");
    let even = FLOWS / nics.len();
    let about = even * 3 / 4..=even * 5 / 4;
    assert!(shares.values().all(|flows| about.contains(flows)), "not even: {shares:?}");
}

#[test]
fn flows_spread_over_the_members_and_stay_on_theirs_when_another_is_lost() {
    let mut rig = Rig::start(CONFIG, &["a", "b"]);
    rig.wait_flags("PPP");
    for vm in ["a", "b"] {
        let row = rig.wait_pin(vm, "port-channel1", "port-channel");
        assert_eq!(row["preferred"], "port-channel1", "{row}");
    }
    let whole = members_of_flows(&rig);
    assert_even(&whole, &NICS);
    assert_eq!(members_of_flows(&rig), whole, "a flow stays on its member");

    rig.cut(2);
    rig.wait_flags("PDP");
    let without = members_of_flows(&rig);
    assert_even(&without, &[1, 3]);
    for (flow, nic) in whole.iter().filter(|(_, nic)| **nic != 2) {
        assert_eq!(without[flow], *nic, "{flow:?} was not on the member that was lost");
    }
    // The port-channel is one uplink, and that is still there: nobody has moved.
    assert_eq!(rig.pin("a")["moves"], 0);

    let since = Instant::now();
    rig.mend(2);
    rig.wait_flags("PPP");
    let waited = since.elapsed();
    assert!(waited >= DELAY, "back {waited:?} after the link, not after {DELAY:?}");
    let again = members_of_flows(&rig);
    assert_even(&again, &NICS);
    for (flow, nic) in again.iter().filter(|(_, nic)| **nic != 2) {
        assert_eq!(without[flow], *nic, "{flow:?} moved from one old member to another");
    }
    rig.finish();
}

#[test]
fn a_broadcast_leaves_by_one_member_and_what_comes_by_any_member_is_delivered_once() {
    let rig = Rig::start(CONFIG, &["a", "b"]);
    rig.wait_flags("PPP");
    let mut sent = Vec::new();
    for _ in 0..ROUNDS {
        sent.push(rig.send("a", ALL));
        sent.push(rig.send("a", MacAddr::new([1, 0, 0x5e, 1, 2, 3])));
    }
    for id in sent {
        rig.wait_end(id);
    }
    let before = rig.weft.wait_conserved(HOST).expect("frames are conserved");

    let vlan = VlanId::new(10_u16).expect("a VLAN");
    let (mut broadcasts, mut unicasts) = (Vec::new(), Vec::new());
    let mut expected = before.since(&before);
    for nic in NICS {
        let ids: Vec<u64> = (0..2 * ROUNDS).map(|_| fresh()).collect();
        for (at, id) in ids.iter().enumerate() {
            let (dst, sort) = match at % 2 {
                0 => (ALL, &mut broadcasts),
                _ => (mac("b"), &mut unicasts),
            };
            sort.push(*id);
            let frame = Frame::new(REMOTE, dst).vlan(vlan).marker(*id);
            rig.end(nic).injector.send(&frame).expect("the far end sends");
        }
        let port = expected.port(&format!("eth{nic}"));
        (port.rx, port.forwarded) = (2 * ROUNDS, 2 * ROUNDS);
        expected.port("a").tx += ROUNDS;
        expected.port("b").tx += 2 * ROUNDS;
        rig.wait_counts(&before, &expected);
    }
    for (vm, ids) in [("a", vec![&broadcasts]), ("b", vec![&broadcasts, &unicasts])] {
        let mut wanted: Vec<u64> = ids.into_iter().flatten().copied().collect();
        wanted.sort_unstable();
        let place = rig.vm(vm);
        wait_for_ok(format!("the frames in {vm}"), SOON, || {
            let came: usize = place.tally().values().sum();
            // What `a` broadcasts reaches `b` as well.
            let local = if vm == "b" { 2 * ROUNDS as usize } else { 0 };
            if came >= wanted.len() + local { Ok(()) } else { Err(came) }
        })
        .expect("all are delivered");
        let tally = place.tally();
        let copies: Vec<_> = wanted.iter().map(|id| tally.get(id).copied()).collect();
        assert!(copies.iter().all(|copies| *copies == Some(1)), "{vm}: {copies:?}");
    }
    rig.finish();
}
