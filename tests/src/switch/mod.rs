//! The physical switch upstream of the hosts: a small VLAN-aware learning switch on packet sockets.
//!
//! *Why in user space:* the kernel's bridge filters VLANs only when the kernel was built with
//! 802.1Q support, which the lab does not ask for; and a test wants to see what the switch saw
//! (moved addresses, BPDUs) and to change its ports at any moment.
//!
//! *Where it sits:* one thread for each `switch` node of a [`crate::lab::Lab`]. The rules are in
//! [`bridge`]; here are sockets, the thread and the spanning tree's hello.
//!
//! *Not here:* spanning tree's state machines. With STP on it announces itself as root every two
//! seconds on every port and consumes BPDUs; it blocks no port, so do not wire loops.

pub mod bridge;

use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use proto::{MacAddr, VlanId};

pub use bridge::{PortCounters, PortMode};

use crate::error::{LabError, Result};
use crate::frames::control;
use crate::netns::Namespace;
use crate::packet::{Hear, PacketSocket};
use bridge::{Bridge, Output};

/// Hello time of spanning tree (IEEE 802.1D-2004 table 17-1).
const HELLO_TIME: Duration = Duration::from_secs(2);

/// Source of the switch's own frames: locally administered.
const BRIDGE_MAC: MacAddr = MacAddr::new([0x02, 0x77, 0x65, 0x66, 0x74, 0x01]);

/// Frames taken from one port before the others get their turn.
const TURN_FRAMES: usize = 64;

/// A running switch; it stops on drop.
#[derive(Debug)]
pub struct PhysicalSwitch {
    names: Vec<String>,
    bridge: Arc<Mutex<Bridge>>,
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl PhysicalSwitch {
    /// Starts a switch on interfaces of a namespace, each named with its mode.
    ///
    /// # Errors
    /// As [`PacketSocket::open`].
    pub fn start(
        namespace: &Namespace,
        ports: impl IntoIterator<Item = (String, PortMode)>,
        stp: bool,
    ) -> Result<Self> {
        let mut bridge = Bridge::new(stp);
        let mut sockets = Vec::new();
        let mut names = Vec::new();
        for (name, mode) in ports {
            sockets.push(PacketSocket::open(namespace, &name, Hear::Incoming)?);
            bridge.add_port(mode);
            names.push(name);
        }
        let bridge = Arc::new(Mutex::new(bridge));
        let stop = Arc::new(
            EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
                .map_err(LabError::errno("cannot make an eventfd"))?,
        );
        let thread = {
            let (bridge, stop) = (Arc::clone(&bridge), Arc::clone(&stop));
            thread::spawn(move || run(&mut sockets, &bridge, &stop))
        };
        Ok(Self { names, bridge, stop, thread: Some(thread) })
    }

    /// Names of the ports, in the order of their indices.
    pub fn ports(&self) -> &[String] {
        &self.names
    }

    /// Counters of a port.
    ///
    /// # Errors
    /// [`LabError::Unknown`] when there is no such port; so the functions below.
    pub fn counters(&self, port: &str) -> Result<PortCounters> {
        Ok(self.lock().counters(self.index(port)?))
    }

    /// Changes the VLANs of a port.
    pub fn set_mode(&self, port: &str, mode: PortMode) -> Result<()> {
        self.lock().set_mode(self.index(port)?, mode);
        Ok(())
    }

    /// Turns spanning tree on or off; hellos begin or end within two seconds.
    pub fn set_stp(&self, on: bool) {
        self.lock().set_stp(on);
    }

    /// Name of the port where an address was last seen.
    pub fn lookup(&self, vlan: VlanId, mac: MacAddr) -> Option<String> {
        self.lock().lookup(vlan, mac).map(|port| self.names[port].clone())
    }

    /// How often an address was seen on another port than before.
    pub fn moves(&self) -> u64 {
        self.lock().moves()
    }

    fn index(&self, port: &str) -> Result<usize> {
        self.names.iter().position(|name| name == port).ok_or_else(|| LabError::Unknown {
            kind: "switch port",
            name: port.to_owned(),
            known: self.names.join(", "),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Bridge> {
        lock(&self.bridge)
    }
}

impl Drop for PhysicalSwitch {
    fn drop(&mut self) {
        if let Err(errno) = self.stop.write(1) {
            eprintln!("lab: cannot stop a physical switch: {errno}");
            return;
        }
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("lab: a physical switch panicked");
        }
    }
}

fn lock(bridge: &Mutex<Bridge>) -> MutexGuard<'_, Bridge> {
    // Tables and counters have no state between two of their changes that could be half done.
    bridge.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread: receive, decide, send, until told to stop.
fn run(sockets: &mut [PacketSocket], bridge: &Mutex<Bridge>, stop: &EventFd) {
    let mut next_hello = Instant::now();
    loop {
        let Some(readable) = wait_readable(sockets, stop, next_hello) else { return };
        for port in readable {
            forward_turn(sockets, bridge, port);
        }
        if Instant::now() >= next_hello {
            next_hello += HELLO_TIME;
            if lock(bridge).stp() {
                let hello = control::rstp(BRIDGE_MAC);
                let outputs = (0..sockets.len()).map(|port| Output { port, frame: hello.clone() });
                send(sockets, bridge, outputs.collect());
            }
        }
    }
}

/// Ports with frames or errors waiting; empty when it is time for a hello, `None` to stop.
fn wait_readable(sockets: &[PacketSocket], stop: &EventFd, until: Instant) -> Option<Vec<usize>> {
    let mut fds: Vec<_> =
        sockets.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
    fds.push(PollFd::new(stop.as_fd(), PollFlags::POLLIN));
    let left = until.saturating_duration_since(Instant::now());
    let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    match poll(&mut fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(_) => return None,
    }
    if fds.pop()?.any().unwrap_or(true) {
        return None;
    }
    let ready = fds.iter().enumerate().filter(|(_, fd)| fd.any().unwrap_or(true));
    Some(ready.map(|(port, _)| port).collect())
}

fn forward_turn(sockets: &mut [PacketSocket], bridge: &Mutex<Bridge>, port: usize) {
    for _ in 0..TURN_FRAMES {
        let outputs = match sockets[port].receive() {
            Ok(Some((_, frame))) => lock(bridge).receive(port, frame),
            Ok(None) => return,
            Err(_) => {
                // The link went down: as any switch, forget who was behind it.
                lock(bridge).flush(port);
                return;
            }
        };
        send(sockets, bridge, outputs);
    }
}

fn send(sockets: &[PacketSocket], bridge: &Mutex<Bridge>, outputs: Vec<Output>) {
    for output in outputs {
        let sent = sockets[output.port].send(&output.frame).is_ok();
        lock(bridge).count_sent(output.port, sent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::Frame;
    use crate::inject::Injector;
    use crate::link;
    use crate::sniff::Sniffer;
    use crate::wait::{SOON, wait_until};

    const A: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xa]);
    const B: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xb]);

    struct Rig {
        switch: PhysicalSwitch,
        pc: Namespace,
        host: Namespace,
        namespace: Namespace,
    }

    /// A PC on access port `p1` (VLAN 10), a host on trunk port `p2` (VLANs 10, 20).
    fn rig(stp: bool) -> Rig {
        let namespace = Namespace::create("switch").unwrap();
        let pc = Namespace::create("pc").unwrap();
        let host = Namespace::create("host").unwrap();
        link::cable((&pc, "eth0"), (&namespace, "p1"), 9000).unwrap();
        link::cable((&host, "eth0"), (&namespace, "p2"), 9000).unwrap();
        let vlans: Vec<_> = [10_u16, 20].map(|vid| VlanId::new(vid).unwrap()).into();
        let trunk = PortMode::Trunk { allowed: vlans.iter().copied().collect(), native: None };
        let ports = [("p1".to_owned(), PortMode::Access(vlans[0])), ("p2".to_owned(), trunk)];
        let switch = PhysicalSwitch::start(&namespace, ports, stp).unwrap();
        Rig { switch, pc, host, namespace }
    }

    #[test]
    fn frames_cross_with_the_right_tag_also_jumbo() {
        let rig = rig(false);
        let host = Sniffer::start(&rig.host, "eth0").unwrap();
        let pc = Injector::open(&rig.pc, "eth0").unwrap();
        let vlan = VlanId::new(10_u16).unwrap();
        let jumbo = vec![7; 9000];
        pc.send(&Frame::new(A, B).payload(crate::frames::EXPERIMENTAL, &jumbo)).unwrap();
        let seen = host.wait_count(1, SOON, |_| true).unwrap();
        let expected = Frame::new(A, B).vlan(vlan).payload(crate::frames::EXPERIMENTAL, &jumbo);
        assert_eq!(seen[0].bytes, expected);
        assert_eq!(rig.switch.lookup(vlan, A).as_deref(), Some("p1"));
        assert_eq!((rig.switch.counters("p2").unwrap().sent, rig.switch.moves()), (1, 0));
    }

    #[test]
    fn a_lost_link_is_forgotten_and_comes_back() {
        let rig = rig(false);
        let vlan = VlanId::new(10_u16).unwrap();
        let pc = Injector::open(&rig.pc, "eth0").unwrap();
        let host = Sniffer::start(&rig.host, "eth0").unwrap();
        pc.send(&Frame::new(A, MacAddr::BROADCAST).marker(1)).unwrap();
        host.before_marker(1, SOON).unwrap();
        link::down(&rig.namespace, "p1").unwrap();
        wait_until("the address to be forgotten", SOON, || rig.switch.lookup(vlan, A).is_none())
            .unwrap();
        link::up(&rig.namespace, "p1").unwrap();
        pc.send(&Frame::new(A, MacAddr::BROADCAST).marker(2)).unwrap();
        host.before_marker(2, SOON).unwrap();
    }

    #[test]
    fn hellos_are_sent_while_spanning_tree_is_on() {
        let rig = rig(true);
        let pc = Sniffer::start(&rig.pc, "eth0").unwrap();
        let hello = control::rstp(BRIDGE_MAC);
        pc.wait_count(1, SOON, |frame| frame == hello).unwrap();
        assert_eq!(rig.switch.counters("p1").unwrap().bpdus_received, 0);
        assert!(rig.switch.counters("p9").is_err());
    }
}
