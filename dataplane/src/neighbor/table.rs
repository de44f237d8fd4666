//! Who was heard on which uplink, until its time to live is over.

use std::collections::BTreeMap;

use super::SECOND_NS;
use super::announcement::{Announcement, HearError, Heard};

/// Neighbours that an uplink knows by one protocol. A cable has one other end; more are heard
/// behind a hub, or through a switch that does not know the protocol. Who comes later is left out,
/// and counted, so that a flood of new names does not push out those that are real.
pub const NEIGHBORS_MAX: usize = 8;

/// Changes that an uplink tells of at once; then one a second. All its neighbours by both protocols
/// may come and go twice.
pub const CHANGES_BURST: u32 = 32;

/// A neighbour at an uplink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbor {
    /// The uplink's number.
    pub nic: u8,
    /// What it said last.
    pub announcement: Announcement,
    /// For how long it is believed, in seconds.
    pub hold_time_s: u16,
    /// When it was heard last.
    pub heard_ns: u64,
}

impl Neighbor {
    /// When it is believed no longer.
    #[must_use]
    pub fn expires_ns(&self) -> u64 {
        self.heard_ns.saturating_add(u64::from(self.hold_time_s) * SECOND_NS)
    }

    fn is(&self, other: &Announcement) -> bool {
        let this = &self.announcement;
        this.protocol == other.protocol
            && this.chassis_id == other.chassis_id
            && this.port_id == other.port_id
    }
}

/// Something to tell of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// The neighbour as it is now; of a lost one, as it was.
    pub neighbor: Neighbor,
}

/// What happened to a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Heard for the first time.
    New,
    /// It says something else than before.
    Changed,
    /// Not known any more.
    Lost(Loss),
}

/// Why a neighbour is not known any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Its time to live is over.
    Expired,
    /// It said that it stops.
    Shutdown,
    /// The uplink has no carrier, or is not in use any more.
    LinkDown,
}

impl Loss {
    /// A few words for an event.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Expired => "not heard for its hold time",
            Self::Shutdown => "it has shut down",
            Self::LinkDown => "the link is down",
        }
    }
}

/// What was heard on an uplink, in frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// LLDPDUs and CDP advertisements that were understood.
    pub heard: u64,
    /// Those that were not.
    pub faulty: u64,
    /// Those of neighbours beyond [`NEIGHBORS_MAX`].
    pub refused: u64,
    /// Changes beyond [`CHANGES_BURST`], of which nobody was told.
    pub untold: u64,
}

/// One uplink.
#[derive(Debug)]
struct Nic {
    neighbors: Vec<Neighbor>,
    counters: Counters,
    /// Changes that may be told of.
    budget: u32,
    /// Since when the budget has grown by no whole second.
    budget_ns: u64,
}

impl Nic {
    fn new(now_ns: u64) -> Self {
        let (neighbors, counters) = (Vec::new(), Counters::default());
        Self { neighbors, counters, budget: CHANGES_BURST, budget_ns: now_ns }
    }

    fn tell(&mut self, now_ns: u64, change: Change, changes: &mut Vec<Change>) {
        let seconds = now_ns.saturating_sub(self.budget_ns) / SECOND_NS;
        self.budget_ns += seconds * SECOND_NS;
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        self.budget = self.budget.saturating_add(seconds).min(CHANGES_BURST);
        match self.budget {
            0 => {
                self.counters.untold += 1;
                return;
            }
            // A budget that was full has not grown since, however long that is.
            CHANGES_BURST => self.budget_ns = now_ns,
            _ => {}
        }
        self.budget -= 1;
        changes.push(change);
    }

    /// Forgets those that are no longer to be known.
    fn lose(
        &mut self,
        now_ns: u64,
        loss: Loss,
        changes: &mut Vec<Change>,
        is_lost: impl Fn(&Neighbor) -> bool,
    ) {
        let lost: Vec<Neighbor> = self.neighbors.extract_if(.., |n| is_lost(n)).collect();
        for neighbor in lost {
            self.tell(now_ns, Change { kind: ChangeKind::Lost(loss), neighbor }, changes);
        }
    }
}

/// The neighbours of all uplinks of a host.
#[derive(Debug, Default)]
pub struct Neighbors {
    nics: BTreeMap<u8, Nic>,
    changes: Vec<Change>,
}

impl Neighbors {
    /// Takes a frame that an uplink received. A frame of another protocol has no effect.
    ///
    /// # Errors
    /// It is one of LLDP or CDP and cannot be believed; it is counted as faulty.
    pub fn receive(&mut self, now_ns: u64, nic: u8, frame: &[u8]) -> Result<(), HearError> {
        match Heard::read(frame) {
            Ok(Some(heard)) => self.learn(now_ns, nic, heard),
            Ok(None) => {}
            Err(error) => {
                self.nic(now_ns, nic).counters.faulty += 1;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Learns what an uplink has heard.
    pub fn learn(&mut self, now_ns: u64, nic: u8, heard: Heard) {
        let Heard { announcement, hold_time_s } = heard;
        let number = nic;
        let Self { nics, changes } = self;
        let nic = nics.entry(nic).or_insert_with(|| Nic::new(now_ns));
        nic.counters.heard += 1;
        if hold_time_s == 0 {
            nic.lose(now_ns, Loss::Shutdown, changes, |known| known.is(&announcement));
            return;
        }
        // One whose time is over and that nobody has polled for is lost first, and then new.
        nic.lose(now_ns, Loss::Expired, changes, |known| now_ns >= known.expires_ns());
        if let Some(known) = nic.neighbors.iter_mut().find(|known| known.is(&announcement)) {
            (known.heard_ns, known.hold_time_s) = (now_ns, hold_time_s);
            if known.announcement != announcement {
                known.announcement = announcement;
                let change = Change { kind: ChangeKind::Changed, neighbor: known.clone() };
                nic.tell(now_ns, change, changes);
            }
            return;
        }
        let of_protocol = |known: &&Neighbor| known.announcement.protocol == announcement.protocol;
        if nic.neighbors.iter().filter(of_protocol).count() >= NEIGHBORS_MAX {
            nic.counters.refused += 1;
            return;
        }
        let neighbor = Neighbor { nic: number, announcement, hold_time_s, heard_ns: now_ns };
        nic.neighbors.push(neighbor.clone());
        nic.tell(now_ns, Change { kind: ChangeKind::New, neighbor }, changes);
    }

    /// The uplink has lost its carrier: whoever was there may be somewhere else now.
    pub fn link_down(&mut self, now_ns: u64, nic: u8) {
        if let Some(nic) = self.nics.get_mut(&nic) {
            nic.lose(now_ns, Loss::LinkDown, &mut self.changes, |_| true);
        }
    }

    /// The uplink is not in use any more: its neighbours are lost, its counters gone.
    pub fn remove(&mut self, now_ns: u64, nic: u8) {
        self.link_down(now_ns, nic);
        self.nics.remove(&nic);
    }

    /// Forgets those whose time to live is over.
    pub fn poll(&mut self, now_ns: u64) {
        for nic in self.nics.values_mut() {
            let is_over = |known: &Neighbor| now_ns >= known.expires_ns();
            nic.lose(now_ns, Loss::Expired, &mut self.changes, is_over);
        }
    }

    /// When [`Self::poll`] will have something to forget.
    #[must_use]
    pub fn next_deadline_ns(&self) -> Option<u64> {
        self.iter().map(Neighbor::expires_ns).min()
    }

    /// Everybody who is known, by uplink, and then in the order in which they were heard first.
    pub fn iter(&self) -> impl Iterator<Item = &Neighbor> {
        self.nics.values().flat_map(|nic| &nic.neighbors)
    }

    /// What was heard on an uplink.
    #[must_use]
    pub fn counters(&self, nic: u8) -> Counters {
        self.nics.get(&nic).map(|nic| nic.counters).unwrap_or_default()
    }

    /// What has happened since the last call, oldest first. A new LLDP neighbour is also to be told
    /// to the uplink's [`LldpTransmit`](super::LldpTransmit).
    pub fn take_changes(&mut self) -> impl Iterator<Item = Change> {
        std::mem::take(&mut self.changes).into_iter()
    }

    fn nic(&mut self, now_ns: u64, nic: u8) -> &mut Nic {
        self.nics.entry(nic).or_insert_with(|| Nic::new(now_ns))
    }
}
