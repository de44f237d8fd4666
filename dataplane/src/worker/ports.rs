//! The ports that one worker owns, and which of them are worth a look.
//!
//! A port that gave frames lately is *active* and looked at every round. One that has been empty for
//! a while waits in an epoll: an idle TAP costs nothing, where asking each of a thousand would cost a
//! system call apiece. Invariant: every port is active or armed in the epoll.

use std::fmt;
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use pmd::{Burst, Capabilities, Pool, Port, PortGone};
use proto::PortId;

use crate::core::counters::Cast;

/// Rounds without a frame until a port counts as idle.
const IDLE_ROUNDS_MAX: u8 = 16;
/// How long an idle port is still looked at. To wake a core that went to sleep takes tens of
/// microseconds, in a virtual machine more, and the answer to what just left is often that near.
const IDLE_POLL: Duration = Duration::from_micros(50);
/// Marks the worker's own wake descriptor in the epoll.
const WAKE: u64 = u64::MAX;
/// Ready descriptors that one call tells about.
const EVENTS_MAX: usize = 64;

/// One port of the worker.
pub(super) struct Entry {
    pub(super) id: PortId,
    pub(super) port: Box<dyn Port>,
    pub(super) capabilities: Capabilities,
    /// What leaves with the next transmission, and the kinds of destination in it.
    pub(super) staged: Burst,
    pub(super) staged_casts: [Cast; pmd::BURST_MAX],
    active: bool,
    idle_rounds: u8,
    /// When `idle_rounds` came to its limit; of no meaning below.
    idle_since: Instant,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("id", &self.id).field("active", &self.active).finish()
    }
}

/// The ports of one worker.
#[derive(Debug)]
pub(super) struct Ports {
    entries: Vec<Entry>,
    /// Slot to place in `entries`; `u16::MAX`: not here.
    places: Box<[u16; PortId::COUNT]>,
    active: Vec<PortId>,
    epoll: Epoll,
}

const NOT_HERE: u16 = u16::MAX;
const _: () = assert!(PortId::COUNT < NOT_HERE as usize);

impl Ports {
    /// No ports; `wake` is what others wake the worker by.
    pub(super) fn new(wake: impl std::os::fd::AsFd) -> nix::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(wake, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        Ok(Self {
            entries: Vec::new(),
            places: Box::new([NOT_HERE; PortId::COUNT]),
            active: Vec::new(),
            epoll,
        })
    }

    /// Takes a port in; one of the same slot is replaced.
    pub(super) fn insert(&mut self, id: PortId, port: Box<dyn Port>) -> nix::Result<()> {
        self.remove(id);
        if let Some(fd) = port.poll_fd() {
            let event = EpollEvent::new(EpollFlags::EPOLLIN, u64::from(id.get()));
            self.epoll.add(fd, event)?;
        }
        // Fits: there are fewer slots than u16 has values.
        self.places[id.index()] = self.entries.len() as u16;
        self.entries.push(Entry {
            id,
            capabilities: port.capabilities(),
            port,
            staged: Burst::new(),
            staged_casts: [Cast::Unicast; pmd::BURST_MAX],
            active: true,
            idle_rounds: 0,
            idle_since: Instant::now(),
        });
        self.active.push(id);
        Ok(())
    }

    /// Gives a port away, with what it had staged.
    pub(super) fn remove(&mut self, id: PortId) -> Option<Entry> {
        let place = usize::from(self.places[id.index()]);
        if place >= self.entries.len() {
            return None;
        }
        let entry = self.entries.swap_remove(place);
        self.places[id.index()] = NOT_HERE;
        if let Some(moved) = self.entries.get(place) {
            self.places[moved.id.index()] = place as u16;
        }
        self.active.retain(|active| *active != id);
        if let Some(fd) = entry.port.poll_fd() {
            // A descriptor that died with its device is out of the epoll already.
            self.epoll.delete(fd).ok();
        }
        Some(entry)
    }

    /// The port of a slot, if this worker owns it.
    #[inline]
    pub(super) fn get_mut(&mut self, id: PortId) -> Option<&mut Entry> {
        let place = usize::from(*self.places.get(id.index())?);
        self.entries.get_mut(place)
    }

    /// The active port with this number in the round.
    #[inline]
    pub(super) fn active(&self, number: usize) -> Option<PortId> {
        self.active.get(number).copied()
    }

    /// Whether any port is active.
    pub(super) fn any_active(&self) -> bool {
        !self.active.is_empty()
    }

    /// Notes whether a port gave frames. One that has given none for long goes to sleep; false:
    /// it did, and left the round, so the next port stands at its number now.
    pub(super) fn note(
        &mut self,
        id: PortId,
        pool: &Pool,
        was_busy: bool,
    ) -> Result<bool, PortGone> {
        let Some(entry) = self.get_mut(id) else { return Ok(true) };
        if was_busy {
            entry.idle_rounds = 0;
            return Ok(true);
        }
        entry.idle_rounds = entry.idle_rounds.saturating_add(1);
        if entry.idle_rounds < IDLE_ROUNDS_MAX || entry.port.poll_fd().is_none() {
            return Ok(true);
        }
        let now = Instant::now();
        if entry.idle_rounds == IDLE_ROUNDS_MAX {
            entry.idle_since = now;
        }
        if now.duration_since(entry.idle_since) < IDLE_POLL {
            return Ok(true);
        }
        if !entry.port.prepare_sleep(pool)? {
            return Ok(true);
        }
        entry.active = false;
        self.active.retain(|active| *active != id);
        Ok(false)
    }

    /// Makes the ports active that have something to receive; waits for the first one at most
    /// `timeout`. Returns how many became active.
    pub(super) fn wait(&mut self, timeout: EpollTimeout) -> nix::Result<usize> {
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        let ready = self.epoll.wait(&mut events, timeout)?;
        let mut woken = 0;
        for event in events.iter().take(ready) {
            let slot = u16::try_from(event.data()).ok().and_then(PortId::new);
            let Some(entry) = slot.and_then(|id| self.get_mut(id)) else { continue };
            if !entry.active {
                entry.active = true;
                entry.idle_rounds = 0;
                let id = entry.id;
                self.active.push(id);
                woken += 1;
            }
        }
        Ok(woken)
    }

    /// Every port, active or not: once in a while each is asked whether its device still exists.
    pub(super) fn ids(&self) -> Vec<PortId> {
        self.entries.iter().map(|entry| entry.id).collect()
    }
}
