//! The one trait of all ports, and what a port says about itself.
//!
//! *Where it sits*: a worker owns a set of ports and calls them in turn: `rx`, then (after
//! forwarding) `tx` with one burst a port, then `flush` once. A port is `Send`: it is made by the
//! agent and given to a worker.
//! *Invariants* (checked for every kind by [`conformance`](crate::conformance))
//! 1. `tx` empties the burst, and every frame of it is counted: sent, or dropped with a reason.
//! 2. What a port takes in and does not deliver it counts with a reason.
//! 3. Frames keep their order. A port whose device vanished says so and stays harmless.
//! 4. No call blocks, and none allocates once the port is warm.
//!
//! *Not here*: VLANs, policy, who is connected to whom.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;

use proto::DropReason;
use proto::frame::GsoKind;

use crate::burst::Burst;
use crate::memory::{Frame, Pool};

/// Length of an Ethernet header without tags, in bytes.
pub const ETHERNET_HEADER_BYTES: usize = 14;
/// Length of two 802.1Q tags, which a port carries beyond its MTU.
pub const TAGS_BYTES: usize = 8;
/// Longest super-frame: 65,536 bytes of IP packet (Linux `GSO_LEGACY_MAX_SIZE`) and its
/// Ethernet header with two tags.
pub const SUPER_FRAME_MAX_BYTES: usize = 65_536 + ETHERNET_HEADER_BYTES + TAGS_BYTES;

/// A port as workers see it.
pub trait Port: Send {
    /// What kind of port it is.
    fn kind(&self) -> PortKind;

    /// What the port can transmit as it is; [`complete`](crate::complete) does the rest.
    fn capabilities(&self) -> Capabilities;

    /// Whether there is a carrier. May cost a system call: not for every burst.
    fn link_up(&self) -> bool;

    /// Receives as many frames as there are and as fit in `burst`, behind what is there already.
    /// Returns what came in and was dropped by the port itself.
    ///
    /// # Errors
    /// [`PortGone`] when the device is known to have vanished. Nothing was received then, and every
    /// further call says the same. A port that receives without system calls learns it in
    /// [`Port::flush`] or [`Port::prepare_sleep`], which then is the first to say so.
    fn rx(&mut self, pool: &Pool, burst: &mut Burst) -> Result<DropTally, PortGone>;

    /// Transmits the burst, which is empty afterwards: each frame was sent or stands in the
    /// report's drops. What was sent may wait for [`Port::flush`]. A device that vanished makes
    /// every frame a [`DropReason::PortDown`]; `flush` and `rx` then say what happened.
    fn tx(&mut self, pool: &Pool, burst: &mut Burst) -> TxReport;

    /// Tells the device about what was transmitted. To be called once a burst, and once in a
    /// while when idle: chunks whose transmission ended come home here and in `tx`.
    ///
    /// # Errors
    /// [`PortGone`] when the device vanished.
    fn flush(&mut self, pool: &Pool) -> Result<(), PortGone>;

    /// A descriptor that becomes readable when there is something to receive; `None` when the
    /// port must be polled without pause.
    fn poll_fd(&self) -> Option<BorrowedFd<'_>>;

    /// Called before the worker sleeps on [`Port::poll_fd`]: the port makes sure that it will be
    /// woken. False when there is work already, so that sleeping would lose a wake-up.
    ///
    /// # Errors
    /// [`PortGone`] when the device vanished.
    fn prepare_sleep(&mut self, pool: &Pool) -> Result<bool, PortGone>;

    /// Counters since the port was made.
    fn statistics(&self) -> PortStatistics;
}

/// The kinds of ports, by the names that operators see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PortKind {
    /// A NIC or a veth through AF_XDP.
    AfXdp,
    /// A TAP interface whose descriptor we hold.
    Tap,
    /// A queue in memory.
    Memory,
    /// Replay from and capture to a file.
    Pcap,
}

impl PortKind {
    /// The name in configuration and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AfXdp => "afxdp",
            Self::Tap => "tap",
            Self::Memory => "memory",
            Self::Pcap => "pcap",
        }
    }
}

impl fmt::Display for PortKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a port transmits without help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Frames with a partial checksum.
    pub checksum: bool,
    /// TCP super-frames over IPv4 and IPv6 (with a partial checksum).
    pub tso: bool,
    /// UDP super-frames, to be cut into datagrams.
    pub uso: bool,
    /// Longest frame that is no super-frame, Ethernet header and tags included, in bytes.
    pub max_frame_bytes: usize,
    /// Most chunks a frame may stand in; 1 for a device without multi-buffer.
    pub max_segments: usize,
}

impl Capabilities {
    /// Whether frames in more than one chunk can be transmitted.
    #[must_use]
    pub const fn multi_buffer(&self) -> bool {
        self.max_segments > 1
    }

    /// Whether the port can transmit this frame as it stands.
    ///
    /// # Errors
    /// The reason to drop it for: [`DropReason::OffloadUnsupported`] when it is not complete
    /// enough or stands in too many chunks, [`DropReason::MtuExceeded`] when it is too long.
    #[inline]
    pub fn admit(&self, frame: &Frame) -> Result<(), DropReason> {
        // Every port takes a frame of one chunk to which nothing is left to be done.
        let is_plain = frame.segment_count() == 1 && frame.offload().is_complete();
        if is_plain && frame.len_bytes() <= self.max_frame_bytes {
            return Ok(());
        }
        self.admit_other(frame)
    }

    fn admit_other(&self, frame: &Frame) -> Result<(), DropReason> {
        let offload = frame.offload();
        let limit_bytes = match offload.gso.map(|gso| gso.kind) {
            None => self.max_frame_bytes,
            Some(GsoKind::TcpV4 | GsoKind::TcpV6) if self.tso => SUPER_FRAME_MAX_BYTES,
            Some(GsoKind::UdpL4) if self.uso => SUPER_FRAME_MAX_BYTES,
            Some(_) => return Err(DropReason::OffloadUnsupported),
        };
        if (offload.checksum.is_some() && !self.checksum)
            || frame.segment_count() > self.max_segments
        {
            return Err(DropReason::OffloadUnsupported);
        }
        if frame.len_bytes() > limit_bytes { Err(DropReason::MtuExceeded) } else { Ok(()) }
    }
}

/// The device of a port has vanished. The worker takes the port out of its set and goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortGone {
    /// A system call on the device failed in a way from which there is no return.
    #[error("the device is gone: {operation} says {}", io::Error::from_raw_os_error(*errno))]
    Device {
        /// The system call.
        operation: &'static str,
        /// Its error.
        errno: i32,
    },
    /// The other end of a port in memory was dropped.
    #[error("the peer of the memory port is gone")]
    Peer,
    /// The file of a pcap port cannot be read or written on.
    #[error("the capture is at an end: {problem}")]
    Capture {
        /// What is wrong with it.
        problem: String,
    },
}

/// What became of a transmitted burst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TxReport {
    /// Frames that the device took.
    pub sent_frames: u32,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Frames that it did not take, by reason.
    pub dropped: DropTally,
}

impl TxReport {
    /// Counts a frame of this length as sent.
    #[inline]
    pub const fn sent(&mut self, len_bytes: usize) {
        self.sent_frames += 1;
        self.sent_bytes += len_bytes as u64;
    }

    /// Frames of the burst: sent and dropped.
    #[must_use]
    pub fn total_frames(&self) -> u32 {
        self.sent_frames + self.dropped.total()
    }
}

/// Drops of one burst by reason.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DropTally([u16; DropReason::COUNT]);

impl DropTally {
    /// No drops.
    pub const NONE: Self = Self([0; DropReason::COUNT]);

    /// Counts one frame.
    #[inline]
    pub const fn add(&mut self, reason: DropReason) {
        self.add_n(reason, 1);
    }

    /// Counts `n` frames.
    #[inline]
    pub const fn add_n(&mut self, reason: DropReason, n: u16) {
        let slot = &mut self.0[reason as usize];
        *slot = slot.saturating_add(n);
    }

    /// Frames dropped for this reason.
    #[must_use]
    #[inline]
    pub const fn get(&self, reason: DropReason) -> u16 {
        self.0[reason as usize]
    }

    /// Frames dropped in all.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.0.iter().map(|&n| u32::from(n)).sum()
    }

    /// The reasons that occurred, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u16)> + '_ {
        DropReason::ALL.iter().map(|&r| (r, self.get(r))).filter(|&(_, n)| n > 0)
    }
}

impl Default for DropTally {
    fn default() -> Self {
        Self::NONE
    }
}

impl fmt::Debug for DropTally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(r, n)| (r.name(), n))).finish()
    }
}

/// Drops since the port was made, by reason.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DropCounters([u64; DropReason::COUNT]);

impl DropCounters {
    /// Adds the drops of a burst.
    #[inline]
    pub fn add(&mut self, tally: &DropTally) {
        for (total, n) in self.0.iter_mut().zip(tally.0) {
            *total += u64::from(n);
        }
    }

    /// Frames dropped for this reason.
    #[must_use]
    pub const fn get(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// Frames dropped in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The reasons that occurred, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.iter().map(|&r| (r, self.get(r))).filter(|&(_, n)| n > 0)
    }
}

impl Default for DropCounters {
    fn default() -> Self {
        Self([0; DropReason::COUNT])
    }
}

impl fmt::Debug for DropCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(r, n)| (r.name(), n))).finish()
    }
}

/// Counters of a port since it was made. Of each direction: frames that came from or went to the
/// device, and frames that the port dropped, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortStatistics {
    /// Frames delivered to the worker.
    pub rx_frames: u64,
    /// Their bytes.
    pub rx_bytes: u64,
    /// Of these, super-frames.
    pub rx_super_frames: u64,
    /// Frames that came in and were dropped by the port.
    pub rx_dropped: DropCounters,
    /// Frames that the device took.
    pub tx_frames: u64,
    /// Their bytes.
    pub tx_bytes: u64,
    /// Of these, super-frames.
    pub tx_super_frames: u64,
    /// Frames that were to be transmitted and were not.
    pub tx_dropped: DropCounters,
    /// Frames that the device lost before the port saw them (full ring, no chunk in the fill
    /// ring), where the device tells.
    pub rx_device_lost: u64,
}

impl PortStatistics {
    /// Adds a transmitted burst.
    #[inline]
    pub fn add_tx(&mut self, report: &TxReport) {
        self.tx_frames += u64::from(report.sent_frames);
        self.tx_bytes += report.sent_bytes;
        self.tx_dropped.add(&report.dropped);
    }
}
