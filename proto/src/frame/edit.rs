//! Edits of the outer 802.1Q tag, as pure moves of bytes in front of the payload.
//!
//! *Where it sits:* the core says which [`TagEdit`] a copy of a frame gets, the worker carries it
//! out on the chunk with [`TagEdit::apply`]. *Invariants:* (1) the payload is never moved, only the
//! twelve bytes of addresses are; (2) inner tags are payload; (3) a call that returns `None` has
//! changed nothing. *Not here:* which tag a port wants (policy), and the offload offsets, which
//! [`Offload::shifted`](super::Offload::shifted) moves by [`TagEdit::len_delta`].

use super::ethernet::ADDRESSES_LEN;
use super::key::Tag;
use super::vlan::TAG_LEN;
use crate::types::EtherType;

/// Bytes that must be free before a frame so that a tag can be pushed.
pub const HEADROOM: usize = TAG_LEN;

const ADDRESSES_END: usize = ADDRESSES_LEN;
const TAG_END: usize = ADDRESSES_LEN + TAG_LEN;

/// What becomes of a frame's outer tag on its way out of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagEdit {
    /// The frame leaves as it is.
    Keep,
    /// A tag is put before the EtherType.
    Push(Tag),
    /// The outer tag is taken off.
    Pop,
    /// The outer tag's control information is replaced.
    Rewrite(Tag),
}

impl TagEdit {
    /// By how many bytes the frame grows: +4, 0 or -4.
    #[must_use]
    #[inline]
    pub const fn len_delta(self) -> i16 {
        match self {
            Self::Keep | Self::Rewrite(_) => 0,
            Self::Push(_) => TAG_LEN as i16,
            Self::Pop => -(TAG_LEN as i16),
        }
    }

    /// Carries the edit out on `buf`: [`HEADROOM`] free bytes, then the head of the frame.
    ///
    /// Returns where in `buf` the frame starts now: 0 after a push, 4 when it stayed, 8 after a
    /// pop. `None`, and nothing changed, when the head is too short for the edit or, for pop and
    /// rewrite, has no tag.
    #[inline]
    #[must_use = "the frame may start elsewhere now"]
    pub fn apply(self, buf: &mut [u8]) -> Option<usize> {
        match self {
            Self::Keep => Some(HEADROOM),
            Self::Push(tag) => push(buf, tag).map(|()| 0),
            Self::Pop => pop(buf.get_mut(HEADROOM..)?).map(|()| HEADROOM + TAG_LEN),
            Self::Rewrite(tag) => rewrite(buf.get_mut(HEADROOM..)?, tag).map(|()| HEADROOM),
        }
    }
}

/// Pushes a tag (TPID 0x8100). `buf` is [`HEADROOM`] free bytes and then the frame, which starts at
/// `buf[0]` afterwards. `None` when the frame has no two addresses.
#[inline]
#[must_use = "None: the frame was too short and is unchanged"]
pub fn push(buf: &mut [u8], tag: Tag) -> Option<()> {
    let head = buf.first_chunk_mut::<TAG_END>()?;
    head.copy_within(TAG_LEN.., 0);
    let [.., t0, t1, c0, c1] = head;
    [*t0, *t1] = EtherType::VLAN.get().to_be_bytes();
    [*c0, *c1] = tag.tci.to_be_bytes();
    Some(())
}

/// Pops the outer tag: the frame starts at `frame[4]` afterwards. `None` when the frame has no tag
/// with TPID 0x8100.
#[inline]
#[must_use = "None: the frame had no tag and is unchanged"]
pub fn pop(frame: &mut [u8]) -> Option<()> {
    tag_of(frame)?;
    let head = frame.first_chunk_mut::<TAG_END>()?;
    head.copy_within(..ADDRESSES_END, TAG_LEN);
    Some(())
}

/// Replaces the control information of the outer tag. `None` when the frame has no tag with TPID
/// 0x8100.
#[inline]
#[must_use = "None: the frame had no tag and is unchanged"]
pub fn rewrite(frame: &mut [u8], tag: Tag) -> Option<()> {
    tag_of(frame)?;
    let [.., c0, c1] = frame.first_chunk_mut::<TAG_END>()?;
    [*c0, *c1] = tag.tci.to_be_bytes();
    Some(())
}

/// The outer tag of a frame with TPID 0x8100.
#[must_use]
#[inline]
pub fn tag_of(frame: &[u8]) -> Option<Tag> {
    let [.., t0, t1, c0, c1] = frame.first_chunk::<TAG_END>()?;
    (u16::from_be_bytes([*t0, *t1]) == EtherType::VLAN.get())
        .then(|| Tag { tci: u16::from_be_bytes([*c0, *c1]) })
}

#[cfg(test)]
mod tests;
