//! What comes out of one burst: verdicts, outputs, events, and what is counted of it.
//!
//! *Where it sits:* the worker keeps one batch and hands it to [`forward`](super::forward) again
//! and again; what a burst left in it is valid until the next one.
//!
//! *Invariants:* (1) at most [`BURST_MAX`] frames, all of one port; (2) a frame's verdict is
//! `Forward` until its way ends with another one; (3) outputs are in order of their frames; a frame
//! has outputs if and only if its verdict is `Forward`; (4) after [`Batch::reserve`] nothing here
//! allocates.
//!
//! *Not here:* the bytes of the frames. The core reads heads and never owns memory: the worker
//! clones a frame for every output but its last.

use std::ops::{Index, IndexMut};

use arrayvec::ArrayVec;
use policy::acl::{Action, Sequence};
use policy::snapshot::AclIndex;
use proto::frame::edit::TagEdit;
use proto::{DropReason, MacAddr, PortId};

use super::counters::{Cast, TrafficTotals};
use super::trace::Direction;

/// How many frames a burst has at most: the bits of the masks.
pub const BURST_MAX: usize = 64;

/// How many matches of access lists a burst reports at most: one a frame is plenty.
const LOGS_MAX: usize = BURST_MAX;
/// How many events a burst gives at most: there is always room for that of BPDU guard.
const EVENTS_MAX: usize = LOGS_MAX + 1;

/// One received frame as the core takes it.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Its first bytes, from the destination address on; all headers should be in them.
    pub head: &'a [u8],
    /// Its length in bytes, without frame check sequence.
    pub len_bytes: u32,
    /// The length of the longest frame it will be on a wire: headers and one segment of a
    /// super-frame, [`Frame::len_bytes`] of any other.
    pub segment_bytes: u32,
}

impl<'a> Frame<'a> {
    /// A frame that is whole in `bytes` and no super-frame.
    #[must_use]
    pub const fn whole(bytes: &'a [u8]) -> Self {
        let len_bytes = bytes.len() as u32;
        Self { head: bytes, len_bytes, segment_bytes: len_bytes }
    }
}

/// The place of a frame in its burst, below [`BURST_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u8);

impl Slot {
    /// The place as an index into the burst that was given to [`forward`](super::forward).
    #[must_use]
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    #[inline]
    const fn bit(self) -> u64 {
        1 << (self.0 % BURST_MAX as u8)
    }
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It leaves, once for each of its outputs.
    Forward,
    /// A control task gets it, and nobody else.
    Punt(PuntTask),
    /// It goes nowhere, for this reason.
    Drop(DropReason),
}

/// Which control task of an uplink gets a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PuntTask {
    /// Slow protocols: LACP and marker (IEEE 802.3-2018 annex 57A).
    Slow,
    /// LLDP (IEEE 802.1AB-2016).
    Lldp,
    /// CDP, and what shares its address: VTP, DTP, PAgP, UDLD.
    Cdp,
}

/// One copy of a frame that leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// The frame.
    pub frame: Slot,
    /// The port that it leaves by.
    pub port: PortId,
    /// What becomes of its outer tag.
    pub edit: TagEdit,
}

/// What a burst tells the control side, beside punted frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A VM sent a BPDU at a port with BPDU guard: the port is to be shut. Once a burst and port.
    BpduGuard {
        /// The port.
        port: PortId,
    },
    /// A rule with `log` matched. Not every match of a burst is reported when there are many.
    AclLog {
        /// The frame.
        frame: Slot,
        /// The port whose list it is.
        port: PortId,
        /// Which of its lists.
        direction: Direction,
        /// The list.
        acl: AclIndex,
        /// The rule's number in the list; 0 is the implicit deny.
        sequence: Sequence,
        /// What the rule did.
        action: Action,
    },
}

/// The frames of one burst, their verdicts and outputs.
#[derive(Debug)]
pub struct Batch {
    len: u8,
    /// Frames with another verdict than `Forward`.
    ended: u64,
    /// Frames to group addresses.
    group: u64,
    /// Those of them that are for all stations.
    broadcast: u64,
    /// Lengths of all frames, summed up.
    bytes: u64,
    verdict: Column<Verdict>,
    outputs: Vec<Output>,
    events: ArrayVec<Event, EVENTS_MAX>,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            len: 0,
            ended: 0,
            group: 0,
            broadcast: 0,
            bytes: 0,
            verdict: Column([Verdict::Forward; BURST_MAX]),
            outputs: Vec::new(),
            events: ArrayVec::new(),
        }
    }
}

impl Batch {
    /// Makes room for bursts in which every frame goes to `copies_max` ports. Allocates.
    pub fn reserve(&mut self, copies_max: usize) {
        let outputs_max = copies_max.saturating_mul(BURST_MAX);
        self.outputs.reserve(outputs_max.saturating_sub(self.outputs.len()));
    }

    /// How many frames the burst had.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether the burst had no frames.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The verdicts, one a frame.
    #[must_use]
    pub fn verdicts(&self) -> &[Verdict] {
        self.verdict.0.get(..self.len()).unwrap_or_default()
    }

    /// The copies that leave, in order of their frames; those of one frame stand together.
    #[must_use]
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// The port by which every frame of the burst leaves, once and as it came in; `None` when it is
    /// not so.
    #[must_use]
    #[inline]
    pub fn sole_exit(&self) -> Option<PortId> {
        let port = self.outputs.first()?.port;
        let all = self.ended == 0 && self.outputs.len() == self.len();
        let same = |output: &Output| output.port == port && output.edit == TagEdit::Keep;
        (all && self.outputs.iter().all(same)).then_some(port)
    }

    /// What the control side is to know.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The kind of a frame's destination; of a malformed frame unicast.
    #[must_use]
    #[inline]
    pub const fn cast(&self, frame: Slot) -> Cast {
        if self.group & frame.bit() == 0 {
            Cast::Unicast
        } else if self.broadcast & frame.bit() == 0 {
            Cast::Multicast
        } else {
            Cast::Broadcast
        }
    }

    /// Starts a burst of `len` frames, all to be forwarded.
    #[inline]
    pub(super) fn start(&mut self, len: usize) {
        debug_assert!(len <= BURST_MAX, "a burst of {len} frames is longer than {BURST_MAX}");
        self.len = len.min(BURST_MAX) as u8;
        (self.ended, self.group, self.broadcast, self.bytes) = (0, 0, 0, 0);
        self.verdict.0.fill(Verdict::Forward);
        self.outputs.clear();
        self.events.clear();
    }

    /// Notes the length of a frame, which every frame has.
    #[inline(always)]
    pub(super) const fn add_bytes(&mut self, len_bytes: u32) {
        self.bytes += len_bytes as u64;
    }

    /// Notes where a frame is for.
    #[inline(always)]
    pub(super) const fn note_destination(&mut self, slot: Slot, dst: MacAddr) {
        if dst.is_multicast() {
            self.group |= slot.bit();
            if dst.is_broadcast() {
                self.broadcast |= slot.bit();
            }
        }
    }

    /// Ends a frame's way.
    #[inline]
    pub(super) fn end(&mut self, slot: Slot, verdict: Verdict) {
        debug_assert!(self.ended & slot.bit() == 0, "a frame has one verdict");
        self.ended |= slot.bit();
        self.verdict[slot] = verdict;
    }

    /// The verdict of a frame: that it is forwarded, until another one is given.
    #[inline]
    pub(super) fn verdict(&self, slot: Slot) -> Verdict {
        self.verdict[slot]
    }

    /// Adds a copy.
    #[inline(always)]
    pub(super) fn leave(&mut self, output: Output) {
        self.outputs.push(output);
    }

    /// All frames of the burst, with their places.
    #[inline]
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> + use<> {
        (0..self.len).map(Slot)
    }

    /// The frames that go nowhere or to a control task.
    #[inline]
    pub(super) const fn ended(&self) -> Slots {
        Slots(self.ended)
    }

    /// What came in.
    #[inline]
    pub(super) fn received(&self) -> TrafficTotals {
        let group = u64::from(self.group.count_ones());
        let broadcast = u64::from(self.broadcast.count_ones());
        TrafficTotals {
            unicast: u64::from(self.len) - group,
            multicast: group - broadcast,
            broadcast,
            bytes: self.bytes,
        }
    }

    /// How many frames are forwarded.
    #[inline]
    pub(super) fn forwarded(&self) -> u64 {
        u64::from(self.len) - u64::from(self.ended.count_ones())
    }

    /// Reports that this port, at which the burst came in, is to be shut, once.
    pub(super) fn bpdu_guard(&mut self, port: PortId) {
        let event = Event::BpduGuard { port };
        if !self.events.contains(&event) && !self.events.is_full() {
            self.events.push(event);
        }
    }

    /// Reports a match of an access list, if there is room.
    pub(super) fn acl_log(&mut self, event: Event) {
        let logs = self.events.iter().filter(|event| matches!(event, Event::AclLog { .. }));
        if logs.count() < LOGS_MAX {
            self.events.push(event);
        }
    }
}

/// One value for each frame of a burst.
#[derive(Debug)]
struct Column<T>([T; BURST_MAX]);

#[allow(clippy::indexing_slicing)] // The mask is below the length: the compiler sees it too.
impl<T> Index<Slot> for Column<T> {
    type Output = T;

    #[inline]
    fn index(&self, slot: Slot) -> &T {
        &self.0[slot.index() & (BURST_MAX - 1)]
    }
}

#[allow(clippy::indexing_slicing)] // As above.
impl<T> IndexMut<Slot> for Column<T> {
    #[inline]
    fn index_mut(&mut self, slot: Slot) -> &mut T {
        &mut self.0[slot.index() & (BURST_MAX - 1)]
    }
}

/// Some frames of a burst, ascending; independent of the batch, which may change meanwhile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots(u64);

impl Iterator for Slots {
    type Item = Slot;

    #[inline]
    fn next(&mut self) -> Option<Slot> {
        if self.0 == 0 {
            return None;
        }
        let slot = Slot(self.0.trailing_zeros() as u8);
        self.0 &= self.0 - 1;
        Some(slot)
    }
}
