//! The ring against memory that is not the kernel's: wrap-around, a model, broken peers, threads.

use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use proptest::prelude::*;

use super::*;
use crate::desc::Desc;

/// A ring in ordinary memory.
struct HeapRing<T> {
    producer: AtomicU32,
    consumer: AtomicU32,
    flags: AtomicU32,
    slots: Box<[UnsafeCell<T>]>,
}

// SAFETY: the slots are accessed only by one `Producer` and one `Consumer` (or a simulated kernel)
// between the indexes, as the ring's protocol orders them.
unsafe impl<T: Send> Sync for HeapRing<T> {}

impl<T: Copy + Default + Send + 'static> HeapRing<T> {
    /// An empty ring whose indexes stand at `start`.
    fn new(entries: u32, start: u32) -> Arc<Self> {
        Arc::new(Self {
            producer: AtomicU32::new(start),
            consumer: AtomicU32::new(start),
            flags: AtomicU32::new(0),
            slots: (0..entries).map(|_| UnsafeCell::new(T::default())).collect(),
        })
    }

    fn parts(self: &Arc<Self>) -> Parts<T> {
        Parts {
            producer: NonNull::from(&self.producer),
            consumer: NonNull::from(&self.consumer),
            flags: NonNull::from(&self.flags),
            // `UnsafeCell<T>` has the layout of `T`, and the slice's pointer covers all slots.
            slots: NonNull::from(&*self.slots).cast::<T>(),
            entries: self.slots.len() as u32,
            owner: Box::new(Arc::clone(self)),
        }
    }

    fn producer(self: &Arc<Self>) -> Producer<T> {
        // SAFETY: the parts are valid while the owner lives; each test makes one producer.
        unsafe { Producer::new(self.parts()) }
    }

    fn consumer(self: &Arc<Self>) -> Consumer<T> {
        // SAFETY: the parts are valid while the owner lives; each test makes one consumer.
        unsafe { Consumer::new(self.parts()) }
    }

    /// What the kernel sees in the slot of an index it was given.
    fn peek(&self, index: u32) -> T {
        let slot = &self.slots[index as usize % self.slots.len()];
        // SAFETY: the caller asks only for published slots, which the producer leaves alone.
        unsafe { *slot.get() }
    }

    /// The kernel's writing to a free slot.
    fn poke(&self, index: u32, item: T) {
        let slot = &self.slots[index as usize % self.slots.len()];
        // SAFETY: the caller writes only free slots, which the consumer leaves alone.
        unsafe { *slot.get() = item }
    }
}

fn pair(entries: u32, start: u32) -> (Arc<HeapRing<u64>>, Producer<u64>, Consumer<u64>) {
    let ring = HeapRing::new(entries, start);
    let (producer, consumer) = (ring.producer(), ring.consumer());
    (ring, producer, consumer)
}

#[test]
fn full_ring_takes_no_item_it_cannot_place() {
    let (_ring, mut producer, mut consumer) = pair(4, 0);
    let mut items = 0..10;
    assert_eq!(producer.produce(&mut items), 4);
    assert_eq!(items, 4..10, "item 4 must still be in the iterator");
    assert_eq!(producer.produce(&mut items), 0);
    assert_eq!(items, 4..10);
    assert_eq!((producer.free(), producer.outstanding()), (0, 4));
    assert_eq!(consumer.drain(3).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(producer.produce(&mut items), 3);
    assert_eq!(consumer.drain(64).collect::<Vec<_>>(), [3, 4, 5, 6]);
    assert_eq!((producer.free(), producer.outstanding()), (4, 0));
    assert_eq!(consumer.available(), 0);
}

#[test]
fn ring_of_one_entry_works() {
    let (_ring, mut producer, mut consumer) = pair(1, u32::MAX);
    for item in 0..5 {
        assert_eq!(producer.produce([item, 99]), 1);
        assert_eq!(consumer.drain(9).collect::<Vec<_>>(), [item]);
    }
}

#[test]
fn indexes_wrap_at_two_to_the_32() {
    let (ring, mut producer, mut consumer) = pair(8, u32::MAX - 2);
    assert_eq!(producer.produce(0..20), 8);
    assert_eq!(ring.producer.load(Ordering::Relaxed), 5);
    assert_eq!((producer.free(), producer.outstanding()), (0, 8));
    assert_eq!(consumer.available(), 8);
    assert_eq!(consumer.drain(64).collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
    assert_eq!(ring.consumer.load(Ordering::Relaxed), 5);
}

#[test]
fn batch_is_invisible_until_it_is_whole() {
    let (ring, mut producer, _consumer) = pair(8, 0);
    let produced = producer.produce((0..4).inspect(|_| {
        assert_eq!(ring.producer.load(Ordering::Relaxed), 0);
    }));
    assert_eq!(produced, 4);
    assert_eq!(ring.producer.load(Ordering::Relaxed), 4);
}

#[test]
fn drained_slots_are_released_together_when_the_drain_ends() {
    let (ring, mut producer, mut consumer) = pair(8, 0);
    producer.produce(0..6);
    let mut drain = consumer.drain(4);
    assert_eq!(drain.len(), 4);
    assert_eq!((drain.next(), drain.next()), (Some(0), Some(1)));
    assert_eq!(drain.len(), 2);
    assert_eq!(ring.consumer.load(Ordering::Relaxed), 0);
    drop(drain);
    assert_eq!(ring.consumer.load(Ordering::Relaxed), 2);
    assert_eq!(consumer.drain(64).collect::<Vec<_>>(), [2, 3, 4, 5], "what was not yielded stays");
}

#[test]
fn leaked_drain_yields_nothing_twice() {
    let (ring, mut producer, mut consumer) = pair(8, 0);
    producer.produce(0..6);
    let mut drain = consumer.drain(6);
    assert_eq!((drain.next(), drain.next()), (Some(0), Some(1)));
    std::mem::forget(drain);
    assert_eq!(ring.consumer.load(Ordering::Relaxed), 0, "a leak releases nothing by itself");
    assert_eq!(consumer.drain(1).collect::<Vec<_>>(), [2]);
    assert_eq!(ring.consumer.load(Ordering::Relaxed), 3, "but the next batch does");
}

#[test]
fn panic_while_producing_keeps_what_was_placed() {
    let (_ring, mut producer, mut consumer) = pair(8, 0);
    let panicking = (0..6).map(|item| if item == 3 { panic!("caller's bug") } else { item });
    assert!(catch_unwind(AssertUnwindSafe(|| producer.produce(panicking))).is_err());
    assert_eq!(producer.produce([7]), 1);
    assert_eq!(consumer.drain(64).collect::<Vec<_>>(), [0, 1, 2, 7]);
}

#[test]
fn panic_while_draining_releases_what_was_yielded() {
    let (ring, mut producer, mut consumer) = pair(8, 0);
    producer.produce(0..6);
    let run = catch_unwind(AssertUnwindSafe(|| {
        consumer.drain(64).for_each(|item| assert_ne!(item, 3, "caller's bug"));
    }));
    assert!(run.is_err());
    assert_eq!(ring.consumer.load(Ordering::Relaxed), 4);
    assert_eq!(consumer.drain(64).collect::<Vec<_>>(), [4, 5]);
}

#[test]
fn empty_batches_write_nothing() {
    let (ring, mut producer, mut consumer) = pair(8, 3);
    // A value that any store of our own index would overwrite: a store costs the other side's
    // CPU a cache miss.
    ring.producer.store(77, Ordering::Relaxed);
    assert_eq!(producer.produce([]), 0);
    assert_eq!(ring.producer.load(Ordering::Relaxed), 77);
    ring.producer.store(3, Ordering::Relaxed);
    ring.consumer.store(77, Ordering::Relaxed);
    assert_eq!(consumer.drain(0).count(), 0);
    assert_eq!(consumer.drain(5).count(), 0);
    assert_eq!(ring.consumer.load(Ordering::Relaxed), 77);
}

#[test]
fn wakeup_flag_is_read() {
    let (ring, producer, _consumer) = pair(8, 0);
    assert!(!producer.needs_wakeup());
    ring.flags.store(XDP_RING_NEED_WAKEUP, Ordering::Relaxed);
    assert!(producer.needs_wakeup());
    ring.flags.store(!XDP_RING_NEED_WAKEUP, Ordering::Relaxed);
    assert!(!producer.needs_wakeup());
}

#[test]
fn broken_peer_cannot_push_us_out_of_the_ring() {
    for wrong in [1, 9, 1000, u32::MAX, u32::MAX / 2] {
        let (ring, mut producer, _consumer) = pair(8, 0);
        ring.consumer.store(wrong, Ordering::Relaxed);
        assert!(producer.free() <= 8 && producer.outstanding() <= 8);
        assert!(producer.produce(0..100) <= 8);

        let (ring, _producer, mut consumer) = pair(8, 0);
        ring.producer.store(wrong, Ordering::Relaxed);
        assert!(consumer.available() <= 8);
        assert!(consumer.drain(100).count() <= 8);
    }
}

#[test]
fn the_owner_is_kept_and_let_go() {
    let (ring, producer, consumer) = pair(8, 0);
    assert_eq!(Arc::strong_count(&ring), 3);
    drop(producer);
    drop(consumer);
    assert_eq!(Arc::strong_count(&ring), 1);
}

#[derive(Debug, Clone)]
enum Step {
    Produce(u8),
    Drain { max: u8, take: u8 },
    LeakDrain { max: u8, take: u8 },
    Look,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0u8..80).prop_map(Step::Produce),
        3 => (0u8..80, 0u8..80).prop_map(|(max, take)| Step::Drain { max, take }),
        1 => (0u8..80, 0u8..80).prop_map(|(max, take)| Step::LeakDrain { max, take }),
        1 => Just(Step::Look),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Any sequence of batches is a queue: nothing lost, doubled, reordered or made up.
    #[test]
    fn ring_is_a_bounded_queue(log_entries in 0u32..7, start: u32, steps in steps()) {
        let entries = 1u32 << log_entries;
        let (ring, mut producer, mut consumer) = pair(entries, start);
        let mut model = VecDeque::new();
        // Slots that were yielded by a leaked drain and not yet released.
        let mut unreleased = 0usize;
        let mut next_item = 0u64;
        for step in steps {
            match step {
                Step::Produce(count) => {
                    let room = entries as usize - model.len() - unreleased;
                    let mut items = next_item..next_item + u64::from(count);
                    let produced = producer.produce(&mut items);
                    prop_assert_eq!(produced as usize, room.min(usize::from(count)));
                    prop_assert_eq!(items.start, next_item + u64::from(produced));
                    model.extend(next_item..items.start);
                    next_item = items.start;
                }
                Step::Drain { max, take } | Step::LeakDrain { max, take } => {
                    let mut drain = consumer.drain(u32::from(max));
                    prop_assert_eq!(drain.len(), model.len().min(usize::from(max)));
                    for _ in 0..take.min(max) {
                        let expected = model.pop_front();
                        prop_assert_eq!(drain.next(), expected);
                        unreleased += usize::from(expected.is_some());
                    }
                    if matches!(step, Step::Drain { .. }) {
                        drop(drain);
                        unreleased = 0;
                    } else {
                        std::mem::forget(drain);
                    }
                }
                Step::Look => {
                    prop_assert_eq!(consumer.available() as usize, model.len());
                    prop_assert_eq!(producer.outstanding() as usize, model.len() + unreleased);
                    prop_assert_eq!(producer.free(), entries - producer.outstanding());
                }
            }
            let published = ring.producer.load(Ordering::Relaxed);
            prop_assert_eq!(published, start.wrapping_add(next_item as u32));
        }
    }
}

/// What a descriptor of the thread tests must look like: torn or stale slots show.
fn nth_desc(n: u32) -> Desc {
    Desc { addr: u64::from(n) << 32 | u64::from(!n), len: n.wrapping_mul(0x9e37_79b9), options: n }
}

const THREAD_ITEMS: u32 = 300_000;

/// Our producer against a kernel that is written out by hand, in another thread.
#[test]
fn producer_against_a_simulated_kernel() {
    let start = u32::MAX - THREAD_ITEMS / 2;
    let ring = HeapRing::<Desc>::new(64, start);
    let mut producer = ring.producer();
    let kernel = thread::spawn({
        let ring = Arc::clone(&ring);
        move || {
            let mut done = 0;
            while done < THREAD_ITEMS {
                let given = ring.producer.load(Ordering::Acquire).wrapping_sub(start);
                assert!(given - done <= 64, "overrun");
                if given == done {
                    thread::yield_now();
                }
                for n in done..given {
                    assert_eq!(ring.peek(start.wrapping_add(n)), nth_desc(n));
                }
                done = given;
                ring.consumer.store(start.wrapping_add(done), Ordering::Release);
            }
        }
    });
    let mut items = (0..THREAD_ITEMS).map(nth_desc);
    while items.len() > 0 && !kernel.is_finished() {
        if producer.produce(items.by_ref().take(23)) == 0 {
            thread::yield_now();
        }
    }
    kernel.join().expect("the kernel saw every item in order");
    assert_eq!(producer.outstanding(), 0);
}

/// Our consumer against the same.
#[test]
fn consumer_against_a_simulated_kernel() {
    let start = u32::MAX - THREAD_ITEMS / 2;
    let ring = HeapRing::<Desc>::new(64, start);
    let mut consumer = ring.consumer();
    let kernel = thread::spawn({
        let ring = Arc::clone(&ring);
        move || {
            let mut given = 0;
            while given < THREAD_ITEMS {
                let taken = ring.consumer.load(Ordering::Acquire).wrapping_sub(start);
                let end = (taken + 64).min(THREAD_ITEMS);
                if given == end {
                    thread::yield_now();
                }
                for n in given..end {
                    ring.poke(start.wrapping_add(n), nth_desc(n));
                }
                given = end;
                ring.producer.store(start.wrapping_add(given), Ordering::Release);
            }
        }
    });
    let mut seen = 0;
    while seen < THREAD_ITEMS {
        let before = seen;
        for desc in consumer.drain(17) {
            assert_eq!(desc, nth_desc(seen));
            seen += 1;
        }
        if seen == before {
            thread::yield_now();
        }
    }
    kernel.join().expect("the kernel finished");
    assert_eq!(consumer.available(), 0);
}
