//! A connection that was let in: the socket, and what it may do until it speaks.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use tonic::transport::server::Connected;

use crate::table::Place;

/// Length of the connection preface, `PRI * HTTP/2.0` and so on (RFC 9113 section 3.4). Whether the
/// bytes are right is for HTTP/2 to say, which ends the connection when they are not.
const PREFACE_BYTES: usize = 24;

/// A connection that has a place. Reading fails once it may not stay.
#[derive(Debug)]
pub struct Connection<S> {
    // Field order is drop order: the descriptor is free before its place is.
    io: S,
    place: Place,
    silence: Option<Silence>,
}

/// What is known of a connection that does not speak yet.
#[derive(Debug)]
struct Silence {
    received_bytes: usize,
    deadline: Pin<Box<Sleep>>,
}

impl<S> Connection<S> {
    pub(crate) fn new(io: S, place: Place, silence_max: Duration) -> Self {
        let deadline = Box::pin(tokio::time::sleep(silence_max));
        Self { io, place, silence: Some(Silence { received_bytes: 0, deadline }) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(silence) = &mut this.silence else {
            return Pin::new(&mut this.io).poll_read(cx, buf);
        };
        let sent_away = || Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        if !this.place.may_stay(cx) {
            return sent_away();
        }
        if silence.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        silence.received_bytes += buf.filled().len() - before;
        if silence.received_bytes >= PREFACE_BYTES {
            if !this.place.speak() {
                return sent_away();
            }
            this.silence = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

impl<S: Connected> Connected for Connection<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.io.connect_info()
    }
}
