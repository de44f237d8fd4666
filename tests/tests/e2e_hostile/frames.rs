//! Ten thousand spoilt frames into each kind of port.

use std::collections::BTreeSet;

use proto::{EtherType, MacAddr};
use tests::checks::PortCounts;
use tests::frames::{Frame, Header};
use tests::inject::Injector;
use tests::mutate::{SplitMix64, mutate};
use tests::sniff::Sniffer;
use tests::super_frame::{SuperFrame, SuperInjector};
use tests::wait::SOON;

use crate::corpus::{Corpus, FRAMES, mutants};
use crate::rig::{A, B, D, REMOTE, Rig, X};

/// Super-frames that are sent, each up to 60,000 bytes long.
const SUPER_FRAMES: u32 = 600;

/// Of these frames enough get through, and enough are dropped, each for several reasons: else the
/// attack would try one check only.
fn assert_varied(moved: &PortCounts, reasons: &[&str]) {
    println!("{moved}");
    let tenth = FRAMES as u64 / 10;
    assert!(moved.forwarded > tenth && moved.dropped() > tenth, "too much of one kind:{moved}");
    for reason in reasons {
        assert!(moved.drops.contains_key(*reason), "none of reason {reason}:{moved}");
    }
}

/// Attacks the port of a VM in VLAN 10; the VM in VLAN 20 must get nothing.
fn attack_from_vm(rig: &Rig, vm: &str, src: MacAddr, seed: u64) -> PortCounts {
    println!("{vm}: seed {seed:#x}");
    let witness = rig.sniffer("d");
    let to = [A, B, X, D, REMOTE];
    let corpus = Corpus { from: &[src], to: &to, vids: &[0] };
    let moved = rig.attack(vm, "eth0", &mutants(&corpus, seed));
    assert_eq!(rig.came(&witness, 20), BTreeSet::new(), "VLAN 20 got frames of VLAN 10");
    moved
}

#[test]
fn a_tap_takes_ten_thousand_spoilt_frames_with_and_without_access_lists() {
    let mut rig = Rig::start();
    let free_chunks = rig.free_chunks();
    let everywhere = ["source-mac-violation", "source-mac-invalid", "bpdu-from-vm"];
    let moved = attack_from_vm(&rig, "a", A, 0x77ef_1001);
    assert_varied(&moved, &[&everywhere[..], &["tag-on-access", "link-local-from-vm"]].concat());
    let moved = attack_from_vm(&rig, "b", B, 0x77ef_1002);
    assert_varied(&moved, &[&everywhere[..], &["tag-on-access", "acl-ingress"]].concat());
    rig.assert_unharmed(free_chunks);
}

#[test]
fn an_afxdp_veth_takes_ten_thousand_spoilt_frames() {
    let mut rig = Rig::start();
    let free_chunks = rig.free_chunks();
    let moved = attack_from_vm(&rig, "x", X, 0x77ef_1003);
    let reasons = ["source-mac-violation", "bpdu-from-vm", "tag-on-access", "acl-ingress"];
    assert_varied(&moved, &reasons);
    rig.assert_unharmed(free_chunks);
}

/// What members of a VLAN may get of these frames: those that are in it, without their tag.
fn of_vlan(frames: &[Vec<u8>], vid: u16) -> BTreeSet<Vec<u8>> {
    // By hand: `Header::read` gives nothing for a frame that is all tags.
    let in_it = |frame: &&Vec<u8>| match frame.get(12..16) {
        Some([0x81, 0x00, high, low]) => u16::from_be_bytes([*high, *low]) & 0x0fff == vid,
        _ => false,
    };
    frames.iter().filter(in_it).map(|frame| [&frame[..12], &frame[16..]].concat()).collect()
}

#[test]
fn an_uplink_takes_ten_thousand_spoilt_frames() {
    let seed = 0x77ef_1004;
    println!("uplink: seed {seed:#x}");
    let mut rig = Rig::start();
    let free_chunks = rig.free_chunks();
    let witnesses = [("a", 10), ("b", 10), ("x", 10), ("d", 20)].map(|(vm, vid)| {
        let sniffer = rig.sniffer(vm);
        (vm, vid, sniffer)
    });
    let corpus = Corpus { from: &[REMOTE], to: &[A, B, X, D], vids: &[10, 20] };
    let frames = mutants(&corpus, seed);
    let moved = rig.attack("wire", "eth1", &frames);
    let reasons = ["bpdu-from-wire", "vlan-not-allowed", "unknown-unicast-from-uplink"];
    assert_varied(&moved, &reasons);
    assert!(moved.consumed > 0, "no control frame was understood:{moved}");
    for (vm, vid, sniffer) in witnesses {
        let came = rig.came(&sniffer, vid);
        assert!(came.len() > FRAMES / 50, "{vm} got {} frames", came.len());
        let allowed = of_vlan(&frames, vid);
        if let Some(frame) = came.difference(&allowed).next() {
            panic!("{vm} got a frame that is none of VLAN {vid}: {frame:02x?}");
        }
    }
    rig.assert_unharmed(free_chunks);
}

/// An uplink never gives back what it was given, whatever it was.
#[test]
fn nothing_that_comes_by_the_wire_goes_back_to_it() {
    let seed = 0x77ef_1005;
    println!("uplink: seed {seed:#x}");
    let rig = Rig::start();
    let wire = Sniffer::start(rig.ns("wire"), "eth1").expect("a sniffer");
    let corpus = Corpus { from: &[REMOTE, A], to: &[A, REMOTE], vids: &[0, 10, 20] };
    let moved = rig.attack("wire", "eth1", &mutants(&corpus, seed)[..FRAMES / 4]);
    assert!(moved.forwarded > 0, "none was for a VM:{moved}");
    let last = Frame::new(A, MacAddr::BROADCAST).marker(7);
    let injector = Injector::open(rig.ns("a"), "eth0").expect("an injector");
    injector.send(&last).expect("the fence is sent");
    let came = wire.before_marker(7, SOON).expect("the fence comes");
    let own = |frame: &[u8]| Header::read(frame).is_some_and(|h| h.ethertype == EtherType::RARP);
    let back = came.iter().find(|frame| !own(&frame.bytes));
    assert!(back.is_none(), "it came back: {:02x?}", back.map(|frame| &frame.bytes));
}

/// Super-frames that the kernel hands on, or segments, although they are spoilt. How many frames come
/// of them is its affair, so they are only looked at as far as they are conserved.
#[test]
fn spoilt_super_frames_harm_nobody() {
    let seed = 0x77ef_1006;
    println!("a: seed {seed:#x}");
    let mut random = SplitMix64::new(seed);
    let mut rig = Rig::start();
    let free_chunks = rig.free_chunks();
    let witness = rig.sniffer("d");
    let injector = SuperInjector::open(rig.ns("a"), "eth0").expect("a socket");
    let ips = [("10.0.0.1", "10.0.0.2"), ("2001:db8::1", "2001:db8::2")];
    let ips = ips.map(|(src, dst)| [src, dst].map(|ip| ip.parse().expect("an address")));
    let mut sent = 0;
    for _ in 0..SUPER_FRAMES {
        let [src, dst] = random.pick(&ips);
        let good = SuperFrame {
            macs: (A, random.pick(&[B, X, REMOTE, MacAddr::BROADCAST])),
            tags: Vec::new(),
            ips: (src, dst),
            segment_bytes: random.pick(&[1, 7, 536, 1460, 8960, 40_000, u16::MAX]),
            payload: vec![0x5a; 1 + random.below(60_000)],
        };
        // One in two keeps its own header, for which the kernel takes it; the others get one more
        // absurd value in it.
        let mut header = good.offload_header();
        if random.below(2) == 0 {
            let at = random.below(header.len());
            header[at] ^= 1 << random.below(8);
        }
        sent += u32::from(injector.send_parts(&header, &spoil(&good, &mut random)).is_ok());
    }
    assert!(sent > SUPER_FRAMES / 4, "the kernel took only {sent}");
    assert_eq!(rig.came(&witness, 20), BTreeSet::new(), "VLAN 20 got frames of VLAN 10");
    rig.assert_unharmed(free_chunks);
}

/// A super-frame with faults; its length stays what its offload header needs.
fn spoil(good: &SuperFrame, random: &mut SplitMix64) -> Vec<u8> {
    let bytes = good.bytes();
    let mut spoilt = mutate(&bytes, random, bytes.len());
    spoilt.resize(bytes.len(), 0);
    spoilt
}
