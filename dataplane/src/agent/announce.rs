//! Telling the physical network that an address is now behind another uplink: a reverse ARP request
//! for each MAC of the port (RFC 903; what hypervisors send after a migration) and, where an IPv4
//! address of the VM is known, an ARP announcement (RFC 5227), tagged as the uplink wants it.
//! Physical switches learn the new place from the source address, neighbours in IP from the other.
//!
//! *Where it sits:* the control thread says who has moved and calls [`Announcer::due`] at every
//! tick; the frames go out by the worker of the uplink. Sans-IO: time is an argument.
//!
//! *Invariants:* (1) every move is told [`TELLINGS`] times, unless the port moves on, because one
//! lost frame must not leave an address behind a dead link; (2) no more than [`BURST`] frames at
//! once and [`RATE_PER_SECOND`] in the long run, first tellings before repeated ones; (3) what
//! waits is bounded by the number of ports.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use policy::Snapshot;
use policy::snapshot::VlanMode;
use proto::frame::arp;
use proto::{EtherType, PortId, VlanId};

/// Frames that one telling of a port's move may take: a trunk with many VLANs is announced in the
/// first ones.
const FRAMES_MAX: usize = 64;
/// How often a move is told.
const TELLINGS: u8 = 4;
/// Time between two tellings of a move.
const REPEAT_AFTER: Duration = Duration::from_millis(100);
/// Frames a second in the long run: a physical switch learns from each of them in software.
const RATE_PER_SECOND: u32 = 2_000;
/// Frames at once: the VMs of a large host that loses an uplink, in one go.
const BURST: u32 = 1_024;

/// A move that is still to be told.
#[derive(Debug)]
struct Move {
    port: PortId,
    left: u8,
    not_before: Instant,
}

/// A frame of an announcement, and the uplink that it leaves by.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Announcement {
    pub(super) uplink: PortId,
    pub(super) frame: Vec<u8>,
}

/// Who is still to be announced, and how many frames that has taken so far.
#[derive(Debug)]
pub(super) struct Announcer {
    first: VecDeque<Move>,
    again: VecDeque<Move>,
    tokens: u32,
    refilled: Instant,
    sent: u64,
}

impl Announcer {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            first: VecDeque::new(),
            again: VecDeque::new(),
            tokens: BURST,
            refilled: now,
            sent: 0,
        }
    }

    /// The addresses of a port are now behind another uplink. What was to be told of it is past.
    pub(super) fn moved(&mut self, port: PortId, now: Instant) {
        self.forget(port);
        self.first.push_back(Move { port, left: TELLINGS, not_before: now });
    }

    /// The port has no uplink any more, or is gone.
    pub(super) fn forget(&mut self, port: PortId) {
        self.first.retain(|it| it.port != port);
        self.again.retain(|it| it.port != port);
    }

    /// Frames sent since the daemon started.
    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    /// What is to be sent now. `uplink` gives the NIC that a port sends by, which of a port-channel
    /// may be another one at each telling; `addresses` the IPv4 addresses that are known of it.
    pub(super) fn due(
        &mut self,
        snapshot: &Snapshot,
        uplink: impl Fn(PortId) -> Option<PortId>,
        addresses: impl Fn(PortId) -> Vec<Ipv4Addr>,
        now: Instant,
    ) -> Vec<Announcement> {
        self.refill(now);
        let mut frames = Vec::new();
        while let Some(mut next) = self.next(now) {
            let by = uplink(next.port);
            let told = by.map(|by| telling(snapshot, next.port, by, &addresses(next.port)));
            let told = told.unwrap_or_default();
            let cost = u32::try_from(told.len()).unwrap_or(BURST);
            if cost > self.tokens {
                // The first one to go when there is room again.
                let queue = if next.left == TELLINGS { &mut self.first } else { &mut self.again };
                queue.push_front(next);
                break;
            }
            self.tokens -= cost;
            frames.extend(told);
            next.left -= 1;
            next.not_before = now + REPEAT_AFTER;
            if next.left > 0 {
                self.again.push_back(next);
            }
        }
        self.sent += frames.len() as u64;
        frames
    }

    fn next(&mut self, now: Instant) -> Option<Move> {
        let is_due = |it: &Move| it.not_before <= now;
        // All wait for the same time, so the front one is due first.
        self.first
            .pop_front_if(|it| is_due(it))
            .or_else(|| self.again.pop_front_if(|it| is_due(it)))
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.refilled);
        let earned = passed.as_micros() * u128::from(RATE_PER_SECOND) / 1_000_000;
        if earned > 0 {
            self.tokens = BURST.min(self.tokens.saturating_add(earned.try_into().unwrap_or(BURST)));
            self.refilled = now;
        }
    }
}

/// One telling: each address of the port in each VLAN that it and the uplink carry.
fn telling(
    snapshot: &Snapshot,
    port: PortId,
    uplink: PortId,
    addresses: &[Ipv4Addr],
) -> Vec<Announcement> {
    let Some(wire) = snapshot.port(uplink) else { return Vec::new() };
    let own = snapshot.fib().iter().filter(|(_, _, owner)| *owner == port);
    let carried = own.filter(|(vlan, _, _)| wire.vlan_mode.carries(*vlan));
    let frames = carried.flat_map(|(vlan, mac, _)| {
        let tag = (!leaves_untagged(&wire.vlan_mode, vlan)).then_some(vlan);
        let known = addresses.iter().map(move |ip| arp::build_gratuitous(mac, *ip));
        std::iter::once(arp::build_rarp(mac)).chain(known).map(move |frame| tagged(&frame, tag))
    });
    frames.take(FRAMES_MAX).map(|frame| Announcement { uplink, frame }).collect()
}

fn leaves_untagged(mode: &VlanMode, vlan: VlanId) -> bool {
    match mode {
        VlanMode::Access(_) => true,
        VlanMode::Trunk { native, .. } => *native == vlan,
    }
}

/// The frame with the tag of a VLAN, or without one.
fn tagged(frame: &[u8], vlan: Option<VlanId>) -> Vec<u8> {
    let mut frame = frame.to_vec();
    if let Some(vlan) = vlan {
        let [tpid_hi, tpid_lo] = EtherType::VLAN.get().to_be_bytes();
        let [tci_hi, tci_lo] = vlan.get().to_be_bytes();
        frame.splice(12..12, [tpid_hi, tpid_lo, tci_hi, tci_lo]);
    }
    frame
}

#[cfg(test)]
mod tests {
    use proto::MacAddr;

    use super::*;

    fn port(number: u16) -> PortId {
        PortId::new(number).expect("a slot")
    }

    #[test]
    fn a_tag_goes_behind_the_addresses() {
        let mac = MacAddr::new([2, 0, 0, 0, 0, 9]);
        let plain = arp::build_rarp(mac);
        let with_tag = tagged(&plain, VlanId::new(10u16).ok());
        assert_eq!(plain[..12], with_tag[..12]);
        assert_eq!(with_tag[12..16], [0x81, 0, 0, 10]);
        assert_eq!(plain[12..], with_tag[16..]);
        assert_eq!(tagged(&plain, None), plain);
    }

    #[test]
    fn a_move_is_told_four_times_and_a_later_one_replaces_it() {
        let (start, snapshot) = (Instant::now(), Snapshot::empty());
        let mut announcer = Announcer::new(start);
        let (none, uplink) = (|_: PortId| Vec::new(), |_: PortId| Some(port(8)));
        announcer.moved(port(1), start);
        announcer.moved(port(1), start);
        assert_eq!(announcer.first.len(), 1, "the last move counts");
        for telling in 0..u32::from(TELLINGS) {
            assert_eq!(announcer.again.len(), usize::from(telling > 0));
            announcer.due(&snapshot, uplink, none, start + REPEAT_AFTER * telling);
            let waiting = announcer.again.len();
            announcer.due(&snapshot, uplink, none, start + REPEAT_AFTER * telling);
            assert_eq!(announcer.again.len(), waiting, "not before its time");
        }
        assert_eq!((announcer.first.len(), announcer.again.len()), (0, 0));
        announcer.moved(port(1), start);
        announcer.forget(port(1));
        assert_eq!(announcer.first.len(), 0);
    }
}
