//! An owned frame: a chain of chunks, the place of its data in them, and its offload state.
//!
//! *Where it sits*: what ports receive and transmit, and what the worker edits in between. Most
//! frames are one chunk; a TAP super-frame (64 KiB) or a jumbo frame from AF_XDP is a chain.
//! *Invariants*
//! 1. A `Frame` is the only owner of its chunks, and dropping it brings them all home.
//! 2. The data of a segment lies inside its chunk; the lengths of the segments add up to
//!    [`Frame::len_bytes`]; there are 1..=[`SEGMENTS_MAX`] of them. Only the first may be empty.
//! 3. The head holds all headers that the producer could put there: every producer fills a chunk
//!    before it starts the next.
//!
//! *Not here*: what the bytes mean. Who pushes or pops a tag also shifts the offload state
//! ([`Offload::shifted`]).

use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use proto::frame::Offload;

use super::link::{Link, NO_NEXT};
use super::{Chunk, PacketMemory, Pool};

/// Most segments a frame can have: a 64 KiB super-frame in chunks of 2048 bytes has 33.
pub const SEGMENTS_MAX: usize = 48;

/// The plain data of a frame. Whoever holds it owns the chunks; it does not drop them by itself.
struct Chain {
    head: u32,
    tail: u32,
    /// Sum over all segments.
    len: u32,
    /// Where the data of the head starts in its chunk.
    offset: u16,
    /// Length of the data in the head.
    head_len: u16,
    offload: Offload,
    segments: u8,
}

/// An owned frame. It belongs to the thread of its [`Pool`]; [`Frame::into_detached`] moves it.
pub struct Frame {
    pool: Pool,
    chain: Chain,
}

// A burst of 64 is 2.5 KiB: it stays in the first-level cache.
const _: () = assert!(size_of::<Frame>() <= 48);

impl Frame {
    /// An empty frame with the memory's headroom before it; `None` without a free chunk.
    #[must_use]
    #[inline]
    pub fn new(pool: &Pool) -> Option<Self> {
        let headroom = pool.memory().headroom_bytes();
        Self::from_chunk(pool.alloc()?, usize::from(headroom), 0)
    }

    /// A frame with these bytes; `None` without enough free chunks or beyond the longest frame.
    #[must_use]
    pub fn from_slice(pool: &Pool, bytes: &[u8]) -> Option<Self> {
        let mut frame = Self::new(pool)?;
        frame.append(bytes).then_some(frame)
    }

    /// A frame whose data are `offset..offset + len` of this chunk; see [`Chunk::into_frame`].
    #[inline]
    pub(super) fn from_chunk(chunk: Chunk, offset: usize, len: usize) -> Option<Self> {
        let (offset, len) = checked_range(chunk.bytes().len(), offset, len)?;
        let (pool, head) = chunk.into_parts();
        let chain = Chain {
            head,
            tail: head,
            len: u32::from(len),
            offset,
            head_len: len,
            offload: Offload::NONE,
            segments: 1,
        };
        Some(Self { pool, chain })
    }

    /// Length of the whole frame in bytes.
    #[must_use]
    #[inline]
    pub const fn len_bytes(&self) -> usize {
        self.chain.len as usize
    }

    /// How many chunks the frame stands in.
    #[must_use]
    #[inline]
    pub const fn segment_count(&self) -> usize {
        self.chain.segments as usize
    }

    /// What is still to be done to the frame before it can go on a wire.
    #[must_use]
    #[inline]
    pub const fn offload(&self) -> Offload {
        self.chain.offload
    }

    /// Replaces the offload state.
    #[inline]
    pub const fn set_offload(&mut self, offload: Offload) {
        self.chain.offload = offload;
    }

    /// The pool that the chunks go back to.
    #[must_use]
    #[inline]
    pub const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The first segment: all headers that the frame has.
    #[must_use]
    #[inline]
    pub fn head(&self) -> &[u8] {
        self.segment(self.chain.head, self.head_link())
    }

    /// Tells the processor that the headers will be read soon. A device or another core wrote them, so
    /// to wait for the first line of each frame in its turn costs more than to have all of a burst
    /// fetched at once.
    #[inline]
    pub fn prefetch_head(&self) {
        self.pool.memory().region.prefetch(
            self.pool.memory().start_of(self.chain.head) + usize::from(self.chain.offset),
        );
    }

    /// The first segment, writable.
    #[must_use]
    #[inline]
    pub fn head_mut(&mut self) -> &mut [u8] {
        self.segment_mut(self.chain.head, self.head_link())
    }

    /// Every segment in order.
    #[must_use]
    #[inline]
    pub const fn segments(&self) -> Segments<'_> {
        Segments { frame: self, next: self.chain.head, left: self.chain.segments }
    }

    /// Free bytes before the data.
    #[must_use]
    #[inline]
    pub const fn headroom_bytes(&self) -> usize {
        self.chain.offset as usize
    }

    /// Makes the frame `n` bytes longer at the front and returns these bytes, whose content is
    /// whatever stood there. `None`, and nothing is changed, without the headroom.
    #[must_use]
    #[inline]
    pub fn push_front(&mut self, n: usize) -> Option<&mut [u8]> {
        let delta = u16::try_from(n).ok()?;
        self.chain.offset = self.chain.offset.checked_sub(delta)?;
        self.chain.head_len += delta;
        self.chain.len += u32::from(delta);
        self.head_mut().get_mut(..n)
    }

    /// Takes `n` bytes off the front. False, and nothing is changed, when the head has fewer.
    #[must_use]
    #[inline]
    pub fn pull_front(&mut self, n: usize) -> bool {
        if n > usize::from(self.chain.head_len) {
            return false;
        }
        // Bounded by `head_len`, so it fits.
        let delta = n as u16;
        self.chain.offset += delta;
        self.chain.head_len -= delta;
        self.chain.len -= u32::from(delta);
        true
    }

    /// Appends bytes, in the free room of the last chunk and in new ones from the frame's pool.
    /// False, and nothing is changed, without enough free chunks or beyond [`SEGMENTS_MAX`].
    #[must_use]
    pub fn append(&mut self, mut bytes: &[u8]) -> bool {
        let before = self.len_bytes();
        loop {
            bytes = self.fill_tail(bytes);
            if bytes.is_empty() {
                return true;
            }
            if !self.pool.alloc().is_some_and(|chunk| self.append_chunk(chunk, 0, 0)) {
                self.truncate(before);
                return false;
            }
        }
    }

    /// Appends the bytes `offset..offset + len` of a chunk as a new last segment. False, and the
    /// chunk goes home, when they are none of this memory's, when they reach over the chunk's end,
    /// or beyond [`SEGMENTS_MAX`].
    #[must_use]
    #[inline]
    pub fn append_chunk(&mut self, chunk: Chunk, offset: usize, len: usize) -> bool {
        let Some((offset, len)) = checked_range(chunk.bytes().len(), offset, len) else {
            return false;
        };
        if self.segment_count() >= SEGMENTS_MAX || !chunk.is_on(self.pool.memory()) {
            return false;
        }
        let (_, index) = chunk.into_parts();
        let links = &self.pool.memory().links;
        let tail = self.tail_link();
        links.set(self.chain.tail, Link { next: index, ..tail });
        links.set(index, Link { next: NO_NEXT, offset, len });
        self.chain.tail = index;
        self.chain.segments += 1;
        self.chain.len += u32::from(len);
        true
    }

    /// Cuts the frame to at most `len` bytes; chunks that are not needed any more go home.
    pub fn truncate(&mut self, len: usize) {
        if len >= self.len_bytes() {
            return;
        }
        // `len` is below the present length, so it fits.
        self.chain.len = len as u32;
        let mut left = self.chain.len;
        let (mut index, mut kept) = (self.chain.head, 0u8);
        loop {
            let link = if kept == 0 { self.head_link() } else { self.link(index) };
            kept += 1;
            if left > u32::from(link.len) {
                left -= u32::from(link.len);
                index = link.next;
                continue;
            }
            // `left` is at most the segment's length, so it fits.
            let cut = left as u16;
            if kept == 1 {
                self.chain.head_len = cut;
            }
            self.set_link(index, Link { next: NO_NEXT, len: cut, ..link });
            let dropped = self.chain.segments - kept;
            self.chain.segments = kept;
            self.chain.tail = index;
            self.free_from(link.next, dropped);
            return;
        }
    }

    /// A deep copy, offload state included, in chunks of `pool`; `None` without enough of them.
    #[must_use]
    pub fn try_copy(&self, pool: &Pool) -> Option<Self> {
        let mut copy = Self::new(pool)?;
        for segment in self.segments() {
            if !copy.append(segment) {
                return None;
            }
        }
        copy.set_offload(self.offload());
        Some(copy)
    }

    /// Copies the bytes from `offset` on into `out`. False, and `out` is undefined, when the frame
    /// ends before `out` is full.
    #[must_use]
    pub fn read_at(&self, offset: usize, out: &mut [u8]) -> bool {
        let (mut skip, mut done) = (offset, 0);
        for segment in self.segments() {
            let part = segment.get(skip..).unwrap_or_default();
            skip = skip.saturating_sub(segment.len());
            let n = part.len().min(out.len() - done);
            out[done..done + n].copy_from_slice(&part[..n]);
            done += n;
            if done == out.len() {
                return true;
            }
        }
        done == out.len()
    }

    /// Overwrites the bytes from `offset` on with `bytes`. False, and nothing is changed, when
    /// they reach over the end of the frame.
    #[must_use]
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) -> bool {
        if offset.checked_add(bytes.len()).is_none_or(|end| end > self.len_bytes()) {
            return false;
        }
        let (mut skip, mut rest) = (offset, bytes);
        let mut index = self.chain.head;
        for position in 0..self.segment_count() {
            let link = if position == 0 { self.head_link() } else { self.link(index) };
            let segment = self.segment_mut(index, link);
            let (from, len) = (skip.min(segment.len()), segment.len());
            let n = rest.len().min(len - from);
            let (now, later) = rest.split_at(n);
            segment[from..from + n].copy_from_slice(now);
            (skip, rest) = (skip - from, later);
            index = link.next;
        }
        true
    }

    /// All bytes in a vector. It allocates: for tests, punted frames and captures.
    #[must_use]
    pub fn copy_to_vec(&self) -> Vec<u8> {
        self.segments().flatten().copied().collect()
    }

    /// The frame as something that can go to another thread.
    #[must_use]
    pub fn into_detached(self) -> DetachedFrame {
        let (pool, chain) = self.into_parts();
        DetachedFrame { memory: Arc::clone(pool.memory()), chain }
    }

    /// Gives the chunks up to the ledger of this number, one by one as the iterator yields their data.
    #[inline]
    pub(super) fn lend_to(self, ledger: u64) -> Lending {
        let head = self.head_link();
        let (pool, chain) = self.into_parts();
        Lending { next: (chain.head, head), left: chain.segments, pool, ledger }
    }

    /// Gives the chunk of a frame that stands in one up to the ledger of this number; address and length
    /// of its data.
    #[inline]
    pub(super) fn lend_only_chunk_to(self, ledger: u64) -> (u64, u32) {
        debug_assert_eq!(self.chain.segments, 1);
        let (pool, chain) = self.into_parts();
        let memory = pool.memory();
        memory.links.mark_lent(chain.head, ledger);
        let address = memory.start_of(chain.head) as u64 + u64::from(chain.offset);
        (address, u32::from(chain.head_len))
    }

    /// Takes the frame apart without freeing its chunks.
    #[inline]
    fn into_parts(self) -> (Pool, Chain) {
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is neither used again nor dropped, so both fields are moved out once.
        unsafe { (std::ptr::read(&this.pool), std::ptr::read(&this.chain)) }
    }

    /// Copies as much of `bytes` as there is room for in the last chunk; returns the rest.
    fn fill_tail<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let link = self.tail_link();
        let end = usize::from(link.offset) + usize::from(link.len);
        let room = self.pool.memory().chunk_size_bytes() - end;
        let (now, later) = bytes.split_at(bytes.len().min(room));
        // At most a chunk, so it fits.
        let grown = Link { len: link.len + now.len() as u16, ..link };
        let tail = self.chain.tail;
        self.segment_mut(tail, grown)[usize::from(link.len)..].copy_from_slice(now);
        self.set_link(tail, grown);
        if self.chain.segments == 1 {
            self.chain.head_len = grown.len;
        }
        self.chain.len += now.len() as u32;
        later
    }

    /// The head's link, whose data place is kept in the frame. Its `next` is real in a chain only.
    #[inline]
    fn head_link(&self) -> Link {
        let next = if self.chain.segments > 1 { self.link(self.chain.head).next } else { NO_NEXT };
        Link { next, offset: self.chain.offset, len: self.chain.head_len }
    }

    #[inline]
    fn tail_link(&self) -> Link {
        if self.chain.segments == 1 { self.head_link() } else { self.link(self.chain.tail) }
    }

    #[inline]
    fn link(&self, index: u32) -> Link {
        self.pool.memory().links.get(index)
    }

    #[inline]
    fn set_link(&self, index: u32, link: Link) {
        self.pool.memory().links.set(index, link);
    }

    #[inline]
    fn segment(&self, index: u32, link: Link) -> &[u8] {
        let memory = self.pool.memory();
        let start = memory.start_of(index) + usize::from(link.offset);
        // SAFETY: `index` is a chunk of this frame and `link` its data place, inside the chunk by
        // invariant 2. The frame is the chunk's only owner, and the borrow of the frame keeps
        // writers away for the slice's lifetime.
        unsafe { memory.region.slice(start, usize::from(link.len)) }
    }

    #[inline]
    fn segment_mut(&mut self, index: u32, link: Link) -> &mut [u8] {
        let memory = self.pool.memory();
        let start = memory.start_of(index) + usize::from(link.offset);
        // SAFETY: as in `segment`; the borrow of the frame is exclusive here.
        unsafe { memory.region.slice_mut(start, usize::from(link.len)) }
    }

    /// Frees `count` chunks of the chain, from `index` on.
    #[inline]
    fn free_from(&self, mut index: u32, count: u8) {
        for position in 1..=count {
            // Read before it is freed; the last one has no successor to be read.
            let next = if position < count { self.link(index).next } else { NO_NEXT };
            self.pool.put(index);
            index = next;
        }
    }
}

impl Drop for Frame {
    #[inline]
    fn drop(&mut self) {
        self.free_from(self.chain.head, self.chain.segments);
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("len_bytes", &self.len_bytes())
            .field("segments", &self.segment_count())
            .field("offload", &self.offload())
            .finish_non_exhaustive()
    }
}

/// The segments of a [`Frame`], in order.
#[derive(Clone, Debug)]
pub struct Segments<'a> {
    frame: &'a Frame,
    next: u32,
    left: u8,
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let first = self.left + 1 == self.frame.chain.segments;
        let link = if first { self.frame.head_link() } else { self.frame.link(self.next) };
        let segment = self.frame.segment(self.next, link);
        self.next = link.next;
        Some(segment)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.left), Some(usize::from(self.left)))
    }
}

impl ExactSizeIterator for Segments<'_> {}

/// The chunks of a frame on their way to a ledger. A chunk is the ledger's when address and length of
/// its data were yielded; the others follow when this is dropped, so that a panic of whoever takes
/// the addresses leaves no chunk with two owners.
pub(super) struct Lending {
    pool: Pool,
    next: (u32, Link),
    left: u8,
    ledger: u64,
}

impl Iterator for Lending {
    type Item = (u64, u32);

    #[inline]
    fn next(&mut self) -> Option<(u64, u32)> {
        self.left = self.left.checked_sub(1)?;
        let memory = self.pool.memory();
        let (index, link) = self.next;
        if self.left > 0 {
            // Read before the mark overwrites what leads here.
            self.next = (link.next, memory.links.get(link.next));
        }
        memory.links.mark_lent(index, self.ledger);
        Some((memory.start_of(index) as u64 + u64::from(link.offset), u32::from(link.len)))
    }
}

impl Drop for Lending {
    #[inline]
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

/// A frame on its way to another worker. Dropped on the way, it returns to the depot.
pub struct DetachedFrame {
    memory: Arc<PacketMemory>,
    chain: Chain,
}

impl DetachedFrame {
    /// Makes it a frame of the calling worker.
    ///
    /// # Errors
    /// The frame comes back when `pool` is of another packet memory.
    pub fn adopt(self, pool: &Pool) -> Result<Frame, Self> {
        if !pool.is_on(&self.memory) {
            return Err(self);
        }
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is neither used again nor dropped, so both fields are moved out once.
        let (memory, chain) =
            unsafe { (std::ptr::read(&this.memory), std::ptr::read(&this.chain)) };
        drop(memory);
        Ok(Frame { pool: pool.clone(), chain })
    }

    /// Length of the whole frame in bytes.
    #[must_use]
    pub const fn len_bytes(&self) -> usize {
        self.chain.len as usize
    }
}

impl Drop for DetachedFrame {
    fn drop(&mut self) {
        let links = &self.memory.links;
        let mut next = self.chain.head;
        self.memory.put_loose((0..self.chain.segments).map(|_| {
            let index = next;
            next = links.get(index).next;
            links.mark_free(index);
            index
        }));
    }
}

impl fmt::Debug for DetachedFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DetachedFrame")
            .field("len_bytes", &self.len_bytes())
            .finish_non_exhaustive()
    }
}

/// The range as the numbers of a [`Link`], when it lies inside a chunk.
#[inline]
fn checked_range(chunk_bytes: usize, offset: usize, len: usize) -> Option<(u16, u16)> {
    if offset.checked_add(len)? > chunk_bytes {
        return None;
    }
    Some((u16::try_from(offset).ok()?, u16::try_from(len).ok()?))
}
