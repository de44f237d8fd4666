//! Receiving and transmitting allocate nothing once a port is warm: memory, TAP and AF_XDP ports,
//! and the completion of offloads. Needs root for the devices.

#[path = "devices/support.rs"]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use pmd::complete::complete;
use pmd::memory_port::MemoryPort;
use pmd::tap::{Tap, TapConfig};
use pmd::xsk::{BindMode, XskConfig, XskPort};
use pmd::{Burst, Frame, MemoryConfig, PacketMemory, Pool, Port};
use proto::MacAddr;
use proto::frame::{Gso, GsoKind, Offload, PartialChecksum};

use support::{Netns, until};

/// Rounds before the counting, which fill caches and rings and let a backtrace be set up.
const WARM_UP_ROUNDS: usize = 20;
/// Rounds that are counted.
const ROUNDS: usize = 200;

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came; the counter is a plain
// thread-local number without a destructor, so it neither allocates nor can be gone.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of GlobalAlloc.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of GlobalAlloc.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of GlobalAlloc.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn memory() -> Arc<PacketMemory> {
    PacketMemory::new(MemoryConfig::with_chunks(4096)).expect("packet memory")
}

/// Runs the rounds and returns what the counted ones allocated.
fn allocations(mut round: impl FnMut(usize)) -> usize {
    (0..WARM_UP_ROUNDS).for_each(&mut round);
    let before = ALLOCATIONS.get();
    (0..ROUNDS).for_each(&mut round);
    ALLOCATIONS.get() - before
}

/// Fills a burst with frames of these lengths, of which one is a chain.
fn fill(burst: &mut Burst, pool: &Pool, lens: &[usize]) {
    static BYTES: [u8; 9000] = {
        let mut bytes = [0xff; 9000];
        // An own address as source: a bridge forwards no frame from a group address.
        bytes[6] = 2;
        bytes[12] = 0x88;
        bytes[13] = 0xb5;
        bytes
    };
    for len in lens {
        let frame = Frame::from_slice(pool, &BYTES[..*len]).expect("chunks");
        burst.push(frame).expect("room");
    }
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|round| drop(std::hint::black_box(Box::new(round)))), ROUNDS);
}

#[test]
fn memory_ports_allocate_nothing() {
    let memory = memory();
    let (pool, mut burst) = (Pool::new(&memory), Burst::new());
    let (mut a, mut b) = MemoryPort::pair(MemoryPort::ANY, 128);
    let mut received = 0;
    let count = allocations(|_| {
        fill(&mut burst, &pool, &[60, 1514, 9000, 60]);
        a.tx(&pool, &mut burst);
        b.rx(&pool, &mut burst).expect("the peer is there");
        received += burst.len();
        burst.clear();
    });
    assert_eq!((count, received), (0, 4 * (WARM_UP_ROUNDS + ROUNDS)));
}

#[test]
fn completion_allocates_nothing() {
    let memory = memory();
    let pool = Pool::new(&memory);
    // TCP over IPv4, 54 bytes of headers (version 4, 5 words; protocol 6; data offset 5 words).
    let mut bytes = vec![0; 20_054];
    (bytes[12], bytes[14], bytes[23], bytes[46]) = (0x08, 0x45, 6, 0x50);
    let gso = Gso { kind: GsoKind::TcpV4, size: 1448, header_len: 54, ecn: false };
    let checksum = Some(PartialChecksum { start: 34, offset: 16 });
    let mut segments = 0;
    let count = allocations(|_| {
        for gso in [Some(gso), None] {
            let len = if gso.is_some() { bytes.len() } else { 600 };
            let mut frame = Frame::from_slice(&pool, &bytes[..len]).expect("chunks");
            frame.set_offload(Offload { checksum, gso, checksum_verified: false });
            complete(frame, &MemoryPort::PLAIN, &pool, |_| segments += 1).expect("well-formed");
        }
    });
    assert_eq!((count, segments), (0, (14 + 1) * (WARM_UP_ROUNDS + ROUNDS)));
}

#[test]
fn tap_ports_allocate_nothing() {
    let (netns, memory) = (Netns::new(), memory());
    let (pool, mut burst) = (Pool::new(&memory), Burst::new());
    // A bridge between the two carries what one transmits to where the other receives.
    let open = |ifname: &str, last: u8| {
        let config = TapConfig {
            ifname: ifname.to_owned(),
            netns: netns.name.clone(),
            mac: MacAddr::new([2, 0, 0, 0, 0, last]),
            mtu_bytes: 9000,
        };
        Tap::open(&memory, &config).expect("a TAP").port
    };
    let (mut a, mut b) = (open("a", 1), open("b", 2));
    netns.ip(&["link", "add", "name", "br", "mtu", "9000", "type", "bridge"]);
    for ifname in ["a", "b"] {
        netns.ip(&["link", "set", "dev", ifname, "master", "br"]);
    }
    netns.ip(&["link", "set", "dev", "br", "up"]);
    cross("tap", &pool, &mut burst, &mut a, &mut b);
}

#[test]
fn afxdp_ports_allocate_nothing() {
    let (netns, memory) = (Netns::new(), memory());
    let (pool, mut burst) = (Pool::new(&memory), Burst::new());
    netns.ip(&["link", "add", "name", "a", "mtu", "9000", "type", "veth", "peer", "name", "b"]);
    netns.ip(&["link", "set", "dev", "b", "mtu", "9000"]);
    for ifname in ["a", "b"] {
        netns.ip(&["link", "set", "dev", ifname, "up"]);
    }
    let open = |ifname: &str| {
        let (ifname, mode) = (ifname.to_owned(), BindMode::Auto);
        let config = XskConfig { ifname, mode, ring_len: 256, promiscuous: true };
        netns.enter(|| XskPort::open(&memory, &config)).expect("a socket")
    };
    let (mut a, mut b) = (open("a"), open("b"));
    cross("afxdp", &pool, &mut burst, &mut a.port, &mut b.port);
}

/// Sends from one port to the other, which must both be warm after some rounds.
fn cross(what: &str, pool: &Pool, burst: &mut Burst, from: &mut dyn Port, to: &mut dyn Port) {
    // The path is there when a first frame gets through.
    until("the path is up", || {
        fill(burst, pool, &[60]);
        from.tx(pool, burst);
        from.flush(pool).expect("the device is there");
        to.rx(pool, burst).expect("the device is there");
        let ours = burst.drain().any(|frame| frame.head()[12..14] == [0x88, 0xb5]);
        from.rx(pool, burst).expect("the device is there");
        burst.clear();
        ours
    });
    let mut received = 0;
    let count = allocations(|_| {
        fill(burst, pool, &[60, 1514, 9000, 60]);
        let report = from.tx(pool, burst);
        assert_eq!(report.sent_frames, 4);
        let mut polls = 0;
        let goal = received + 4;
        while received < goal && polls < 1_000_000 {
            from.flush(pool).expect("the device is there");
            to.rx(pool, burst).expect("the device is there");
            let ours = |frame: &Frame| frame.head()[12..14] == [0x88, 0xb5];
            received += burst.drain().filter(ours).count();
            polls += 1;
        }
    });
    assert!(received >= 4 * (WARM_UP_ROUNDS + ROUNDS), "{what}: {received} frames");
    assert_eq!(count, 0, "{what}");
}
