//! What a UMEM refuses, and its arithmetic.

use std::ptr::NonNull;

use proptest::prelude::*;

use super::*;
use crate::region::Region;

fn umem(chunks: usize, chunk_size: u32, headroom: u32) -> Umem {
    let region = Region::new(chunks * chunk_size as usize).expect("memory");
    Umem::new(Arc::new(region), UmemConfig { chunk_size, headroom }).expect("umem")
}

/// A window into a region: what a careless implementor might register.
#[derive(Debug)]
struct Window {
    region: Region,
    start: usize,
    len: usize,
}

// SAFETY: the window lies in the region (the tests see to it), which it owns.
unsafe impl PacketMemory for Window {
    fn base(&self) -> NonNull<u8> {
        // SAFETY: `start` is within the region.
        unsafe { self.region.base().add(self.start) }
    }

    fn len(&self) -> usize {
        self.len
    }
}

fn window(start: usize, len: usize) -> Arc<Window> {
    Arc::new(Window { region: Region::new(16 * 4096).expect("memory"), start, len })
}

#[test]
fn unaligned_memory_is_refused() {
    for start in [1, 64, 2048, 4095] {
        let refused = Umem::new(window(start, 4096), UmemConfig::default());
        assert!(matches!(refused, Err(Error::RegionUnaligned { .. })), "{start}: {refused:?}");
    }
    assert!(Umem::new(window(4096, 4096), UmemConfig::default()).is_ok());
}

#[test]
fn memory_that_is_no_whole_number_of_chunks_is_refused() {
    for len in [0, 1, 2047, 2049, 4096 + 1024] {
        let refused = Umem::new(window(0, len), UmemConfig::default());
        assert!(
            matches!(refused, Err(Error::RegionLength { len: l, unit: 2048 }) if l == len),
            "{len}: {refused:?}"
        );
    }
    let odd = UmemConfig { chunk_size: 4096, headroom: 0 };
    assert!(matches!(Umem::new(window(0, 6144), odd), Err(Error::RegionLength { .. })));
}

#[test]
fn chunk_sizes_the_kernel_does_not_take_are_refused() {
    for chunk_size in [0, 1, 1024, 2047, 3000, 8192, u32::MAX] {
        let refused = Umem::new(window(0, 8192), UmemConfig { chunk_size, headroom: 0 });
        assert!(matches!(refused, Err(Error::ChunkSize { .. })), "{chunk_size}: {refused:?}");
    }
}

#[test]
fn headroom_must_leave_room_for_a_frame() {
    for (headroom, good) in [(0, true), (128, true), (1791, true), (1792, false), (u32::MAX, false)]
    {
        let made = Umem::new(window(0, 8192), UmemConfig { chunk_size: 2048, headroom });
        assert_eq!(made.is_ok(), good, "{headroom}: {made:?}");
    }
    assert_eq!(umem(4, 2048, 128).receive_len_max(), 2048 - 256 - 128);
    assert_eq!(umem(4, 4096, 0).receive_len_max(), 4096 - 256);
}

#[test]
fn chunks_cover_the_memory() {
    let umem = umem(4, 2048, 0);
    assert_eq!(umem.chunk_count(), 4);
    assert_eq!(umem.chunks().collect::<Vec<_>>(), [0, 2048, 4096, 6144]);
    for (addr, chunk) in [(0, 0), (2047, 0), (2048, 2048), (2048 + 256, 2048), (8191, 6144)] {
        assert_eq!(umem.chunk_of(addr), chunk);
    }
}

#[test]
fn wrong_descriptors_are_told_apart() {
    let umem = umem(4, 2048, 0);
    let check = |desc, expected| assert_eq!(umem.check(desc), expected, "{desc:?}");
    check(Desc::new(0, 1), Ok(()));
    check(Desc::new(0, 2048), Ok(()));
    check(Desc::continued(6144, 2048), Ok(()));
    check(Desc::new(8191, 1), Ok(()));
    check(Desc::new(0, 0), Err(DescError::Empty { addr: 0 }));
    check(
        Desc::new(2000, 49),
        Err(DescError::CrossesChunk { addr: 2000, len: 49, chunk_size: 2048 }),
    );
    check(Desc::new(8192, 1), Err(DescError::OutOfMemory { addr: 8192, len: 1, memory: 8192 }));
    check(
        Desc::new(u64::MAX, 2),
        Err(DescError::OutOfMemory { addr: u64::MAX, len: 2, memory: 8192 }),
    );
    let odd = Desc { addr: 0, len: 1, options: 0x8000_0001 };
    check(odd, Err(DescError::Options { addr: 0, options: 0x8000_0001 }));
}

proptest! {
    /// A descriptor passes exactly when its first and last byte lie in one chunk of the memory.
    #[test]
    fn check_is_the_kernels_rule(
        addr in prop_oneof![0u64..10_000, any::<u64>()],
        len in prop_oneof![0u32..3000, any::<u32>()],
        large: bool,
    ) {
        let chunk_size = if large { 4096 } else { 2048 };
        let umem = umem(4, chunk_size, 0);
        let chunk = u128::from(chunk_size);
        let first = u128::from(addr);
        let last = first + u128::from(len).saturating_sub(1);
        let good = len > 0 && last / chunk < 4 && first / chunk == last / chunk;
        prop_assert_eq!(umem.check(Desc::new(addr, len)).is_ok(), good);
    }
}
