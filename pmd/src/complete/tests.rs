//! Completion against etherparse, which computes every checksum anew.

use etherparse::{PacketBuilder, SlicedPacket, TransportSlice};
use proptest::prelude::*;
use proto::frame::{Gso, Offload};

use super::*;
use crate::memory::{MemoryConfig, PacketMemory};
use crate::memory_port::MemoryPort;

const TCP_OFFSET: usize = 14 + 20;
const HEADERS: usize = TCP_OFFSET + 20;

/// A TCP packet with this payload, and the sum of its pseudo-header where the checksum belongs.
fn tcp_super(payload: &[u8], mss: u16) -> (Vec<u8>, Offload) {
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .tcp(4000, 80, 1000, 1024)
        .ack(1)
        .psh();
    let mut frame = Vec::new();
    builder.write(&mut frame, payload).expect("a vector");
    let tcp_len = (frame.len() - TCP_OFFSET) as u16;
    let mut pseudo = Sum::of(&frame[26..34]);
    pseudo.add_word(6);
    pseudo.add_word(tcp_len);
    frame[TCP_OFFSET + 16..TCP_OFFSET + 18].copy_from_slice(&pseudo.folded().to_be_bytes());
    let checksum = PartialChecksum { start: TCP_OFFSET as u16, offset: 16 };
    let kind = GsoKind::TcpV4;
    let gso = Gso { kind, size: mss, header_len: HEADERS as u16, ecn: false };
    let offload = Offload { checksum: Some(checksum), gso: Some(gso), checksum_verified: false };
    (frame, offload)
}

fn pool() -> Pool {
    Pool::new(&PacketMemory::new(MemoryConfig::with_chunks(512)).expect("packet memory"))
}

fn completed(
    frame: Frame,
    capabilities: &Capabilities,
    pool: &Pool,
) -> Result<Vec<Vec<u8>>, DropReason> {
    let mut out = Vec::new();
    complete(frame, capabilities, pool, |part| {
        assert!(part.offload().is_complete() || capabilities.checksum);
        out.push(part.copy_to_vec());
    })?;
    Ok(out)
}

/// The payload of a TCP frame whose every checksum is right.
fn checked_payload(bytes: &[u8]) -> Vec<u8> {
    let packet = SlicedPacket::from_ethernet(bytes).expect("a well-formed frame");
    let Some(etherparse::NetSlice::Ipv4(ip)) = packet.net else { panic!("no IPv4") };
    let Some(TransportSlice::Tcp(tcp)) = packet.transport else { panic!("no TCP") };
    let header = ip.header().to_header();
    assert_eq!(header.header_checksum, header.calc_header_checksum());
    let sum = tcp.to_header().calc_checksum_ipv4(&header, tcp.payload()).expect("a legal length");
    assert_eq!(tcp.checksum(), sum);
    tcp.payload().to_vec()
}

/// One segment in about 65,000 has a checksum of zero. UDP may not send it; in TCP its other form,
/// 0xffff, passes with stacks and is an error to Wireshark.
#[test]
fn a_checksum_of_zero_is_sent_as_such_in_tcp() {
    let pool = pool();
    let checksum_of = |payload: [u8; 2]| {
        let (bytes, offload) = tcp_super(&payload, 1448);
        let mut frame = Frame::from_slice(&pool, &bytes).expect("a chunk");
        frame.set_offload(offload);
        let segments = completed(frame, &MemoryPort::PLAIN, &pool).expect("it can be cut");
        assert_eq!(checked_payload(&segments[0]), payload);
        [segments[0][TCP_OFFSET + 16], segments[0][TCP_OFFSET + 17]]
    };
    // What is missing to a sum of all ones makes it all ones.
    assert_eq!(checksum_of(checksum_of([0, 0])), [0, 0]);
}

#[test]
fn a_port_that_can_gets_the_super_frame_as_it_is() {
    let pool = pool();
    let (bytes, offload) = tcp_super(&[7; 5000], 1448);
    let mut frame = Frame::from_slice(&pool, &bytes).expect("chunks");
    frame.set_offload(offload);
    assert_eq!(completed(frame, &MemoryPort::ANY, &pool), Ok(vec![bytes]));
}

#[test]
fn a_wrong_complete_checksum_leaves_wrong() {
    let pool = pool();
    let (mut bytes, _) = tcp_super(&[7; 100], 1448);
    bytes[TCP_OFFSET + 16] ^= 0x55;
    let frame = Frame::from_slice(&pool, &bytes).expect("a chunk");
    assert_eq!(completed(frame, &MemoryPort::PLAIN, &pool), Ok(vec![bytes]));
}

#[test]
fn offsets_outside_of_the_frame_are_refused() {
    let pool = pool();
    let (bytes, _) = tcp_super(&[7; 100], 1448);
    for (start, offset) in [(u16::MAX, 16), (34, u16::MAX), (bytes.len() as u16 - 1, 0)] {
        let mut frame = Frame::from_slice(&pool, &bytes).expect("a chunk");
        let checksum = Some(PartialChecksum { start, offset });
        frame.set_offload(Offload { checksum, ..Offload::NONE });
        assert_eq!(completed(frame, &MemoryPort::PLAIN, &pool), Err(DropReason::Malformed));
    }
}

#[test]
fn without_memory_the_frame_is_refused_and_every_chunk_comes_home() {
    let memory = PacketMemory::new(MemoryConfig::with_chunks(64)).expect("packet memory");
    let pool = Pool::new(&memory);
    let before = memory.free_count();
    let (bytes, offload) = tcp_super(&[7; 60_000], 500);
    let mut frame = Frame::from_slice(&pool, &bytes).expect("chunks");
    frame.set_offload(offload);
    let mut held = Vec::new();
    let refused = complete(frame, &MemoryPort::PLAIN, &pool, |part| held.push(part));
    assert_eq!(refused, Err(DropReason::NoMemory));
    drop(held);
    assert_eq!(memory.free_count(), before);
}

proptest! {
    /// What comes out has right checksums, fits, and put together it is what went in.
    #[test]
    fn segments_make_up_the_payload(
        payload in prop::collection::vec(any::<u8>(), 1..20_000),
        mss in 100u16..1448,
    ) {
        let pool = pool();
        let (bytes, offload) = tcp_super(&payload, mss);
        let mut frame = Frame::from_slice(&pool, &bytes).expect("chunks");
        frame.set_offload(offload);
        let segments = completed(frame, &MemoryPort::PLAIN, &pool).expect("it can be cut");
        prop_assert_eq!(segments.len(), payload.len().div_ceil(usize::from(mss)));
        let mut whole = Vec::new();
        for segment in &segments {
            prop_assert!(segment.len() <= HEADERS + usize::from(mss));
            whole.extend(checked_payload(segment));
        }
        prop_assert_eq!(whole, payload);
    }

    /// A partial checksum is completed in place, over odd lengths and several chunks.
    #[test]
    fn a_partial_checksum_becomes_right(payload in prop::collection::vec(any::<u8>(), 0..9000)) {
        let pool = pool();
        let (bytes, offload) = tcp_super(&payload, 1448);
        let mut frame = Frame::from_slice(&pool, &bytes).expect("chunks");
        frame.set_offload(Offload { gso: None, ..offload });
        let capabilities = Capabilities { max_frame_bytes: 9100, max_segments: 4, ..MemoryPort::PLAIN };
        let out = completed(frame, &capabilities, &pool).expect("it can be completed");
        prop_assert_eq!(checked_payload(&out[0]), payload);
    }

    /// No frame, however it lies about itself, makes completion panic or lose a chunk.
    #[test]
    fn any_frame_with_any_offload_is_completed_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 14..300),
        start in 0u16..400,
        offset in 0u16..400,
        size in 0u16..300,
        kind in prop::sample::select(vec![GsoKind::TcpV4, GsoKind::TcpV6, GsoKind::UdpL4]),
        is_super in any::<bool>(),
    ) {
        let memory = PacketMemory::new(MemoryConfig::with_chunks(512)).expect("packet memory");
        let pool = Pool::new(&memory);
        let before = memory.free_count();
        let mut frame = Frame::from_slice(&pool, &bytes).expect("a chunk");
        let gso = is_super.then_some(Gso { kind, size, header_len: 0, ecn: false });
        let checksum = Some(PartialChecksum { start, offset });
        frame.set_offload(Offload { checksum, gso, checksum_verified: false });
        let outcome = complete(frame, &MemoryPort::PLAIN, &pool, drop);
        prop_assert!(outcome.is_ok() || outcome.is_err());
        prop_assert_eq!(memory.free_count(), before);
    }
}
