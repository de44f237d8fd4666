//! A change while traffic flows: it takes effect, and disturbs nobody whom it does not concern.

use tests::link;
use tests::pinger::Pinger;
use tests::site::{Site, ip};
use tests::traffic::{ping_once, wait_ping};
use tests::wait::{SOON, wait_for_ok};

/// Answers in half a second.
const ANSWERS: usize = 50;

/// The text that sets the rule of `NO-PING-TO-C`.
fn rule(action: &str) -> String {
    format!("ip access-list NO-PING-TO-C\n  10 {action} icmp any host 10.1.10.3\n")
}

#[test]
fn an_access_list_edited_under_an_open_ping_acts_at_once_and_on_nobody_else() {
    let mut site = Site::start();
    // Others of the same host, VLAN and uplink, and one of another VLAN.
    let mut others = [site.pinger("a", "c"), site.pinger("d", "e"), site.pinger("a", "b")];
    site.apply_text(&rule("permit")).expect("applied");
    let mut edited = site.pinger("b", "c");
    edited.wait_replies(ANSWERS).expect("answers");
    for _ in 0..3 {
        site.apply_text(&rule("deny")).expect("applied");
        let denied = site.port("h1", "b")["drops"]["acl-ingress"].as_u64().unwrap_or_default();
        wait_for_ok("the open ping to be denied", SOON, || {
            let now = site.port("h1", "b")["drops"]["acl-ingress"].as_u64().unwrap_or_default();
            if now >= denied + 20 { Ok(()) } else { Err(now) }
        })
        .expect("its frames are dropped");
        assert!(!ping_once(site.ns("b"), ip("c")).expect("ping"), "denied, and answered");
        site.apply_text(&rule("permit")).expect("applied");
        edited.wait_replies(ANSWERS).expect("answers again");
    }
    let outcome = edited.finish().expect("a summary");
    assert!(outcome.lost() >= 60, "{outcome:?}");
    others.iter_mut().for_each(|pinger| pinger.wait_replies(ANSWERS).expect("answers"));
    for outcome in others.map(Pinger::finish) {
        let outcome = outcome.expect("a summary");
        assert_eq!(outcome.lost(), 0, "{outcome:?}");
    }
    wait_for_ok("the matches to be counted", SOON, || {
        let lists = site.show("access-lists NO-PING-TO-C").map_err(|error| error.to_string())?;
        let first = &lists["lists"][0]["entries"][0];
        if first["matches"].as_u64() > Some(0) { Ok(()) } else { Err(lists.to_string()) }
    })
    .expect("show access-lists counts");
    site.assert_healthy();
}

#[test]
fn another_access_vlan_moves_a_vm_to_another_lan() {
    let mut site = Site::start();
    let other = site.pinger("a", "c");
    let (name, _) = site.identity("d");
    // An address in each LAN, so that only the VLAN decides.
    link::add_address(site.ns("d"), "eth0", "10.1.10.44/24").expect("a second address");
    let second = "10.1.10.44".parse().expect("an address");
    assert!(!ping_once(site.ns("a"), second).expect("ping"), "d is in VLAN 20");
    site.assert_reaches("d", "e");

    site.apply_text(&format!("interface {name}\n  switchport access vlan 10\n")).expect("applied");
    wait_ping(site.ns("a"), second).expect("on its host");
    wait_ping(site.ns("c"), second).expect("across hosts");
    assert!(!ping_once(site.ns("d"), ip("e")).expect("ping"), "d has left VLAN 20");
    let row = site.vnic("d");
    assert_eq!((&row["vlan"], &row["profile"]), (&"10".into(), &"LAN-20".into()));
    let origin = row["settings"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|setting| setting["name"] == "switchport access vlan");
    assert_eq!(origin.expect("a setting")["origin"], "interface", "{row:#}");

    let back = format!("interface {name}\n  no switchport access vlan\n");
    site.apply_text(&back).expect("applied");
    site.assert_reaches("d", "e");
    assert!(!ping_once(site.ns("a"), second).expect("ping"), "d is back in VLAN 20");
    let outcome = other.finish().expect("a summary");
    assert_eq!(outcome.lost(), 0, "a and c are not concerned: {outcome:?}");
    site.assert_healthy();
}

#[test]
fn a_port_that_is_shut_is_silent_until_it_is_opened() {
    let mut site = Site::start();
    let (name, _) = site.identity("b");
    let other = site.pinger("a", "c");
    site.apply_text(&format!("interface {name}\n  shutdown\n")).expect("applied");
    assert!(!ping_once(site.ns("a"), ip("b")).expect("ping"), "b answers");
    let row = site.vnic("b");
    assert_eq!((&row["status"], &row["admin"]), (&"down".into(), &"down".into()));
    assert_eq!(row["reason"], "administratively down");
    site.apply_text(&format!("interface {name}\n  no shutdown\n")).expect("applied");
    site.assert_reaches("a", "b");
    assert_eq!(other.finish().expect("a summary").lost(), 0);
    site.assert_healthy();
}
