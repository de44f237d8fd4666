//! Counters of one worker: written by it alone, read by anybody at any time, without a lock.
//!
//! *Where it sits:* a worker owns one [`Counters`] and shares it by `Arc` with the readers, which
//! sum over the workers. *Invariants:* (1) one writer: an increment is a plain load and store,
//! without a locked instruction; (2) at every quiescent moment, per port,
//! `rx frames = forwarded + consumed + sum of drops`; (3) counters outlive snapshots: they are
//! keyed by slots and rule counters, which are stable.
//!
//! Who writes what: the core counts reception, outcome, refused copies and rule matches; the
//! worker counts transmission, and what a driver refused, because only it knows.

use std::ops::AddAssign;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use policy::acl::RuleCounterId;
use proto::{DropReason, MacAddr, PortId};

/// Ports per page: 30 KiB of counters are allocated for as many ports at once.
const PORTS_PER_PAGE: usize = 64;
/// Rules per page.
const RULES_PER_PAGE: usize = 1024;
/// How many rule counters there can be; matches of rules beyond are not counted. 16 times the
/// 65,536 compiled rules that a host is made for.
const RULES_MAX: usize = 1 << 20;

/// A number that one thread adds to and every thread may read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds. Only the owning thread may call this: two writers would lose counts.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// The value now.
    #[must_use]
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What kind of destination address a frame has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cast {
    /// One station.
    Unicast,
    /// A group, but not all.
    Multicast,
    /// All stations.
    Broadcast,
}

impl Cast {
    /// The kind of a destination address.
    #[must_use]
    #[inline]
    pub const fn of(dst: MacAddr) -> Self {
        if !dst.is_multicast() {
            Self::Unicast
        } else if dst.is_broadcast() {
            Self::Broadcast
        } else {
            Self::Multicast
        }
    }
}

/// Frames by kind of destination, and bytes.
#[derive(Debug, Default)]
pub struct Traffic {
    unicast: Counter,
    multicast: Counter,
    broadcast: Counter,
    bytes: Counter,
}

impl Traffic {
    /// Counts one frame of this kind and length.
    #[inline]
    pub fn count(&self, cast: Cast, len_bytes: u32) {
        match cast {
            Cast::Unicast => &self.unicast,
            Cast::Multicast => &self.multicast,
            Cast::Broadcast => &self.broadcast,
        }
        .add(1);
        self.bytes.add(u64::from(len_bytes));
    }

    /// Counts the frames of a whole burst.
    #[inline]
    pub fn add(&self, burst: TrafficTotals) {
        self.unicast.add(burst.unicast);
        self.multicast.add(burst.multicast);
        self.broadcast.add(burst.broadcast);
        self.bytes.add(burst.bytes);
    }

    fn read(&self) -> TrafficTotals {
        TrafficTotals {
            unicast: self.unicast.get(),
            multicast: self.multicast.get(),
            broadcast: self.broadcast.get(),
            bytes: self.bytes.get(),
        }
    }
}

/// The counters of one port.
#[derive(Debug, Default)]
pub struct PortCounters {
    /// Received frames, with a super-frame as one.
    pub rx: Traffic,
    /// Transmitted frames, counted by the worker.
    pub tx: Traffic,
    /// Received frames of which at least one copy went to a port.
    pub forwarded: Counter,
    /// Received frames that a control task got.
    pub consumed: Counter,
    drops: Reasons,
    tx_drops: Reasons,
}

#[derive(Debug)]
struct Reasons([Counter; DropReason::COUNT]);

impl Default for Reasons {
    fn default() -> Self {
        Self([const { Counter(AtomicU64::new(0)) }; DropReason::COUNT])
    }
}

impl Reasons {
    #[inline]
    fn count(&self, reason: DropReason) {
        if let Some(counter) = self.0.get(reason.index()) {
            counter.add(1);
        }
    }

    fn read(&self) -> [u64; DropReason::COUNT] {
        self.0.each_ref().map(Counter::get)
    }
}

impl PortCounters {
    /// Counts a received frame that was not forwarded.
    #[inline]
    pub fn drop(&self, reason: DropReason) {
        self.drops.count(reason);
    }

    /// Counts a copy that did not leave by this port: refused by its policy, or by its driver.
    #[inline]
    pub fn tx_drop(&self, reason: DropReason) {
        self.tx_drops.count(reason);
    }

    /// The values now.
    #[must_use]
    pub fn read(&self) -> PortTotals {
        PortTotals {
            rx: self.rx.read(),
            tx: self.tx.read(),
            forwarded: self.forwarded.get(),
            consumed: self.consumed.get(),
            drops: self.drops.read(),
            tx_drops: self.tx_drops.read(),
        }
    }
}

/// Frames by kind of destination, and bytes, as plain numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrafficTotals {
    /// Frames to one station.
    pub unicast: u64,
    /// Frames to a group.
    pub multicast: u64,
    /// Frames to all stations.
    pub broadcast: u64,
    /// Bytes, from the destination address to the end of the payload.
    pub bytes: u64,
}

impl TrafficTotals {
    /// Frames of these kinds, with so many bytes in all.
    #[must_use]
    #[inline]
    pub fn of(casts: impl Iterator<Item = Cast>, bytes: u64) -> Self {
        let mut totals = Self { bytes, ..Self::default() };
        for cast in casts {
            totals.unicast += u64::from(cast == Cast::Unicast);
            totals.multicast += u64::from(cast == Cast::Multicast);
            totals.broadcast += u64::from(cast == Cast::Broadcast);
        }
        totals
    }

    /// Frames of all kinds.
    #[must_use]
    pub const fn frames(&self) -> u64 {
        self.unicast + self.multicast + self.broadcast
    }
}

impl AddAssign for TrafficTotals {
    fn add_assign(&mut self, other: Self) {
        self.unicast += other.unicast;
        self.multicast += other.multicast;
        self.broadcast += other.broadcast;
        self.bytes += other.bytes;
    }
}

/// The counters of one port as plain numbers; add those of several workers up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortTotals {
    /// Received.
    pub rx: TrafficTotals,
    /// Transmitted.
    pub tx: TrafficTotals,
    /// Received frames of which at least one copy went to a port.
    pub forwarded: u64,
    /// Received frames that a control task got.
    pub consumed: u64,
    /// Received frames that were dropped, by [`DropReason::index`].
    pub drops: [u64; DropReason::COUNT],
    /// Copies that did not leave by this port, by [`DropReason::index`]. Not part of the
    /// conservation of frames: the frame counts where it came in.
    pub tx_drops: [u64; DropReason::COUNT],
}

impl PortTotals {
    /// Received frames that were dropped, for all reasons.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.drops.iter().sum()
    }

    /// Every received frame has ended in exactly one way. Holds at every quiescent moment.
    #[must_use]
    pub fn is_conserved(&self) -> bool {
        self.rx.frames() == self.forwarded + self.consumed + self.dropped()
    }
}

impl AddAssign for PortTotals {
    fn add_assign(&mut self, other: Self) {
        self.rx += other.rx;
        self.tx += other.tx;
        self.forwarded += other.forwarded;
        self.consumed += other.consumed;
        for (sum, n) in self.drops.iter_mut().zip(other.drops) {
            *sum += n;
        }
        for (sum, n) in self.tx_drops.iter_mut().zip(other.tx_drops) {
            *sum += n;
        }
    }
}

/// All counters of one worker. Pages are added by [`Counters::reserve`], outside of the hot path,
/// and never moved or freed, so that a reader needs no lock.
#[derive(Debug)]
pub struct Counters {
    ports: Pages<PortCounters, PORTS_PER_PAGE>,
    rules: Pages<Counter, RULES_PER_PAGE>,
    /// Frames of ports that nothing was reserved for.
    strays: PortCounters,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            ports: Pages::new(PortId::COUNT),
            rules: Pages::new(RULES_MAX),
            strays: PortCounters::default(),
        }
    }
}

impl Counters {
    /// Makes room for these ports and for rule counters below `rules_end`. Allocates.
    pub fn reserve(&self, ports: impl Iterator<Item = PortId>, rules_end: u32) {
        for port in ports {
            self.ports.reserve(port.index());
        }
        for rule in (0..rules_end as usize).step_by(RULES_PER_PAGE) {
            self.rules.reserve(rule);
        }
    }

    /// The counters of a port; those of [`Counters::strays`] when nothing was reserved for it.
    #[must_use]
    #[inline]
    pub fn port(&self, port: PortId) -> &PortCounters {
        self.ports.get(port.index()).unwrap_or(&self.strays)
    }

    /// Frames that came in at ports which no snapshot has described yet.
    #[must_use]
    pub const fn strays(&self) -> &PortCounters {
        &self.strays
    }

    /// Counts a match of an access list's rule.
    #[inline]
    pub fn count_rule(&self, rule: RuleCounterId) {
        if let Some(counter) = self.rules.get(rule.0 as usize) {
            counter.add(1);
        }
    }

    /// How often a rule has matched.
    #[must_use]
    pub fn rule(&self, rule: RuleCounterId) -> u64 {
        self.rules.get(rule.0 as usize).map_or(0, Counter::get)
    }
}

/// An array that grows by pages and whose elements never move.
#[derive(Debug)]
struct Pages<T, const LEN: usize>(Box<[OnceLock<Box<[T; LEN]>>]>);

impl<T: Default, const LEN: usize> Pages<T, LEN> {
    fn new(len_max: usize) -> Self {
        Self((0..len_max.div_ceil(LEN)).map(|_| OnceLock::new()).collect())
    }

    fn reserve(&self, index: usize) {
        if let Some(page) = self.0.get(index / LEN) {
            page.get_or_init(|| Box::new(std::array::from_fn(|_| T::default())));
        }
    }

    #[inline]
    fn get(&self, index: usize) -> Option<&T> {
        self.0.get(index / LEN)?.get()?.get(index % LEN)
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn unreserved_ports_count_as_strays_and_reserved_ones_keep_their_counts() {
        let counters = Counters::default();
        let port = PortId::new(70).unwrap();
        counters.port(port).drop(DropReason::PortUnknown);
        assert_eq!(counters.strays().read().dropped(), 1);
        counters.reserve([port].into_iter(), 3000);
        counters.port(port).rx.count(Cast::Broadcast, 60);
        counters.port(port).drop(DropReason::Malformed);
        counters.count_rule(RuleCounterId(2999));
        counters.reserve([port].into_iter(), 5000);
        let totals = counters.port(port).read();
        assert_eq!((totals.rx.broadcast, totals.rx.bytes, totals.dropped()), (1, 60, 1));
        assert!(totals.is_conserved());
        assert_eq!(counters.rule(RuleCounterId(2999)), 1);
        assert_eq!(counters.rule(RuleCounterId(u32::MAX)), 0);
    }

    #[test]
    fn totals_of_workers_add_up() {
        let counters = PortCounters::default();
        counters.tx.count(Cast::Unicast, 100);
        counters.tx_drop(DropReason::TxQueueFull);
        let mut sum = counters.read();
        sum += counters.read();
        assert_eq!((sum.tx.unicast, sum.tx.bytes), (2, 200));
        assert_eq!(sum.tx_drops[DropReason::TxQueueFull.index()], 2);
    }

    #[test]
    fn kinds_of_destination() {
        for (mac, cast) in [
            ("02:00:00:00:00:01", Cast::Unicast),
            ("01:00:5e:00:00:01", Cast::Multicast),
            ("ff:ff:ff:ff:ff:ff", Cast::Broadcast),
        ] {
            assert_eq!(Cast::of(mac.parse().unwrap()), cast);
        }
    }
}
