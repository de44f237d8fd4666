//! The thread of a device in user space that passes frames between packet sockets.
//!
//! *Where it sits:* under [`crate::patch`] and [`crate::hub`], which say where a frame goes.
//!
//! *Invariants*
//! 1. Frames that come in by one port leave in the order in which they came.
//! 2. A port has its turn after at most [`TURN_FRAMES`] frames of each of the others.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::error::{LabError, Result};
use crate::packet::PacketSocket;
use crate::priority::put_thread_ahead;

/// Frames taken from one port before the others get their turn.
const TURN_FRAMES: usize = 64;

/// What a device does with its frames. Ports are indices into the sockets that the pump was
/// started with.
pub(crate) trait Wiring: Send + Sync + 'static {
    /// Calls `send` with each port by which a frame goes out, never the one it came from. `send`
    /// says whether the interface took it: it does not when its link is down, or for a frame
    /// longer than its MTU.
    fn pass(&self, from: usize, frame: &[u8], send: &mut dyn FnMut(usize) -> bool);

    /// A port went down or vanished.
    fn port_down(&self, _port: usize) {}
}

/// A running device; it stops on drop.
#[derive(Debug)]
pub(crate) struct Pump {
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl Pump {
    pub(crate) fn start<W: Wiring>(mut ports: Vec<PacketSocket>, wiring: Arc<W>) -> Result<Self> {
        let stop = Arc::new(
            EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
                .map_err(LabError::errno("cannot make an eventfd"))?,
        );
        let thread = {
            let stop = Arc::clone(&stop);
            thread::spawn(move || run(&mut ports, &*wiring, &stop))
        };
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        if let Err(errno) = self.stop.write(1) {
            eprintln!("lab: cannot stop a device: {errno}");
            return;
        }
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("lab: a device panicked");
        }
    }
}

fn run(ports: &mut [PacketSocket], wiring: &impl Wiring, stop: &EventFd) {
    put_thread_ahead();
    let mut ready = vec![false; ports.len()];
    while wait_readable(ports, stop, &mut ready) {
        for (port, _) in ready.iter().enumerate().filter(|(_, ready)| **ready) {
            turn(ports, wiring, port);
        }
    }
}

/// Waits for frames or errors and marks the ports that have some; false to stop.
fn wait_readable(ports: &[PacketSocket], stop: &EventFd, ready: &mut [bool]) -> bool {
    let mut fds: Vec<_> =
        ports.iter().map(|port| PollFd::new(port.as_fd(), PollFlags::POLLIN)).collect();
    fds.push(PollFd::new(stop.as_fd(), PollFlags::POLLIN));
    match poll(&mut fds, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(_) => return false,
    }
    let Some((stop, fds)) = fds.split_last() else { return false };
    for (ready, fd) in ready.iter_mut().zip(fds) {
        *ready = fd.any().unwrap_or(true);
    }
    !stop.any().unwrap_or(true)
}

/// Takes a turn of frames from one port.
fn turn(ports: &mut [PacketSocket], wiring: &impl Wiring, from: usize) {
    // The frame lies in the buffer of its port while the others send it.
    let (before, rest) = ports.split_at_mut(from);
    let Some((source, after)) = rest.split_first_mut() else { return };
    for _ in 0..TURN_FRAMES {
        match source.receive() {
            Ok(Some((_, frame))) => wiring.pass(from, frame, &mut |to| {
                let port = before.get(to).or_else(|| after.get(to.checked_sub(from + 1)?));
                port.is_some_and(|port| port.send(frame).is_ok())
            }),
            Ok(None) => return,
            Err(_) => {
                wiring.port_down(from);
                return;
            }
        }
    }
}
