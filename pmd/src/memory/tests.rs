//! Tests of the packet memory: unit tests, and random sequences of operations against a model.

use proptest::prelude::*;
use proto::frame::{Offload, PartialChecksum};

use super::*;

fn memory(chunk_count: u32) -> Arc<PacketMemory> {
    let config =
        MemoryConfig { huge_pages: HugePages::Never, ..MemoryConfig::with_chunks(chunk_count) };
    PacketMemory::new(config).expect("a small memory")
}

fn bytes(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}

#[test]
fn nonsense_configurations_are_refused_with_the_value() {
    let with = |config: MemoryConfig| PacketMemory::new(config).expect_err("refused").to_string();
    let good = MemoryConfig::with_chunks(8);
    assert!(with(MemoryConfig { chunk_count: 0, ..good }).starts_with("packet memory of 0 chunks"));
    assert!(with(MemoryConfig { headroom_bytes: 63, ..good }).contains("expected 64..=2048"));
    assert!(with(MemoryConfig { headroom_bytes: 2049, ..good }).starts_with("headroom of 2049"));
}

#[test]
fn the_mapping_is_page_aligned_and_addresses_are_offsets() {
    let memory = memory(8);
    assert_eq!(memory.base().as_ptr() as usize % 4096, 0);
    assert_eq!(memory.size_bytes(), 8 * 4096);
    let pool = Pool::new(&memory);
    let mut chunk = pool.alloc().expect("a chunk");
    chunk.bytes_mut()[7] = 0xa5;
    // SAFETY: the byte lies in the mapping, and the chunk's owner above is not writing now.
    let seen = unsafe { memory.base().as_ptr().add(chunk.address() as usize + 7).read() };
    assert_eq!(seen, 0xa5);
}

#[test]
fn every_chunk_can_be_had_once_and_comes_home() {
    // No multiple of a magazine, more than one cache.
    let memory = memory(333);
    let pool = Pool::new(&memory);
    let chunks: Vec<Chunk> = std::iter::from_fn(|| pool.alloc()).collect();
    let mut addresses: Vec<u64> = chunks.iter().map(Chunk::address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!((addresses.len(), memory.free_count()), (333, 0));
    assert!(pool.alloc().is_none() && Frame::new(&pool).is_none());
    drop(chunks);
    assert_eq!(memory.free_count(), 333);
    drop(pool);
    assert_eq!(memory.free_count(), 333);
    let other = Pool::new(&memory);
    assert_eq!(std::iter::from_fn(|| other.alloc()).collect::<Vec<_>>().len(), 333);
}

#[test]
fn a_frame_longer_than_the_free_chunks_is_refused_whole() {
    let memory = memory(3);
    let pool = Pool::new(&memory);
    let mut frame = Frame::from_slice(&pool, &bytes(5000, 1)).expect("two chunks");
    assert!(!frame.append(&bytes(9000, 2)));
    assert_eq!((frame.copy_to_vec(), memory.free_count()), (bytes(5000, 1), 1));
}

#[test]
fn a_frame_has_at_most_so_many_segments() {
    let memory = memory(SEGMENTS_MAX as u32 + 4);
    let pool = Pool::new(&memory);
    let mut frame = Frame::new(&pool).expect("a chunk");
    while pool.alloc().is_some_and(|chunk| frame.append_chunk(chunk, 0, 10)) {}
    assert_eq!((frame.segment_count(), frame.len_bytes()), (SEGMENTS_MAX, (SEGMENTS_MAX - 1) * 10));
    assert_eq!(memory.free_count(), 4);
}

#[test]
fn a_segment_never_reaches_over_its_chunk() {
    let memory = memory(4);
    let pool = Pool::new(&memory);
    let chunk = || pool.alloc().expect("a chunk");
    assert!(chunk().into_frame(0, 4096).is_some());
    for (offset, len) in [(0, 4097), (4000, 97), (4097, 0), (usize::MAX, 1), (65_536, 0)] {
        assert!(chunk().into_frame(offset, len).is_none());
        let mut frame = Frame::new(&pool).expect("a chunk");
        assert!(!frame.append_chunk(chunk(), offset, len));
    }
    assert_eq!(memory.free_count(), 4);
}

#[test]
fn chunks_of_another_memory_are_refused() {
    let (ours, theirs) = (memory(4), memory(4));
    let (pool, foreign) = (Pool::new(&ours), Pool::new(&theirs));
    let mut frame = Frame::new(&pool).expect("a chunk");
    assert!(!frame.append_chunk(foreign.alloc().expect("a chunk"), 0, 1));
    assert!(Ledger::new(&ours).lend(&foreign).is_none());
    let back = frame.into_detached().adopt(&foreign).expect_err("foreign pool");
    drop(back);
    assert_eq!((ours.free_count(), theirs.free_count()), (4, 4));
}

#[test]
fn a_ledger_gives_back_each_chunk_once_and_all_at_the_end() {
    let memory = memory(8);
    let pool = Pool::new(&memory);
    let (mut ledger, mut other) = (Ledger::new(&memory), Ledger::new(&memory));
    let address = ledger.lend(&pool).expect("own memory");
    assert_eq!((ledger.lent_count(), memory.free_count()), (1, 7));
    assert!(other.take_back(&pool, address).is_none(), "lent by another ledger");
    assert!(ledger.take_back(&pool, address ^ 4096).is_none(), "never lent");
    assert!(ledger.take_back(&pool, u64::MAX).is_none(), "outside the memory");
    let chunk = ledger.take_back(&pool, address + 300).expect("lent");
    assert!(ledger.take_back(&pool, address).is_none(), "taken back already");
    drop(chunk);
    let address = ledger.lend(&pool).expect("own memory");
    assert!(!other.take_home(&pool, address) && !ledger.take_home(&pool, u64::MAX));
    assert!(ledger.take_home(&pool, address));
    assert!(!ledger.take_home(&pool, address), "at home already");
    assert_eq!((ledger.lent_count(), memory.free_count()), (0, 8));
    let short = Frame::from_slice(&pool, &bytes(60, 1)).expect("a chunk");
    let mut lent = None;
    ledger.lend_frame(short, |address, len| lent = Some((address, len))).expect("own memory");
    let (address, len) = lent.expect("one descriptor");
    assert_eq!((address % 4096, len), (u64::from(memory.headroom_bytes()), 60));
    let back = ledger.take_back(&pool, address).expect("lent");
    assert_eq!(
        back.into_frame(usize::from(memory.headroom_bytes()), 60).expect("in the chunk").head(),
        bytes(60, 1)
    );
    let frame = Frame::from_slice(&pool, &bytes(9000, 3)).expect("three chunks");
    let mut descriptors = Vec::new();
    ledger.lend_frame(frame, |address, len| descriptors.push((address, len))).expect("own memory");
    assert_eq!(descriptors.iter().map(|d| d.1).sum::<u32>(), 9000);
    assert_eq!((descriptors.len(), ledger.lent_count(), memory.free_count()), (3, 3, 5));
    assert_eq!(descriptors[0].0 % 4096, u64::from(memory.headroom_bytes()));
    drop(ledger);
    assert_eq!(memory.free_count(), 8);
}

#[test]
fn a_panic_while_a_frame_is_lent_leaves_every_chunk_with_the_ledger() {
    let memory = memory(8);
    let pool = Pool::new(&memory);
    let mut ledger = Ledger::new(&memory);
    let frame = Frame::from_slice(&pool, &bytes(9000, 3)).expect("three chunks");
    let mut addresses = Vec::new();
    let lend = std::panic::AssertUnwindSafe(|| {
        let each = |address, _| {
            addresses.push(address);
            assert!(addresses.len() < 2, "the caller's own mistake");
        };
        ledger.lend_frame(frame, each).expect("own memory");
    });
    std::panic::catch_unwind(lend).expect_err("it panics");
    assert_eq!((ledger.lent_count(), memory.free_count()), (3, 5), "none has two owners");
    let others: Vec<_> = std::iter::from_fn(|| pool.alloc()).collect();
    let back = ledger.take_back(&pool, addresses[0]).expect("lent");
    assert!(others.iter().all(|other| other.address() != back.address()));
    drop((ledger, back, others));
    assert_eq!(memory.free_count(), 8);
}

#[test]
fn detached_frames_cross_threads_and_come_home_when_lost() {
    let memory = memory(64);
    let pool = Pool::new(&memory);
    let lost = Frame::from_slice(&pool, &bytes(9000, 1)).expect("chunks").into_detached();
    let kept = Frame::from_slice(&pool, &bytes(6000, 2)).expect("chunks").into_detached();
    let there = Arc::clone(&memory);
    std::thread::spawn(move || {
        drop(lost);
        let frame = kept.adopt(&Pool::new(&there)).expect("same memory");
        assert_eq!(frame.copy_to_vec(), bytes(6000, 2));
    })
    .join()
    .expect("the other worker");
    drop(pool);
    assert_eq!(memory.free_count(), 64);
}

#[test]
fn workers_that_pass_frames_around_lose_none() {
    const FRAMES: usize = 20_000;
    let memory = memory(1024);
    let queue = Arc::new(ArrayQueue::<DetachedFrame>::new(256));
    let (from, to) = (Arc::clone(&queue), Arc::clone(&memory));
    let receiver = std::thread::spawn(move || {
        let pool = Pool::new(&to);
        let mut seen = 0;
        while seen < FRAMES {
            let Some(frame) = from.pop() else {
                std::thread::yield_now();
                continue;
            };
            let frame = frame.adopt(&pool).expect("same memory");
            assert_eq!(frame.head(), (seen as u64).to_le_bytes());
            seen += 1;
        }
    });
    let pool = Pool::new(&memory);
    for number in 0..FRAMES as u64 {
        let mut next = loop {
            match Frame::from_slice(&pool, &number.to_le_bytes()) {
                Some(frame) => break frame.into_detached(),
                None => std::thread::yield_now(),
            }
        };
        while let Err(full) = queue.push(next) {
            next = full;
            std::thread::yield_now();
        }
    }
    receiver.join().expect("the receiving worker");
    drop(pool);
    assert_eq!(memory.free_count(), 1024);
}

#[test]
#[cfg(debug_assertions)]
fn a_debug_build_finds_a_chunk_that_is_freed_twice_or_leaked() {
    let memory = memory(4);
    let pool = Pool::new(&memory);
    let index = pool.take().expect("a chunk");
    pool.put(index);
    let twice = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pool.put(index)));
    assert!(twice.is_err());
    let _lost = pool.take().expect("a chunk");
    drop(pool);
    let leak = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(memory)));
    assert!(leak.is_err());
}

/// One step of a random sequence; numbers choose a frame, a length or a place.
#[derive(Clone, Debug)]
enum Step {
    Make(usize, u8),
    Drop(usize),
    PushFront(usize, usize),
    PullFront(usize, usize),
    Append(usize, usize),
    AppendChunk(usize, usize, usize),
    Truncate(usize, usize),
    Write(usize, usize, usize),
    Copy(usize),
    Detach(usize),
    Lend(usize),
    ReclaimLoans,
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..64usize;
    prop_oneof![
        3 => (0..12_000usize, any::<u8>()).prop_map(|(n, s)| Step::Make(n, s)),
        2 => which.clone().prop_map(Step::Drop),
        2 => (which.clone(), 0..200usize).prop_map(|(i, n)| Step::PushFront(i, n)),
        2 => (which.clone(), 0..5000usize).prop_map(|(i, n)| Step::PullFront(i, n)),
        2 => (which.clone(), 0..9000usize).prop_map(|(i, n)| Step::Append(i, n)),
        2 => (which.clone(), 0..4200usize, 0..4200usize)
            .prop_map(|(i, o, n)| Step::AppendChunk(i, o, n)),
        2 => (which.clone(), 0..12_000usize).prop_map(|(i, n)| Step::Truncate(i, n)),
        2 => (which.clone(), 0..12_000usize, 0..6000usize)
            .prop_map(|(i, o, n)| Step::Write(i, o, n)),
        1 => which.clone().prop_map(Step::Copy),
        1 => which.clone().prop_map(Step::Detach),
        1 => which.prop_map(Step::Lend),
        1 => Just(Step::ReclaimLoans),
    ]
}

/// The frames under test beside what they must hold.
struct Rig {
    memory: Arc<PacketMemory>,
    pool: Pool,
    ledger: Ledger,
    frames: Vec<(Frame, Vec<u8>)>,
}

impl Rig {
    fn new() -> Self {
        let memory = memory(48);
        let (pool, ledger) = (Pool::new(&memory), Ledger::new(&memory));
        Self { memory, pool, ledger, frames: Vec::new() }
    }

    fn apply(&mut self, step: Step) {
        let count = self.frames.len().max(1);
        let Self { pool, ledger, frames, .. } = self;
        match step {
            Step::Make(n, seed) => {
                let made = Frame::from_slice(pool, &bytes(n, seed));
                frames.extend(made.map(|frame| (frame, bytes(n, seed))));
            }
            Step::ReclaimLoans => {
                ledger.take_all_back();
            }
            Step::Drop(i) | Step::Detach(i) | Step::Lend(i) if i % count >= frames.len() => {}
            Step::Drop(i) => drop(frames.swap_remove(i % count)),
            Step::Lend(i) => {
                let (frame, model) = frames.swap_remove(i % count);
                let mut sum = 0;
                ledger.lend_frame(frame, |_, len| sum += len as usize).expect("own memory");
                assert_eq!(sum, model.len());
            }
            Step::Detach(i) => {
                let (frame, model) = frames.swap_remove(i % count);
                frames.push((frame.into_detached().adopt(pool).expect("same memory"), model));
            }
            Step::Copy(i) => {
                if let Some((frame, model)) = frames.get(i % count)
                    && let Some(copy) = frame.try_copy(pool)
                {
                    assert_eq!(copy.offload(), frame.offload());
                    let model = model.clone();
                    frames.push((copy, model));
                }
            }
            other => self.edit(other),
        }
    }

    fn edit(&mut self, step: Step) {
        let (Step::PushFront(i, _)
        | Step::PullFront(i, _)
        | Step::Append(i, _)
        | Step::AppendChunk(i, ..)
        | Step::Truncate(i, _)
        | Step::Write(i, ..)) = step
        else {
            return;
        };
        let count = self.frames.len().max(1);
        let Some((frame, model)) = self.frames.get_mut(i % count) else { return };
        match step {
            Step::PushFront(_, n) => {
                let fits = frame.headroom_bytes() >= n;
                if let Some(front) = frame.push_front(n) {
                    front.fill(0x5a);
                    model.splice(0..0, std::iter::repeat_n(0x5a, n));
                    assert!(fits);
                } else {
                    assert!(!fits);
                }
            }
            Step::PullFront(_, n) => {
                let pulled = frame.pull_front(n);
                if pulled {
                    model.drain(..n);
                }
            }
            Step::Append(_, n) => {
                let appended = frame.append(&bytes(n, 9));
                if appended {
                    model.extend(bytes(n, 9));
                }
            }
            Step::AppendChunk(_, offset, n) => {
                if let Some(mut chunk) = self.pool.alloc() {
                    chunk.bytes_mut().fill(0xc3);
                    let fits = offset + n <= 4096 && frame.segment_count() < SEGMENTS_MAX;
                    assert_eq!(frame.append_chunk(chunk, offset, n), fits);
                    if fits {
                        model.extend(std::iter::repeat_n(0xc3, n));
                    }
                }
            }
            Step::Truncate(_, n) => {
                frame.truncate(n);
                model.truncate(n);
            }
            Step::Write(_, at, n) => {
                let fits = at + n <= model.len();
                assert_eq!(frame.write_at(at, &bytes(n, 77)), fits);
                if fits {
                    model[at..at + n].copy_from_slice(&bytes(n, 77));
                }
            }
            _ => {}
        }
        frame.set_offload(Offload {
            checksum: Some(PartialChecksum { start: model.len() as u16, offset: 16 }),
            ..Offload::NONE
        });
    }

    /// Content, lengths and the place of every chunk.
    fn check(&self) {
        let mut held = self.ledger.lent_count();
        for (frame, model) in &self.frames {
            assert_eq!(frame.len_bytes(), model.len());
            assert_eq!(&frame.copy_to_vec(), model);
            assert_eq!(frame.segments().len(), frame.segments().count());
            let from = model.len() / 3;
            let mut middle = vec![0; model.len() / 2];
            assert!(frame.read_at(from, &mut middle));
            assert_eq!(middle, model[from..from + middle.len()]);
            assert!(!frame.read_at(from, &mut vec![0; model.len() - from + 1]));
            held += frame.segment_count();
        }
        assert_eq!(self.memory.free_count() + held, 48, "a chunk is lost or doubled");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_operations_agree_with_a_model_and_lose_no_chunk(
        steps in proptest::collection::vec(step(), 1..60)
    ) {
        let mut rig = Rig::new();
        for step in steps {
            rig.apply(step);
            rig.check();
        }
        let memory = Arc::clone(&rig.memory);
        drop(rig);
        assert_eq!(memory.free_count(), 48);
    }
}
