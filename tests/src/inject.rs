//! Raw frames sent into an interface, as whatever stands at that end of the cable would.

use std::io;

use crate::error::{LabError, Result};
use crate::netns::Namespace;
use crate::packet::{Hear, PacketSocket};

/// How many frames the kernel took and how many it would not send at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Injected {
    /// Frames that left by the interface.
    pub sent: u64,
    /// Frames longer than the MTU allows or shorter than an Ethernet header.
    pub refused: u64,
}

/// Sends frames by one interface of a namespace.
#[derive(Debug)]
pub struct Injector {
    socket: PacketSocket,
}

impl Injector {
    /// Opens the interface.
    ///
    /// # Errors
    /// As [`PacketSocket::open`].
    pub fn open(namespace: &Namespace, interface: &str) -> Result<Self> {
        Ok(Self { socket: PacketSocket::open(namespace, interface, Hear::Incoming)? })
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// As [`PacketSocket::send`], with the interface's name.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        self.socket.send(frame).map_err(self.failure(frame.len()))
    }

    /// Sends frames in order; those that no interface of this MTU could carry are counted.
    ///
    /// # Errors
    /// When the interface is down or gone.
    pub fn send_all<F: AsRef<[u8]>>(
        &self,
        frames: impl IntoIterator<Item = F>,
    ) -> Result<Injected> {
        let mut injected = Injected::default();
        for frame in frames {
            match self.socket.send(frame.as_ref()) {
                Ok(()) => injected.sent += 1,
                Err(error)
                    if matches!(error.raw_os_error(), Some(libc::EMSGSIZE | libc::EINVAL)) =>
                {
                    injected.refused += 1;
                }
                Err(error) => return Err(self.failure(frame.as_ref().len())(error)),
            }
        }
        Ok(injected)
    }

    fn failure(&self, len: usize) -> impl FnOnce(io::Error) -> LabError {
        LabError::io(format!("cannot send {len} bytes by {}", self.socket.interface()))
    }
}
