//! Captures: files of both formats and byte orders, files that are wrong, and the port on them.

use std::io::Cursor;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proto::DropReason;

use super::*;
use crate::burst::{BURST_MAX, Burst};
use crate::memory::{Frame, MemoryConfig, PacketMemory, Pool};
use crate::port::{DropTally, Port, PortGone};

/// A packet as a test writes it down: time, length on the wire, bytes.
type Owned = (u64, u32, Vec<u8>);

fn read_all(file: &[u8]) -> Result<Vec<Owned>, PcapError> {
    let mut reader = Reader::new(file)?;
    let mut packets = Vec::new();
    while let Some(packet) = reader.next_packet()? {
        packets.push((packet.time_ns, packet.original_len, packet.bytes.to_vec()));
    }
    Ok(packets)
}

fn written(packets: &[Owned]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new()).expect("a vector");
    let id = writer.interface("Vethernet12").expect("a vector");
    for (time_ns, _, bytes) in packets {
        // In two parts, as a frame in two chunks.
        let (front, back) = bytes.split_at(bytes.len() / 2);
        writer.packet(id, *time_ns, [front, back], PACKET_MAX_BYTES).expect("a vector");
    }
    writer.into_inner()
}

/// Puts words together in one byte order.
struct Words(Vec<u8>, bool);

impl Words {
    fn u32(mut self, words: &[u32]) -> Self {
        for word in words {
            self.0.extend(if self.1 { word.to_be_bytes() } else { word.to_le_bytes() });
        }
        self
    }
    fn u16(mut self, words: &[u16]) -> Self {
        for word in words {
            self.0.extend(if self.1 { word.to_be_bytes() } else { word.to_le_bytes() });
        }
        self
    }
    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
}

/// A classic file with one packet of 5 bytes, of 60 on the wire, at 3.000000007 (or 3.000007) s.
fn classic(magic: u32, big: bool) -> Vec<u8> {
    Words(Vec::new(), big)
        .u32(&[magic])
        .u16(&[2, 4])
        .u32(&[0, 0, 65_535, 1])
        .u32(&[3, 7, 5, 60])
        .bytes(&[1, 2, 3, 4, 5])
        .0
}

/// A pcapng file: one interface with time stamps of `tsresol`, a block of an unknown type, an
/// enhanced packet at `units`, a simple packet.
fn ng(big: bool, tsresol: u8, units: u64) -> Vec<u8> {
    let (high, low) = ((units >> 32) as u32, units as u32);
    Words(Vec::new(), big)
        .u32(&[0x0a0d_0d0a, 28, 0x1a2b_3c4d])
        .u16(&[1, 0])
        .u32(&[u32::MAX, u32::MAX, 28])
        .u32(&[1, 32])
        .u16(&[1, 0])
        .u32(&[3])
        .u16(&[9, 1])
        .bytes(&[tsresol, 0, 0, 0])
        .u16(&[0, 0])
        .u32(&[32])
        .u32(&[0x0bad, 16, 99, 16])
        .u32(&[6, 36, 0, high, low, 2, 60])
        .bytes(&[7, 8, 0, 0])
        .u32(&[36])
        .u32(&[3, 20, 64])
        .bytes(&[4, 5, 6, 0])
        .u32(&[20])
        .0
}

#[test]
fn classic_files_of_all_four_magics_are_read() {
    let bytes = vec![1, 2, 3, 4, 5];
    for big in [false, true] {
        let micros = read_all(&classic(0xa1b2_c3d4, big)).expect("a good file");
        assert_eq!(micros, [(3_000_007_000, 60, bytes.clone())]);
        let nanos = read_all(&classic(0xa1b2_3c4d, big)).expect("a good file");
        assert_eq!(nanos, [(3_000_000_007, 60, bytes.clone())]);
    }
}

#[test]
fn pcapng_of_both_byte_orders_and_any_resolution_is_read() {
    for big in [false, true] {
        for (tsresol, units, time_ns) in [
            (6, 5_000_001, 5_000_001_000),
            (9, 5_000_000_001, 5_000_000_001),
            (0, 5, 5_000_000_000),
            (12, 5_999, 5),
            (0x80 | 10, 1536, 1_500_000_000),
            (127, u64::MAX, 0),
            (0, u64::MAX, u64::MAX),
        ] {
            let packets = read_all(&ng(big, tsresol, units)).expect("a good file");
            // The simple packet is cut at the interface's snapshot length of 3.
            assert_eq!(
                packets,
                [(time_ns, 60, vec![7, 8]), (0, 64, vec![4, 5, 6])],
                "{tsresol:#x}"
            );
        }
    }
}

#[test]
fn sections_of_both_byte_orders_follow_each_other() {
    let file = [ng(true, 9, 1), ng(false, 9, 2)].concat();
    let times: Vec<u64> = read_all(&file).expect("a good file").iter().map(|p| p.0).collect();
    assert_eq!(times, [1, 0, 2, 0]);
}

#[test]
fn wrong_files_say_what_is_wrong_and_where() {
    let sentence = |file: &[u8]| read_all(file).expect_err("a wrong file").to_string();
    let patched = |mut file: Vec<u8>, at: usize, word: u32| {
        file[at..at + 4].copy_from_slice(&word.to_le_bytes());
        sentence(&file)
    };
    let (old, new) = (classic(0xa1b2_c3d4, false), ng(false, 9, 1));
    assert_eq!(sentence(b""), "the capture file ends in the middle of the file header at byte 0");
    assert_eq!(
        sentence(b"ELF or so"),
        "not a capture file: it begins with 0x454c4620, expected pcap or pcapng"
    );
    assert_eq!(patched(old.clone(), 20, 113), "link type 113 at byte 0 is not Ethernet (1)");
    assert_eq!(
        patched(old.clone(), 32, 262_145),
        "a packet at byte 24 has an impossible length of 262145 bytes"
    );
    assert_eq!(
        sentence(&old[..old.len() - 1]),
        "the capture file ends in the middle of a packet at byte 24"
    );
    assert_eq!(
        patched(new.clone(), 8, 17),
        "the section at byte 0 has the byte-order mark 0x00000011"
    );
    assert_eq!(
        patched(new.clone(), 4, 3),
        "a section header at byte 0 has an impossible length of 3 bytes"
    );
    assert_eq!(patched(new.clone(), 36, 105), "link type 105 at byte 28 is not Ethernet (1)");
    assert_eq!(
        patched(new.clone(), 32, 31),
        "a block at byte 28 has an impossible length of 31 bytes"
    );
    assert_eq!(
        patched(new.clone(), 84, 5),
        "the packet at byte 76 is of interface 5, which is not described"
    );
    assert_eq!(
        patched(new.clone(), 96, 5),
        "a packet at byte 76 has an impossible length of 5 bytes"
    );
    assert_eq!(sentence(&new[..80]), "the capture file ends in the middle of a block at byte 80");
}

#[test]
fn a_packet_is_cut_where_the_capture_says() {
    let mut writer = Writer::new(Vec::new()).expect("a vector");
    let id = writer.interface("a").expect("a vector");
    writer.packet(id, 9, [&[1, 2, 3][..], &[4, 5], &[6]], 4).expect("a vector");
    assert_eq!(read_all(&writer.into_inner()).expect("a good file"), [(9, 6, vec![1, 2, 3, 4])]);
}

#[test]
fn tcpdump_reads_what_we_write() {
    let mut bytes = vec![0xff; 60];
    bytes[12..14].copy_from_slice(&[0x88, 0xb5]);
    let file = written(&[(1_000_000_000, 60, bytes.clone()), (2_000_000_000, 60, bytes)]);
    let mut path = tempfile::NamedTempFile::new().expect("a temporary file");
    std::io::Write::write_all(&mut path, &file).expect("a temporary file");
    let output = std::process::Command::new("tcpdump")
        .args(["-n", "-tt", "-r"])
        .arg(path.path())
        .output()
        .expect("tcpdump is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let times: Vec<&str> = text.lines().filter(|l| l.contains("88b5")).collect();
    assert_eq!(times.len(), 2, "{text} {}", String::from_utf8_lossy(&output.stderr));
    assert!(times[0].starts_with("1.000000") && times[1].starts_with("2.000000"), "{text}");
}

fn clock() -> u64 {
    1_234_567_890_123_456_789
}

fn memory() -> Arc<PacketMemory> {
    PacketMemory::new(MemoryConfig::with_chunks(256)).expect("packet memory")
}

fn replay(file: Vec<u8>) -> PcapPort {
    PcapPort::new(Some(Box::new(Cursor::new(file))), None, "replay", clock).expect("a good file")
}

#[test]
fn a_replay_comes_in_by_bursts_in_order_and_ends() {
    let packets: Vec<Owned> =
        (0..150u32).map(|n| (u64::from(n), 60 + n, vec![n as u8; 60 + n as usize])).collect();
    let memory = memory();
    let (pool, mut burst, mut seen) = (Pool::new(&memory), Burst::new(), Vec::new());
    let mut port = replay(written(&packets));
    let mut sizes = Vec::new();
    while !port.is_exhausted() {
        assert_eq!(port.rx(&pool, &mut burst), Ok(DropTally::NONE));
        sizes.push(burst.len());
        seen.extend(burst.drain().map(|frame| frame.copy_to_vec()));
    }
    assert_eq!(sizes, [BURST_MAX, BURST_MAX, 150 - 2 * BURST_MAX]);
    assert!(seen.iter().eq(packets.iter().map(|p| &p.2)));
    assert_eq!(port.statistics().rx_frames, 150);
    assert_eq!(memory.free_count(), 256);
}

#[test]
fn packets_that_are_no_whole_frames_are_dropped_and_counted() {
    let memory = memory();
    let (pool, mut burst) = (Pool::new(&memory), Burst::new());
    let mut writer = Writer::new(Vec::new()).expect("a vector");
    let id = writer.interface("a").expect("a vector");
    for (len, snap_len) in [(60, 40), (70_000, PACKET_MAX_BYTES), (60, PACKET_MAX_BYTES)] {
        writer.packet(id, 0, [&vec![0; len][..]], snap_len).expect("a vector");
    }
    let mut port = replay(writer.into_inner());
    let dropped = port.rx(&pool, &mut burst).expect("a good file");
    let expected = [(DropReason::Malformed, 1), (DropReason::MtuExceeded, 1)];
    assert!(dropped.iter().eq(expected) && burst.len() == 1, "{dropped:?}");
    assert_eq!(port.statistics().rx_dropped.total(), 2);
}

#[test]
fn a_replay_that_breaks_off_delivers_what_it_has_and_is_gone() {
    let memory = memory();
    let (pool, mut burst) = (Pool::new(&memory), Burst::new());
    let mut file = written(&[(0, 60, vec![1; 60]), (0, 60, vec![2; 60])]);
    file.truncate(file.len() - 1);
    let mut port = replay(file);
    assert_eq!(port.rx(&pool, &mut burst), Ok(DropTally::NONE));
    assert_eq!(burst.len(), 1);
    let gone = port.rx(&pool, &mut burst).expect_err("the file breaks off");
    assert!(gone.to_string().contains("ends in the middle of a block"), "{gone}");
    assert_eq!(port.rx(&pool, &mut burst), Err(gone.clone()));
    assert_eq!(port.tx(&pool, &mut burst).dropped.get(DropReason::PortDown), 1);
    assert_eq!((port.flush(&pool), port.link_up()), (Err(gone), false));
}

/// An output that tests can look at, and that is full at some length.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>, Option<usize>);

impl std::io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut file = self.0.lock().expect("no other holder");
        if self.1.is_some_and(|limit| file.len() + bytes.len() > limit) {
            return Err(std::io::Error::from_raw_os_error(libc::ENOSPC));
        }
        file.extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_is_transmitted_stands_in_the_capture() {
    let memory = memory();
    let (pool, mut burst, output) = (Pool::new(&memory), Burst::new(), Output::default());
    let mut port = PcapPort::new(None, Some(Box::new(output.clone())), "Ethernet3/1", clock)
        .expect("writable");
    assert!(port.is_exhausted());
    let frames = [vec![1; 60], vec![2; 9000], vec![3; 61]];
    for bytes in &frames {
        burst.push(Frame::from_slice(&pool, bytes).expect("chunks")).expect("room");
    }
    let report = port.tx(&pool, &mut burst);
    assert_eq!((report.sent_frames, report.sent_bytes, burst.len()), (3, 9121, 0));
    port.flush(&pool).expect("writable");
    let file = output.0.lock().expect("no other holder").clone();
    let expected: Vec<Owned> =
        frames.iter().map(|bytes| (clock(), bytes.len() as u32, bytes.clone())).collect();
    assert_eq!(read_all(&file).expect("a good file"), expected);
    assert_eq!(memory.free_count(), 256);
}

#[test]
fn a_full_disk_takes_the_port_down_with_its_reason() {
    let memory = memory();
    let (pool, mut burst) = (Pool::new(&memory), Burst::new());
    let output = Output(Arc::default(), Some(300));
    let mut port = PcapPort::new(None, Some(Box::new(output)), "a", clock).expect("room for it");
    for _ in 0..5 {
        burst.push(Frame::from_slice(&pool, &[0; 60]).expect("a chunk")).expect("room");
    }
    let report = port.tx(&pool, &mut burst);
    assert!(report.sent_frames >= 1 && report.total_frames() == 5, "{report:?}");
    assert_eq!(u32::from(report.dropped.get(DropReason::PortDown)), 5 - report.sent_frames);
    let Err(PortGone::Capture { problem }) = port.flush(&pool) else { panic!("still there") };
    assert!(problem.contains("No space left"), "{problem}");
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        packets in proptest::collection::vec(
            (any::<u64>(), proptest::collection::vec(any::<u8>(), 0..200)), 0..20)
    ) {
        let packets: Vec<Owned> =
            packets.into_iter().map(|(time, bytes)| (time, bytes.len() as u32, bytes)).collect();
        prop_assert_eq!(read_all(&written(&packets)).expect("a good file"), packets);
    }

    #[test]
    fn any_file_is_read_or_refused(
        which in 0..4usize,
        changes in proptest::collection::vec((0..200usize, any::<u8>()), 0..6),
        keep in 0..250usize,
    ) {
        let mut file = match which {
            0 => classic(0xa1b2_c3d4, true),
            1 => ng(false, 6, 1),
            2 => ng(true, 6, 1),
            _ => written(&[(1, 9, vec![1; 9]), (2, 77, vec![2; 77])]),
        };
        for (at, byte) in changes {
            if let Some(place) = file.get_mut(at) {
                *place = byte;
            }
        }
        file.truncate(keep);
        if let Ok(packets) = read_all(&file) {
            // Every byte of a packet comes out of the file.
            prop_assert!(packets.iter().map(|p| p.2.len()).sum::<usize>() <= file.len());
        }
    }
}
