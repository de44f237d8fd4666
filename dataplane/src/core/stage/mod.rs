//! The stages of a frame's [`way`](super::way), one file each, in the order in which it meets them.
//! Every one takes what the burst has in common, the frame and its key, and either lets it go on
//! or says its verdict. None calls another, but [`replicate`] asks [`egress`] for every copy, and
//! that asks [`acl`] and [`mark`].

pub(super) mod acl;
pub(super) mod admit;
pub(super) mod classify;
pub(super) mod count;
mod egress;
pub(super) mod guard;
pub(super) mod link_local;
pub(super) mod lookup;
mod mark;
pub(super) mod replicate;
