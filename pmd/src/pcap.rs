//! Capture files as a port: replay of a pcap or pcapng file, capture to a pcapng file.
//!
//! *Where it sits*: [`PcapPort`] is a [`Port`](crate::Port) for tests and replay; [`Reader`] and
//! [`Writer`] also serve whoever reads or writes captures otherwise. *Invariants*: a file that is
//! cut off, lies about a length, or is of another kind gives an error that says what stands where,
//! never a panic and never an allocation beyond the longest packet.
//! *Not here*: what passes quickly. Files are read and written with system calls and buffers.

mod port;
mod read;
mod write;

pub use port::PcapPort;
pub use read::{Packet, Reader};
pub use write::{InterfaceId, Writer};

/// Longest packet that is read or written: above any super-frame, below what a wrong length field
/// could ask us to allocate (libpcap's `MAXIMUM_SNAPLEN`).
pub const PACKET_MAX_BYTES: u32 = 262_144;
/// `LINKTYPE_ETHERNET` (tcpdump.org/linktypes.html).
const LINKTYPE_ETHERNET: u16 = 1;

/// Block types and options of pcapng (draft-ietf-opsawg-pcapng).
mod ng {
    pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
    pub(super) const INTERFACE_DESCRIPTION: u32 = 1;
    pub(super) const SIMPLE_PACKET: u32 = 3;
    pub(super) const ENHANCED_PACKET: u32 = 6;
    /// Reads as this in the byte order of the section.
    pub(super) const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
    pub(super) const OPTION_END: u16 = 0;
    /// Of a section header: who wrote it.
    pub(super) const OPTION_USER_APPLICATION: u16 = 4;
    /// Of an interface: its name.
    pub(super) const OPTION_IF_NAME: u16 = 2;
    /// Of an interface: resolution of time stamps.
    pub(super) const OPTION_IF_TSRESOL: u16 = 9;
    /// Length of a block without its body: type, and length before and after.
    pub(super) const BLOCK_OVERHEAD_BYTES: u32 = 12;
}

/// Why a capture file cannot be read on. `offset` counts from the start of the file.
#[derive(Debug, thiserror::Error)]
pub enum PcapError {
    /// The first bytes are those of no capture file.
    #[error("not a capture file: it begins with {0:#010x}, expected pcap or pcapng")]
    NotACapture(u32),
    /// The file ends inside something.
    #[error("the capture file ends in the middle of {what} at byte {offset}")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where it begins.
        offset: u64,
    },
    /// The packets are no Ethernet frames.
    #[error("link type {link_type} at byte {offset} is not Ethernet (1)")]
    LinkType {
        /// The number of the link type.
        link_type: u16,
        /// Where its header begins.
        offset: u64,
    },
    /// A length that cannot be.
    #[error("{what} at byte {offset} has an impossible length of {len} bytes")]
    Length {
        /// What has it.
        what: &'static str,
        /// Where it begins.
        offset: u64,
        /// The length.
        len: u32,
    },
    /// A byte-order mark that is none.
    #[error("the section at byte {offset} has the byte-order mark {magic:#010x}")]
    ByteOrder {
        /// Where the section begins.
        offset: u64,
        /// What stands there.
        magic: u32,
    },
    /// A packet of an interface that was not described.
    #[error("the packet at byte {offset} is of interface {interface}, which is not described")]
    Interface {
        /// Where the packet begins.
        offset: u64,
        /// Its interface.
        interface: u32,
    },
    /// The system could not read the file.
    #[error("cannot read the capture file: {0}")]
    Io(#[from] std::io::Error),
}

#[cfg(test)]
mod tests;
