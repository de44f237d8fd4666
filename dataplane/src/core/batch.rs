//! The frames of one burst as columns: what the stages write down, and what comes out.
//!
//! *Where it sits:* the worker keeps one batch and hands it to [`forward`](super::forward) again
//! and again; what a burst left in it is valid until the next one.
//!
//! *Invariants:* (1) at most [`BURST_MAX`] frames, all of one port; (2) a frame is live until it
//! has a verdict other than `Forward`, and later stages skip it; (3) outputs are in order of their
//! frames; a frame has outputs if and only if its verdict is `Forward`; (4) after
//! [`Batch::reserve`] nothing here allocates.
//!
//! *Not here:* the bytes of the frames. The core reads heads and never owns memory: the worker
//! clones a frame for every output but its last.

use std::ops::{Index, IndexMut};

use arrayvec::ArrayVec;
use policy::acl::{Action, Sequence};
use policy::snapshot::AclIndex;
use proto::frame::edit::TagEdit;
use proto::frame::key::{Fragment, FrameKey, L3};
use proto::{DropReason, EtherType, IpProto, MacAddr, PortId, VlanId};

use super::counters::Cast;
use super::team::GroupId;
use super::trace::Direction;

/// How many frames a burst has at most: the bits of the live mask.
pub const BURST_MAX: usize = 64;

/// How many events a burst gives at most: of matches of access lists, one a frame is plenty. BPDU
/// guard comes before them and is not crowded out.
const EVENTS_MAX: usize = BURST_MAX;

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
    /// The clock at the start of the burst.
    pub(super) now_ns: u64,
    /// The port that all frames came in at.
    pub(super) ingress: PortId,
    len: u8,
    live: u64,
    /// Frames to group addresses.
    group: u64,
    pub(super) key: Column<FrameKey>,
    pub(super) len_bytes: Column<u32>,
    pub(super) segment_bytes: Column<u32>,
    pub(super) vlan: Column<VlanId>,
    pub(super) targets: Column<Targets>,
    verdict: Column<Verdict>,
    pub(super) outputs: Vec<Output>,
    events: ArrayVec<Event, EVENTS_MAX>,
}

/// Where a frame wants to go, before the egress ports have had their say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Targets {
    pub(super) local: Local,
    pub(super) uplink: Option<PortId>,
}

/// The local part of where a frame wants to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Local {
    /// A known address: its port, and the promiscuous ones.
    Known(PortId),
    /// An unknown address of a frame from a vEthernet: ports that want such frames.
    Unknown,
    /// An unknown address of a frame from this uplink group: those of them that use the group.
    UnknownFrom(Option<GroupId>),
    /// All members of the VLAN.
    Flood,
}

impl Default for Batch {
    fn default() -> Self {
        const NOWHERE: Targets = Targets { local: Local::Unknown, uplink: None };
        Self {
            now_ns: 0,
            ingress: FIRST_PORT,
            len: 0,
            live: 0,
            group: 0,
            key: Column([EMPTY_KEY; BURST_MAX]),
            len_bytes: Column([0; BURST_MAX]),
            segment_bytes: Column([0; BURST_MAX]),
            vlan: Column([VlanId::DEFAULT; BURST_MAX]),
            targets: Column([NOWHERE; BURST_MAX]),
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

    /// What the control side is to know.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The kind of a frame's destination; of a malformed frame unicast.
    #[must_use]
    #[inline]
    pub fn cast(&self, frame: Slot) -> Cast {
        if self.group & frame.bit() == 0 { Cast::Unicast } else { Cast::of(self.key[frame].dst) }
    }

    /// Starts a burst of `len` frames, all live.
    #[inline]
    pub(super) fn start(&mut self, ingress: PortId, len: usize, now_ns: u64) {
        debug_assert!(len <= BURST_MAX, "a burst of {len} frames is longer than {BURST_MAX}");
        self.now_ns = now_ns;
        self.ingress = ingress;
        self.len = len.min(BURST_MAX) as u8;
        self.live = self.all().0;
        self.group = 0;
        self.verdict.0.fill(Verdict::Forward);
        self.outputs.clear();
        self.events.clear();
    }

    /// Notes what a frame says.
    #[inline]
    pub(super) fn set_key(&mut self, slot: Slot, key: FrameKey) {
        if key.dst.is_multicast() {
            self.group |= slot.bit();
        }
        self.key[slot] = key;
    }

    /// Ends a frame's way.
    #[inline]
    pub(super) fn end(&mut self, slot: Slot, verdict: Verdict) {
        debug_assert!(self.live & slot.bit() != 0, "a frame has one verdict");
        self.live &= !slot.bit();
        self.verdict[slot] = verdict;
    }

    /// The verdict of a frame: that it is forwarded, until another one is given.
    #[inline]
    pub(super) fn verdict(&self, slot: Slot) -> Verdict {
        self.verdict[slot]
    }

    /// All frames of the burst.
    #[inline]
    pub(super) const fn all(&self) -> Slots {
        Slots(if self.len() >= BURST_MAX { u64::MAX } else { (1 << self.len) - 1 })
    }

    /// The frames that are still on their way, as of now.
    #[inline]
    pub(super) const fn live(&self) -> Slots {
        Slots(self.live)
    }

    /// The frames that are not.
    #[inline]
    pub(super) const fn ended(&self) -> Slots {
        Slots(self.all().0 & !self.live)
    }

    /// The frames to group addresses.
    #[inline]
    pub(super) const fn groups(&self) -> Slots {
        Slots(self.group)
    }

    /// Those of them that are still on their way.
    #[inline]
    pub(super) const fn live_groups(&self) -> Slots {
        Slots(self.group & self.live)
    }

    /// Reports that the ingress port is to be shut, once.
    pub(super) fn bpdu_guard(&mut self) {
        let event = Event::BpduGuard { port: self.ingress };
        if !self.events.contains(&event) {
            self.report(event);
        }
    }

    /// Reports something, if there is room.
    pub(super) fn report(&mut self, event: Event) {
        if !self.events.is_full() {
            self.events.push(event);
        }
    }
}

/// One value for each frame of a burst.
#[derive(Debug)]
pub(super) struct Column<T>([T; BURST_MAX]);

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

/// Fills columns before the first burst.
const FIRST_PORT: PortId = match PortId::new(0) {
    Some(port) => port,
    None => unreachable!(),
};

/// As [`FIRST_PORT`].
const EMPTY_KEY: FrameKey = FrameKey {
    ip_src: 0,
    ip_dst: 0,
    dst: MacAddr::ZERO,
    src: MacAddr::ZERO,
    tag: None,
    ether_type: EtherType::new(0),
    l3_offset: 0,
    l3: L3::Other,
    fragment: Fragment::Whole,
    proto: IpProto::new(0),
    dscp_bits: 0,
    has_l4: false,
    tcp_flags: 0,
    l4_src: 0,
    l4_dst: 0,
    l4_offset: 0,
};
