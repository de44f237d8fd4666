//! What is plugged in, what becomes of its device, and what comes back after a restart.

use super::*;

#[test]
fn an_attach_is_answered_when_its_policy_is_forwarded_by() {
    let mut rig = Rig::new();
    rig.connect(1);
    let mut answered = rig.attach();
    let Some(switch::from_dataplane::Body::Attach(request)) = rig.answer() else {
        panic!("the supervisor is not asked")
    };
    assert_eq!((request.vm.as_str(), request.profile.as_str()), ("vm1", "WEB"));
    rig.grant(1, request.request_id, 5);
    assert!(answered.try_recv().is_err(), "no policy yet");
    rig.push(1, 5, intent(10));
    let reply = answered.try_recv().expect("an answer").expect("granted");
    assert_eq!((reply.vethernet, reply.mac.as_str()), (12, "02:57:46:00:00:0c"));
    assert!(matches!(
        rig.answer(),
        Some(switch::from_dataplane::Body::Applied(switch::Applied { revision: 5, .. }))
    ));
    assert_eq!(rig.chassis.record().open.len(), 3, "two uplinks and the TAP");
}

#[test]
fn a_refused_attach_says_why_and_opens_nothing() {
    let mut rig = Rig::new();
    rig.connect(1);
    let mut answered = rig.attach();
    use switch::attach_reply::Result::Refused;
    let why = "port-profile WEB does not exist".to_owned();
    let reply = switch::AttachReply { request_id: 1, result: Some(Refused(why.clone())) };
    rig.tell(1, switch::to_dataplane::Body::AttachReply(reply));
    assert_eq!(answered.try_recv().expect("an answer"), Err(Refusal::Refused(why)));
    assert!(rig.chassis.record().open.is_empty());
}

#[test]
fn a_device_that_fails_gives_the_port_back() {
    let mut rig = Rig::new();
    rig.connect(1);
    let mut answered = rig.attach();
    rig.answer();
    rig.chassis.record().refuse = Some("interface eth0 exists already".to_owned());
    rig.grant(1, 1, 5);
    let refusal = answered.try_recv().expect("an answer").expect_err("the device failed");
    assert!(refusal.to_string().contains("exists already"));
    let Some(switch::from_dataplane::Body::Detach(detach)) = rig.answer() else {
        panic!("the supervisor is not told")
    };
    assert_eq!(detach.vethernet, 12);
}

#[test]
fn headless_after_a_restart_everything_comes_back() {
    let rig = Rig::with_vm().restart();
    assert_eq!(rig.revision(), Revision::new(5));
    let record = rig.chassis.record();
    assert!(
        record.open.values().any(|d| matches!(d, Device::Tap { ifname, .. } if ifname == "eth0"))
    );
    assert_eq!(record.open.len(), 3);
}

#[test]
fn a_tap_has_the_mtu_of_its_profile_also_when_that_changes_and_after_a_restart() {
    let mut rig = Rig::with_vm();
    let mtu = |rig: &Rig| {
        let record = rig.chassis.record();
        record.open.values().find_map(|device| match device {
            Device::Tap { mtu_bytes, .. } => Some(*mtu_bytes),
            Device::Afxdp { .. } => None,
        })
    };
    assert_eq!(mtu(&rig), Some(1500));
    let mut jumbo = intent(10);
    jumbo.ports[2].mtu_bytes = 9000;
    rig.push(1, 6, jumbo);
    assert_eq!(mtu(&rig), Some(9000));
    assert_eq!(rig.chassis.record().open.len(), 3);
    assert_eq!(mtu(&rig.restart()), Some(9000));
}

#[test]
fn headless_a_known_vnic_is_plugged_in_and_an_unknown_one_is_not() {
    let mut rig = Rig::with_vm();
    rig.control.handle(Event::SessionDown { reason: "killed".to_owned() });
    let (answer, mut answered) = oneshot::channel();
    let request = local::DetachRequest { vm: "vm1".to_owned(), adapter: "eth0".to_owned() };
    rig.control.handle(Event::Detach(request.clone(), answer));
    assert_eq!(answered.try_recv().expect("an answer"), Ok(local::DetachReply {}));
    assert_eq!(rig.chassis.record().unplugged.len(), 1);
    let mut answered = rig.attach();
    let reply = answered.try_recv().expect("an answer").expect("it is known");
    assert_eq!(reply.vethernet, 12);
    assert!(reply.note.contains("headless"));

    let (answer, mut answered) = oneshot::channel();
    rig.control.handle(Event::Attach(tap_of("vm2", "eth9"), answer));
    let refusal = answered.try_recv().expect("an answer").expect_err("it is not known");
    assert!(matches!(refusal, Refusal::Unavailable(_)), "{refusal}");
}

#[test]
fn a_port_whose_device_vanished_is_opened_again() {
    let mut rig = Rig::with_vm();
    let tap = rig
        .chassis
        .record()
        .open
        .iter()
        .find_map(|(slot, device)| matches!(device, Device::Tap { .. }).then_some(*slot));
    let slot = tap.expect("the TAP is open");
    rig.control.handle(Event::PortGone { port: slot, reason: "deleted".to_owned() });
    assert!(!rig.chassis.record().open.contains_key(&slot));
    let Some(switch::from_dataplane::Body::Event(event)) = rig.heard() else { panic!("no event") };
    assert_eq!((event.kind.as_str(), event.port.as_str()), ("port-vanished", "Vethernet12"));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !rig.chassis.record().open.contains_key(&slot) {
        assert!(std::time::Instant::now() < deadline, "not opened again");
        rig.control.tick(false);
    }
}

#[test]
fn bpdu_guard_shuts_the_port_for_good() {
    let mut rig = Rig::with_vm();
    let view = rig.chassis.record().published.clone().expect("a view");
    let slot = view.snapshot.ports().find(|p| p.name.to_string() == "Vethernet12").map(|p| p.id);
    let slot = slot.expect("the port");
    rig.control.handle(Event::BpduGuard { port: slot });
    rig.control.tick(true);
    assert!(!rig.chassis.record().open.contains_key(&slot));
    let view = rig.chassis.record().published.clone().expect("a view");
    assert!(!view.team.is_up(slot));
    // Its netdev is still in the VM: plugging it out takes that away.
    let (answer, mut answered) = oneshot::channel();
    let request = local::DetachRequest { vm: "vm1".to_owned(), adapter: "eth0".to_owned() };
    rig.control.handle(Event::Detach(request, answer));
    assert!(matches!(answered.try_recv(), Ok(Ok(_))));
    assert!(matches!(rig.chassis.record().removed.as_slice(), [Device::Tap { .. }]));
}

#[test]
fn a_port_whose_namespace_was_deleted_is_let_go_of() {
    let mut rig = Rig::with_vm();
    let find =
        |(slot, device): (&PortId, &Device)| matches!(device, Device::Tap { .. }).then_some(*slot);
    let slot = rig.chassis.record().open.iter().find_map(find).expect("the TAP is open");
    rig.chassis.record().stranded.push(slot);
    rig.chassis.record().refuse = Some("no such namespace".to_owned());
    rig.control.tick(false);
    assert!(!rig.chassis.record().open.contains_key(&slot));
    let Some(switch::from_dataplane::Body::Event(event)) = rig.heard() else { panic!("no event") };
    assert_eq!(event.kind, "port-vanished");
    assert!(event.message.ends_with("its network namespace was deleted"), "{}", event.message);
}

#[test]
fn wrong_requests_are_refused_before_anybody_is_asked() {
    let mut rig = Rig::new();
    rig.connect(1);
    let good = tap_of("vm1", "eth0");
    type Spoil = fn(&mut local::AttachRequest);
    let spoil: [(&str, Spoil); 8] = [
        ("VM", |r| r.vm.clear()),
        ("adapter", |r| r.adapter = "a/b".to_owned()),
        ("too long", |r| r.ifname = "a".repeat(16)),
        ("unknown kind", |r| r.kind = "vhost".to_owned()),
        ("own network namespace", |r| {
            r.kind = "afxdp".to_owned();
            r.netns = "vm1".to_owned();
        }),
        ("mtu", |r| r.mtu_bytes = 10),
        ("is not a name", |r| r.profile = "no name".to_owned()),
        ("group address", |r| r.mac = "01:00:5e:00:00:01".to_owned()),
    ];
    for (expected, spoil) in spoil {
        let mut request = good.clone();
        spoil(&mut request);
        let (answer, mut answered) = oneshot::channel();
        rig.control.handle(Event::Attach(request, answer));
        let refusal = answered.try_recv().expect("an answer").expect_err("it is wrong");
        assert!(refusal.to_string().contains(expected), "{refusal} / {expected}");
    }
    assert!(rig.answer().is_none());
}
