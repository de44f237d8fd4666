//! Ports of VMs: deleted from inside, plugged out and in, moved to another host.

use proto::MacAddr;
use serde_json::Value;
use tests::daemons::rows;
use tests::link;
use tests::netns::Namespace;
use tests::site::{Site, VMS, ip};
use tests::traffic::{ping_once, wait_ping};
use tests::wait::{SOON, wait_for_ok, wait_until};

/// Answers in half a second.
const ANSWERS: usize = 50;

#[test]
fn a_netdev_deleted_inside_its_vm_takes_its_own_port_down_and_no_other() {
    let mut site = Site::start();
    let (name, mac) = site.identity("b");
    let mut pinger = site.pinger("a", "c");
    pinger.wait_replies(ANSWERS).expect("answers");
    link::delete(site.ns("b"), "eth0").expect("deleted");
    let message = site.wait_event("port-vanished", &name);
    assert!(message.starts_with(&format!("{name} went down: ")), "{message}");
    pinger.wait_replies(ANSWERS).expect("answers");
    let outcome = pinger.finish().expect("a summary");
    assert_eq!(outcome.lost(), 0, "{outcome:?}");
    // It is still plugged in, so its netdev comes back, bare: what was in it was the VM's.
    wait_until("the netdev to come back", SOON, || link::exists(site.ns("b"), "eth0"))
        .expect("it comes back");
    site.wait_link("h1", "b", true);
    assert_eq!(link::mac(site.ns("b"), "eth0").expect("a MAC"), mac);
    site.lab().configure("b").expect("its address");
    site.assert_reaches("b", "a");
    assert_eq!(site.identity("b"), (name, mac));
    site.assert_healthy();
}

#[test]
fn a_vm_that_is_gone_with_its_namespace_can_be_plugged_out() {
    let mut site = Site::start();
    let guest = Namespace::create("guest").expect("a namespace");
    let arguments = ["--profile", "LAN-10", "--vm", "guest", "--netns", guest.name()];
    let arguments = [&arguments[..], &["--ifname", "eth0"]].concat();
    let attached = site.try_local("h1", "attach", &arguments).expect("attach");
    assert!(attached.status.success(), "{attached:?}");
    site.wait_port_up("h1", "guest").expect("its port comes up");
    let mut pinger = site.pinger("a", "b");
    drop(guest);
    site.wait_link("h1", "guest", false);
    let reason = site.port("h1", "guest")["reason"].as_str().unwrap_or_default().to_owned();
    assert!(!reason.is_empty(), "a port that is down says why");
    wait_for_ok("show interface to say why", SOON, || {
        let row = site.vnic("guest");
        let is_down = row["status"] == "down" && row["reason"] != "";
        if is_down { Ok(()) } else { Err(row.to_string()) }
    })
    .expect("the supervisor shows it");
    pinger.wait_replies(ANSWERS).expect("answers");
    assert_eq!(pinger.finish().expect("a summary").lost(), 0);
    site.detach_nic("h1", "guest", "eth0").expect("plugged out");
    let status = site.status("h1").expect("status");
    assert!(rows(&status["ports"]).all(|port| port["vm"] != "guest"), "{status:#}");
    site.assert_healthy();
}

#[test]
fn a_vnic_keeps_its_number_and_address_when_it_comes_again() {
    let mut site = Site::start();
    let before: Vec<_> = VMS.iter().map(|vm| site.identity(vm)).collect();
    for vm in ["a", "b"] {
        site.detach(vm).expect("plugged out");
        assert!(!link::exists(site.ns(vm), "eth0"), "the netdev of {vm} is still there");
    }
    wait_for_ok("a to be shown as unplugged", SOON, || {
        let row = site.vnic("a");
        let reason = row["reason"].as_str().unwrap_or_default();
        let is_gone = row["status"] == "down" && reason.contains("not plugged in");
        if is_gone { Ok(()) } else { Err(row.to_string()) }
    })
    .expect("the supervisor knows");
    // In the other order, so that numbers by order of coming would be exchanged.
    for vm in ["b", "a"] {
        site.attach(vm).expect("plugged in");
    }
    let after: Vec<_> = VMS.iter().map(|vm| site.identity(vm)).collect();
    assert_eq!(before, after);
    site.assert_reaches("a", "c");
    site.assert_healthy();
}

#[test]
fn a_vnic_that_moves_to_another_host_keeps_its_number_address_and_policy() {
    let mut site = Site::start();
    let (name, mac) = site.identity("b");
    let nic = site.lab().topology().vms["b"].system.nics[0].clone();
    assert_eq!(site.vnic("b")["module"], 3);
    site.detach("b").expect("plugged out");
    let attached = site.attach_nic("h2", "b", &nic, "GUARDED").expect("plugged in on h2");
    assert!(attached.output.starts_with(&format!("{name} ")), "{}", attached.output);
    assert_eq!(attached.mac, mac);
    site.lab().configure("b").expect("its address");
    site.wait_all_up();
    assert_eq!(site.identity("b"), (name.clone(), mac));
    assert_eq!(site.vnic("b")["module"], 4);
    wait_for_ok("one entry of its address, on module 4", SOON, || {
        let table = site.show("mac address-table").map_err(|error| error.to_string())?;
        let is_its = |row: &&Value| {
            row["mac"].as_str().and_then(|it| it.parse::<MacAddr>().ok()) == Some(mac)
        };
        match rows(&table).filter(is_its).collect::<Vec<_>>().as_slice() {
            [row] if row["module"] == 4 && row["port"] == name.as_str() => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .expect("the table follows");
    // Its list came with it: c is now on the same host, and still not to be pinged.
    site.assert_reaches("b", "a");
    assert!(!ping_once(site.ns("b"), ip("c")).expect("ping"), "NO-PING-TO-C was left behind");
    assert!(site.port("h2", "b")["drops"]["acl-ingress"].as_u64() > Some(0));
    site.assert_healthy();
}

/// Live migration: the new host has the vNIC before the old one lets go of it.
#[test]
fn the_last_attach_of_a_vnic_wins() {
    let mut site = Site::start();
    let (name, mac) = site.identity("a");
    let target = Namespace::create("target").expect("a namespace");
    let arguments = ["--profile", "LAN-10", "--vm", "a", "--adapter", "eth0"];
    let place = ["--netns", target.name(), "--ifname", "eth0"];
    let attached = site.try_local("h2", "attach", &[&arguments[..], &place].concat());
    let attached = attached.expect("attach");
    let printed = String::from_utf8_lossy(&attached.stdout).into_owned();
    assert!(printed.starts_with(&format!("{name} ")), "{attached:?}");
    assert_eq!(link::mac(&target, "eth0").expect("a MAC"), mac);
    site.wait_event("vethernet-moved", "");
    link::add_address(&target, "eth0", "10.1.10.1/24").expect("the VM's address");
    wait_ping(&target, ip("c")).expect("it reaches c from its new place");
    // To the old host the address is now one of the wire.
    wait_ping(site.ns("b"), ip("a")).expect("and b reaches it there");
    site.detach_nic("h1", "a", "eth0").expect("the old host lets go");
    wait_ping(site.ns("b"), ip("a")).expect("which changes nothing");
    assert_eq!((site.identity("a"), site.vnic("a")["module"].clone()), ((name, mac), 4.into()));
    site.detach_nic("h2", "a", "eth0").expect("plugged out");
    site.assert_healthy();
}
