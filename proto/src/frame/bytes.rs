//! Big-endian fields of fixed-size headers, checked by the compiler.
//!
//! A header view holds `[u8; LEN]`, so a field's place is proven inside it when the program is
//! built, and reading it can neither fail nor panic. The views of this directory are the callers.

#![expect(clippy::indexing_slicing, reason = "each offset is asserted at compile time")]

/// The octet at `AT`.
#[inline(always)]
pub(super) const fn u8_at<const AT: usize, const N: usize>(b: &[u8; N]) -> u8 {
    const { assert!(AT < N) };
    b[AT]
}

/// The 16-bit field at `AT`.
#[inline(always)]
pub(super) const fn u16_at<const AT: usize, const N: usize>(b: &[u8; N]) -> u16 {
    const { assert!(AT + 2 <= N) };
    u16::from_be_bytes([b[AT], b[AT + 1]])
}

/// The 32-bit field at `AT`.
#[inline(always)]
pub(super) const fn u32_at<const AT: usize, const N: usize>(b: &[u8; N]) -> u32 {
    const { assert!(AT + 4 <= N) };
    u32::from_be_bytes([b[AT], b[AT + 1], b[AT + 2], b[AT + 3]])
}

/// The `LEN` octets at `AT`.
#[inline(always)]
pub(super) const fn array_at<const AT: usize, const LEN: usize, const N: usize>(
    b: &[u8; N],
) -> [u8; LEN] {
    const { assert!(AT + LEN <= N) };
    match b.split_at(AT).1.first_chunk() {
        Some(octets) => *octets,
        None => unreachable!(),
    }
}

/// Stores `octets` at `AT`: `put::<AT, _, _>(header, value.to_be_bytes())`.
#[inline(always)]
pub(super) fn put<const AT: usize, const LEN: usize, const N: usize>(
    b: &mut [u8; N],
    octets: [u8; LEN],
) {
    const { assert!(AT + LEN <= N) };
    b[AT..AT + LEN].copy_from_slice(&octets);
}
