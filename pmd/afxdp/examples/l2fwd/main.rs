//! Forwards every frame between two interfaces, without a copy of its own.
//!
//! ```text
//! l2fwd IFNAME IFNAME [SECONDS]
//! ```
//!
//! Queue 0 of each interface is taken; give the interfaces one queue, or steer their traffic. The
//! XDP programs go when the program ends, also on Ctrl-C.

use std::error::Error;
use std::fs;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use afxdp::{Desc, Region, Socket, SocketBuilder, Umem, UmemConfig};

mod xdp;

/// Chunks a port receives into, and as many that may wait to be transmitted.
const CHUNKS_PER_PORT: usize = 4096;
/// Frames moved at a time.
const BURST: u32 = 64;

struct Port {
    name: String,
    umem: Umem,
    socket: Socket,
    forwarded: u64,
    dropped: u64,
    _program: xdp::Redirect,
}

impl Port {
    /// Registers the common memory with an interface and takes its queue 0.
    fn open(name: &str, region: &Arc<Region>) -> Result<Self, Box<dyn Error>> {
        let ifindex = fs::read_to_string(format!("/sys/class/net/{name}/ifindex"))
            .map_err(|e| format!("no interface {name}: {e}"))?
            .trim()
            .parse()?;
        let umem = Umem::new(region.clone(), UmemConfig::default())?;
        let socket = SocketBuilder::new(ifindex, 0).bind(&umem)?;
        let program = xdp::Redirect::attach(ifindex, 1)?;
        program.insert(0, socket.as_fd())?;
        println!("{name}: {} mode", socket.control.mode());
        let name = name.to_owned();
        Ok(Self { name, umem, socket, forwarded: 0, dropped: 0, _program: program })
    }
}

/// Moves one burst from `from` to `to`; says whether there was anything.
fn forward(from: &mut Port, to: &mut Port, free: &mut Vec<u64>) -> Result<bool, afxdp::Error> {
    let umem = &to.umem;
    // A frame that finds no room is dropped here rather than left in the receive ring, where it
    // would hold back the frames behind it.
    let mut received = from.socket.rx.drain(BURST);
    let had_frames = received.len() > 0;
    let frames = received.by_ref().map(|desc| Desc::new(desc.addr, desc.len));
    from.forwarded += u64::from(to.socket.tx.produce(frames));
    for desc in received {
        free.push(umem.chunk_of(desc.addr));
        from.dropped += 1;
    }
    to.socket.tx.wake()?;
    to.socket.completion.consume(u32::MAX, |addr| free.push(umem.chunk_of(addr)));
    from.socket.fill.produce(std::iter::from_fn(|| free.pop()));
    from.socket.fill.wake()?;
    Ok(had_frames)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (left, right, seconds) = match arguments.as_slice() {
        [left, right] => (left, right, u64::MAX),
        [left, right, seconds] => (left, right, seconds.parse()?),
        _ => return Err("usage: l2fwd IFNAME IFNAME [SECONDS]".into()),
    };
    if let Err(e) = afxdp::raise_memlock_limit() {
        println!("limit of locked memory stays as it is: {e}");
    }
    let region = Arc::new(Region::new(2 * CHUNKS_PER_PORT * 2048)?);
    let mut left = Port::open(left, &region)?;
    let mut right = Port::open(right, &region)?;

    // Half of the chunks to each port at first; afterwards they go wherever frames go.
    let mut free: Vec<u64> = left.umem.chunks().collect();
    for port in [&mut left, &mut right] {
        port.socket.fill.produce(std::iter::from_fn(|| free.pop()).take(CHUNKS_PER_PORT / 2));
    }
    let started = Instant::now();
    while started.elapsed().as_secs() < seconds {
        let busy =
            forward(&mut left, &mut right, &mut free)? | forward(&mut right, &mut left, &mut free)?;
        if !busy {
            afxdp::wait(&[left.socket.as_fd(), right.socket.as_fd()], Duration::from_millis(100))?;
            left.socket.control.check()?;
            right.socket.control.check()?;
        }
    }
    for port in [&left, &right] {
        println!("{}: {} forwarded, {} dropped", port.name, port.forwarded, port.dropped);
        println!("{}: {:?}", port.name, port.socket.control.statistics()?);
    }
    Ok(())
}
