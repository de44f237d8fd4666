//! The wire between a NIC of the guest and an interface of the lab, in user space.
//!
//! *Where it sits:* one for each NIC of a [`super::Guest`]. On the guest's side it speaks to QEMU's
//! `dgram` network backend (one frame a datagram on Unix sockets), on the lab's side to a packet
//! socket on the interface, which is usually the far end of an uplink's cable.
//!
//! *Invariants*
//! 1. Frames are carried unchanged and in order, tags in place, up to the MTU of the interface.
//! 2. Each direction has a gate of its own ([`Pass`]), looked at for each frame.
//! 3. Frames for a guest that does not take them wait in the buffer of the packet socket (4 MiB);
//!    what it cannot hold is lost by the kernel, and all of it is after 200 ms, counted.
//!
//! *How fast:* an emulated guest takes and gives some 10,000 small frames a second, and bridges
//! 20,000, with a processor to itself; keep to a quarter of it where losses are counted.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::error::{LabError, Result};
use crate::gate::Gate;
pub use crate::gate::{Pass, WayCounters};
use crate::packet::{FRAME_LEN_MAX, PacketSocket};

/// How long a frame waits for a guest that does not take it.
const PATIENCE: Duration = Duration::from_millis(200);

/// Frames taken from one side before the other gets its turn.
const TURN_FRAMES: usize = 64;

/// A direction of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// From the lab into the guest.
    ToGuest,
    /// Out of the guest into the lab.
    FromGuest,
}

#[derive(Debug, Default)]
struct State {
    to_guest: Gate,
    from_guest: Gate,
}

/// A running wire; it stops on drop.
#[derive(Debug)]
pub(super) struct Relay {
    state: Arc<State>,
    stop: Arc<EventFd>,
    /// Gives its sockets back when it ends.
    thread: Option<JoinHandle<Ends>>,
}

/// The two ends of a wire: the socket that is connected to the guest's NIC, and the interface; with
/// `None` the frames of the guest are taken and thrown away.
#[derive(Debug)]
struct Ends {
    guest: UnixDatagram,
    interface: Option<PacketSocket>,
}

impl Relay {
    /// Starts to carry frames between an interface and a NIC of the guest, from `socket` to that
    /// of QEMU at `nic`.
    pub(super) fn start(
        socket: UnixDatagram,
        nic: &Path,
        interface: Option<PacketSocket>,
    ) -> Result<Self> {
        socket.set_nonblocking(true).map_err(LabError::io("cannot set up the socket of a NIC"))?;
        connect(&socket, nic)?;
        let state = Arc::new(State::default());
        let stop = stop_event()?;
        let thread = Some(spawn(Ends { guest: socket, interface }, &state, &stop));
        Ok(Self { state, stop, thread })
    }

    /// Plugs the wire into another interface, or into none; gates and counters stay.
    pub(super) fn plug(&mut self, interface: Option<PacketSocket>) -> Result<()> {
        self.change(|ends| {
            ends.interface = interface;
            Ok(())
        })
    }

    /// Connects to another QEMU at the same place; gates and counters stay.
    pub(super) fn reconnect(&mut self, nic: &Path) -> Result<()> {
        self.change(|ends| connect(&ends.guest, nic))
    }

    /// Stops, changes something about the ends, and goes on.
    fn change(&mut self, change: impl FnOnce(&mut Ends) -> Result<()>) -> Result<()> {
        let stop = stop_event()?;
        let mut ends = self
            .end()
            .ok_or_else(|| LabError::Unexpected("the relay of a NIC has ended".to_owned()))?;
        let changed = change(&mut ends);
        self.stop = stop;
        self.thread = Some(spawn(ends, &self.state, &self.stop));
        changed
    }

    pub(super) fn set(&self, way: Way, pass: Pass) {
        self.gate(way).set(pass);
    }

    pub(super) fn counters(&self, way: Way) -> WayCounters {
        self.gate(way).counters()
    }

    fn gate(&self, way: Way) -> &Gate {
        match way {
            Way::ToGuest => &self.state.to_guest,
            Way::FromGuest => &self.state.from_guest,
        }
    }

    /// Ends the thread; `None` when it had ended or panicked.
    fn end(&mut self) -> Option<Ends> {
        let thread = self.thread.take()?;
        if let Err(errno) = self.stop.write(1) {
            eprintln!("lab: cannot stop the relay of a guest's NIC: {errno}");
            return None;
        }
        thread.join().ok()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if self.thread.is_some() && self.end().is_none() {
            eprintln!("lab: the relay of a guest's NIC did not end well");
        }
    }
}

fn stop_event() -> Result<Arc<EventFd>> {
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    EventFd::from_flags(flags).map(Arc::new).map_err(LabError::errno("cannot make an eventfd"))
}

fn connect(socket: &UnixDatagram, nic: &Path) -> Result<()> {
    socket.connect(nic).map_err(LabError::io(format!("cannot connect to {}", nic.display())))
}

fn spawn(ends: Ends, state: &Arc<State>, stop: &Arc<EventFd>) -> JoinHandle<Ends> {
    let (state, stop) = (Arc::clone(state), Arc::clone(stop));
    let carrier = Carrier {
        ends,
        state,
        buffer: vec![0; FRAME_LEN_MAX],
        waiting: None,
        waiting_since: Instant::now(),
    };
    thread::spawn(move || carrier.run(&stop))
}

/// What the thread works with.
struct Carrier {
    ends: Ends,
    state: Arc<State>,
    buffer: Vec<u8>,
    /// The frame that the guest did not take yet.
    waiting: Option<Vec<u8>>,
    waiting_since: Instant,
}

impl Carrier {
    fn run(mut self, stop: &EventFd) -> Ends {
        while self.wait(stop) {
            self.carry_out();
            self.retry();
            if self.waiting.is_none() {
                self.carry_in();
            }
        }
        self.ends
    }

    /// Waits until there is something to do; false when it is to stop.
    fn wait(&self, stop: &EventFd) -> bool {
        let blocked = self.waiting.is_some();
        let toward_guest = if blocked { PollFlags::POLLOUT } else { PollFlags::empty() };
        let mut fds = vec![
            PollFd::new(stop.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.ends.guest.as_fd(), PollFlags::POLLIN | toward_guest),
        ];
        // While a frame waits, those behind it stay in the buffer of the packet socket.
        if let Some(interface) = self.ends.interface.as_ref().filter(|_| !blocked) {
            fds.push(PollFd::new(interface.as_fd(), PollFlags::POLLIN));
        }
        let patience = PATIENCE.saturating_sub(self.waiting_since.elapsed());
        let timeout = if blocked {
            PollTimeout::try_from(patience).unwrap_or(PollTimeout::ZERO)
        } else {
            PollTimeout::NONE
        };
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => !fds[0].any().unwrap_or(true),
            Err(_) => false,
        }
    }

    /// A turn of frames out of the guest.
    fn carry_out(&mut self) {
        let way = &self.state.from_guest;
        for _ in 0..TURN_FRAMES {
            // An error is that of a frame sent before (the guest is gone): it is not repeated.
            let Ok(length) = self.ends.guest.recv(&mut self.buffer) else { return };
            let frame = &self.buffer[..length];
            match &self.ends.interface {
                None => way.count_stopped(),
                Some(interface) if way.admits(frame) => way.count(interface.send(frame).is_ok()),
                Some(_) => {}
            }
        }
    }

    /// A turn of frames into the guest.
    fn carry_in(&mut self) {
        let way = &self.state.to_guest;
        let Some(interface) = &mut self.ends.interface else { return };
        for _ in 0..TURN_FRAMES {
            // An error (`ENETDOWN`) is reported once, and the interface may come back.
            let Ok(Some((_, frame))) = interface.receive() else { return };
            if !way.admits(frame) {
                continue;
            }
            match self.ends.guest.send(frame) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.waiting = Some(frame.to_vec());
                    self.waiting_since = Instant::now();
                    return;
                }
                result => way.count(result.is_ok()),
            }
        }
    }

    /// Offers the waiting frame again, and gives it up when it is too old.
    fn retry(&mut self) {
        let Some(frame) = self.waiting.take() else { return };
        match self.ends.guest.send(&frame) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if self.waiting_since.elapsed() < PATIENCE {
                    self.waiting = Some(frame);
                    return;
                }
                self.state.to_guest.count(false);
                self.drain();
            }
            result => self.state.to_guest.count(result.is_ok()),
        }
    }

    /// Loses what is in the buffer of the packet socket: it is older than the frame given up.
    fn drain(&mut self) {
        let Some(interface) = &mut self.ends.interface else { return };
        while let Ok(Some(_)) = interface.receive() {
            self.state.to_guest.count(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::MacAddr;

    use super::*;
    use crate::frames::{Frame, control};
    use crate::inject::Injector;
    use crate::link;
    use crate::netns::Namespace;
    use crate::packet::Hear;
    use crate::sniff::Sniffer;
    use crate::wait::{SOON, wait_for, wait_until};

    const A: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xa]);

    struct Rig {
        relay: Relay,
        guest: UnixDatagram,
        lab: Namespace,
        _dir: tempfile::TempDir,
    }

    impl Rig {
        /// `eth0` of the lab, a cable, the relay on its far end, and a socket in QEMU's place.
        fn new() -> Self {
            let lab = Namespace::create("relay").unwrap();
            link::cable((&lab, "eth0"), (&lab, "p0"), 1500).unwrap();
            let dir = tempfile::tempdir().unwrap();
            let nic = dir.path().join("nic.guest");
            let guest = UnixDatagram::bind(&nic).unwrap();
            let ours = UnixDatagram::bind(dir.path().join("nic.lab")).unwrap();
            guest.connect(dir.path().join("nic.lab")).unwrap();
            guest.set_nonblocking(true).unwrap();
            let relay = Relay::start(ours, &nic, Some(Self::end(&lab))).unwrap();
            Self { relay, guest, lab, _dir: dir }
        }

        fn end(lab: &Namespace) -> PacketSocket {
            PacketSocket::open(lab, "p0", Hear::Incoming).unwrap()
        }

        fn guest_receives(&self) -> Vec<u8> {
            let mut buffer = vec![0; 2000];
            wait_for("a frame in the guest", SOON, || {
                let length = self.guest.recv(&mut buffer).ok()?;
                Some(buffer[..length].to_vec())
            })
            .unwrap()
        }
    }

    fn data(id: u64) -> Vec<u8> {
        Frame::new(A, MacAddr::BROADCAST).vlan(proto::VlanId::new(10_u16).unwrap()).marker(id)
    }

    #[test]
    fn frames_cross_both_ways_with_their_tags() {
        let rig = Rig::new();
        let sniffer = Sniffer::start(&rig.lab, "eth0").unwrap();
        rig.guest.send(&data(1)).unwrap();
        assert_eq!(sniffer.wait_count(1, SOON, |_| true).unwrap()[0].bytes, data(1));
        Injector::open(&rig.lab, "eth0").unwrap().send(&data(2)).unwrap();
        assert_eq!(rig.guest_receives(), data(2));
        let one = WayCounters { carried: 1, ..WayCounters::default() };
        wait_until("both counted", SOON, || {
            rig.relay.counters(Way::ToGuest) == one && rig.relay.counters(Way::FromGuest) == one
        })
        .unwrap();
    }

    #[test]
    fn each_direction_has_its_own_gate() {
        let rig = Rig::new();
        let injector = Injector::open(&rig.lab, "eth0").unwrap();
        let slow = control::lacp(A);
        let cases = [
            (Pass::Nothing, vec![]),
            (Pass::OnlySlow, vec![slow.clone()]),
            (Pass::AllButSlow, vec![data(7)]),
            (Pass::All, vec![slow.clone(), data(7)]),
        ];
        let sniffer = Sniffer::start(&rig.lab, "eth0").unwrap();
        for (round, (pass, expected)) in cases.into_iter().enumerate() {
            rig.relay.set(Way::ToGuest, pass);
            injector.send(&slow).unwrap();
            injector.send(&data(7)).unwrap();
            let before = |counters: WayCounters| counters.carried + counters.stopped;
            wait_until("both seen", SOON, || {
                before(rig.relay.counters(Way::ToGuest)) == 3 * round as u64 + 2
            })
            .unwrap();
            rig.relay.set(Way::ToGuest, Pass::All);
            injector.send(&data(99)).unwrap();
            for frame in expected.iter().chain([&data(99)]) {
                assert_eq!(&rig.guest_receives(), frame, "{pass:?}");
            }
            // The other direction is not concerned.
            rig.guest.send(&data(round as u64)).unwrap();
            sniffer.wait_count(round + 1, SOON, |_| true).unwrap();
        }
        assert_eq!(rig.relay.counters(Way::FromGuest).stopped, 0);
    }

    #[test]
    fn a_wire_is_unplugged_and_plugged_again() {
        let mut rig = Rig::new();
        rig.relay.plug(None).unwrap();
        rig.guest.send(&data(1)).unwrap();
        let stopped = || rig.relay.counters(Way::FromGuest).stopped == 1;
        wait_until("the frame of an open end", SOON, stopped).unwrap();
        rig.relay.plug(Some(Rig::end(&rig.lab))).unwrap();
        let sniffer = Sniffer::start(&rig.lab, "eth0").unwrap();
        rig.guest.send(&data(2)).unwrap();
        assert_eq!(sniffer.wait_count(1, SOON, |_| true).unwrap()[0].bytes, data(2));
    }

    #[test]
    fn a_guest_that_takes_nothing_loses_frames_and_recovers() {
        let rig = Rig::new();
        let injector = Injector::open(&rig.lab, "eth0").unwrap();
        // More than the queue of a Unix socket in a new namespace or an old one takes.
        let sent = 2000;
        for id in 0..sent {
            injector.send(&data(id)).unwrap();
        }
        let lost = || rig.relay.counters(Way::ToGuest).lost > 0;
        wait_until("lost frames", SOON, lost).unwrap();
        let all = || {
            let counters = rig.relay.counters(Way::ToGuest);
            // What was taken by the socket of the guest counts as carried.
            counters.carried + counters.lost == sent
        };
        wait_until("an account of all", SOON, all).unwrap();
        let mut id = 0;
        while rig.guest_receives() == data(id) {
            id += 1;
            if id == rig.relay.counters(Way::ToGuest).carried {
                break;
            }
        }
        injector.send(&data(5000)).unwrap();
        assert_eq!(rig.guest_receives(), data(5000));
    }
}
