//! An uplink loses its link, or is deleted: its VMs move to the other one and, when it is back,
//! home again, and the physical network is told.

use std::time::{Duration, Instant};

use proto::{EtherType, MacAddr, VlanId};
use tests::daemons::rows;
use tests::frames::Header;
use tests::link;
use tests::site::{Site, Uplink, ip};
use tests::sniff::Sniffer;
use tests::traffic::ping_once;
use tests::wait::{SOON, wait_for_ok};

/// Answers in half a second: enough to be sure that traffic flows.
const ANSWERS: usize = 50;

/// The time in which traffic of a moved VM must be back.
const RECOVERY_MAX: Duration = Duration::from_secs(1);

/// How long a link has to stand before it is used again: `link-up delay`, by default.
const LINK_UP_DELAY: Duration = Duration::from_secs(5);

/// MTU of the cables.
const MTU: u16 = 1500;

/// Both uplinks of `h1`, at the physical switch.
const SWITCH_PORTS: [&str; 2] = ["h1-1", "h1-2"];

fn vlan_10() -> VlanId {
    VlanId::new(10_u16).expect("a VLAN")
}

/// Reverse ARP (RFC 903) of this address, with the tag of VLAN 10.
fn is_announcement(frame: &[u8], mac: MacAddr) -> bool {
    Header::read(frame).is_some_and(|header| {
        header.src == mac && header.ethertype == EtherType::RARP && header.vid() == Some(10)
    })
}

#[test]
fn a_lost_link_moves_its_vms_within_a_second_and_tells_the_network() {
    let mut site = Site::start();
    let mac = site.identity("a").1;
    let first = site.uplink_of("a");
    let second = lose(&site, &first, mac);
    come_home(&site, &second, &first, mac);
    // With the other one lost as well nobody is left to move to.
    link::down(site.ns("tor"), &second.switch_port).expect("down");
    site.wait_link("h1", &second.nic, false);
    assert_eq!(site.uplink_of("a"), first);
    assert_without_uplinks(&site, &first);
    for port in SWITCH_PORTS {
        link::up(site.ns("tor"), port).expect("up");
    }
    site.assert_reaches("a", "c");
    site.wait_all_up();
    site.assert_healthy();
}

/// Takes the link of the uplink of `a` away, and checks what comes of it; gives the new one.
fn lose(site: &Site, uplink: &Uplink, mac: MacAddr) -> Uplink {
    let other = SWITCH_PORTS.into_iter().find(|port| *port != uplink.switch_port).expect("another");
    let sniffer = Sniffer::start(site.ns("tor"), other).expect("a sniffer");
    let mut pinger = site.pinger("a", "c");
    pinger.wait_replies(ANSWERS).expect("answers");
    link::down(site.ns("tor"), &uplink.switch_port).expect("down");
    pinger.wait_replies(ANSWERS).expect("answers by the other uplink");
    let outcome = pinger.finish().expect("a summary");
    assert!(outcome.gap < RECOVERY_MAX, "{outcome:?}");
    sniffer
        .wait_count(1, SOON, |frame| is_announcement(frame, mac))
        .expect("the address is announced");
    let now = site.wait_moved("a", uplink);
    assert_eq!(now.switch_port, other);
    let learned = site.lab().switch("tor").expect("tor").lookup(vlan_10(), mac);
    assert_eq!(learned.as_deref(), Some(other), "where the physical switch has a");
    site.wait_event("link-down", &uplink.name);
    site.wait_event("repinned", &site.identity("a").0);
    assert_eq!(site.vnic("a")["status"], "up");
    now
}

/// Gives the link of the home of `a` back: when it has stood for a while, `a` goes back to it.
fn come_home(site: &Site, away: &Uplink, home: &Uplink, mac: MacAddr) {
    let sniffer = Sniffer::start(site.ns("tor"), &home.switch_port).expect("a sniffer");
    let mut pinger = site.pinger("a", "c");
    pinger.wait_replies(ANSWERS).expect("answers");
    let since = Instant::now();
    link::up(site.ns("tor"), &home.switch_port).expect("up");
    assert_eq!(site.wait_moved("a", away), *home);
    let waited = since.elapsed();
    assert!(waited >= LINK_UP_DELAY, "moved {waited:?} after the link came up");
    sniffer
        .wait_count(1, SOON, |frame| is_announcement(frame, mac))
        .expect("the address is announced");
    pinger.wait_replies(ANSWERS).expect("answers by the home");
    let outcome = pinger.finish().expect("a summary");
    assert!(outcome.gap < RECOVERY_MAX, "{outcome:?}");
}

/// With both links gone VMs of the host still reach each other, and frames for others are dropped
/// with the reason. `gone` is the one that still has its link; the other has lost it.
fn assert_without_uplinks(site: &Site, gone: &Uplink) {
    link::down(site.ns("tor"), &gone.switch_port).expect("down");
    site.wait_link("h1", &gone.nic, false);
    let drops = || site.port("h1", "a")["drops"]["no-uplink"].as_u64().unwrap_or_default();
    let before = drops();
    assert!(!ping_once(site.ns("a"), ip("c")).expect("ping"), "c answered without an uplink");
    assert!(drops() > before, "no-uplink: {before} before, {} now", drops());
    site.assert_reaches("a", "b");
    assert_eq!(site.port("h1", "a")["pinned_to"], "");
}

#[test]
fn a_deleted_uplink_goes_down_alone_and_comes_back_when_it_is_made_again() {
    let mut site = Site::start();
    let first = site.uplink_of("a");
    let mut pinger = site.pinger("a", "c");
    pinger.wait_replies(ANSWERS).expect("answers");
    link::delete(site.ns("h1"), &first.nic).expect("deleted");
    pinger.wait_replies(ANSWERS).expect("answers by the other uplink");
    let outcome = pinger.finish().expect("a summary");
    assert!(outcome.gap < RECOVERY_MAX, "{outcome:?}");
    let second = site.wait_moved("a", &first);
    site.wait_link("h1", &first.nic, false);
    let kinds = ["port-vanished", "link-down"].map(|kind| (kind, first.name.as_str()));
    wait_for_ok("an event", SOON, || {
        let events = site.show("events").map_err(|error| error.to_string())?;
        let told = rows(&events)
            .any(|event| kinds.iter().any(|(k, p)| event["kind"] == *k && event["port"] == *p));
        if told { Ok(()) } else { Err(events.to_string()) }
    })
    .expect("the supervisor is told");

    // A new cable; the physical switch does not listen on it, so the far end is ours.
    let far_end = ("tor", "again");
    link::cable((site.ns("h1"), &first.nic), (site.ns(far_end.0), far_end.1), MTU).expect("cable");
    site.wait_link("h1", &first.nic, true);
    let program = site.ns("h1").ip(&format!("-d link show dev {}", first.nic)).expect("ip");
    assert!(program.contains("prog/xdp"), "{program}");
    let sniffer = Sniffer::start(site.ns(far_end.0), far_end.1).expect("a sniffer");
    link::down(site.ns("tor"), &second.switch_port).expect("down");
    let mac = site.identity("a").1;
    sniffer.wait_count(1, SOON, |frame| is_announcement(frame, mac)).expect("a is back on it");
    assert_eq!(site.wait_moved("a", &second).name, first.name);
    // Traffic of the VM too: it asks for c's address, or sends to it.
    ping_once(site.ns("a"), ip("c")).expect("ping");
    let of_a = |frame: &[u8]| {
        Header::read(frame)
            .is_some_and(|header| header.src == mac && header.ethertype != EtherType::RARP)
    };
    sniffer.wait_count(1, SOON, of_a).expect("its frames leave by the new cable");
    site.assert_healthy();
}

#[test]
fn a_nic_whose_mtu_grows_under_the_daemon_carries_longer_frames() {
    let mut site = Site::start();
    site.apply_text(
        "port-profile type vethernet LAN-10\n  mtu 9000\n\
         port-profile type ethernet UPLINK\n  mtu 9000\n",
    )
    .expect("applied");
    let reasons = || -> Vec<String> {
        let table = site.show("interface").expect("show interface");
        let uplinks =
            rows(&table).filter(|r| r["name"].as_str().is_some_and(|n| n.starts_with('E')));
        uplinks.map(|row| row["reason"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let told = |wanted: &dyn Fn(&String) -> bool| {
        wait_for_ok("the uplinks to be told of", SOON, || {
            let now = reasons();
            if now.len() == 4 && now.iter().all(wanted) { Ok(()) } else { Err(now.join("; ")) }
        })
        .expect("show interface");
    };
    told(&|reason| reason.ends_with("is 1500, not 9000: longer frames are dropped"));
    for (host, nic) in [("h1", "eth1"), ("h1", "eth2"), ("h2", "eth1"), ("h2", "eth2")] {
        let port = format!("{host}-{}", &nic[3..]);
        link::set_mtu(site.ns("tor"), &port, 9000).expect("the switch takes it");
        link::set_mtu(site.ns(host), nic, 9000).expect("the NIC takes it");
    }
    told(&String::is_empty);
    site.assert_reaches("a", "c");
    let whole = ["-c", "3", "-i", "0.2", "-W", "2", "-M", "do", "-s", "8972", "10.1.10.3"];
    site.ns("a").output("ping", &whole).expect("9,000 bytes pass unfragmented");
    site.assert_healthy();
}
