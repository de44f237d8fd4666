//! Everything in Weft that has a wire format, and the words that all crates share.
//!
//! * [`types`]: checked newtypes ([`MacAddr`], [`VlanId`], [`PortId`], ...). Raw integers exist
//!   only in frames and in rpc messages.
//! * [`drop_reason`]: the one table of causes for which a frame is not forwarded.
//! * [`frame`]: header views, the one-pass parser, tag edits, checksums, segmentation headers.
//! * `rpc` (feature `rpc`): the gRPC schema between supervisor, dataplane and operator, and its
//!   generated code. The default build has none of it and no dependency but `thiserror`.
//!
//! This crate is at the bottom: it knows no policy, no port driver and no clock.

#![forbid(unsafe_code)]

pub mod drop_reason;
pub mod frame;
#[cfg(feature = "rpc")]
pub mod rpc;
pub mod types;

pub use drop_reason::DropReason;
pub use types::{
    Dscp, EtherType, HostId, InterfaceName, IpProto, MacAddr, ModuleId, Pcp, PortId, Revision,
    Term, TypeError, VethId, VlanId,
};
