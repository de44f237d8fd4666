//! Programs of every day between VMs, and between a VM and a PC on the wire: ping, arping, DHCP.

use std::fs;

use tests::checks::Watched;
use tests::frames::Frame;
use tests::process::Process;
use tests::traffic::{ping_count, wait_ping};
use tests::wait::{SOON, wait_for_ok};
use tests::wire::Recording;

use crate::{HOST, injector, ip, lan_config, mac, ns, start};

const TOPOLOGY: &str = "
name: programs
mgmt: { ipv4-subnet: 192.168.94.0/24 }
topology:
  nodes:
    vsm: { kind: supervisor }
    h1: { kind: host }
    tor: { kind: switch, ports: { h1: { trunk: [10] }, pc: { access: 10 } } }
    vm1: { kind: vm, host: h1, nics: [ { name: eth0, profile: LAN-10,
           mac: '02:00:00:00:00:01', addresses: [ 10.0.0.1/24, '2001:db8::1/64' ] } ] }
    vm2: { kind: vm, host: h1, nics: [ { name: eth0, profile: LAN-10,
           mac: '02:00:00:00:00:02', addresses: [ 10.0.0.2/24, '2001:db8::2/64' ] } ] }
    client: { kind: vm, host: h1, nics: [ { name: eth0, profile: LAN-10,
           mac: '02:00:00:00:00:03' } ] }
    pc: { kind: pc, nics: [ { name: eth0,
           mac: '02:00:00:00:01:00', addresses: [ 10.0.0.100/24, '2001:db8::100/64' ] } ] }
  links:
    - endpoints: [ 'h1:eth1', 'tor:h1' ]
    - endpoints: [ 'pc:eth0', 'tor:pc' ]
";

/// What busybox' DHCP client calls with what it was given.
const LEASE_SCRIPT: &str = "#!/bin/sh
[ \"$1\" = bound ] || exit 0
exec ip address add \"$ip/$mask\" dev \"$interface\"
";

#[test]
fn ping_arping_and_dhcp() {
    let weft = start(TOPOLOGY, &lan_config(), &["vm1", "vm2", "client"]);
    ping(&weft);
    dscp_of_ping(&weft);
    arping(&weft);
    let address = dhcp(&weft, "vm1", "10.0.0.50,10.0.0.59");
    assert!(address.starts_with("10.0.0.5"), "{address}");
    wait_ping(ns(&weft, "client"), ip("10.0.0.2")).expect("the client's address works");
    let client = ns(&weft, "client");
    client.ip("address flush dev eth0").expect("the lease is given up");
    let address = dhcp(&weft, "pc", "10.0.0.60,10.0.0.69");
    assert!(address.starts_with("10.0.0.6"), "{address}");
    wait_ping(client, ip("10.0.0.100")).expect("the client's address works on the wire");
    weft.wait_conserved(HOST).expect("frames are conserved");
}

/// Echo requests, both families, to another VM and to the wire and back.
fn ping(weft: &Watched) {
    for (from, to) in [
        ("vm1", "10.0.0.2"),
        ("vm2", "10.0.0.1"),
        ("vm1", "10.0.0.100"),
        ("pc", "10.0.0.1"),
        ("vm1", "2001:db8::2"),
        ("vm1", "2001:db8::100"),
        ("pc", "2001:db8::2"),
    ] {
        wait_ping(ns(weft, from), ip(to)).expect("the first answer comes");
        assert_eq!(ping_count(ns(weft, from), ip(to), 3).expect("ping runs"), 3, "{from} to {to}");
    }
}

/// The DSCP that a VM sets is that of the wire, and that of the answer.
fn dscp_of_ping(weft: &Watched) {
    let recording = Recording::start(ns(weft, "tor"), "h1", weft.lab().dir()).expect("tcpdump");
    // The octet of expedited forwarding (RFC 3246): DSCP 46.
    let args = ["-n", "-q", "-c", "2", "-i", "0.1", "-Q", "184", "10.0.0.100"];
    ns(weft, "vm1").output("ping", &args).expect("ping is answered");
    let last = Frame::new(mac(1), proto::MacAddr::BROADCAST).marker(u64::MAX);
    injector(weft, "vm1").send(&last).expect("the marker is sent");
    let recorded = recording.finish_after(&last[12..]).expect("the marker comes");
    for kind in ["icmp.type == 8", "icmp.type == 0"] {
        let every = "ip.dsfield.dscp == 46 && vlan.id == 10 && vlan.priority == 0";
        recorded.check_every(kind, 2, every).expect("DSCP and tag of the wire");
    }
}

fn arping(weft: &Watched) {
    for (from, to, owner) in [
        ("vm1", "10.0.0.2", "02:00:00:00:00:02"),
        ("vm1", "10.0.0.100", "02:00:00:00:01:00"),
        ("pc", "10.0.0.1", "02:00:00:00:00:01"),
    ] {
        let text = ns(weft, from)
            .output("arping", &["-c", "2", "-w", "5", "-I", "eth0", to])
            .expect("arping is answered");
        assert!(text.to_lowercase().contains(owner), "{from} to {to}: {text}");
        // A broadcast that came twice would be answered twice.
        assert!(text.contains("Received 2 response"), "{from} to {to}: {text}");
    }
}

/// Runs a DHCP server in a node and a client in `client`; gives the address that it got.
fn dhcp(weft: &Watched, server: &str, range: &str) -> String {
    let dir = weft.lab().dir();
    let mut command = ns(weft, server).command("dnsmasq");
    command.args(["--no-daemon", "--conf-file=/dev/null", "--user=root", "--port=0"]);
    command.args(["--interface=eth0", "--bind-interfaces", "--log-dhcp", "--no-ping"]);
    command.arg(format!("--dhcp-range={range},1h"));
    command.arg(format!("--dhcp-leasefile={}", dir.join(format!("{server}.leases")).display()));
    command.arg(format!("--pid-file={}", dir.join(format!("{server}.pid")).display()));
    let mut dnsmasq = Process::spawn("dnsmasq", command, dir).expect("dnsmasq starts");
    wait_for_ok("dnsmasq", SOON, || {
        dnsmasq.check_running().map_err(|error| error.to_string())?;
        if dnsmasq.log().contains("IP range") { Ok(()) } else { Err(dnsmasq.log()) }
    })
    .expect("dnsmasq listens");
    let script = dir.join("lease.sh");
    fs::write(&script, LEASE_SCRIPT).expect("the script is written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&script, mode).expect("the script can be run");
    let script = script.display().to_string();
    let args = ["-f", "-n", "-q", "-t", "5", "-T", "1", "-i", "eth0", "-s", &script];
    let client = ns(weft, "client");
    let told = client.output("udhcpc", &args).unwrap_or_else(|error| {
        panic!("no lease: {error}\n{}", dnsmasq.log());
    });
    let addresses = client.ip("-o -4 address show dev eth0").expect("ip shows addresses");
    let address = addresses.split_whitespace().skip_while(|word| *word != "inet").nth(1);
    address.unwrap_or_else(|| panic!("no address: {told}")).to_owned()
}
