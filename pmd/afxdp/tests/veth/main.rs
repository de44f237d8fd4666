//! AF_XDP on real veth pairs, in namespaces made here. Needs root, and says so.
//!
//! What a veth cannot show: zero-copy mode, and a driver that sleeps until it is woken.

use std::collections::HashSet;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use afxdp::{
    BindMode, BusyPoll, Desc, Error, Mode, Region, RingSizes, Socket, SocketBuilder, Umem,
    UmemConfig,
};

mod lab;
#[path = "../../examples/l2fwd/xdp.rs"]
mod xdp;

use lab::{DEADLINE, Host, Lab, frame, ifindex, until};
use xdp::Redirect;

const CHUNKS: usize = 1024;
const RINGS: RingSizes = RingSizes { fill: 512, completion: 512, rx: 512, tx: 512 };

fn region() -> Arc<Region> {
    Arc::new(Region::new(CHUNKS * 2048).expect("memory"))
}

fn umem(region: &Arc<Region>) -> Umem {
    let config = UmemConfig { chunk_size: 2048, headroom: 64 };
    Umem::new(region.clone(), config).expect("umem")
}

/// One side of a forwarder: a socket on queue 0 of an interface that gets all of its frames.
struct Port {
    socket: Socket,
    umem: Umem,
    _program: Redirect,
}

impl Port {
    fn open(interface: &str, region: &Arc<Region>, multi_buffer: bool) -> Self {
        let umem = umem(region);
        let index = ifindex(interface);
        let socket = SocketBuilder::new(index, 0)
            .rings(RINGS)
            .multi_buffer(multi_buffer)
            .bind(&umem)
            .expect("bind");
        let program = Redirect::attach(index, 1).expect("XDP program");
        program.insert(0, socket.as_fd()).expect("XSKMAP");
        Self { socket, umem, _program: program }
    }
}

/// Offsets of the chunks that neither kernel nor rings have. Panics on one that comes twice.
struct Pool(Vec<u64>, HashSet<u64>);

impl Pool {
    fn new(umem: &Umem) -> Self {
        Self(umem.chunks().collect(), umem.chunks().collect())
    }

    fn take(&mut self) -> Option<u64> {
        let chunk = self.0.pop()?;
        assert!(self.1.remove(&chunk));
        Some(chunk)
    }

    fn give(&mut self, chunk: u64) {
        assert!(self.1.insert(chunk), "chunk {chunk:#x} came back twice");
        self.0.push(chunk);
    }

    fn fill(&mut self, port: &mut Port, max: usize) {
        port.socket.fill.produce(std::iter::from_fn(|| self.take()).take(max));
        port.socket.fill.wake().expect("the interface is there");
    }

    fn complete(&mut self, port: &mut Port) {
        let umem = port.umem.clone();
        port.socket.completion.consume(u32::MAX, |addr| self.give(umem.chunk_of(addr)));
    }
}

/// Moves what has arrived at `from` on to `to`; says how many descriptors.
fn forward(from: &mut Port, to: &mut Port) -> u32 {
    let room = to.socket.tx.free();
    let umem = &to.umem;
    let frames = from.socket.rx.drain(room).inspect(|desc| {
        umem.check(*desc).expect("what the kernel received can be sent");
        assert!(desc.addr - umem.chunk_of(desc.addr) >= 256 + 64, "headroom of {desc:?}");
    });
    let count = to.socket.tx.produce(frames);
    to.socket.tx.wake().expect("the interface is there");
    count
}

/// Two ports over one memory, a host behind each.
struct Bridge {
    ports: [Port; 2],
    hosts: [Host; 2],
    pool: Pool,
}

impl Bridge {
    fn run(lab: &Lab, mtu: u32, multi_buffer: bool, body: impl FnOnce(Self) + Send) {
        lab.veth("swa", "pca", 1, mtu);
        lab.veth("swb", "pcb", 1, mtu);
        lab.run(|| {
            let region = region();
            let ports = ["swa", "swb"].map(|name| Port::open(name, &region, multi_buffer));
            let hosts = ["pca", "pcb"].map(Host::new);
            let pool = Pool::new(&ports[0].umem);
            body(Self { ports, hosts, pool });
        });
    }

    fn turn(&mut self) -> u32 {
        let [left, right] = &mut self.ports;
        for port in [&mut *left, &mut *right] {
            let missing = 256 - port.socket.fill.outstanding().min(256);
            self.pool.fill(port, missing as usize);
        }
        let moved = forward(left, right) + forward(right, left);
        self.pool.complete(left);
        self.pool.complete(right);
        moved
    }

    /// Sends `frames` from one host and expects exactly them, in order, at the other.
    fn carry(&mut self, from: usize, frames: &[Vec<u8>]) {
        self.turn();
        for frame in frames {
            self.hosts[from].send(frame);
        }
        let mut arrived = Vec::new();
        until("all frames cross", || {
            self.turn();
            arrived.extend(std::iter::from_fn(|| self.hosts[1 - from].receive()));
            arrived.len() >= frames.len()
        });
        assert!(arrived == frames, "content or order differs");
    }

    /// All chunks are in the pool or wait in a fill ring.
    fn expect_all_chunks(&mut self) {
        until("every chunk comes back", || {
            self.turn();
            let filled: u32 =
                self.ports.iter_mut().map(|port| port.socket.fill.outstanding()).sum();
            self.pool.0.len() + filled as usize == CHUNKS
        });
    }
}

#[test]
fn frames_cross_both_ways_and_every_chunk_comes_back() {
    Bridge::run(&Lab::new(), 1500, false, |mut bridge| {
        for port in &bridge.ports {
            assert_eq!(port.socket.control.mode(), Mode::Copy, "a veth copies");
        }
        // Three times as many frames as chunks, so that all of them go round.
        for round in 0..30 {
            let lens = (0..100).map(|n| 60 + (n as usize * 37 + round) % 1455);
            let frames: Vec<_> = (0..).zip(lens).map(|(n, len)| frame(n, len)).collect();
            bridge.carry(round % 2, &frames);
        }
        bridge.expect_all_chunks();
        for port in &bridge.ports {
            let statistics = port.socket.control.statistics().expect("statistics");
            assert_eq!(statistics.rx_dropped, 0, "{statistics:?}");
            assert_eq!(statistics.rx_ring_full, 0, "{statistics:?}");
            assert_eq!(statistics.rx_invalid_descs, 0, "{statistics:?}");
            assert_eq!(statistics.tx_invalid_descs, 0, "{statistics:?}");
        }
    });
}

#[test]
fn jumbo_frames_cross_in_several_descriptors() {
    Bridge::run(&Lab::new(), 9000, true, |mut bridge| {
        bridge.turn();
        bridge.hosts[0].send(&frame(7, 8000));
        let Bridge { ports: [left, _], pool, .. } = &mut bridge;
        let mut parts = Vec::new();
        until("a frame of 8000 bytes arrives", || {
            parts.extend(left.socket.rx.drain(64));
            parts.last().is_some_and(|last| !last.is_continued())
        });
        let (last, first) = parts.split_last().expect("not empty");
        assert!(first.len() >= 4 && first.iter().all(|part| part.is_continued()), "{parts:?}");
        assert!(!last.is_continued());
        assert_eq!(parts.iter().map(|part| part.len).sum::<u32>(), 8000);
        assert!(parts.iter().all(|part| part.len <= left.umem.receive_len_max()), "{parts:?}");
        for part in parts {
            pool.give(left.umem.chunk_of(part.addr));
        }

        for round in 0..10 {
            let frames: Vec<_> =
                (0..20).map(|n| frame(n, 60 + (n as usize * 997) % 8900)).collect();
            bridge.carry(round % 2, &frames);
        }
        bridge.expect_all_chunks();
    });
}

#[test]
fn wait_ends_when_a_frame_arrives() {
    Bridge::run(&Lab::new(), 1500, false, |mut bridge| {
        bridge.turn();
        let Bridge { ports: [left, right], hosts, .. } = &mut bridge;
        let sockets = [left.socket.as_fd(), right.socket.as_fd()];
        assert_eq!(afxdp::wait(&sockets, Duration::from_millis(1)).expect("poll"), 0);
        hosts[1].send(&frame(1, 60));
        let started = Instant::now();
        assert_eq!(afxdp::wait(&sockets, DEADLINE).expect("poll"), 1);
        assert!(started.elapsed() < DEADLINE);
        assert_eq!((left.socket.rx.available(), right.socket.rx.available()), (0, 1));
    });
}

#[test]
fn who_sleeps_on_a_socket_does_not_hear_of_what_it_sends() {
    let lab = Lab::new();
    lab.veth("sw", "pc", 1, 1500);
    lab.run(|| {
        let umem = umem(&region());
        let mut socket =
            SocketBuilder::new(ifindex("sw"), 0).rings(RINGS).bind(&umem).expect("bind");
        assert_eq!(socket.tx.free(), RINGS.tx, "there is room to send");
        let mut polled = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
        // SAFETY: the pointer is to one live structure.
        let ready = unsafe { libc::poll(&raw mut polled, 1, 0) };
        assert_eq!((ready, polled.revents), (0, 0), "what sends is another descriptor");
    });
}

#[test]
fn one_wake_sends_more_than_one_budget() {
    for budget in [None, Some(32)] {
        let lab = Lab::new();
        lab.veth("sw", "pc", 1, 1500);
        lab.run(|| {
            let (region, host) = (region(), Host::new("pc"));
            let umem = umem(&region);
            let mut builder = SocketBuilder::new(ifindex("sw"), 0).rings(RINGS);
            if let Some(budget) = budget {
                builder = builder.tx_budget(budget);
            }
            let mut socket = builder.bind(&umem).expect("bind");
            assert!((32..=512).contains(&socket.control.tx_budget()));
            assert_eq!(socket.tx.wake().expect("nothing to send"), 0);

            let frames: Vec<_> = (0..500).map(|n| frame(n, 60)).collect();
            for (chunk, frame) in umem.chunks().zip(&frames) {
                assert!(region.copy_in(chunk, frame));
            }
            let mut descs = umem.chunks().map(|chunk| Desc::new(chunk, 60)).take(500);
            assert_eq!(socket.tx.produce(&mut descs), 500);
            assert_eq!(socket.tx.outstanding(), 500);
            assert!(socket.tx.needs_wakeup(), "copy mode waits for a system call");
            assert_eq!(socket.tx.wake().expect("wake"), 0, "budget {budget:?}");
            assert_eq!(socket.tx.outstanding(), 0);

            let mut arrived = Vec::new();
            until("500 frames arrive", || {
                arrived.extend(std::iter::from_fn(|| host.receive()));
                arrived.len() >= 500
            });
            assert!(arrived == frames);
            let mut done = Vec::new();
            until("500 chunks complete", || {
                done.extend(socket.completion.drain(64));
                done.len() >= 500
            });
            done.sort_unstable();
            assert!(done.into_iter().eq(umem.chunks().take(500)));
        });
    }
}

#[test]
fn busy_polling_socket_sends() {
    let lab = Lab::new();
    lab.veth("sw", "pc", 1, 1500);
    lab.run(|| {
        let (region, host) = (region(), Host::new("pc"));
        let umem = umem(&region);
        let mut socket = SocketBuilder::new(ifindex("sw"), 0)
            .busy_poll(BusyPoll { timeout_us: 20, budget: 64 })
            .bind(&umem)
            .expect("bind");
        assert!(region.copy_in(2048, &frame(1, 90)));
        assert_eq!(socket.tx.produce([Desc::new(2048, 90)]), 1);
        assert_eq!(socket.tx.wake().expect("wake"), 0);
        socket.fill.wake().expect("wake");
        let mut got = None;
        until("the frame arrives", || {
            got = host.receive();
            got.is_some()
        });
        assert!(got == Some(frame(1, 90)));
    });
}

#[test]
fn queues_of_a_device_share_a_umem() {
    let lab = Lab::new();
    lab.veth("sw", "pc", 2, 1500);
    lab.veth("other", "pc2", 1, 1500);
    lab.run(|| {
        let (near_memory, far_memory) = (region(), region());
        let (near_umem, far_umem) = (umem(&near_memory), umem(&far_memory));
        let open = |name: &str, umem: &Umem, queue| {
            SocketBuilder::new(ifindex(name), queue).rings(RINGS).bind(umem).expect("bind")
        };
        let program = Redirect::attach(ifindex("sw"), 2).expect("XDP program");
        let mut near = [0, 1].map(|queue| open("sw", &near_umem, queue));
        let mut far = [0, 1].map(|queue| open("pc", &far_umem, queue));
        for (queue, socket) in (0..).zip(&near) {
            program.insert(queue, socket.as_fd()).expect("XSKMAP");
            assert_eq!(socket.control.queue_id(), queue);
        }
        let mut chunks = near_umem.chunks();
        for (queue, socket) in (0u32..).zip(&mut near) {
            assert_eq!(socket.fill.produce(chunks.by_ref().take(64)), 64, "queue {queue}");
        }
        // A veth keeps the queue: what is sent from queue n arrives at queue n.
        for (n, socket) in (0u32..).zip(&mut far) {
            let chunk = u64::from(n) * 2048;
            assert!(far_memory.copy_in(chunk, &frame(n, 100)));
            assert_eq!(socket.tx.produce([Desc::new(chunk, 100)]), 1);
            assert_eq!(socket.tx.wake().expect("wake"), 0);
        }
        for (n, socket) in (0u32..).zip(&mut near) {
            let mut got = None;
            until("each queue gets its frame", || {
                got = socket.rx.drain(1).next();
                got.is_some()
            });
            let desc = got.expect("just seen");
            let mut bytes = vec![0; desc.len as usize];
            assert!(near_memory.copy_out(desc.addr, &mut bytes));
            assert!(bytes == frame(n, 100), "queue {n}");
        }

        let bind = |name: &str, queue| SocketBuilder::new(ifindex(name), queue);
        let refused = |builder: SocketBuilder| builder.bind(&near_umem).expect_err("refused");
        assert!(matches!(refused(bind("sw", 1)), Error::QueueTaken { queue_id: 1, .. }));
        let elsewhere = refused(bind("other", 0));
        assert!(matches!(elsewhere, Error::UmemOfOtherDevice { .. }), "{elsewhere}");
        let [first, second] = near;
        // The first socket registered the memory; the second can stand in for it.
        drop(first);
        let zero_copy = refused(bind("sw", 0).mode(BindMode::ZeroCopy));
        assert!(matches!(zero_copy, Error::UmemMode { .. }), "{zero_copy}");
        let jumbo = refused(bind("sw", 0).multi_buffer(true));
        assert!(matches!(jumbo, Error::UmemMode { .. }), "{jumbo}");
        bind("sw", 0).rings(RINGS).bind(&near_umem).expect("queue 0 again, sharing queue 1's");
        drop(second);
        // With no socket left the UMEM is free for another device.
        bind("other", 0).rings(RINGS).bind(&near_umem).expect("another device");
    });
}

#[test]
fn statistics_tell_the_drops_apart() {
    let lab = Lab::new();
    lab.veth("sw", "pc", 1, 1500);
    lab.run(|| {
        let (region, host) = (region(), Host::new("pc"));
        let umem = umem(&region);
        let rings = RingSizes { rx: 4, ..RINGS };
        let mut socket =
            SocketBuilder::new(ifindex("sw"), 0).rings(rings).bind(&umem).expect("bind");
        let program = Redirect::attach(ifindex("sw"), 1).expect("XDP program");
        program.insert(0, socket.as_fd()).expect("XSKMAP");
        let control = socket.control.clone();
        let statistics = || control.statistics().expect("statistics");
        assert_eq!(statistics(), afxdp::Statistics::default());

        host.send(&frame(0, 60));
        until("no chunk to receive into", || statistics().rx_fill_ring_empty_descs > 0);
        assert_eq!(statistics().rx_ring_full, 0);

        socket.fill.produce(umem.chunks().take(64));
        for n in 0..10 {
            host.send(&frame(n, 60));
        }
        until("six frames find the receive ring full", || statistics().rx_ring_full == 6);
        assert_eq!(socket.rx.available(), 4);

        let past_the_end = Desc::new(umem.memory().len() as u64, 60);
        let across_chunks = Desc::new(2048 * 100 - 10, 60);
        for wrong in [past_the_end, across_chunks] {
            assert!(umem.check(wrong).is_err());
            assert_eq!(socket.tx.produce([wrong]), 1);
        }
        until("both are skipped", || socket.tx.wake().expect("wake") == 0);
        assert_eq!(statistics().tx_invalid_descs, 2);
        // Kernels differ in whether they complete such descriptors.
        for addr in socket.completion.drain(64) {
            assert!([past_the_end.addr, across_chunks.addr].contains(&addr), "{addr:#x}");
        }

        // Wrong offsets in the fill ring are taken and skipped.
        socket.rx.drain(64).for_each(drop);
        let last = umem.memory().len() as u64 - 2048;
        socket.fill.produce([u64::MAX, umem.memory().len() as u64, last]);
        until("the chunk behind the wrong offsets is received into", || {
            host.send(&frame(0, 60));
            socket.rx.drain(64).any(|desc| umem.chunk_of(desc.addr) == last)
        });
        assert_eq!(socket.fill.outstanding(), 0);
    });
}

#[test]
fn interface_that_is_down_comes_back_and_deleted_one_is_gone() {
    let lab = Lab::new();
    lab.veth("sw", "pc", 1, 1500);
    lab.run(|| {
        let region = region();
        let umem = umem(&region);
        let mut socket =
            SocketBuilder::new(ifindex("sw"), 0).rings(RINGS).bind(&umem).expect("bind");
        let send = |socket: &mut Socket, chunk: u64| {
            assert_eq!(socket.tx.produce([Desc::new(chunk, 60)]), 1);
            socket.tx.wake()
        };
        assert_eq!(send(&mut socket, 0).expect("up"), 0);
        socket.control.check().expect("up");

        lab.ip(&["link", "set", "sw", "down"]);
        let index = ifindex("sw");
        let down = send(&mut socket, 2048).expect_err("down");
        assert!(matches!(down, Error::InterfaceDown { ifindex, queue_id: 0 } if ifindex == index));
        assert!(!down.is_gone());
        let down = socket.control.check().expect_err("down");
        assert!(matches!(down, Error::InterfaceDown { .. }), "{down}");
        lab.ip(&["link", "set", "sw", "up"]);
        socket.control.check().expect("up again");
        assert_eq!(socket.tx.wake().expect("up again"), 0, "what waited is sent");

        lab.ip(&["link", "del", "sw"]);
        afxdp::wait(&[socket.as_fd()], Duration::from_millis(1)).expect("no more than no news");
        let gone = socket.control.check().expect_err("gone");
        assert!(matches!(gone, Error::InterfaceGone { ifindex, .. } if ifindex == index), "{gone}");
        for chunk in 3..1000 {
            if socket.tx.free() > 0 {
                assert!(
                    send(&mut socket, chunk * 2048 % (2048 * 1024)).expect_err("gone").is_gone()
                );
            }
        }
        assert_eq!(socket.tx.free(), 0, "the ring just fills");
        socket.fill.produce(umem.chunks());
        assert_eq!(socket.rx.drain(64).count(), 0);
        assert_eq!(socket.completion.drain(64).count(), 2, "what was sent before");
        socket.control.statistics().expect("the socket itself is alive");
        assert!(
            matches!(
                SocketBuilder::new(index, 0).bind(&self::umem(&region)),
                Err(Error::NoSuchInterface { ifindex }) if ifindex == index
            ),
            "bind to a deleted interface"
        );
    });
}

#[test]
fn queue_can_be_taken_again_at_once_after_a_close() {
    let lab = Lab::new();
    lab.veth("sw", "pc", 1, 1500);
    lab.run(|| {
        let (region, index) = (region(), ifindex("sw"));
        for _ in 0..5 {
            let umem = umem(&region);
            SocketBuilder::new(index, 0).rings(RINGS).bind(&umem).expect("bind again");
        }
        let held = SocketBuilder::new(index, 0).rings(RINGS).bind(&umem(&region)).expect("bind");
        let busy = SocketBuilder::new(index, 0)
            .busy_timeout(Duration::from_millis(50))
            .bind(&umem(&region))
            .expect_err("held");
        assert!(
            matches!(busy, Error::QueueBusy { waited_ms, queue_id: 0, .. } if waited_ms >= 50),
            "{busy}"
        );
        // A ring that is still in use keeps the queue; the last one lets it go.
        let Socket { fill, rx, tx, completion, control } = held;
        drop((fill, tx, completion, control));
        let again = || {
            SocketBuilder::new(index, 0)
                .busy_timeout(Duration::from_millis(50))
                .bind(&umem(&region))
        };
        assert!(matches!(again(), Err(Error::QueueBusy { .. })));
        drop(rx);
        SocketBuilder::new(index, 0).bind(&umem(&region)).expect("released");
    });
}

#[test]
fn refusals_say_what_is_wrong() {
    let lab = Lab::new();
    lab.veth("sw", "pc", 1, 1500);
    lab.run(|| {
        let umem = umem(&region());
        let index = ifindex("sw");
        let refused = |builder: SocketBuilder| builder.bind(&umem).expect_err("refused");

        let no_queue = refused(SocketBuilder::new(index, 9));
        assert!(matches!(no_queue, Error::BindInvalid { queue_id: 9, .. }), "{no_queue}");
        let no_interface = refused(SocketBuilder::new(0x7fff_fff0, 0));
        assert!(matches!(no_interface, Error::NoSuchInterface { ifindex: 0x7fff_fff0 }));
        let zero_copy = refused(SocketBuilder::new(index, 0).mode(BindMode::ZeroCopy));
        assert!(matches!(zero_copy, Error::ModeRefused { .. }), "{zero_copy}");
        assert_eq!(
            zero_copy.to_string(),
            format!("interface {index} cannot do zero-copy mode: use `BindMode::Auto`")
        );
        for (entries, ring) in [(0, "fill"), (3, "completion"), (1 << 21, "rx"), (1000, "tx")] {
            let mut rings = RINGS;
            match ring {
                "fill" => rings.fill = entries,
                "completion" => rings.completion = entries,
                "rx" => rings.rx = entries,
                _ => rings.tx = entries,
            }
            let size = refused(SocketBuilder::new(index, 0).rings(rings));
            let Error::RingSize { ring: named, entries: value, .. } = size else {
                panic!("{ring}: {size}");
            };
            assert_eq!((named, value), (ring, entries));
        }
        // After all these the UMEM is as good as new.
        SocketBuilder::new(index, 0).mode(BindMode::Copy).bind(&umem).expect("bind");
    });
}
