//! MTU 9000 from end to end: profiles, VMs, uplink, physical switch.

use std::net::SocketAddr;

use tests::error::LabError;
use tests::frames::Frame;
use tests::netns::Namespace;
use tests::traffic::{tcp_transfer, wait_ping};
use tests::wire::Recording;

use crate::{HOST, injector, ip, mac, ns, start};

const TOPOLOGY: &str = "
name: jumbo
mgmt: { ipv4-subnet: 192.168.92.0/24 }
topology:
  nodes:
    vsm: { kind: supervisor }
    h1: { kind: host }
    tor: { kind: switch, ports: { h1: { trunk: [10] }, pc: { access: 10 } } }
    vm1: { kind: vm, host: h1, nics: [ { name: eth0, profile: LAN-10,
           mac: '02:00:00:00:00:01', addresses: [ 10.0.0.1/24, '2001:db8::1/64' ] } ] }
    vm2: { kind: vm, host: h1, nics: [ { name: eth0, profile: LAN-10,
           mac: '02:00:00:00:00:02', addresses: [ 10.0.0.2/24, '2001:db8::2/64' ] } ] }
    pc: { kind: pc, nics: [ { name: eth0, mtu: 9000,
           mac: '02:00:00:00:01:00', addresses: [ 10.0.0.100/24, '2001:db8::100/64' ] } ] }
  links:
    - { endpoints: [ 'h1:eth1', 'tor:h1' ], mtu: 9000 }
    - { endpoints: [ 'pc:eth0', 'tor:pc' ], mtu: 9000 }
";

const CONFIG: &str = "
vlan 10
port-profile type vethernet LAN-10
  switchport access vlan 10
  mtu 9000
  state enabled
port-profile type ethernet UPLINK
  switchport mode trunk
  switchport trunk allowed vlan 10
  mtu 9000
  state enabled
interface Ethernet3/1
  inherit port-profile UPLINK
";

const TRANSFER_BYTES: usize = 10_000_000;

#[test]
fn jumbo_frames_between_vms_and_to_the_wire() {
    let weft = start(TOPOLOGY, CONFIG, &["vm1", "vm2"]);
    let stations = [
        ("vm1", "10.0.0.2", "2001:db8::2"),
        ("vm2", "10.0.0.1", "2001:db8::1"),
        ("vm1", "10.0.0.100", "2001:db8::100"),
        ("pc", "10.0.0.1", "2001:db8::1"),
    ];
    for (from, v4, v6) in stations {
        for (to, payload_bytes) in [(v4, 9000 - 20 - 8), (v6, 9000 - 40 - 8)] {
            wait_ping(ns(&weft, from), ip(to)).expect("the first answer comes");
            ping_whole(ns(&weft, from), to, payload_bytes).expect("a packet of 9000 bytes passes");
        }
    }
    // One more byte is more than the VM's own interface takes: its MTU is that of the profile.
    ping_whole(ns(&weft, "vm1"), "10.0.0.2", 9000 - 20 - 7).expect_err("9001 bytes do not pass");
    let recording = Recording::start(ns(&weft, "tor"), "h1", weft.lab().dir()).expect("tcpdump");
    let ways = [
        ("vm1", "vm2", "10.0.0.2"),
        ("vm1", "pc", "10.0.0.100"),
        ("pc", "vm1", "10.0.0.1"),
        ("vm2", "pc", "2001:db8::100"),
    ];
    for (seed, (from, to, host)) in (0..).zip(ways) {
        let to = (ns(&weft, to), SocketAddr::new(ip(host), 7400));
        tcp_transfer(ns(&weft, from), to, TRANSFER_BYTES, seed).expect("the content arrives");
    }
    let last = Frame::new(mac(1), proto::MacAddr::BROADCAST).marker(u64::MAX - 2);
    injector(&weft, "vm1").send(&last).expect("the marker is sent");
    let recorded = recording.finish_after(&last[12..]).expect("the marker comes");
    for vm in [mac(1), mac(2)] {
        let full = format!("eth.src == {vm} && tcp && frame.len == 9018");
        let good = "tcp.checksum.status == 1 && vlan.id == 10";
        recorded.check_every(&full, TRANSFER_BYTES / 9000 / 2, good).expect("full jumbo segments");
    }
    weft.wait_conserved(HOST).expect("frames are conserved");
}

/// Pings with packets that may not be parted.
fn ping_whole(from: &Namespace, to: &str, payload_bytes: u32) -> Result<(), LabError> {
    let bytes = payload_bytes.to_string();
    let args = ["-n", "-q", "-M", "do", "-c", "1", "-W", "1", "-s", &bytes, to];
    from.output("ping", &args).map(drop)
}
