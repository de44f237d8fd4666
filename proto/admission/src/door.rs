//! The stream of connections that a listening socket lets in.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::{Instant, Sleep};
use tokio_stream::Stream;
use tonic::transport::server::Connected;
use tracing::warn;

use crate::connection::Connection;
use crate::limits::Limits;
use crate::table::{Admission, Places};

/// Rest after accept(2) has failed. What it lacked, a descriptor or memory, is not there at once
/// either, and the listening socket stays ready: without a rest this would be a busy loop.
pub(crate) const PAUSE: Duration = Duration::from_millis(200);

/// How often refusals and failures are spoken of.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// A socket that listens.
pub trait Listener: Unpin {
    /// Its connections.
    type Io: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static;

    /// Takes the next connection.
    ///
    /// # Errors
    /// What accept(2) says.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Self::Io>>;
}

impl Listener for TcpListener {
    type Io = TcpStream;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<TcpStream>> {
        let (stream, _) = ready!(Self::poll_accept(self, cx))?;
        // Messages are whole when they are written: nothing is worth waiting for. A socket that
        // refuses is slower, and no reason to turn its peer away.
        stream.set_nodelay(true).ok();
        Poll::Ready(Ok(stream))
    }
}

impl Listener for UnixListener {
    type Io = UnixStream;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<UnixStream>> {
        Self::poll_accept(self, cx).map_ok(|(stream, _)| stream)
    }
}

/// A listener with limits: the `incoming` of tonic's server. It never ends and never fails.
#[derive(Debug)]
pub struct Door<L: Listener> {
    listener: L,
    limits: Limits,
    places: Places,
    /// Accepted, and waits until somebody has left.
    newcomer: Option<L::Io>,
    pause: Option<Pin<Box<Sleep>>>,
    /// Nothing is said before.
    next_warning: Instant,
}

impl<L: Listener> Door<L> {
    /// Puts limits on a listener.
    pub fn new(listener: L, limits: Limits) -> Self {
        Self {
            listener,
            limits,
            places: Places::new(limits.connections),
            newcomer: None,
            pause: None,
            next_warning: Instant::now(),
        }
    }

    fn warn(&mut self, what: impl FnOnce(Limits) -> String) {
        let now = Instant::now();
        if now >= self.next_warning {
            self.next_warning = now + WARNING_INTERVAL;
            warn!("{}", what(self.limits));
        }
    }
}

impl<L: Listener> Stream for Door<L> {
    type Item = io::Result<Connection<L::Io>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(pause) = &mut this.pause {
                ready!(pause.as_mut().poll(cx));
                this.pause = None;
            }
            if let Some(io) = this.newcomer.take() {
                match this.places.ask(cx) {
                    Admission::Admitted(place) => {
                        let connection = Connection::new(io, place, this.limits.silence);
                        return Poll::Ready(Some(Ok(connection)));
                    }
                    Admission::Wait => {
                        this.newcomer = Some(io);
                        return Poll::Pending;
                    }
                    Admission::Refused => this.warn(|limits| {
                        format!("a connection is refused, {} are open", limits.connections)
                    }),
                }
            }
            match ready!(this.listener.poll_accept(cx)) {
                Ok(io) => this.newcomer = Some(io),
                Err(e) => {
                    this.warn(|_| format!("cannot accept a connection: {e}"));
                    this.pause = Some(Box::pin(tokio::time::sleep(PAUSE)));
                }
            }
        }
    }
}
