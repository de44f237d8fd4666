//! The door with real sockets and tonic's server behind it.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_stream::StreamExt;

use super::*;

/// The preface of a client and its empty settings (RFC 9113 section 3.4).
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(10);

/// A silence that no test waits for.
const LONG: Duration = Duration::from_secs(3600);

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A server without a service; connections do as they would with one.
async fn serve(connections: usize, silence: Duration) -> SocketAddr {
    let (listener, address) = listen().await;
    let door = Door::new(listener, Limits { connections, silence });
    let router = transport().add_routes(tonic::service::Routes::default());
    tokio::spawn(router.serve_with_incoming(door));
    address
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// A client that has begun, and has the server's first frame: its settings.
async fn speak(address: SocketAddr) -> (TcpStream, Vec<u8>) {
    let mut client = connect(address).await;
    client.write_all(HELLO).await.unwrap();
    let mut head = [0; 9];
    client.read_exact(&mut head).await.unwrap();
    let mut settings = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
    client.read_exact(&mut settings).await.unwrap();
    (client, settings)
}

/// Reads until the server closes.
async fn wait_closed(client: &mut TcpStream) {
    let mut rest = Vec::new();
    match timeout(SOON, client.read_to_end(&mut rest)).await.expect("it is closed") {
        Ok(_) => {}
        Err(e) => assert_eq!(e.kind(), io::ErrorKind::ConnectionReset),
    }
}

/// The server's first frame is its settings: pairs of a number of 16 bits and a value of 32.
#[tokio::test]
async fn a_client_is_told_how_many_calls_it_may_have_open() {
    const MAX_CONCURRENT_STREAMS: [u8; 2] = [0, 3];
    let (_client, settings) = speak(serve(1, LONG).await).await;
    let wanted = [&MAX_CONCURRENT_STREAMS[..], &CALLS_MAX.to_be_bytes()].concat();
    assert!(settings.chunks(6).any(|setting| setting == wanted), "{settings:02x?}");
}

#[tokio::test]
async fn silence_ends_and_so_does_a_preface_in_drops() {
    let silence = Duration::from_millis(300);
    let address = serve(8, silence).await;
    let start = Instant::now();
    let (mut silent, mut dripping) = (connect(address).await, connect(address).await);
    dripping.write_all(&HELLO[..12]).await.unwrap();
    let (mut speaking, _) = speak(address).await;
    wait_closed(&mut silent).await;
    assert!(start.elapsed() >= silence);
    wait_closed(&mut dripping).await;
    // Idle since before the others were closed, and still open: it has begun.
    speaking.write_all(b"\0\0\x08\x06\0\0\0\0\0pingpong").await.unwrap();
    let mut answers = Vec::new();
    while !answers.ends_with(b"pingpong") {
        let read = timeout(SOON, speaking.read_buf(&mut answers)).await.expect("an answer");
        assert_ne!(read.unwrap(), 0, "closed after {answers:02x?}");
    }
}

#[tokio::test]
async fn silent_connections_keep_nobody_out() {
    let address = serve(2, LONG).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(connect(address).await);
    }
    // Among them as after them.
    let _served = timeout(SOON, speak(address)).await.expect("served");
    for client in &mut silent[..18] {
        wait_closed(client).await;
    }
    let _served_too = timeout(SOON, speak(address)).await.expect("served");
    for client in &mut silent[18..] {
        wait_closed(client).await;
    }
}

#[tokio::test]
async fn who_speaks_stays_and_the_excess_is_closed_at_once() {
    let address = serve(2, LONG).await;
    let mut speaking = [speak(address).await.0, speak(address).await.0];
    for _ in 0..5 {
        wait_closed(&mut connect(address).await).await;
    }
    for client in &mut speaking {
        let more = timeout(Duration::from_millis(10), client.read_to_end(&mut Vec::new())).await;
        assert!(more.is_err(), "it was closed");
    }
    let [first, second] = speaking;
    drop(first);
    // The server learns of it in its own time.
    let served = async {
        loop {
            let mut client = connect(address).await;
            // Written to a closed connection: then it is read as closed.
            client.write_all(HELLO).await.ok();
            if client.read_exact(&mut [0; 9]).await.is_ok() {
                return;
            }
        }
    };
    timeout(SOON, served).await.expect("the place is free again");
    drop(second);
}

/// A listener that is always ready and has no descriptor, for a while.
struct Exhausted {
    tries: Rc<Cell<u32>>,
    healed_after: u32,
    listener: TcpListener,
}

impl Listener for Exhausted {
    type Io = TcpStream;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<TcpStream>> {
        self.tries.set(self.tries.get() + 1);
        if self.tries.get() <= self.healed_after {
            return Poll::Ready(Err(io::Error::from_raw_os_error(nix::libc::EMFILE)));
        }
        Listener::poll_accept(&self.listener, cx)
    }
}

#[tokio::test]
async fn a_failed_accept_is_followed_by_a_rest_and_then_by_service() {
    let (listener, address) = listen().await;
    let tries = Rc::new(Cell::new(0));
    let exhausted = Exhausted { tries: tries.clone(), healed_after: 3, listener };
    let mut door = Door::new(exhausted, Limits { connections: 1, silence: LONG });
    let _client = connect(address).await;
    let start = Instant::now();
    let admitted = timeout(SOON, door.next()).await.expect("it heals").expect("no end");
    admitted.expect("no error");
    assert!(start.elapsed() >= 3 * door::PAUSE, "{:?}", start.elapsed());
    assert!(tries.get() <= 6, "tried {} times", tries.get());
}
