//! The receiving socket of a stream: datagrams with the time at which the kernel received them.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;

use super::{Clock, nanoseconds};

/// Receive buffer: more than a second of small datagrams at 20,000 a second, so that a busy machine
/// loses none.
const RECEIVE_BUFFER_BYTES: usize = 32 << 20;

/// What is read of a datagram.
const DATAGRAM_LEN_MAX: usize = 2048;

pub(super) struct Receiver {
    socket: UdpSocket,
    clock: Clock,
    buffer: Vec<u8>,
    control: Vec<u8>,
}

impl Receiver {
    pub(super) fn bind(address: SocketAddr, clock: Clock) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER_BYTES)?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        let control = nix::cmsg_space!(TimeSpec);
        Ok(Self { socket, clock, buffer: vec![0; DATAGRAM_LEN_MAX], control })
    }

    /// The next datagram and when it arrived, in nanoseconds of the stream's clock; `None` when
    /// none is waiting.
    pub(super) fn receive(&mut self) -> io::Result<Option<(&[u8], u64)>> {
        let (length, stamp) = loop {
            match self.receive_raw() {
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => {}
                other => break other?,
            }
        };
        let arrived_ns = match stamp {
            Some(stamp) => {
                nanoseconds(Duration::from(stamp)).saturating_sub(self.clock.epoch_real_ns)
            }
            None => return Err(io::Error::other("a datagram without a time stamp")),
        };
        Ok(Some((&self.buffer[..length], arrived_ns)))
    }

    fn receive_raw(&mut self) -> nix::Result<(usize, Option<TimeSpec>)> {
        let mut slices = [IoSliceMut::new(&mut self.buffer)];
        let fd = self.socket.as_raw_fd();
        let message = recvmsg::<()>(fd, &mut slices, Some(&mut self.control), MsgFlags::empty())?;
        let stamp = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(stamp) => Some(stamp),
            _ => None,
        });
        Ok((message.bytes, stamp))
    }
}
