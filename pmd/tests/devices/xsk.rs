//! AF_XDP ports on both ends of a veth.

use std::sync::Arc;

use pmd::control_socket::ControlSocket;
use pmd::xdp::{Filter, VLAN_WORDS};
use pmd::xsk::{BindMode, OpenError, Opened, XskConfig, XskPort};
use pmd::{Burst, Frame, MemoryConfig, PacketMemory, Pool, Port};
use proto::VlanId;

use crate::support::{Netns, until};

fn memory() -> Arc<PacketMemory> {
    PacketMemory::new(MemoryConfig::with_chunks(8192)).expect("packet memory")
}

/// A namespace with a veth, ends `a` and `b`, both up.
fn veth(mtu: &str) -> Netns {
    let netns = Netns::new();
    netns.ip(&[
        "link", "add", "name", "a", "mtu", mtu, "type", "veth", "peer", "name", "b", "mtu", mtu,
    ]);
    for end in ["a", "b"] {
        netns.ip(&["link", "set", "dev", end, "up"]);
    }
    netns
}

fn open(netns: &Netns, memory: &Arc<PacketMemory>, ifname: &str) -> Result<Opened, OpenError> {
    let config = XskConfig {
        ifname: ifname.to_owned(),
        mode: BindMode::Auto,
        ring_len: 256,
        promiscuous: true,
    };
    netns.enter(|| XskPort::open(memory, &config))
}

/// A frame of our own EtherType, so that what the kernels send by themselves can be told apart.
fn frame(number: u32, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    bytes[..14].copy_from_slice(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5]);
    bytes[14..18].copy_from_slice(&number.to_be_bytes());
    for (at, byte) in bytes.iter_mut().enumerate().skip(18) {
        *byte = (at as u32 ^ number) as u8;
    }
    bytes
}

fn is_ours(bytes: &[u8]) -> bool {
    bytes[12..14] == [0x88, 0xb5]
}

/// Sends the frames by one port and collects them at the other.
fn cross(from: &mut XskPort, to: &mut XskPort, pool: &Pool, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let (mut received, mut burst) = (Vec::new(), Burst::new());
    let mut left = frames.chunks(32);
    until("all frames arrive", || {
        if received.len() % 32 == 0
            && let Some(some) = left.next()
        {
            for bytes in some {
                let frame = Frame::from_slice(pool, bytes).expect("chunks");
                burst.push(frame).expect("room for 32");
            }
            let report = from.tx(pool, &mut burst);
            assert_eq!(report.sent_frames as usize, some.len(), "{report:?}");
        }
        from.flush(pool).expect("the device is there");
        to.rx(pool, &mut burst).expect("the device is there");
        received.extend(burst.drain().map(|f| f.copy_to_vec()).filter(|bytes| is_ours(bytes)));
        received.len() >= frames.len()
    });
    received
}

fn words(vlans: &[u16]) -> [u64; VLAN_WORDS] {
    let mut words = [0; VLAN_WORDS];
    for vlan in vlans {
        words[usize::from(vlan / 64)] |= 1 << (vlan % 64);
    }
    words
}

#[test]
fn frames_cross_whole_and_in_order_and_every_chunk_comes_home() {
    let (netns, memory) = (veth("1500"), memory());
    let before = memory.free_count();
    let pool = Pool::new(&memory);
    let mut a = open(&netns, &memory, "a").expect("a port");
    let mut b = open(&netns, &memory, "b").expect("a port");
    assert_eq!(a.mode, "native copy");
    let mut burst = Burst::new();
    b.port.rx(&pool, &mut burst).expect("its fill ring is filled now");
    burst.clear();
    let frames: Vec<Vec<u8>> = (0..1000).map(|n| frame(n, 60 + n as usize)).collect();
    let received = cross(&mut a.port, &mut b.port, &pool, &frames);
    assert!(received == frames, "content or order differ");
    assert!(b.xdp.outcomes().expect("a map").to_socket >= 1000);
    drop((a, b, burst));
    drop(pool);
    assert_eq!(memory.free_count(), before, "a chunk was lost");
}

#[test]
fn jumbo_frames_cross_in_several_chunks() {
    let (netns, memory) = (veth("9000"), memory());
    let pool = Pool::new(&memory);
    let mut a = open(&netns, &memory, "a").expect("a port");
    let mut b = open(&netns, &memory, "b").expect("a port");
    assert!(a.port.capabilities().multi_buffer());
    let mut burst = Burst::new();
    b.port.rx(&pool, &mut burst).expect("its fill ring is filled now");
    burst.clear();
    let frames: Vec<Vec<u8>> = (0..64).map(|n| frame(n, 4000 + 78 * n as usize)).collect();
    let received = cross(&mut a.port, &mut b.port, &pool, &frames);
    assert!(received == frames, "content or order differ");
}

#[test]
fn the_filter_drops_and_counts_what_nobody_wants() {
    let (netns, memory) = (veth("1500"), memory());
    let pool = Pool::new(&memory);
    let mut a = open(&netns, &memory, "a").expect("a port");
    let mut b = open(&netns, &memory, "b").expect("a port");
    let native_vlan = VlanId::new(1u16).ok();
    let filter = Filter { bpdus: true, vlans: true, native_vlan, ..Filter::default() };
    b.xdp.set_vlans(&words(&[1, 10, 20]), &words(&[1, 10, 30])).expect("a map");
    b.xdp.set_filter(filter).expect("a map");
    let mut burst = Burst::new();
    b.port.rx(&pool, &mut burst).expect("its fill ring is filled now");
    burst.clear();
    let tagged = |vlan: u16| {
        let mut bytes = frame(u32::from(vlan), 80);
        bytes.splice(12..12, [0x81, 0, (vlan >> 8) as u8, vlan as u8]);
        bytes
    };
    let mut bpdu = frame(9, 60);
    bpdu[..6].copy_from_slice(&[0x01, 0x80, 0xc2, 0, 0, 0]);
    for bytes in [tagged(10), tagged(20), tagged(30), tagged(0), bpdu, frame(7, 60)] {
        burst.push(Frame::from_slice(&pool, &bytes).expect("a chunk")).expect("room");
    }
    let before = b.xdp.outcomes().expect("a map");
    a.port.tx(&pool, &mut burst);
    let mut seen = Vec::new();
    until("the wanted ones arrive", || {
        a.port.flush(&pool).expect("the device is there");
        b.port.rx(&pool, &mut burst).expect("the device is there");
        seen.extend(burst.drain().map(|f| f.copy_to_vec()));
        seen.iter().any(|bytes| *bytes == frame(7, 60))
    });
    let after = b.xdp.outcomes().expect("a map");
    assert!(seen.contains(&tagged(10)) && seen.contains(&tagged(0)));
    assert!(!seen.contains(&tagged(20)) && !seen.contains(&tagged(30)));
    assert_eq!(after.dropped_no_member - before.dropped_no_member, 1, "VLAN 20");
    assert_eq!(after.dropped_not_allowed - before.dropped_not_allowed, 1, "VLAN 30");
    assert_eq!(after.dropped_bpdu - before.dropped_bpdu, 1);
}

#[test]
fn control_frames_go_past_the_queue_to_their_own_socket() {
    let (netns, memory) = (veth("1500"), memory());
    let pool = Pool::new(&memory);
    let mut a = open(&netns, &memory, "a").expect("a port");
    let mut b = open(&netns, &memory, "b").expect("a port");
    let control = netns.enter(|| ControlSocket::open("b")).expect("a control socket");
    assert_eq!(control.mac(), b.mac);
    b.xdp.set_filter(Filter { control: true, ..Filter::default() }).expect("a map");
    let mut burst = Burst::new();
    b.port.rx(&pool, &mut burst).expect("its fill ring is filled now");
    burst.clear();
    let to = |dst: [u8; 6], ether_type: [u8; 2]| {
        let mut bytes = frame(1, 80);
        bytes[..6].copy_from_slice(&dst);
        bytes[12..14].copy_from_slice(&ether_type);
        bytes
    };
    let slow = to([0x01, 0x80, 0xc2, 0, 0, 2], [0x88, 0x09]);
    let lldp = to([0x01, 0x80, 0xc2, 0, 0, 0x0e], [0x88, 0xcc]);
    let cdp = to([0x01, 0, 0x0c, 0xcc, 0xcc, 0xcc], [0, 66]);
    // 802.1X is nobody's here, and ordinary frames of course stay in the queue.
    let eapol = to([0x01, 0x80, 0xc2, 0, 0, 3], [0x88, 0x8e]);
    for bytes in [&slow, &lldp, &cdp, &eapol, &frame(7, 60)] {
        burst.push(Frame::from_slice(&pool, bytes).expect("a chunk")).expect("room");
    }
    let before = b.xdp.outcomes().expect("a map");
    a.port.tx(&pool, &mut burst);
    let mut seen = Vec::new();
    until("the ordinary frame arrives", || {
        a.port.flush(&pool).expect("the device is there");
        b.port.rx(&pool, &mut burst).expect("the device is there");
        seen.extend(burst.drain().map(|f| f.copy_to_vec()));
        seen.contains(&frame(7, 60))
    });
    assert!(seen.contains(&eapol));
    assert!([&slow, &lldp, &cdp].iter().all(|bytes| !seen.contains(*bytes)));
    let (mut heard, mut buffer) = (Vec::new(), [0; 2048]);
    until("three are heard", || {
        while let Some(bytes) = control.receive(&mut buffer).expect("the socket works") {
            heard.push(bytes.to_vec());
        }
        heard.len() >= 3
    });
    assert_eq!(heard, [slow, lldp, cdp.clone()]);
    let after = b.xdp.outcomes().expect("a map");
    assert_eq!(after.to_kernel_control - before.to_kernel_control, 3);
    // And the way back: what we send is on the wire, and is not heard by ourselves.
    let peer = netns.enter(|| ControlSocket::open("a")).expect("a control socket");
    a.xdp.set_filter(Filter { control: true, ..Filter::default() }).expect("a map");
    control.send(&cdp).expect("sent");
    until("it arrives", || peer.receive(&mut buffer).expect("works").is_some_and(|f| f == cdp));
    assert!(control.receive(&mut buffer).expect("works").is_none());
}

#[test]
fn the_hosts_own_traffic_stays_with_its_kernel() {
    let (netns, memory) = (veth("1500"), memory());
    let pool = Pool::new(&memory);
    let mut a = open(&netns, &memory, "a").expect("a port");
    let mut b = open(&netns, &memory, "b").expect("a port");
    let native_vlan = VlanId::new(1u16).ok();
    let host = Some(b.mac);
    let filter = Filter { bpdus: true, vlans: true, native_vlan, host, control: false };
    b.xdp.set_vlans(&words(&[1, 10]), &words(&[10])).expect("a map");
    b.xdp.set_filter(filter).expect("a map");
    let mut burst = Burst::new();
    b.port.rx(&pool, &mut burst).expect("its fill ring is filled now");
    burst.clear();
    let to = |dst: [u8; 6], vlan: Option<u8>| {
        let mut bytes = frame(1, 80);
        bytes[..6].copy_from_slice(&dst);
        if let Some(vlan) = vlan {
            bytes.splice(12..12, [0x81, 0, 0, vlan]);
        }
        bytes
    };
    let (host, all) = (b.mac.octets(), [0xff; 6]);
    // To the host, untagged and in a VM's VLAN; an ARP of the host's VLAN; and a VM's broadcast.
    let before = b.xdp.outcomes().expect("a map");
    for bytes in [to(host, None), to(host, Some(10)), to(all, None), to(all, Some(10))] {
        burst.push(Frame::from_slice(&pool, &bytes).expect("a chunk")).expect("room");
    }
    a.port.tx(&pool, &mut burst);
    let mut seen = Vec::new();
    until("the VM's broadcast arrives", || {
        a.port.flush(&pool).expect("the device is there");
        b.port.rx(&pool, &mut burst).expect("the device is there");
        seen.extend(burst.drain().map(|f| f.copy_to_vec()).filter(|bytes| bytes[..6] == all));
        !seen.is_empty()
    });
    assert_eq!(seen, [to(all, Some(10))]);
    let after = b.xdp.outcomes().expect("a map");
    assert!(after.to_kernel_host - before.to_kernel_host >= 3, "{after:?}");
}

#[test]
fn the_program_is_there_exactly_as_long_as_the_port() {
    let (netns, memory) = (veth("1500"), memory());
    let a = open(&netns, &memory, "a").expect("a port");
    assert!(netns.ip(&["link", "show", "dev", "a"]).contains("xdp"));
    let second = open(&netns, &memory, "a").expect_err("the interface has a program");
    assert!(second.to_string().contains("another XDP program"), "{second}");
    drop(a);
    until("the program goes", || !netns.ip(&["link", "show", "dev", "a"]).contains("xdp"));
    until("the queue is free again", || open(&netns, &memory, "a").is_ok());
}

#[test]
fn an_interface_that_is_deleted_is_gone_for_good() {
    let (netns, memory) = (veth("1500"), memory());
    let pool = Pool::new(&memory);
    let mut a = open(&netns, &memory, "a").expect("a port");
    netns.ip(&["link", "del", "dev", "a"]);
    until("the port notices", || a.port.prepare_sleep(&pool).is_err());
    let mut burst = Burst::new();
    assert!(a.port.rx(&pool, &mut burst).is_err() && !a.port.link_up());
    burst.push(Frame::from_slice(&pool, &frame(1, 60)).expect("a chunk")).expect("room");
    assert_eq!(a.port.tx(&pool, &mut burst).dropped.total(), 1);
    assert!(open(&netns, &memory, "a").is_err_and(|e| e.to_string().contains("interface a")));
}
