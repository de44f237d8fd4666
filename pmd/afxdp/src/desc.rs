//! The descriptor that the receive and transmit rings carry.

use crate::uapi::{XDP_PKT_CONTD, xdp_desc};

/// A frame, or a part of one, in packet memory. The layout is the kernel's `struct xdp_desc`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Desc {
    /// Offset of the first byte from the start of the packet memory.
    pub addr: u64,
    /// Length in bytes.
    pub len: u32,
    /// Option bits; [`crate::uapi::XDP_PKT_CONTD`] is the one this crate knows.
    pub options: u32,
}

const _: () = {
    assert!(size_of::<Desc>() == size_of::<xdp_desc>());
    assert!(align_of::<Desc>() == align_of::<xdp_desc>());
    assert!(std::mem::offset_of!(Desc, addr) == std::mem::offset_of!(xdp_desc, addr));
    assert!(std::mem::offset_of!(Desc, len) == std::mem::offset_of!(xdp_desc, len));
    assert!(std::mem::offset_of!(Desc, options) == std::mem::offset_of!(xdp_desc, options));
};

impl Desc {
    /// A whole frame, or the last part of one.
    #[must_use]
    pub const fn new(addr: u64, len: u32) -> Self {
        Self { addr, len, options: 0 }
    }

    /// A part of a frame that goes on in the next descriptor (multi-buffer sockets only).
    #[must_use]
    pub const fn continued(addr: u64, len: u32) -> Self {
        Self { addr, len, options: XDP_PKT_CONTD }
    }

    /// Whether the frame goes on in the next descriptor.
    #[must_use]
    #[inline]
    pub const fn is_continued(self) -> bool {
        self.options & XDP_PKT_CONTD != 0
    }
}
