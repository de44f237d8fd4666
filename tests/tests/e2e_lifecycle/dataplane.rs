//! A dataplane that is killed or stopped: what it leaves behind, and how it comes back.

use tests::daemons::rows;
use tests::link;
use tests::site::{CONFIG, Site, VMS, ip};
use tests::traffic::ping_once;
use tests::wait::{SOON, wait_for_ok, wait_until};

/// NICs of `h1`.
const NICS: [&str; 2] = ["eth1", "eth2"];

/// VMs of `h1`.
const GUESTS: [&str; 3] = ["a", "b", "d"];

/// Whether an XDP program is attached to a NIC of `h1`.
fn has_program(site: &Site, nic: &str) -> bool {
    let shown = site.ns("h1").ip(&format!("-d link show dev {nic}")).expect("ip link");
    shown.contains("prog/xdp")
}

/// Waits until no NIC of `h1` has a program, asked of the kernel in two ways.
fn wait_no_program(site: &Site) {
    wait_until("the programs to be gone", SOON, || {
        let net = site.ns("h1").output("bpftool", &["net"]).expect("bpftool");
        !net.contains("eth") && !NICS.iter().any(|nic| has_program(site, nic))
    })
    .expect("no program is left behind");
}

/// Waits until all ports of `h1` are up.
fn wait_ports_up(site: &Site) {
    wait_for_ok("all ports of h1 to be up", SOON, || {
        let status = site.status("h1").map_err(|error| error.to_string())?;
        let ports = NICS.len() + GUESTS.len();
        let up = rows(&status["ports"]).filter(|port| port["link_up"] == true).count();
        if up == ports { Ok(()) } else { Err(status.to_string()) }
    })
    .expect("they come up");
}

#[test]
fn a_killed_dataplane_leaves_no_program_and_comes_back_headless_as_it_was() {
    let mut site = Site::start();
    assert!(NICS.iter().all(|nic| has_program(&site, nic)));
    let identities: Vec<_> = VMS.iter().map(|vm| site.identity(vm)).collect();
    let revision = site.status("h1").expect("status")["revision"].clone();
    site.supervisor().expect("a supervisor").kill9().expect("killed");
    site.dataplane("h1").expect("a dataplane").kill9().expect("killed");
    wait_no_program(&site);
    for guest in GUESTS {
        assert_kept(&site, guest);
        assert!(!link::has_carrier(site.ns(guest), "eth0"), "{guest} has a carrier");
    }

    site.start_dataplane("h1").expect("it starts without a supervisor");
    wait_ports_up(&site);
    let status = site.status("h1").expect("status");
    assert_eq!((&status["headless"], &status["revision"]), (&true.into(), &revision));
    assert!(NICS.iter().all(|nic| has_program(&site, nic)));
    GUESTS.iter().for_each(|guest| assert_kept(&site, guest));
    // On the host, across hosts, and by its access list.
    for (from, to) in [("a", "b"), ("a", "c"), ("d", "e"), ("b", "a")] {
        site.assert_reaches(from, to);
    }
    assert!(!ping_once(site.ns("b"), ip("c")).expect("ping"), "NO-PING-TO-C is gone");
    assert!(site.port("h1", "b")["drops"]["acl-ingress"].as_u64() > Some(0));

    site.start_supervisor().expect("it starts");
    site.wait_in_sync().expect("both modules come back");
    site.wait_all_up();
    let after: Vec<_> = VMS.iter().map(|vm| site.identity(vm)).collect();
    assert_eq!(identities, after);
    site.assert_healthy();
}

/// The netdev in a VM has its address of before.
fn assert_kept(site: &Site, vm: &str) {
    let shown = site.ns(vm).ip("address show dev eth0").expect("ip address");
    assert!(shown.contains(&format!("inet {}/24", ip(vm))), "{vm} lost its address: {shown}");
}

#[test]
fn a_stopped_dataplane_gives_its_nics_back_as_they_were() {
    let mut site = Site::start_empty();
    let settings = |site: &Site| {
        let features = site.ns("h1").output("ethtool", &["-k", "eth1"]).expect("ethtool");
        let link = site.ns("h1").ip("-d link show dev eth1").expect("ip link");
        let promiscuity = link.split_once("promiscuity ").expect("ip -d says").1;
        (features, promiscuity.split(' ').next().map(str::to_owned))
    };
    let is_stripping = |site: &Site| settings(site).0.contains("rx-vlan-offload: on");
    // A NIC that takes tags off by itself, as real ones do.
    site.ns("h1").output("ethtool", &["-K", "eth1", "rxvlan", "on"]).expect("ethtool");
    let before = settings(&site);
    assert!(is_stripping(&site));

    site.apply_text(CONFIG).expect("the configuration is applied");
    site.wait_link("h1", "eth1", true);
    assert!(has_program(&site, "eth1") && !is_stripping(&site));
    // A NIC that the configuration no longer names is the kernel's again.
    site.apply_text("no interface Ethernet3/1\n").expect("applied");
    wait_until("eth1 to be given back", SOON, || settings(&site) == before).expect("it is");
    assert!(!has_program(&site, "eth1") && has_program(&site, "eth2"));
    site.apply_text(CONFIG).expect("applied again");
    site.wait_link("h1", "eth1", true);
    assert!(has_program(&site, "eth1") && !is_stripping(&site));

    let status = site.dataplane("h1").expect("a dataplane").terminate().expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", site.dataplane("h1").expect("one").log());
    wait_no_program(&site);
    assert_eq!(settings(&site), before);
    assert!(!site.dataplane_socket("h1").exists(), "its socket is left behind");
}

#[test]
fn a_dataplane_that_was_stopped_takes_its_vms_up_again() {
    let mut site = Site::start();
    let identities = GUESTS.map(|vm| site.identity(vm));
    site.dataplane("h1").expect("a dataplane").terminate().expect("it ends");
    GUESTS.iter().for_each(|guest| assert_kept(&site, guest));
    site.start_dataplane("h1").expect("it starts");
    site.wait_in_sync().expect("it is registered");
    site.wait_all_up();
    GUESTS.iter().for_each(|guest| assert_kept(&site, guest));
    assert_eq!(GUESTS.map(|vm| site.identity(vm)), identities);
    site.assert_reaches("a", "c");
    site.assert_healthy();
}
