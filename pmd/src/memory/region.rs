//! The mapping behind the packet memory: one anonymous, page-aligned, prefaulted area.
//!
//! *Where it sits*: owned by [`PacketMemory`](super::PacketMemory); nothing else maps memory.
//! *Invariant*: the area stays mapped, readable and writable from construction to drop, and every
//! byte of it is initialised (the kernel hands out zeroed pages).
//! *Not here*: who owns which part of it. The two accessors are therefore `unsafe`, and only
//! [`frame`](super::frame) and [`chunk`](super::chunk) call them.

use std::io;
use std::ptr::NonNull;

use super::{HugePages, MemoryError};

/// Length of a huge page on x86-64 and, with 4 KiB granules, on arm64.
const HUGE_PAGE_BYTES: usize = 2 << 20;
/// `MADV_POPULATE_WRITE` (linux/mman.h, since Linux 5.14): faults the pages in, writable.
const MADV_POPULATE_WRITE: libc::c_int = 23;

/// Which pages the kernel gave us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// Reserved huge pages (`vm.nr_hugepages`).
    HugeTlb,
    /// Ordinary pages that the kernel may merge into huge ones by itself.
    Transparent,
}

/// An owned mapping.
#[derive(Debug)]
pub(super) struct Region {
    base: NonNull<u8>,
    len_bytes: usize,
    backing: Backing,
}

// SAFETY: the region is memory and a length, bound to no thread. Who may touch which byte is
// decided by the owners of chunks; the accessors are unsafe and pass that duty to their callers.
unsafe impl Send for Region {}
// SAFETY: as above: shared access offers only the address and the unsafe accessors.
unsafe impl Sync for Region {}

impl Region {
    /// Maps at least `len_bytes` bytes and faults them in, so that no packet pays for it later.
    pub(super) fn map(len_bytes: usize, huge_pages: HugePages) -> Result<Self, MemoryError> {
        let rounded = len_bytes.next_multiple_of(HUGE_PAGE_BYTES);
        let huge = match huge_pages {
            HugePages::Prefer => mmap(rounded, libc::MAP_HUGETLB | libc::MAP_HUGE_2MB).ok(),
            HugePages::Never => None,
        };
        let (base, len_bytes, backing) = match huge {
            Some(base) => (base, rounded, Backing::HugeTlb),
            None => {
                let base = mmap(len_bytes, 0)
                    .map_err(|source| MemoryError::Map { size_bytes: len_bytes, source })?;
                (base, len_bytes, Backing::Transparent)
            }
        };
        let region = Self { base, len_bytes, backing };
        if backing == Backing::Transparent
            && huge_pages == HugePages::Prefer
            && let Err(error) = region.advise(libc::MADV_HUGEPAGE)
        {
            // Only advice: a kernel without transparent huge pages serves us with small ones.
            tracing::debug!(%error, "packet memory without transparent huge pages");
        }
        match region.advise(MADV_POPULATE_WRITE) {
            // An older kernel does not know the advice: pages then come at first touch.
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => Ok(region),
            Err(source) => Err(MemoryError::Populate { size_bytes: len_bytes, source }),
            Ok(()) => Ok(region),
        }
    }

    fn advise(&self, advice: libc::c_int) -> io::Result<()> {
        // SAFETY: base and length are those of a live mapping of ours; neither advice that is
        // given discards contents.
        let rc = unsafe { libc::madvise(self.base.as_ptr().cast(), self.len_bytes, advice) };
        if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// First byte of the area.
    #[inline]
    pub(super) const fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(super) const fn backing(&self) -> Backing {
        self.backing
    }

    /// The bytes `offset..offset + len`.
    ///
    /// # Safety
    /// The range lies inside the region, and for the lifetime that the caller gives the slice
    /// nobody writes to it.
    #[inline]
    pub(super) unsafe fn slice<'a>(&self, offset: usize, len: usize) -> &'a [u8] {
        debug_assert!(offset + len <= self.len_bytes);
        // SAFETY: the area is mapped and initialised; range and aliasing are the caller's duty.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr().add(offset), len) }
    }

    /// Asks for the cache line at `offset`; where the processor has no such wish, nothing happens.
    #[inline]
    pub(super) fn prefetch(&self, offset: usize) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let address = self.base.as_ptr().wrapping_add(offset);
            // SAFETY: a prefetch is a hint: it reads nothing, and of a wrong address it ignores the
            // fault (Intel SDM vol. 2, PREFETCHh).
            unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast::<i8>()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = offset;
    }

    /// The bytes `offset..offset + len`, writable.
    ///
    /// # Safety
    /// The range lies inside the region, and for the lifetime that the caller gives the slice
    /// nobody else reads or writes it.
    #[inline]
    pub(super) unsafe fn slice_mut<'a>(&self, offset: usize, len: usize) -> &'a mut [u8] {
        debug_assert!(offset + len <= self.len_bytes);
        // SAFETY: the area is mapped and initialised; range and aliasing are the caller's duty.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr().add(offset), len) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and whoever could still point into it (a frame, a pool, a
        // ledger) keeps the `PacketMemory` that owns this region alive.
        let rc = unsafe { libc::munmap(self.base.as_ptr().cast(), self.len_bytes) };
        debug_assert_eq!(rc, 0, "munmap of our own mapping cannot fail");
    }
}

fn mmap(len_bytes: usize, extra_flags: libc::c_int) -> io::Result<NonNull<u8>> {
    // SAFETY: an anonymous private mapping at an address of the kernel's choice touches no memory
    // that exists.
    let base = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            len_bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | extra_flags,
            -1,
            0,
        )
    };
    if base == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(base.cast()).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))
}
