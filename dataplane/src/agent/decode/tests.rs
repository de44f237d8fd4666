//! Pushes that no honest supervisor sends: refused with the reason, in bounded time.

use std::time::{Duration, Instant};

use policy::Snapshot;
use policy::ids::StableIds;

use super::*;

const HELD: Revision = Revision::new(7);

fn port(name: &str) -> rpc::Port {
    rpc::Port {
        name: name.to_owned(),
        admin_up: true,
        mtu_bytes: 1500,
        mode: Some(rpc::port::Mode::AccessVlan(10)),
        role: Some(rpc::port::Role::Uplink(rpc::UplinkRole { nic: 1, ..Default::default() })),
        ..Default::default()
    }
}

fn many_ports(count: u32) -> rpc::HostIntent {
    let vethernet = |n: u32| {
        let role = rpc::VethernetRole {
            vm: format!("vm{n}"),
            adapter: "eth0".to_owned(),
            mac: MacAddr::from_u64(0x0200_0000_0000 + u64::from(n)).to_string(),
            ..Default::default()
        };
        let role = Some(rpc::port::Role::Vethernet(role));
        rpc::Port { role, ..port(&format!("Vethernet{n}")) }
    };
    rpc::HostIntent { ports: (1..=count).map(vethernet).collect(), ..Default::default() }
}

fn push(revision: u64, body: rpc::push::Body) -> rpc::Push {
    rpc::Push { revision, body: Some(body) }
}

fn messages(outcome: Result<impl Sized, Vec<Problem>>) -> Vec<String> {
    outcome.err().unwrap_or_default().into_iter().map(|p| p.message).collect()
}

#[test]
fn a_push_that_fits_nothing_is_refused() {
    let nothing = rpc::HostIntent::default();
    let outcome = |push| messages(resulting_intent(push, HELD, &nothing));
    let delta = rpc::HostDelta { base_revision: 6, ..Default::default() };
    let wrong_base = outcome(push(8, rpc::push::Body::Delta(delta)));
    assert_eq!(wrong_base, ["difference to revision 6, but 7 is held"]);
    let empty = outcome(rpc::Push { revision: 8, body: None });
    assert_eq!(empty, ["push without a body"]);
    for revision in [u64::MAX, 8 + LEAD_MAX] {
        let absurd = outcome(push(revision, rpc::push::Body::Full(nothing.clone())));
        assert_eq!(absurd, [format!("revision {revision} is far beyond 7, which is held")]);
    }
    let back = push(3, rpc::push::Body::Full(nothing.clone()));
    assert!(resulting_intent(back, HELD, &nothing).is_ok(), "who has the term may go back");
}

#[test]
fn what_is_listed_twice_is_refused() {
    let vlan = rpc::Vlan { id: 10, name: "A".to_owned() };
    let list = rpc::AccessList {
        name: "L".to_owned(),
        kind: "ip".to_owned(),
        entries: vec!["10 permit ip any any".to_owned(), "10 deny ip any any".to_owned()],
    };
    let single = rpc::AccessList { entries: Vec::new(), ..list.clone() };
    let twice = rpc::HostIntent {
        teaming: None,
        vlans: vec![vlan.clone(), vlan],
        access_lists: vec![single.clone(), single, list],
        ports: vec![port("Ethernet3/1"), port("Ethernet3/1")],
    };
    let expected = [
        "VLAN 10 is listed twice",
        "the list is there twice",
        "entry 10 is listed twice",
        "the port is listed twice",
    ];
    assert_eq!(messages(host_intent(&twice)), expected);
}

#[test]
fn a_hundred_thousand_ports_are_refused_in_bounded_time() {
    let started = Instant::now();
    let all = many_ports(100_000);
    let removed_ports = all.ports.iter().rev().map(|port| port.name.clone()).collect();
    let delta = rpc::HostDelta { base_revision: 7, removed_ports, ..Default::default() };
    let rest = resulting_intent(push(8, rpc::push::Body::Delta(delta)), HELD, &all);
    assert_eq!(rest.expect("a difference to what is held").ports, []);
    let intent = host_intent(&all).expect("each port is one");
    let problems = Snapshot::build(&intent, HELD, &mut StableIds::default()).expect_err("too many");
    let told = rejected(HELD, &problems);
    assert_eq!(told.problems.len(), PROBLEMS_MAX);
    assert_eq!(told.problems[0].message, "all 4096 ports of this host are taken");
    // With a search of each name in a list it took minutes.
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}
