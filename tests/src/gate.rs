//! What a direction of a wire lets pass, and what became of its frames.
//!
//! *Where it sits:* in the wires that run in user space: [`crate::patch`] and
//! [`crate::guest::relay`].

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use proto::EtherType;

use crate::frames::Header;

/// What passes in one direction. Slow protocols are LACP and marker (EtherType 0x8809, IEEE
/// 802.3 annex 57A).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Pass {
    /// Everything.
    All,
    /// Nothing: the fibre of this direction is cut, and neither end sees its carrier go.
    Nothing,
    /// Slow protocols alone: data is lost behind the back of the protocol.
    OnlySlow,
    /// Everything but slow protocols: the partner falls silent while data still flows.
    AllButSlow,
}

impl Pass {
    const ALL: [Self; 4] = [Self::All, Self::Nothing, Self::OnlySlow, Self::AllButSlow];

    fn lets(self, frame: &[u8]) -> bool {
        let slow = || Header::read(frame).is_some_and(|header| header.ethertype == EtherType::SLOW);
        match self {
            Self::All => true,
            Self::Nothing => false,
            Self::OnlySlow => slow(),
            Self::AllButSlow => !slow(),
        }
    }
}

/// What became of the frames of one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WayCounters {
    /// Frames that were carried.
    pub carried: u64,
    /// Frames that the gate stopped, or that came while nothing was plugged in.
    pub stopped: u64,
    /// Frames that the other side did not take: link down, guest stuck, longer than the MTU.
    pub lost: u64,
}

/// A gate with its counters, shared by the thread that carries and those that look and turn.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// Index into [`Pass::ALL`].
    pass: AtomicU8,
    carried: AtomicU64,
    stopped: AtomicU64,
    lost: AtomicU64,
}

impl Gate {
    pub(crate) fn set(&self, pass: Pass) {
        self.pass.store(pass as u8, Ordering::Release);
    }

    /// Whether this frame may pass; counts it when not.
    pub(crate) fn admits(&self, frame: &[u8]) -> bool {
        let pass = Pass::ALL[usize::from(self.pass.load(Ordering::Acquire))];
        let admitted = pass.lets(frame);
        if !admitted {
            self.count_stopped();
        }
        admitted
    }

    /// Counts a frame that had nowhere to go.
    pub(crate) fn count_stopped(&self) {
        self.stopped.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a frame that was let pass.
    pub(crate) fn count(&self, carried: bool) {
        let counter = if carried { &self.carried } else { &self.lost };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn counters(&self) -> WayCounters {
        WayCounters {
            carried: self.carried.load(Ordering::Relaxed),
            stopped: self.stopped.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
        }
    }
}
