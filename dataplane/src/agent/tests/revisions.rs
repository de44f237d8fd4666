//! What the supervisor pushes, and what a dataplane makes of it.

use super::*;

#[test]
fn a_rejected_revision_changes_nothing() {
    let mut rig = Rig::with_vm();
    let mut bad = intent(20);
    bad.ports[0].mtu_bytes = 70_000;
    bad.ports[2].mode = Some(switch::port::Mode::AccessVlan(4095));
    rig.push(1, 6, bad);
    let Some(switch::from_dataplane::Body::Rejected(rejected)) = rig.answer() else {
        panic!("it was not refused")
    };
    assert_eq!(rejected.revision, 6);
    assert_eq!(rejected.problems.len(), 2, "{:?}", rejected.problems);
    assert_eq!(rig.revision(), Revision::new(5));
    assert_eq!(rig.restart().revision(), Revision::new(5), "not on disk either");
}

#[test]
fn a_revision_that_cannot_be_kept_changes_nothing() {
    let mut rig = Rig::with_vm();
    // Nothing can be written there: a directory is in the way.
    std::fs::create_dir(rig.dir.path().join("intent.new")).expect("an empty directory");
    rig.push(1, 6, with_rules(&["10 permit tcp any any"]));
    let Some(switch::from_dataplane::Body::Rejected(rejected)) = rig.answer() else {
        panic!("it was not refused")
    };
    assert_eq!((rejected.revision, rejected.problems.len()), (6, 1));
    assert_eq!(rig.revision(), Revision::new(5));
    assert!(rig.matches().is_empty(), "no list of the refused revision is counted");
}

/// The state of [`intent`] with an access list on the vEthernet.
fn with_rules(entries: &[&str]) -> switch::HostIntent {
    let mut intent = intent(10);
    intent.access_lists.push(switch::AccessList {
        name: "L".to_owned(),
        kind: "ip".to_owned(),
        entries: entries.iter().map(|text| (*text).to_owned()).collect(),
    });
    intent
}

#[test]
fn matches_of_an_entry_are_its_own() {
    let mut rig = Rig::with_vm();
    rig.push(1, 6, with_rules(&["10 permit tcp any any", "20 permit udp any any"]));
    let counters: Vec<RuleCounterId> = (0..3).map(RuleCounterId).collect();
    rig.chassis.record().matches = counters.iter().map(|c| (*c, 12)).collect();
    assert_eq!(rig.matches(), [(0, 12), (10, 12), (20, 12)].into());
    // Another entry under the number of one before it, and then other entries altogether.
    rig.push(1, 7, with_rules(&["10 deny tcp any any", "20 permit udp any any"]));
    assert_eq!(rig.matches(), [(0, 12), (10, 0), (20, 12)].into());
    rig.push(1, 8, with_rules(&["30 permit icmp any any"]));
    assert_eq!(rig.matches(), [(0, 12), (30, 0)].into());
    for count in rig.chassis.record().matches.values_mut() {
        *count += 1;
    }
    assert_eq!(rig.matches(), [(0, 13), (30, 1)].into());
}

#[test]
fn a_lower_term_changes_nothing() {
    let mut rig = Rig::with_vm();
    rig.push(7, 6, intent(20));
    assert_eq!(rig.revision(), Revision::new(6));
    rig.push(6, 8, intent(10));
    assert_eq!(rig.revision(), Revision::new(6), "pushed by a deposed supervisor");
    let mut rig = rig.restart();
    rig.connect(7);
    rig.push(6, 9, intent(10));
    assert_eq!(rig.revision(), Revision::new(6), "the term is remembered on disk");
}

#[test]
fn a_damaged_state_comes_anew_and_only_from_the_term_that_is_known() {
    let mut rig = Rig::with_vm();
    rig.connect(7);
    std::fs::write(rig.dir.path().join("intent"), "spoilt").expect("written");
    let mut rig = rig.restart();
    assert_eq!(rig.revision(), Revision::NONE);
    rig.connect(6);
    rig.push(6, 8, intent(10));
    assert_eq!(rig.revision(), Revision::NONE, "pushed by a deposed supervisor");
    rig.connect(7);
    rig.push(7, 6, intent(20));
    assert_eq!(rig.revision(), Revision::new(6));
    assert_eq!(rig.control.attachments.len(), 1, "what is plugged in stays");
}

#[test]
fn a_difference_applies_to_the_revision_it_names_and_to_no_other() {
    let mut rig = Rig::with_vm();
    let delta = |base_revision| switch::HostDelta {
        base_revision,
        ports: vec![intent(20).ports.remove(2)],
        ..Default::default()
    };
    let push = |base, revision| switch::Push {
        revision,
        body: Some(switch::push::Body::Delta(delta(base))),
    };
    rig.tell(1, switch::to_dataplane::Body::Push(push(4, 6)));
    assert!(matches!(rig.answer(), Some(switch::from_dataplane::Body::Rejected(_))));
    rig.tell(1, switch::to_dataplane::Body::Push(push(5, 6)));
    assert!(matches!(rig.answer(), Some(switch::from_dataplane::Body::Applied(_))));
    let view = rig.chassis.record().published.clone().expect("a view");
    let moved = view.snapshot.ports().any(|p| {
        p.name.to_string() == "Vethernet12"
            && p.vlan_mode.carries(proto::VlanId::new(20u16).expect("legal"))
    });
    assert!(moved && view.snapshot.ports().count() == 3);
}

#[test]
fn a_session_that_ends_refuses_those_that_wait_for_it() {
    let mut rig = Rig::new();
    rig.connect(1);
    let mut answered = rig.attach();
    rig.control.handle(Event::SessionDown { reason: "reset".to_owned() });
    let refusal = answered.try_recv().expect("an answer").expect_err("nobody can number it");
    assert!(refusal.to_string().contains("reset"));
}

#[test]
fn who_waits_for_a_revision_sees_the_ports_as_they_are_by_it() {
    use switch::from_dataplane::Body;
    let mut rig = Rig::with_vm();
    let mut shut = intent(10);
    shut.ports[2].admin_up = false;
    rig.push(1, 6, shut);
    let said: Vec<Body> = std::iter::from_fn(|| rig.heard()).collect();
    let at = |wanted: fn(&Body) -> bool| said.iter().position(wanted).expect("it was said");
    let reported = at(|body| {
        matches!(body, Body::Counters(counters) if counters.revision == 6
            && counters.ports.iter().any(|p| p.state_reason == "administratively down"))
    });
    assert!(reported < at(|body| matches!(body, Body::Applied(_))));
}
