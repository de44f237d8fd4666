//! A dumb repeater in user space: what comes in by one port goes out by all others.
//!
//! *Where it sits:* upstream of hosts, in place of [`crate::switch`], where a test asks what they
//! do with copies of their own frames: two uplinks of a host at one repeater are a loop.
//!
//! *Invariants*
//! 1. It knows no addresses, no VLANs and no protocols: every frame is repeated, LACPDUs, BPDUs and
//!    PAUSE included, tags in place.
//! 2. It has a fuse: after so many frames it repeats no more, so that a loop around it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::{LabError, Result};
use crate::link;
use crate::netns::Namespace;
use crate::packet::{Hear, PacketSocket};
use crate::pump::{Pump, Wiring};

/// Frames of one port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HubCounters {
    /// Frames that came in.
    pub received: u64,
    /// Copies that went out.
    pub sent: u64,
    /// Copies that the interface did not take: link down, longer than its MTU.
    pub send_errors: u64,
}

#[derive(Debug, Default)]
struct Port {
    received: AtomicU64,
    sent: AtomicU64,
    send_errors: AtomicU64,
}

/// What the thread and the owner share.
#[derive(Debug)]
struct Copper {
    ports: Vec<Port>,
    /// Frames that may still be repeated.
    fuse: AtomicU64,
    blown: AtomicBool,
}

impl Wiring for Copper {
    fn pass(&self, from: usize, _frame: &[u8], send: &mut dyn FnMut(usize) -> bool) {
        self.ports[from].received.fetch_add(1, Ordering::Relaxed);
        let burn = |left: u64| left.checked_sub(1);
        if self.fuse.fetch_update(Ordering::Relaxed, Ordering::Relaxed, burn).is_err() {
            self.blown.store(true, Ordering::Relaxed);
            return;
        }
        for (to, port) in self.ports.iter().enumerate().filter(|(to, _)| *to != from) {
            let counter = if send(to) { &port.sent } else { &port.send_errors };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A running repeater; it stops on drop.
#[derive(Debug)]
pub struct Hub {
    _pump: Pump,
    names: Vec<String>,
    copper: Arc<Copper>,
}

impl Hub {
    /// Starts to repeat between interfaces of a namespace, whose offloads are turned off; after
    /// `fuse` frames it repeats no more.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn start(namespace: &Namespace, ports: &[&str], fuse: u64) -> Result<Self> {
        let mut sockets = Vec::new();
        for port in ports {
            link::offloads_off(namespace, port)?;
            sockets.push(PacketSocket::open(namespace, port, Hear::Incoming)?);
        }
        let copper = Arc::new(Copper {
            ports: ports.iter().map(|_| Port::default()).collect(),
            fuse: AtomicU64::new(fuse),
            blown: AtomicBool::new(false),
        });
        let names = ports.iter().map(|&port| port.to_owned()).collect();
        Ok(Self { _pump: Pump::start(sockets, Arc::clone(&copper))?, names, copper })
    }

    /// Names of the ports.
    pub fn ports(&self) -> &[String] {
        &self.names
    }

    /// Counters of a port.
    ///
    /// # Errors
    /// [`LabError::Unknown`] when there is no such port.
    pub fn counters(&self, port: &str) -> Result<HubCounters> {
        let index = self.names.iter().position(|name| name == port);
        let port =
            index.map(|index| &self.copper.ports[index]).ok_or_else(|| LabError::Unknown {
                kind: "port of the repeater",
                name: port.to_owned(),
                known: self.names.join(", "),
            })?;
        Ok(HubCounters {
            received: port.received.load(Ordering::Relaxed),
            sent: port.sent.load(Ordering::Relaxed),
            send_errors: port.send_errors.load(Ordering::Relaxed),
        })
    }

    /// Frames that came in by all ports.
    pub fn received(&self) -> u64 {
        self.copper.ports.iter().map(|port| port.received.load(Ordering::Relaxed)).sum()
    }

    /// Whether the fuse has blown: there was a loop, or the test sent more than it said.
    pub fn blown(&self) -> bool {
        self.copper.blown.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use proto::{MacAddr, VlanId};

    use super::*;
    use crate::frames::{Frame, control};
    use crate::inject::Injector;
    use crate::sniff::Sniffer;
    use crate::wait::{SOON, wait_until};

    const A: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xa]);

    /// A namespace with the ports `p0`, `p1`, ... and their far ends `e0`, `e1`, ...
    fn cables(count: usize) -> Namespace {
        let namespace = Namespace::create("hub").unwrap();
        for n in 0..count {
            let (near, far) = (format!("p{n}"), format!("e{n}"));
            link::cable((&namespace, &near), (&namespace, &far), 1500).unwrap();
        }
        namespace
    }

    #[test]
    fn a_frame_goes_out_by_all_other_ports_and_by_no_other() {
        let lab = cables(3);
        let hub = Hub::start(&lab, &["p0", "p1", "p2"], 100).unwrap();
        let sniffers = [0, 1, 2].map(|n| Sniffer::start(&lab, &format!("e{n}")).unwrap());
        let vlan = VlanId::new(10_u16).unwrap();
        let frames = [
            Frame::new(A, MacAddr::BROADCAST).vlan(vlan).marker(1),
            control::lacp(A),
            control::pause(A),
        ];
        for frame in &frames {
            Injector::open(&lab, "e0").unwrap().send(frame).unwrap();
        }
        for sniffer in &sniffers[1..] {
            let seen = sniffer.wait_count(frames.len(), SOON, |_| true).unwrap();
            assert!(seen.iter().map(|frame| &frame.bytes).eq(&frames));
        }
        // Nothing came back: what comes now by the same way is the first that port 0 sees.
        Injector::open(&lab, "e1").unwrap().send(&frames[0]).unwrap();
        assert!(sniffers[0].before_marker(1, SOON).unwrap().is_empty());
        let counters = |port| hub.counters(port).unwrap();
        wait_until("all counted", SOON, || counters("p2").sent == 4).unwrap();
        assert_eq!(counters("p0"), HubCounters { received: 3, sent: 1, send_errors: 0 });
        assert_eq!(counters("p1"), HubCounters { received: 1, sent: 3, send_errors: 0 });
        assert_eq!((hub.received(), hub.blown()), (4, false));
        assert!(hub.counters("p7").is_err());
    }

    #[test]
    fn a_loop_blows_the_fuse() {
        let lab = cables(3);
        // Two repeaters with two cables between them, and no port for anybody else but `p0`.
        link::delete(&lab, "p2").unwrap();
        link::cable((&lab, "p2"), (&lab, "q2"), 1500).unwrap();
        link::cable((&lab, "p3"), (&lab, "q3"), 1500).unwrap();
        let one = Hub::start(&lab, &["p0", "p2", "p3"], 500).unwrap();
        let two = Hub::start(&lab, &["q2", "q3"], u64::MAX).unwrap();
        let echo = Sniffer::start(&lab, "e0").unwrap();
        Injector::open(&lab, "e0").unwrap().send(&Frame::new(A, A).marker(1)).unwrap();
        wait_until("the fuse", SOON, || one.blown()).unwrap();
        assert!(one.received() > 500);
        assert!(!two.blown() && two.received() >= 500);
        // All but the first came back to where it came from.
        assert_eq!(echo.wait_count(499, SOON, |_| true).unwrap().len(), 499);
    }
}
