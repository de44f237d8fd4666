//! Offload state that travels with a frame, as `struct virtio_net_hdr` carries it
//! (virtio 1.2 clause 5.1.6, linux/virtio_net.h).
//!
//! Two VMs of one host exchange 64 KiB super-frames whose checksums nobody computes; only an egress
//! that cannot take such a frame completes it. Only a *partial* checksum is ever completed: one
//! that was wrong on arrival leaves wrong.

/// A checksum that the sender left to be completed: sum the bytes from `start` to the end of the
/// frame and store the folded complement at `start + offset`. The field already holds the
/// pseudo-header sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialChecksum {
    /// Where the summed area starts, in bytes from the start of the frame.
    pub start: u16,
    /// Where in that area the checksum field stands.
    pub offset: u16,
}

/// What a super-frame is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GsoKind {
    /// TCP over IPv4 (`VIRTIO_NET_HDR_GSO_TCPV4`).
    TcpV4,
    /// TCP over IPv6 (`VIRTIO_NET_HDR_GSO_TCPV6`).
    TcpV6,
    /// UDP to be cut into datagrams (`VIRTIO_NET_HDR_GSO_UDP_L4`).
    UdpL4,
}

/// The segmentation that a super-frame still has to undergo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gso {
    /// What the frame is made of.
    pub kind: GsoKind,
    /// Payload bytes of each segment; above 0.
    pub size: u16,
    /// Length of all headers up to the payload, read from the headers (what a sender says is a
    /// hint and often wrong).
    pub header_len: u16,
    /// The sender set CWR, which belongs on the first segment only (`VIRTIO_NET_HDR_GSO_ECN`).
    pub ecn: bool,
}

/// The offload state of a frame. [`Offload::NONE`]: the frame is complete as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offload {
    /// A checksum still to be completed.
    pub checksum: Option<PartialChecksum>,
    /// A segmentation still to be done.
    pub gso: Option<Gso>,
    /// The checksums were verified by whom we got the frame from (`VIRTIO_NET_HDR_F_DATA_VALID`).
    pub checksum_verified: bool,
}

impl Offload {
    /// A complete frame.
    pub const NONE: Self = Self { checksum: None, gso: None, checksum_verified: false };

    /// Whether nothing is left to be done.
    #[must_use]
    #[inline]
    pub const fn is_complete(&self) -> bool {
        self.checksum.is_none() && self.gso.is_none()
    }

    /// Adjusts the offsets when a tag of `delta` bytes is pushed (positive) or popped (negative)
    /// before the network header.
    #[must_use]
    pub const fn shifted(mut self, delta: i16) -> Self {
        if let Some(c) = &mut self.checksum {
            c.start = c.start.saturating_add_signed(delta);
        }
        if let Some(g) = &mut self.gso {
            g.header_len = g.header_len.saturating_add_signed(delta);
        }
        self
    }
}
