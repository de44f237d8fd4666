//! The single-producer, single-consumer ring that AF_XDP is made of.
//!
//! Where it sits: [`crate::rings`] gives the four kinds of it their names and wake-ups. Nothing
//! here knows the kernel: a ring is two indexes, a flag word and a power of two of slots in memory
//! that two sides share, which is how the tests run it against threads.
//!
//! Invariants:
//! 1. Indexes count up and wrap at 2^32; `index & mask` is the slot. Slots are therefore never
//!    out of bounds, whatever the other side writes.
//! 2. `local` is what this side has done, `published` what the other side may know; an item is
//!    produced or taken exactly once because `local` moves with it, before any publication. A
//!    batch whose guard is leaked is published with the next one.
//! 3. A producer writes slots, then stores its index with release; the consumer loads that index
//!    with acquire, then reads slots; and the same the other way round for free slots.

use std::any::Any;
use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use crate::uapi::XDP_RING_NEED_WAKEUP;

/// Largest ring accepted. The kernel takes more, but a ring is mapped and pinned, and none of the
/// known devices has more descriptors.
pub(crate) const ENTRIES_MAX: u32 = 1 << 20;

/// Length of a cache line on x86-64, in bytes.
#[cfg(target_arch = "x86_64")]
const CACHE_LINE_BYTES: usize = 64;

/// Where a ring is in memory, and what keeps it there.
pub(crate) struct Parts<T> {
    pub(crate) producer: NonNull<AtomicU32>,
    pub(crate) consumer: NonNull<AtomicU32>,
    pub(crate) flags: NonNull<AtomicU32>,
    pub(crate) slots: NonNull<T>,
    pub(crate) entries: u32,
    pub(crate) owner: Box<dyn Any + Send>,
}

/// One side's view of a ring: the shared words, and how far this side is.
struct Side<T> {
    /// The index this side publishes.
    mine: NonNull<AtomicU32>,
    /// The index the other side publishes.
    theirs: NonNull<AtomicU32>,
    flags: NonNull<AtomicU32>,
    slots: NonNull<T>,
    mask: u32,
    /// What this side has produced or consumed.
    local: u32,
    /// What of it is stored in `mine`.
    published: u32,
    /// `theirs` as last read.
    cached: u32,
    /// Keeps the memory mapped; never looked at.
    _owner: Box<dyn Any + Send>,
}

// SAFETY: the pointers are to memory that `_owner` (which is Send) keeps alive and that no other
// `Side` of the same direction exists for (contract of `new`); index words are atomics, and slots
// are touched only between the indexes, which the other side respects. Nothing is tied to a thread.
unsafe impl<T: Copy + Send> Send for Side<T> {}

impl<T: Copy> Side<T> {
    /// # Safety
    ///
    /// The pointers of a `Parts` as [`Producer::new`] wants them.
    unsafe fn new(parts: Parts<T>, mine: NonNull<AtomicU32>, theirs: NonNull<AtomicU32>) -> Self {
        let Parts { flags, slots, entries, owner, .. } = parts;
        assert!(entries.is_power_of_two(), "ring sizes are checked where they are configured");
        // SAFETY: valid for as long as `owner` lives, by the contract of this function.
        let (local, cached) = unsafe {
            (mine.as_ref().load(Ordering::Relaxed), theirs.as_ref().load(Ordering::Acquire))
        };
        let published = local;
        Self {
            mine,
            theirs,
            flags,
            slots,
            mask: entries - 1,
            local,
            published,
            cached,
            _owner: owner,
        }
    }

    #[inline]
    fn entries(&self) -> u32 {
        self.mask + 1
    }

    /// Reads the other side's index anew.
    #[inline]
    fn refresh(&mut self) {
        // SAFETY: valid while `_owner` lives. Acquire pairs with the other side's release, so
        // that what it did to slots happened before we touch them.
        self.cached = unsafe { self.theirs.as_ref() }.load(Ordering::Acquire);
    }

    /// A producer's free slots, by the consumer's index as last read.
    #[inline]
    fn free_cached(&self) -> u32 {
        // A consumer that claims more than there was is a broken peer; whatever it writes, the
        // count stays within the ring.
        self.entries() - self.local.wrapping_sub(self.cached).min(self.entries())
    }

    /// A consumer's items, by the producer's index as last read.
    #[inline]
    fn available_cached(&self) -> u32 {
        self.cached.wrapping_sub(self.local).min(self.entries())
    }

    /// Tells the other side how far this one is.
    #[inline]
    fn publish(&mut self) {
        if self.published != self.local {
            self.published = self.local;
            // SAFETY: valid while `_owner` lives. Release: our accesses to slots come before.
            unsafe { self.mine.as_ref() }.store(self.local, Ordering::Release);
        }
    }

    /// The slot of an index.
    #[inline]
    fn slot(&self, index: u32) -> *mut T {
        // SAFETY: the masked index is below the number of slots that the memory holds.
        unsafe { self.slots.as_ptr().add((index & self.mask) as usize) }
    }

    #[inline]
    fn flag(&self, bit: u32) -> bool {
        // SAFETY: valid while `_owner` lives. Relaxed: nothing else is read under the flag.
        unsafe { self.flags.as_ref() }.load(Ordering::Relaxed) & bit != 0
    }

    fn debug(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("entries", &self.entries())
            .field("local", &self.local)
            .field("theirs", &self.cached)
            .finish_non_exhaustive()
    }
}

/// The producing side.
pub(crate) struct Producer<T>(Side<T>);

impl<T: Copy> Producer<T> {
    /// # Safety
    ///
    /// Until `parts.owner` is dropped: the three index words are valid and only accessed
    /// atomically; `slots` points to `entries` (a power of two) valid, initialised slots of which
    /// the other side writes none that it has not been given by the indexes; and there is no
    /// other producer of the ring.
    pub(crate) unsafe fn new(parts: Parts<T>) -> Self {
        let (mine, theirs) = (parts.producer, parts.consumer);
        // SAFETY: passed on to our caller.
        Self(unsafe { Side::new(parts, mine, theirs) })
    }

    /// Size of the ring.
    #[inline]
    pub(crate) fn entries(&self) -> u32 {
        self.0.entries()
    }

    /// Free slots now.
    #[inline]
    pub(crate) fn free(&mut self) -> u32 {
        self.0.refresh();
        self.0.free_cached()
    }

    /// Items produced that the consumer has not taken.
    #[inline]
    pub(crate) fn outstanding(&mut self) -> u32 {
        self.entries() - self.free()
    }

    /// Asks for the cache lines of the next `count` slots, to write them.
    #[inline]
    pub(crate) fn prefetch(&self, count: u32) {
        #[cfg(target_arch = "x86_64")]
        for ahead in (0..count).step_by((CACHE_LINE_BYTES / size_of::<T>()).max(1)) {
            use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
            let slot = self.0.slot(self.0.local.wrapping_add(ahead));
            // SAFETY: a prefetch is a hint: it changes nothing that can be observed, and the slot
            // lies in the ring besides.
            unsafe { _mm_prefetch::<_MM_HINT_ET0>(slot.cast::<i8>()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = count;
    }

    /// Whether the consumer sleeps and waits for a system call.
    #[inline]
    pub(crate) fn needs_wakeup(&self) -> bool {
        // Our index must be visible before we look at the flag: otherwise we could see the
        // consumer awake while it, seeing no new item, falls asleep. Release alone does not order
        // a store before a later load.
        fence(Ordering::SeqCst);
        self.0.flag(XDP_RING_NEED_WAKEUP)
    }

    /// Produces items until the iterator ends or the ring is full, and publishes them together.
    #[inline]
    pub(crate) fn produce(&mut self, items: impl IntoIterator<Item = T>) -> u32 {
        let mut items = items.into_iter();
        let start = self.0.local;
        let batch = Batch(&mut self.0);
        let mut free = batch.0.free_cached();
        loop {
            if free == 0 {
                // Only when the cached index is used up is the shared cache line touched; what
                // comes then is all that has become free since, so batches stay large.
                batch.0.refresh();
                free = batch.0.free_cached();
                if free == 0 {
                    break;
                }
            }
            let Some(item) = items.next() else { break };
            // SAFETY: the slot is ours: fewer than `entries` items lie between the consumer's
            // index and `local`.
            unsafe { batch.0.slot(batch.0.local).write(item) };
            batch.0.local = batch.0.local.wrapping_add(1);
            free -= 1;
        }
        batch.0.local.wrapping_sub(start)
    }
}

impl<T: Copy> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.debug("Producer", f)
    }
}

/// Publishes when dropped, so that what was written before a panic in the caller's iterator
/// belongs to the ring and to nobody else.
struct Batch<'a, T: Copy>(&'a mut Side<T>);

impl<T: Copy> Drop for Batch<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.0.publish();
    }
}

/// The consuming side.
pub(crate) struct Consumer<T>(Side<T>);

impl<T: Copy> Consumer<T> {
    /// # Safety
    ///
    /// As [`Producer::new`], with "consumer" for "producer".
    pub(crate) unsafe fn new(parts: Parts<T>) -> Self {
        let (mine, theirs) = (parts.consumer, parts.producer);
        // SAFETY: passed on to our caller.
        Self(unsafe { Side::new(parts, mine, theirs) })
    }

    /// Size of the ring.
    #[inline]
    pub(crate) fn entries(&self) -> u32 {
        self.0.entries()
    }

    /// Items that can be taken now.
    #[inline]
    pub(crate) fn available(&mut self) -> u32 {
        self.0.refresh();
        self.0.available_cached()
    }

    /// Takes up to `max` items, one by one.
    #[inline]
    pub(crate) fn drain(&mut self, max: u32) -> Drain<'_, T> {
        let mut count = self.0.available_cached();
        if count < max {
            count = self.available();
        }
        let end = self.0.local.wrapping_add(count.min(max));
        Drain { end, side: &mut self.0 }
    }
}

impl<T: Copy> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.debug("Consumer", f)
    }
}

/// Items being taken from a receive or completion ring.
///
/// What was yielded is the caller's, and its slots go back to the kernel together when this is
/// dropped. What was not yielded stays in the ring for the next time.
#[must_use = "an item is taken from the ring only when the iterator yields it"]
pub struct Drain<'a, T: Copy> {
    side: &'a mut Side<T>,
    end: u32,
}

impl<T: Copy> Iterator for Drain<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        if self.side.local == self.end {
            return None;
        }
        // SAFETY: the producer has published this slot (`end` is not beyond its index) and does
        // not write it again before we publish that we have read it.
        let item = unsafe { self.side.slot(self.side.local).read() };
        self.side.local = self.side.local.wrapping_add(1);
        Some(item)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.end.wrapping_sub(self.side.local) as usize;
        (left, Some(left))
    }
}

impl<T: Copy> ExactSizeIterator for Drain<'_, T> {}

impl<T: Copy> std::iter::FusedIterator for Drain<'_, T> {}

impl<T: Copy> Drop for Drain<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.side.publish();
    }
}

impl<T: Copy> fmt::Debug for Drain<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").field("left", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
