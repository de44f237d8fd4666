//! What the netdevs of a host do to its ports.

use std::time::{Duration, Instant};

use super::*;

fn link(ifname: &str, up: bool, mtu_bytes: u32) -> Event {
    Event::Link { ifname: ifname.to_owned(), up, mtu_bytes: Some(mtu_bytes) }
}

#[test]
fn the_loss_of_a_link_moves_the_pin_and_announces_the_address() {
    let mut rig = Rig::with_vm();
    for ifname in ["eth1", "eth2"] {
        rig.control.handle(link(ifname, true, 1500));
    }
    let pinned = |rig: &Rig| {
        let view = rig.chassis.record().published.clone().expect("a view");
        let vm = view.snapshot.ports().find(|p| p.name.to_string() == "Vethernet12");
        let uplink = view.team.pinned_member(vm.expect("the port").id).expect("a pin");
        view.snapshot.port(uplink).expect("an uplink").name.to_string()
    };
    assert_eq!(pinned(&rig), "Ethernet3/1");
    rig.chassis.record().injected.clear();
    rig.control.handle(link("eth1", false, 1500));
    assert_eq!(pinned(&rig), "Ethernet3/2");
    let injected = rig.chassis.record().injected.clone();
    let (_, frame) = injected.first().expect("an announcement");
    assert_eq!(frame[6..12], [0x02, 0x57, 0x46, 0, 0, 0x0c]);
    assert_eq!(frame[12..16], [0x81, 0, 0, 10], "tagged with the VM's VLAN");
    let deadline = Instant::now() + Duration::from_secs(10);
    while rig.chassis.record().injected.len() < 4 && Instant::now() < deadline {
        rig.control.tick(false);
    }
    let injected = rig.chassis.record().injected.clone();
    assert_eq!(injected.len(), 4, "told, and told three times again");
    assert!(injected.iter().all(|(slot, again)| *slot == injected[0].0 && *again == injected[0].1));
}

#[test]
fn a_change_is_reported_at_the_next_tick_and_not_only_once_a_second() {
    let mut rig = Rig::with_vm();
    while rig.heard().is_some() {}
    let reports = |rig: &mut Rig| {
        rig.control.tick(false);
        let mut heard = std::iter::from_fn(|| rig.heard());
        heard.any(|body| matches!(body, switch::from_dataplane::Body::Counters(_)))
    };
    reports(&mut rig);
    assert!(!reports(&mut rig), "nothing has changed");
    rig.control.handle(link("eth1", true, 1500));
    assert!(reports(&mut rig));
    assert!(!reports(&mut rig));
    rig.connect(1);
    assert!(reports(&mut rig), "a supervisor that comes back knows nothing");
}

#[test]
fn a_nic_is_opened_anew_when_its_own_mtu_changes_and_not_when_the_profile_does() {
    let mut rig = Rig::with_vm();
    for ifname in ["eth1", "eth2"] {
        rig.control.handle(link(ifname, true, 9000));
    }
    let opened = rig.chassis.record().opened;
    let mut jumbo = intent(10);
    jumbo.ports[0].mtu_bytes = 9000;
    rig.push(1, 6, jumbo);
    assert_eq!(rig.chassis.record().opened, opened, "no frame is lost for it");
    rig.control.handle(link("eth1", true, 1500));
    assert_eq!(rig.chassis.record().opened, opened + 1);
    assert_eq!(rig.chassis.record().open.len(), 3);
    rig.control.handle(link("eth1", true, 1500));
    assert_eq!(rig.chassis.record().opened, opened + 1);
    let counters = rig.control.counters();
    let said: Vec<(&str, bool, &str)> = counters
        .ports
        .iter()
        .map(|p| (p.name.as_str(), p.link_up, p.state_reason.as_str()))
        .filter(|(name, ..)| name.starts_with("Ethernet"))
        .collect();
    let short = "MTU of eth1 is 1500, not 9000: longer frames are dropped";
    assert_eq!(said, [("Ethernet3/1", true, short), ("Ethernet3/2", true, "")]);
}

#[test]
fn an_address_that_is_known_is_announced_by_arp_as_well() {
    let mut rig = Rig::with_vm();
    for ifname in ["eth1", "eth2"] {
        rig.control.handle(link(ifname, true, 1500));
    }
    for attachment in rig.control.attachments.values_mut() {
        attachment.saved.ipv4 = vec![[10, 1, 10, 7].into()];
    }
    rig.chassis.record().injected.clear();
    let sent = rig.control.announcer.sent();
    rig.control.handle(link("eth1", false, 1500));
    let injected = rig.chassis.record().injected.clone();
    let ether_types: Vec<_> = injected.iter().map(|(_, frame)| [frame[16], frame[17]]).collect();
    assert_eq!(ether_types, [[0x80, 0x35], [0x08, 0x06]], "RARP, then ARP");
    assert_eq!(injected[1].1[32..36], [10, 1, 10, 7], "the sender's address");
    assert_eq!(rig.control.announcer.sent() - sent, 2);
}
