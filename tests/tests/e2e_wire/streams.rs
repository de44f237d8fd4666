//! TCP and UDP streams: content, super-frames between VMs, and segments with good checksums on the
//! wire.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use tests::checks::Watched;
use tests::daemons::rows;
use tests::frames::Frame;
use tests::traffic::{iperf3, tcp_transfer, wait_ping};
use tests::wait::{SOON, wait_for_ok};
use tests::wire::{Recorded, Recording};

use crate::{HOST, injector, ip, lan_config, mac, ns, start_with};

const TOPOLOGY: &str = "
name: streams
mgmt: { ipv4-subnet: 192.168.93.0/24 }
topology:
  nodes:
    vsm: { kind: supervisor }
    h1: { kind: host }
    tor: { kind: switch, ports: { h1: { trunk: [10] }, pc: { access: 10 } } }
    vm1: { kind: vm, host: h1, nics: [ { name: eth0, profile: LAN-10,
           mac: '02:00:00:00:00:01', addresses: [ 10.0.0.1/24, '2001:db8::1/64' ] } ] }
    vm2: { kind: vm, host: h1, nics: [ { name: eth0, profile: LAN-10,
           mac: '02:00:00:00:00:02', addresses: [ 10.0.0.2/24, '2001:db8::2/64' ] } ] }
    pc: { kind: pc, nics: [ { name: eth0,
           mac: '02:00:00:00:01:00', addresses: [ 10.0.0.100/24, '2001:db8::100/64' ] } ] }
  links:
    - endpoints: [ 'h1:eth1', 'tor:h1' ]
    - endpoints: [ 'pc:eth0', 'tor:pc' ]
";

/// What a transfer carries.
const TRANSFER_BYTES: usize = 10_000_000;

/// A stream of TCP between kernels that segment nothing sends frames of about 60,000 bytes; with
/// segments it would be 1,514. ACKs and the slow start of short streams are in the average too.
const SUPER_FRAME_BYTES_MIN: u64 = 5_000;

fn start_streams(dataplane_options: &[&str]) -> Watched {
    let weft = start_with(TOPOLOGY, &lan_config(), &["vm1", "vm2"], dataplane_options);
    for to in ["10.0.0.2", "10.0.0.100", "2001:db8::2", "2001:db8::100"] {
        wait_ping(ns(&weft, "vm1"), ip(to)).expect("the stations reach each other");
    }
    weft
}

fn address(host: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip(host), port)
}

#[test]
fn ten_megabytes_of_tcp_arrive_whole_each_way() {
    transfer_each_way(&start_streams(&[]));
}

#[test]
fn they_do_also_when_every_port_has_another_worker() {
    transfer_each_way(&start_streams(&["--workers", "3"]));
}

fn transfer_each_way(weft: &Watched) {
    let ways = [
        ("vm1", "vm2", "10.0.0.2"),
        ("vm2", "vm1", "10.0.0.1"),
        ("vm1", "pc", "10.0.0.100"),
        ("pc", "vm1", "10.0.0.1"),
        ("vm2", "vm1", "2001:db8::1"),
        ("vm1", "pc", "2001:db8::100"),
        ("pc", "vm1", "2001:db8::1"),
    ];
    for (seed, (from, to, host)) in (0..).zip(ways) {
        let to = (ns(weft, to), address(host, 7100));
        tcp_transfer(ns(weft, from), to, TRANSFER_BYTES, seed).expect("the content arrives");
    }
    weft.wait_conserved(HOST).expect("frames are conserved");
}

/// Frames and bytes that a VM's port has received, by the supervisor's account, once that has
/// caught up with the dataplane's.
fn received(weft: &Watched, vm: &str) -> (u64, u64) {
    let frames_now = weft.counts(HOST).expect("a status").0[vm].rx;
    wait_for_ok(format!("the counters of {vm} to be reported"), SOON, || {
        let table = weft.show("interface").map_err(|error| error.to_string())?;
        let Some(port) = rows(&table).find(|port| port["owner"] == vm) else {
            return Err(table.to_string());
        };
        let number = |field: &str| port["counters"][field].as_u64();
        match (number("rx_frames"), number("rx_bytes")) {
            (Some(frames), Some(bytes)) if frames >= frames_now => Ok((frames, bytes)),
            _ => Err(port.to_string()),
        }
    })
    .expect("the supervisor knows the counters")
}

#[test]
fn iperf3_between_vms_crosses_in_super_frames_and_to_the_wire_in_segments() {
    let weft = start_streams(&[]);
    let second = Duration::from_secs(1);
    for (from, to, host) in [("vm1", "vm2", "10.0.0.2"), ("vm2", "vm1", "10.0.0.1")] {
        let before = received(&weft, from);
        let measured = iperf3(ns(&weft, from), (ns(&weft, to), ip(host)), second, weft.lab().dir())
            .expect("iperf3 runs");
        let after = received(&weft, from);
        let (frames, bytes) = (after.0 - before.0, after.1 - before.1);
        println!("{from} to {to}: {measured:?}, {} bytes a frame", bytes / frames.max(1));
        assert!(bytes > SUPER_FRAME_BYTES_MIN * frames, "{bytes} bytes in {frames} frames");
        assert!(measured.bits_per_sec > 300e6, "{measured:?}");
    }
    for (from, to, host) in [("vm1", "pc", "10.0.0.100"), ("pc", "vm1", "10.0.0.1")] {
        let measured = iperf3(ns(&weft, from), (ns(&weft, to), ip(host)), second, weft.lab().dir())
            .expect("iperf3 runs");
        println!("{from} to {to}: {measured:?}");
        // Far below what it does, far above what TCP makes of a path that breaks segments.
        assert!(measured.bits_per_sec > 20e6, "{measured:?}");
    }
    weft.wait_conserved(HOST).expect("frames are conserved");
}

/// Records the uplink while `traffic` runs.
fn record(weft: &Watched, traffic: impl FnOnce()) -> Recorded {
    let recording = Recording::start(ns(weft, "tor"), "h1", weft.lab().dir()).expect("tcpdump");
    traffic();
    let last = Frame::new(mac(1), proto::MacAddr::BROADCAST).marker(u64::MAX - 1);
    injector(weft, "vm1").send(&last).expect("the marker is sent");
    recording.finish_after(&last[12..]).expect("the marker comes")
}

#[test]
fn segments_made_of_super_frames_have_good_headers_and_checksums() {
    const BYTES: usize = 3_000_000;
    let weft = start_streams(&[]);
    let (vm1, pc) = (ns(&weft, "vm1"), ns(&weft, "pc"));
    let before = received(&weft, "vm1");
    let recorded = record(&weft, || {
        for (seed, host) in [(1, "10.0.0.100"), (2, "2001:db8::100")] {
            tcp_transfer(vm1, (pc, address(host, 7200)), BYTES, seed).expect("the content arrives");
        }
    });
    let after = received(&weft, "vm1");
    let from_vm = format!("eth.src == {} && tcp", mac(1));
    let segments = BYTES / 1_460;
    let good = "tcp.checksum.status == 1 && vlan.id == 10 && frame.len <= 1518";
    for (family, also) in [("ip", " && ip.checksum.status == 1 && ip.flags.df == 1"), ("ipv6", "")]
    {
        let filter = format!("{from_vm} && {family}");
        recorded.check_every(&filter, segments, &format!("{good}{also}")).expect("good segments");
        // PSH and FIN stand on the last segment of a super-frame, never on each (RFC 9293).
        let pushes = recorded.count(&format!("{filter} && tcp.flags.push == 1")).expect("tshark");
        assert!(pushes < segments / 2, "{pushes} of {segments} segments push");
    }
    let frames = usize::try_from(after.0 - before.0).expect("a number of frames");
    assert!(frames < segments, "{frames} frames came in, at least {} left", 2 * segments);
}

#[test]
fn datagrams_have_good_checksums_and_super_datagrams_are_parted() {
    const DATAGRAMS: usize = 50;
    /// Parts of a super-datagram, and their payload.
    const PARTS: usize = 20;
    const PART_BYTES: usize = 1_000;
    let weft = start_streams(&[]);
    let recorded = record(&weft, || {
        for (from, to) in [("10.0.0.1", "10.0.0.100"), ("2001:db8::1", "2001:db8::100")] {
            let socket = ns(&weft, "vm1").run(|| UdpSocket::bind(address(from, 7300)));
            let socket = socket.expect("the namespace").expect("a socket");
            for size in 0..DATAGRAMS {
                let content = vec![0x5a; 1 + size * 28];
                socket.send_to(&content, address(to, 7301)).expect("the datagram leaves");
            }
            let part_bytes = i32::try_from(PART_BYTES).expect("a small number");
            setsockopt(&socket, sockopt::UdpGsoSegment, &part_bytes).expect("UDP_SEGMENT");
            socket.send_to(&[0xa5; PARTS * PART_BYTES], address(to, 7302)).expect("it leaves");
        }
    });
    for family in ["ip", "ipv6"] {
        let filter = |port: u16| format!("udp.dstport == {port} && {family}");
        let good = "udp.checksum.status == 1 && vlan.id == 10";
        recorded.check_every(&filter(7301), DATAGRAMS, good).expect("good datagrams");
        let good = format!("{good} && udp.length == {}", PART_BYTES + 8);
        recorded.check_every(&filter(7302), PARTS, &good).expect("good parts");
        let count = recorded.count(&filter(7302)).expect("tshark");
        assert_eq!(count, PARTS, "parts of the super-datagram");
    }
    let bad = recorded.count("ip.checksum.status == 0").expect("tshark");
    assert_eq!(bad, 0, "IPv4 headers with a bad checksum");
}
