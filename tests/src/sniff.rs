//! What passes an interface, seen from its namespace.
//!
//! *Invariants*
//! 1. Once [`Sniffer::start`] has returned, no later frame is missed unless the kernel's buffer
//!    (4 MiB) overflows; the sniffer's thread does nothing but empty it.
//! 2. Frames have their tags in place ([`crate::packet`]).
//!
//! To show that a frame does *not* arrive, send it, then a [`crate::frames::Frame::marker`] that
//! must arrive by the same path, and look at what came before it: [`Sniffer::before_marker`].

use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::error::{LabError, Result};
use crate::frames::{Header, marker_of};
use crate::netns::Namespace;
use crate::packet::{Direction, Hear, PacketSocket};
use crate::wait::wait_for;

/// A frame that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// In or out, seen from the interface that is sniffed.
    pub direction: Direction,
    /// The frame from the destination address on, tags in place, without check sequence.
    pub bytes: Vec<u8>,
}

impl Captured {
    /// Its header; `None` for a runt.
    pub fn header(&self) -> Option<Header> {
        Header::read(&self.bytes)
    }
}

/// A capture that runs until it is dropped.
#[derive(Debug)]
pub struct Sniffer {
    place: String,
    frames: Arc<Mutex<Vec<Captured>>>,
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl Sniffer {
    /// Starts to capture the frames that come in by an interface.
    ///
    /// # Errors
    /// As [`PacketSocket::open`].
    pub fn start(namespace: &Namespace, interface: &str) -> Result<Self> {
        Self::start_hearing(namespace, interface, Hear::Incoming)
    }

    /// Starts to capture, with or without the frames that the namespace itself sends.
    ///
    /// # Errors
    /// As [`PacketSocket::open`].
    pub fn start_hearing(namespace: &Namespace, interface: &str, hear: Hear) -> Result<Self> {
        let mut socket = PacketSocket::open(namespace, interface, hear)?;
        let stop = Arc::new(
            EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
                .map_err(LabError::errno("cannot make an eventfd"))?,
        );
        let frames = Arc::new(Mutex::new(Vec::new()));
        let thread = {
            let (frames, stop) = (Arc::clone(&frames), Arc::clone(&stop));
            thread::spawn(move || capture(&mut socket, &stop, &frames))
        };
        let place = format!("{interface} in {}", namespace.name());
        Ok(Self { place, frames, stop, thread: Some(thread) })
    }

    /// All frames so far.
    pub fn frames(&self) -> Vec<Captured> {
        self.lock().clone()
    }

    /// How many frames so far satisfy `filter`.
    pub fn count(&self, filter: impl Fn(&[u8]) -> bool) -> usize {
        self.lock().iter().filter(|frame| filter(&frame.bytes)).count()
    }

    /// Forgets the frames so far.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Waits until `count` frames that satisfy `filter` have passed, and gives these.
    ///
    /// # Errors
    /// [`LabError::Timeout`], which says how many were there.
    pub fn wait_count(
        &self,
        count: usize,
        deadline: Duration,
        filter: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<Captured>> {
        let what = format!("{count} frames on {}", self.place);
        crate::wait::wait_for_ok(what, deadline, || {
            let frames = self.lock();
            let found: Vec<_> =
                frames.iter().filter(|frame| filter(&frame.bytes)).cloned().collect();
            if found.len() >= count {
                return Ok(found);
            }
            Err(format!("{} of them, {} frames in all", found.len(), frames.len()))
        })
    }

    /// Waits for the marker with this number and gives every frame that came before it.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when the marker does not come.
    pub fn before_marker(&self, id: u64, deadline: Duration) -> Result<Vec<Captured>> {
        let what = format!("marker {id} on {}", self.place);
        wait_for(what, deadline, || {
            let frames = self.lock();
            let at = frames.iter().position(|frame| marker_of(&frame.bytes) == Some(id))?;
            Some(frames[..at].to_vec())
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Captured>> {
        // A list of frames is whole even when a thread panicked while it held the lock.
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Sniffer {
    fn drop(&mut self) {
        if let Err(errno) = self.stop.write(1) {
            eprintln!("lab: cannot stop the capture on {}: {errno}", self.place);
            return;
        }
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("lab: the capture on {} panicked", self.place);
        }
    }
}

/// Empties the socket until told to stop.
fn capture(socket: &mut PacketSocket, stop: &EventFd, frames: &Mutex<Vec<Captured>>) {
    loop {
        let mut fds = [
            PollFd::new(socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(stop.as_fd(), PollFlags::POLLIN),
        ];
        let ready = poll(&mut fds, PollTimeout::NONE);
        let stopped = fds[1].any().unwrap_or(true);
        if stopped || matches!(ready, Err(errno) if errno != nix::errno::Errno::EINTR) {
            return;
        }
        // An error (`ENETDOWN`) is reported once by the socket, and the interface may come back.
        while let Ok(Some((direction, frame))) = socket.receive() {
            let captured = Captured { direction, bytes: frame.to_vec() };
            frames.lock().unwrap_or_else(PoisonError::into_inner).push(captured);
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::MacAddr;

    use super::*;
    use crate::frames::Frame;
    use crate::inject::{Injected, Injector};
    use crate::link;
    use crate::wait::SOON;

    const A: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xa]);

    #[test]
    fn a_sniffer_sees_what_is_injected_in_order_and_a_marker_ends_the_look() {
        let a = Namespace::create("a").unwrap();
        let b = Namespace::create("b").unwrap();
        link::cable((&a, "eth0"), (&b, "eth0"), 1500).unwrap();
        let sniffer = Sniffer::start(&b, "eth0").unwrap();
        let injector = Injector::open(&a, "eth0").unwrap();
        let frames: Vec<_> =
            (0..500).map(|id| Frame::new(A, MacAddr::BROADCAST).marker(id)).collect();
        let too_long = vec![vec![0; 1600]];
        let injected = injector.send_all(frames.iter().chain(&too_long)).unwrap();
        assert_eq!(injected, Injected { sent: 500, refused: 1 });
        let before: Vec<_> =
            sniffer.before_marker(499, SOON).unwrap().into_iter().map(|f| f.bytes).collect();
        assert_eq!(before, frames[..499]);
        assert_eq!(sniffer.count(|frame| marker_of(frame) == Some(7)), 1);
        sniffer.clear();
        let error = sniffer.wait_count(1, Duration::ZERO, |_| true).unwrap_err().to_string();
        assert!(error.contains("0 of them, 0 frames in all"), "{error}");
    }

    #[test]
    fn a_sniffer_goes_on_after_the_link_was_down() {
        let a = Namespace::create("a").unwrap();
        let b = Namespace::create("b").unwrap();
        link::cable((&a, "eth0"), (&b, "eth0"), 1500).unwrap();
        let sniffer = Sniffer::start(&b, "eth0").unwrap();
        let injector = Injector::open(&a, "eth0").unwrap();
        link::down(&b, "eth0").unwrap();
        link::up(&b, "eth0").unwrap();
        injector.send(&Frame::new(A, MacAddr::BROADCAST).marker(1)).unwrap();
        sniffer.before_marker(1, SOON).unwrap();
    }
}
