//! Packet memory: one mapping that any number of devices read and write.
//!
//! Where it sits: a [`crate::Umem`] registers a [`PacketMemory`] with one device. Several of them
//! over the same memory give several devices the same offsets, so that a frame received on one
//! is sent on another without a copy.
//!
//! Invariants:
//! 1. The memory stays mapped at its address for as long as anything holds its `Arc`; every
//!    socket does.
//! 2. This crate never makes a reference into the memory. It hands out offsets; who owns the
//!    bytes behind an offset is decided by which ring it was put into or taken from.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::error::Error;
use crate::sys::{self, Mapping};

/// Size in bytes of the huge pages that [`Region`] tries to get.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Memory that may be registered with devices.
///
/// [`Region`] is the ready-made one; implement the trait to register memory that comes from
/// elsewhere (a memfd, a file of hugetlbfs, shared guest memory).
///
/// # Safety
///
/// The implementor promises, for as long as the value lives:
/// - `base` is always the same address, and `len` the same length;
/// - all of it is mapped, readable and writable;
/// - the kernel may read and write every byte of a chunk from the moment its offset is produced
///   into a fill or transmit ring until it comes out of the receive or completion ring; whoever
///   makes a reference to bytes of the memory makes it only to chunks that are not in the
///   kernel's hands and not in anybody else's.
pub unsafe trait PacketMemory: Send + Sync + std::fmt::Debug {
    /// Start of the memory; must be aligned to the page size.
    fn base(&self) -> NonNull<u8>;
    /// Length in bytes.
    fn len(&self) -> usize;
    /// Whether there is no memory at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What pages a [`Region`] got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// Reserved huge pages of 2 MiB (`vm.nr_hugepages`).
    Huge,
    /// Ordinary pages for which transparent huge pages were asked.
    Transparent,
    /// Ordinary pages.
    Ordinary,
}

/// Zeroed anonymous packet memory that it owns.
#[derive(Debug)]
pub struct Region {
    mapping: Mapping,
    pages: Pages,
}

impl Region {
    /// Maps `len` bytes, of 2 MiB pages when `len` is a multiple of that and the system has enough
    /// reserved, else of ordinary pages with the wish for transparent huge pages.
    ///
    /// # Errors
    ///
    /// [`Error::RegionLength`] when `len` is zero or no multiple of the page size,
    /// [`Error::Syscall`] when the system has not that much memory.
    pub fn new(len: usize) -> Result<Self, Error> {
        let page_bytes = sys::page_bytes();
        if len == 0 || !len.is_multiple_of(page_bytes) {
            return Err(Error::RegionLength { len, unit: page_bytes });
        }
        if len.is_multiple_of(HUGE_PAGE_BYTES)
            && let Ok(mapping) = Mapping::anonymous(len, true)
        {
            return Ok(Self { mapping, pages: Pages::Huge });
        }
        let mapping = Mapping::anonymous(len, false)
            .map_err(|source| Error::Syscall { call: "mmap(packet memory)", source })?;
        let pages = if mapping.wish_huge() { Pages::Transparent } else { Pages::Ordinary };
        Ok(Self { mapping, pages })
    }

    /// What pages the memory is made of.
    #[must_use]
    pub fn pages(&self) -> Pages {
        self.pages
    }

    /// Copies from the memory at `offset` into `bytes`; `false`, and nothing is copied, when the
    /// range leaves the memory.
    ///
    /// It goes byte by byte, so that it is sound whatever another thread does with the same
    /// bytes: right for tests, tools and slow paths. A datapath takes [`PacketMemory::base`].
    #[must_use]
    pub fn copy_out(&self, offset: u64, bytes: &mut [u8]) -> bool {
        let Some(cells) = self.cells(offset, bytes.len()) else { return false };
        for (byte, cell) in bytes.iter_mut().zip(cells) {
            *byte = cell.load(Ordering::Relaxed);
        }
        true
    }

    /// Copies `bytes` into the memory at `offset`; `false`, and nothing is copied, when the range
    /// leaves the memory. Otherwise like [`Region::copy_out`].
    #[must_use]
    pub fn copy_in(&self, offset: u64, bytes: &[u8]) -> bool {
        let Some(cells) = self.cells(offset, bytes.len()) else { return false };
        for (byte, cell) in bytes.iter().zip(cells) {
            cell.store(*byte, Ordering::Relaxed);
        }
        true
    }

    fn cells(&self, offset: u64, len: usize) -> Option<&[AtomicU8]> {
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(len)?;
        if end > self.mapping.len() {
            return None;
        }
        // SAFETY: start..end lies in the mapping, which lives as long as `self` and is readable
        // and writable. An `AtomicU8` has the size and alignment of a byte and any value, and
        // may be changed by others (the kernel, other threads) while this reference exists.
        Some(unsafe {
            std::slice::from_raw_parts(
                self.mapping.base().as_ptr().add(start).cast::<AtomicU8>(),
                len,
            )
        })
    }
}

// SAFETY: the mapping is made readable and writable in `new`, never moved or changed, and
// unmapped only when the region is dropped. The region itself makes references to it as atomic
// bytes only, which others may change at any time.
unsafe impl PacketMemory for Region {
    fn base(&self) -> NonNull<u8> {
        self.mapping.base()
    }

    fn len(&self) -> usize {
        self.mapping.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_lengths_are_refused() {
        for len in [0, 1, 4095, 4097] {
            let refused = Region::new(len).expect_err("must be refused");
            assert!(matches!(refused, Error::RegionLength { len: l, .. } if l == len), "{refused}");
        }
    }

    #[test]
    fn memory_is_zeroed_aligned_and_bounded() {
        let region = Region::new(8192).expect("8 KiB");
        assert_eq!(region.base().as_ptr() as usize % sys::page_bytes(), 0);
        let mut bytes = [1u8; 4];
        assert!(region.copy_out(8188, &mut bytes));
        assert_eq!(bytes, [0; 4]);
        assert!(region.copy_in(8188, &[1, 2, 3, 4]));
        assert!(region.copy_out(8188, &mut bytes));
        assert_eq!(bytes, [1, 2, 3, 4]);

        assert!(!region.copy_in(8189, &[9; 4]));
        assert!(!region.copy_in(u64::MAX, &[9; 4]));
        assert!(!region.copy_out(8189, &mut bytes));
        assert_eq!(bytes, [1, 2, 3, 4]);
        assert!(region.copy_in(8192, &[]));
    }

    #[test]
    fn huge_multiple_falls_back_to_ordinary_pages() {
        let region = Region::new(HUGE_PAGE_BYTES).expect("2 MiB");
        assert_eq!(region.len(), HUGE_PAGE_BYTES);
        assert!(region.copy_in(HUGE_PAGE_BYTES as u64 - 1, &[7]));
    }
}
