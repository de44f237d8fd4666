//! TAP ports: real kernels talk TCP through them.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pmd::tap::{OpenedTap, Tap, TapConfig, TapError};
use pmd::{Burst, MemoryConfig, PacketMemory, Pool, Port};
use proto::MacAddr;

use crate::support::{Netns, PATIENCE, until};

/// Bytes of the transfer.
const TRANSFER_BYTES: usize = 10 << 20;

fn memory() -> Arc<PacketMemory> {
    PacketMemory::new(MemoryConfig::with_chunks(4096)).expect("packet memory")
}

fn config(netns: &Netns, last_octet: u8) -> TapConfig {
    TapConfig {
        ifname: "eth0".to_owned(),
        netns: netns.name.clone(),
        mac: MacAddr::new([2, 0, 0, 0, 0, last_octet]),
        mtu_bytes: 1500,
    }
}

/// Bytes that a shifted or repeated piece would not look like.
fn pattern() -> Vec<u8> {
    (0..TRANSFER_BYTES as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[test]
fn tcp_crosses_in_super_frames_with_its_content() {
    let (a, b, memory) = (Netns::new(), Netns::new(), memory());
    let before = memory.free_count();
    let OpenedTap { port: mut port_a, handle: handle_a } =
        Tap::open(&memory, &config(&a, 1)).expect("a TAP");
    let OpenedTap { port: mut port_b, handle: handle_b } =
        Tap::open(&memory, &config(&b, 2)).expect("a TAP");
    a.ip(&["addr", "add", "10.0.0.1/24", "dev", "eth0"]);
    b.ip(&["addr", "add", "10.0.0.2/24", "dev", "eth0"]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let switch = scope.spawn(|| {
            let pool = Pool::new(&memory);
            let mut burst = Burst::new();
            until("the transfer", || {
                port_a.rx(&pool, &mut burst).expect("the TAP is there");
                port_b.tx(&pool, &mut burst);
                port_b.rx(&pool, &mut burst).expect("the TAP is there");
                port_a.tx(&pool, &mut burst);
                done.load(Ordering::Relaxed)
            });
            (port_a.statistics(), port_b.statistics())
        });
        let listener = b.enter(|| TcpListener::bind("10.0.0.2:9000")).expect("a listener");
        let receiver = scope.spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            let mut received = Vec::new();
            stream.read_to_end(&mut received).expect("the whole transfer");
            received
        });
        let mut sender = a.enter(|| TcpStream::connect("10.0.0.2:9000")).expect("a connection");
        sender.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        sender.write_all(&pattern()).expect("the whole transfer");
        drop(sender);
        let received = receiver.join().expect("the receiver does not panic");
        done.store(true, Ordering::Relaxed);
        assert!(received == pattern(), "content differs after {} bytes", received.len());
        let (sent, _) = switch.join().expect("the switch does not panic");
        assert!(sent.rx_super_frames > 100, "{sent:?}");
        assert!(sent.rx_frames < TRANSFER_BYTES as u64 / 1448, "no super-frames: {sent:?}");
    });
    drop((port_a, port_b));
    assert_eq!(memory.free_count(), before, "a chunk was lost");
    handle_a.remove().expect("it is there");
    handle_b.remove().expect("it is there");
}

#[test]
fn a_netdev_keeps_its_addresses_when_the_daemon_goes_and_goes_when_it_is_removed() {
    let (netns, memory) = (Netns::new(), memory());
    let first = Tap::open(&memory, &config(&netns, 1)).expect("a TAP");
    netns.ip(&["addr", "add", "10.0.0.1/24", "dev", "eth0"]);
    assert!(
        matches!(Tap::open(&memory, &config(&netns, 1)), Err(TapError::InUse { .. })),
        "a queue that is open is not taken over"
    );
    drop(first);
    assert!(netns.ip(&["addr", "show", "eth0"]).contains("10.0.0.1/24"));
    let OpenedTap { port, handle } = Tap::open(&memory, &config(&netns, 1)).expect("the same TAP");
    assert!(netns.ip(&["addr", "show", "eth0"]).contains("10.0.0.1/24"));
    drop(port);
    handle.remove().expect("it is there");
    until("the netdev goes", || !netns.ip(&["link"]).contains("eth0"));
}

#[test]
fn a_netdev_that_is_deleted_is_gone_for_good() {
    let (netns, memory) = (Netns::new(), memory());
    let OpenedTap { mut port, handle } = Tap::open(&memory, &config(&netns, 1)).expect("a TAP");
    let (pool, mut burst) = (Pool::new(&memory), Burst::new());
    netns.ip(&["link", "del", "eth0"]);
    until("the port notices", || port.rx(&pool, &mut burst).is_err());
    assert!(port.flush(&pool).is_err() && !port.link_up());
    handle.remove().expect("what is gone needs no removing");
}

#[test]
fn a_netdev_that_nobody_has_open_is_removed_by_its_name() {
    let (netns, memory) = (Netns::new(), memory());
    let opened = Tap::open(&memory, &config(&netns, 1)).expect("a TAP");
    assert!(matches!(Tap::remove(&config(&netns, 1)), Err(TapError::InUse { .. })));
    drop(opened);
    assert!(netns.ip(&["link"]).contains("eth0"));
    Tap::remove(&config(&netns, 1)).expect("it is there, and not in use");
    until("the netdev goes", || !netns.ip(&["link"]).contains("eth0"));
}

#[test]
fn a_namespace_that_is_deleted_is_noticed_and_goes_when_the_port_does() {
    let (netns, memory) = (Netns::new(), memory());
    let OpenedTap { port, handle } = Tap::open(&memory, &config(&netns, 1)).expect("a TAP");
    assert!(!handle.is_namespace_gone());
    let file = format!("/run/netns/{}", netns.name);
    let inode = std::fs::metadata(&file).expect("the namespace").ino();
    drop(netns);
    assert!(handle.is_namespace_gone());
    // Another one of the same name, as a container that was started again has.
    let status = std::process::Command::new("ip").args(["netns", "add", &file[11..]]).status();
    assert!(status.expect("iproute2").success());
    let again = std::fs::metadata(&file).expect("the namespace").ino();
    assert!(again != inode && handle.is_namespace_gone());
    let status = std::process::Command::new("ip").args(["netns", "del", &file[11..]]).status();
    assert!(status.expect("iproute2").success());
    drop((port, handle));
}

#[test]
fn names_and_namespaces_that_cannot_be_are_refused() {
    let (netns, memory) = (Netns::new(), memory());
    let good = config(&netns, 1);
    for ifname in ["", "a-name-longer-than-15", "tap%d", "lo"] {
        let config = TapConfig { ifname: ifname.to_owned(), ..good.clone() };
        assert!(Tap::open(&memory, &config).is_err(), "{ifname}");
    }
    let nowhere = TapConfig { netns: "no-such-namespace".to_owned(), ..good };
    assert!(matches!(Tap::open(&memory, &nowhere), Err(TapError::Namespace { .. })));
}
