//! A burst: up to 64 frames that a port receives or transmits with one call.
//!
//! A fixed array, no allocation; dropping it brings all its frames home.

use std::ops::{Deref, DerefMut};

use arrayvec::ArrayVec;

use crate::memory::Frame;

/// Most frames in a burst. 64 frames make the fixed cost of a call (a clock read, a snapshot check,
/// a ring update) disappear, and their headers still fit in the first-level cache.
pub const BURST_MAX: usize = 64;

/// Up to [`BURST_MAX`] owned frames, in order.
#[derive(Debug, Default)]
pub struct Burst(ArrayVec<Frame, BURST_MAX>);

impl Burst {
    /// An empty burst.
    #[must_use]
    #[inline]
    pub const fn new() -> Self {
        Self(ArrayVec::new_const())
    }

    /// How many more frames fit.
    #[must_use]
    #[inline]
    pub const fn room(&self) -> usize {
        self.0.remaining_capacity()
    }

    /// Whether no frame fits any more.
    #[must_use]
    #[inline]
    pub const fn is_full(&self) -> bool {
        self.0.is_full()
    }

    /// Adds a frame at the end.
    ///
    /// # Errors
    /// The frame comes back when the burst is full.
    #[inline]
    pub fn push(&mut self, frame: Frame) -> Result<(), Frame> {
        self.0.try_push(frame).map_err(|full| full.element())
    }

    /// Takes the last frame out.
    #[inline]
    pub fn pop(&mut self) -> Option<Frame> {
        self.0.pop()
    }

    /// Takes all frames out, in order; those that are not taken from the iterator are dropped.
    #[inline]
    pub fn drain(&mut self) -> impl ExactSizeIterator<Item = Frame> + DoubleEndedIterator + '_ {
        self.0.drain(..)
    }

    /// Drops all frames.
    #[inline]
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl Deref for Burst {
    type Target = [Frame];
    #[inline]
    fn deref(&self) -> &[Frame] {
        &self.0
    }
}

impl DerefMut for Burst {
    #[inline]
    fn deref_mut(&mut self) -> &mut [Frame] {
        &mut self.0
    }
}

impl IntoIterator for Burst {
    type Item = Frame;
    type IntoIter = arrayvec::IntoIter<Frame, BURST_MAX>;
    #[inline]
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
