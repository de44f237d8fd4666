//! A cable in user space, which can fail as fibres and transceivers do: in one direction only, for
//! some frames only, or with its carrier.
//!
//! *Where it sits:* between a NIC of a host and a port of a partner, in place of
//! [`crate::link::cable`]. Ends `a` and `b` are veth interfaces; a thread carries the frames
//! between their far ends.
//!
//! ```text
//! a: eth1 ====veth==== [ far end of a | thread | far end of b ] ====veth==== b: p1
//! ```
//!
//! *Invariants*
//! 1. Frames are carried unchanged and in order, tags in place, up to the MTU; 20,000 a second in
//!    both directions at once without loss.
//! 2. Each direction has a gate of its own ([`Pass`]), looked at for each frame.
//! 3. Carrier is that of the veth pairs: an end loses it when its far end is set down here, and
//!    never because of what the other end does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{LabError, Result};
use crate::gate::Gate;
pub use crate::gate::{Pass, WayCounters};
use crate::link;
use crate::netns::Namespace;
use crate::packet::{Hear, PacketSocket};
use crate::pump::{Pump, Wiring};
use crate::wait::{SOON, wait_for};

/// An end of the cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The first that was named.
    A,
    /// The second.
    B,
}

impl End {
    fn index(self) -> usize {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }
}

/// A direction of the cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// From the first end to the second.
    AToB,
    /// From the second end to the first.
    BToA,
}

impl Way {
    /// Index of the end where its frames come in.
    fn index(self) -> usize {
        match self {
            Self::AToB => 0,
            Self::BToA => 1,
        }
    }
}

/// When something happened: not before one instant, and not after the other.
///
/// The loss of a carrier is seen within microseconds by a thread that runs ahead of all others, so
/// `not_after` is close; before it lies the start of `ip`, and the kernel already drops frames for
/// an end that it is about to take down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Taken before it was told to happen.
    pub not_before: Instant,
    /// Taken when it had happened.
    pub not_after: Instant,
}

impl Moment {
    /// Length of the interval: how inexact the moment is.
    pub fn doubt(self) -> Duration {
        self.not_after.saturating_duration_since(self.not_before)
    }
}

/// A cable at work; taken out on drop.
#[derive(Debug)]
pub struct Patch {
    // Field order is drop order: the thread ends before the namespace of its interfaces goes.
    _pump: Pump,
    wires: Arc<Wires>,
    ends: [FarEnd; 2],
    _own: Option<Namespace>,
}

/// The far end of an end's veth pair.
#[derive(Debug)]
struct FarEnd {
    namespace: Namespace,
    interface: String,
    /// Whether the end has its carrier, as far as this cable is concerned.
    lit: AtomicBool,
}

/// The two directions, and when each far end was last seen going down.
#[derive(Debug, Default)]
struct Wires {
    gates: [Gate; 2],
    down_at: [Mutex<Option<Instant>>; 2],
}

impl Wires {
    fn down_at(&self, end: End) -> MutexGuard<'_, Option<Instant>> {
        // An instant is whole even when a thread panicked while it held the lock.
        self.down_at[end.index()].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wiring for Wires {
    fn pass(&self, from: usize, frame: &[u8], send: &mut dyn FnMut(usize) -> bool) {
        let gate = &self.gates[from];
        if gate.admits(frame) {
            gate.count(send(1 - from));
        }
    }

    fn port_down(&self, port: usize) {
        let now = Instant::now();
        let end = if port == End::A.index() { End::A } else { End::B };
        *self.down_at(end) = Some(now);
    }
}

impl Patch {
    /// Makes two interfaces and a cable between them, as [`link::cable`] does, all ends up and
    /// offloads off.
    ///
    /// # Errors
    /// As [`link::cable`].
    pub fn cable(a: (&Namespace, &str), b: (&Namespace, &str), mtu: u16) -> Result<Self> {
        let own = Namespace::create("patch")?;
        link::cable(a, (&own, "a"), mtu)?;
        link::cable(b, (&own, "b"), mtu)?;
        let mut patch = Self::join((&own, "a"), (&own, "b"))?;
        patch._own = Some(own);
        Ok(patch)
    }

    /// Joins two interfaces that are there and up: far ends of cables to those who talk. Their
    /// offloads are turned off.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn join(a: (&Namespace, &str), b: (&Namespace, &str)) -> Result<Self> {
        let mut ports = Vec::new();
        for (namespace, interface) in [a, b] {
            link::offloads_off(namespace, interface)?;
            ports.push(PacketSocket::open(namespace, interface, Hear::Incoming)?);
        }
        let wires = Arc::new(Wires::default());
        let ends = [a, b].map(|(namespace, interface)| FarEnd {
            namespace: namespace.share(),
            interface: interface.to_owned(),
            lit: AtomicBool::new(true),
        });
        Ok(Self { _pump: Pump::start(ports, Arc::clone(&wires))?, wires, ends, _own: None })
    }

    /// Says what passes in a direction from now on; carriers stay.
    pub fn set(&self, way: Way, pass: Pass) {
        self.wires.gates[way.index()].set(pass);
    }

    /// Says what passes in both directions from now on; carriers stay.
    pub fn set_both(&self, pass: Pass) {
        self.set(Way::AToB, pass);
        self.set(Way::BToA, pass);
    }

    /// What became of the frames of a direction.
    pub fn counters(&self, way: Way) -> WayCounters {
        self.wires.gates[way.index()].counters()
    }

    /// Takes an end's carrier, or gives it back, and says when that end saw it. The other end
    /// keeps its own; no frame passes while one of the two is without. A busy kernel may take a
    /// second until it uses a link that has its carrier back.
    ///
    /// # Errors
    /// When the interface is gone.
    pub fn set_carrier(&self, end: End, carrier: bool) -> Result<Moment> {
        let far = &self.ends[end.index()];
        let not_before = Instant::now();
        if far.lit.swap(carrier, Ordering::AcqRel) == carrier {
            return Ok(Moment { not_before, not_after: not_before });
        }
        if carrier {
            link::up(&far.namespace, &far.interface)?;
            return Ok(Moment { not_before, not_after: Instant::now() });
        }
        *self.wires.down_at(end) = None;
        link::down(&far.namespace, &far.interface)?;
        // The thread is woken by the change itself, `ip` ends milliseconds later.
        let what = format!("{} in {} to go down", far.interface, far.namespace.name());
        let not_after = wait_for(what, SOON, || *self.wires.down_at(end))?;
        Ok(Moment { not_before, not_after })
    }

    /// Pulls the cable: both ends lose their carrier, `first` some milliseconds before the other.
    /// Says when the first lost it.
    ///
    /// # Errors
    /// As [`Patch::set_carrier`].
    pub fn pull(&self, first: End) -> Result<Moment> {
        let moment = self.set_carrier(first, false)?;
        let other = if first == End::A { End::B } else { End::A };
        self.set_carrier(other, false)?;
        Ok(moment)
    }

    /// Puts it back: both ends have their carrier.
    ///
    /// # Errors
    /// As [`Patch::set_carrier`].
    pub fn put_back(&self) -> Result<Moment> {
        let moment = self.set_carrier(End::A, true)?;
        let not_after = self.set_carrier(End::B, true)?.not_after;
        Ok(Moment { not_after, ..moment })
    }

    /// The namespace and name of the far end of an end, for a [`crate::sniff::Sniffer`].
    pub fn far_end(&self, end: End) -> (&Namespace, &str) {
        let far = &self.ends[end.index()];
        (&far.namespace, &far.interface)
    }

    /// Fails when a frame that the gates let pass was not taken by the other side.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] with the counters.
    pub fn check_lossless(&self) -> Result<()> {
        let counters = [Way::AToB, Way::BToA].map(|way| self.counters(way));
        if counters.iter().all(|way| way.lost == 0) {
            return Ok(());
        }
        Err(LabError::Unexpected(format!("a cable lost frames: {counters:?}")))
    }
}

#[cfg(test)]
mod tests {
    use proto::{MacAddr, VlanId};

    use super::*;
    use crate::frames::{Frame, control};
    use crate::inject::Injector;
    use crate::sniff::Sniffer;
    use crate::wait::wait_until;

    const SRC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xa]);

    struct Rig {
        patch: Patch,
        lab: Namespace,
    }

    /// `a` and `b` in one namespace, with a cable between them.
    fn rig(mtu: u16) -> Rig {
        let lab = Namespace::create("ends").unwrap();
        let patch = Patch::cable((&lab, "a"), (&lab, "b"), mtu).unwrap();
        Rig { patch, lab }
    }

    fn data(id: u64) -> Vec<u8> {
        Frame::new(SRC, MacAddr::BROADCAST).vlan(VlanId::new(10_u16).unwrap()).marker(id)
    }

    fn seen(patch: &Patch, way: Way) -> u64 {
        let counters = patch.counters(way);
        counters.carried + counters.stopped + counters.lost
    }

    #[test]
    fn frames_cross_unchanged_up_to_the_mtu() {
        let rig = rig(9000);
        let sniffer = Sniffer::start(&rig.lab, "b").unwrap();
        let injector = Injector::open(&rig.lab, "a").unwrap();
        let vlan = VlanId::new(10_u16).unwrap();
        let jumbo = Frame::new(SRC, SRC)
            .vlan(vlan)
            .vlan(vlan)
            .payload(crate::frames::EXPERIMENTAL, &vec![7; 8996]);
        for frame in [&data(1), &control::lacp(SRC), &jumbo] {
            injector.send(frame).unwrap();
        }
        let seen = sniffer.wait_count(3, SOON, |_| true).unwrap();
        let seen: Vec<_> = seen.into_iter().map(|frame| frame.bytes).collect();
        assert_eq!(seen, [data(1), control::lacp(SRC), jumbo]);
        let expected = WayCounters { carried: 3, ..WayCounters::default() };
        wait_until("all counted", SOON, || rig.patch.counters(Way::AToB) == expected).unwrap();
        assert_eq!(rig.patch.counters(Way::BToA), WayCounters::default());
        rig.patch.check_lossless().unwrap();
    }

    #[test]
    fn each_direction_has_its_own_gate_and_carrier_stays() {
        let rig = rig(1500);
        let (a, b) =
            (Sniffer::start(&rig.lab, "a").unwrap(), Sniffer::start(&rig.lab, "b").unwrap());
        let injector = Injector::open(&rig.lab, "a").unwrap();
        let back = Injector::open(&rig.lab, "b").unwrap();
        let slow = control::lacp(SRC);
        let cases = [
            (Pass::Nothing, vec![]),
            (Pass::OnlySlow, vec![slow.clone()]),
            (Pass::AllButSlow, vec![data(7)]),
            (Pass::All, vec![slow.clone(), data(7)]),
        ];
        for (round, (pass, expected)) in (1..).zip(cases) {
            b.clear();
            rig.patch.set(Way::AToB, pass);
            injector.send(&slow).unwrap();
            injector.send(&data(7)).unwrap();
            wait_until("both seen", SOON, || seen(&rig.patch, Way::AToB) == 3 * round - 1).unwrap();
            rig.patch.set(Way::AToB, Pass::All);
            injector.send(&data(99)).unwrap();
            let before = b.before_marker(99, SOON).unwrap();
            assert!(before.iter().map(|frame| &frame.bytes).eq(&expected), "{pass:?}");
            // The other direction is not concerned, and nobody sees a link go.
            back.send(&data(round)).unwrap();
            a.before_marker(round, SOON).unwrap();
            assert!(link::has_carrier(&rig.lab, "a") && link::has_carrier(&rig.lab, "b"));
        }
        assert_eq!(rig.patch.counters(Way::BToA).stopped, 0);
        assert_eq!(rig.patch.counters(Way::AToB).stopped, 4);
    }

    #[test]
    fn an_end_loses_its_carrier_alone_and_gets_it_back() {
        let rig = rig(1500);
        let carriers = || ["a", "b"].map(|end| link::has_carrier(&rig.lab, end));
        let moment = rig.patch.set_carrier(End::A, false).unwrap();
        assert!(moment.not_before <= moment.not_after && moment.doubt() < SOON);
        assert_eq!(carriers(), [false, true]);
        // Once more is no second loss.
        assert_eq!(rig.patch.set_carrier(End::A, false).unwrap().doubt(), Duration::ZERO);
        Injector::open(&rig.lab, "b").unwrap().send(&data(1)).unwrap();
        wait_until("the lost frame", SOON, || rig.patch.counters(Way::BToA).lost == 1).unwrap();
        assert!(rig.patch.check_lossless().is_err());
        rig.patch.put_back().unwrap();
        assert_eq!(carriers(), [true, true]);
        rig.patch.pull(End::B).unwrap();
        assert_eq!(carriers(), [false, false]);
        rig.patch.put_back().unwrap();
        let sniffer = Sniffer::start(&rig.lab, "a").unwrap();
        Injector::open(&rig.lab, "b").unwrap().send(&data(2)).unwrap();
        sniffer.before_marker(2, SOON).unwrap();
    }

    #[test]
    fn a_dropped_cable_is_gone_with_its_namespace() {
        let rig = rig(1500);
        let path = rig.patch.far_end(End::A).0.path();
        drop(rig.patch);
        assert!(!path.exists());
        wait_until("the ends to go", SOON, || !link::exists(&rig.lab, "a")).unwrap();
    }
}
