//! The whole way of a frame through a worker, on memory ports: receive, forward, edit, transmit.
//!
//! What a port in memory has for a wire is a queue to its far end. Filling and emptying the far
//! ends is [`refill`](Workload::refill), which is not measured. What is: the worker's rounds with
//! all that they do a burst (a clock read, a look for a new view, every eighth time an epoll), `rx`
//! and `tx` of the memory port, and a look at each port that has nothing. A quarter of the frames
//! gets a tag.
//!
//! All 1,024 frames of a round wait in the queue at its start, as in the ring of a port under load.
//! Their headers are a chunk apart and meet in few sets of the caches, which is a good part of the
//! time and none of the instructions.
//!
//! A memory port is not a device: its queues cost three atomic operations a frame in each
//! direction, where an AF_XDP ring has one store a burst.

use std::sync::Arc;
use std::time::Instant;

use crossbeam::channel::{self, Receiver, Sender};
use dataplane::core::{BURST_MAX, Counters};
use dataplane::notice::Notice;
use dataplane::publish::Publisher;
use dataplane::worker::{Command, Exchange, Setup, Worker};
use pmd::memory_port::MemoryPort;
use pmd::{Burst, Frame, MemoryConfig, PacketMemory, Pool, Port};
use proto::PortId;

use super::Workload;
use super::host::{Host, Size};
use super::stream::Stream;

/// Flows of the frames.
const FLOWS: u32 = 1000;
/// Frames that the queue of a port holds: more than a round has.
const QUEUE_FRAMES: usize = 2048;
/// Chunks of the packet memory: all queues could be full of the frames of a round.
const CHUNKS: u32 = 8192;

/// A worker with the ports of vEthernet 1, of some of its neighbours, and of the NICs.
#[derive(Debug)]
pub struct WorkerPath {
    worker: Worker,
    bursts: u64,
    stream: Stream,
    far_pool: Pool,
    /// The far end of vEthernet 1, which sends.
    source: MemoryPort,
    /// The far ends of the other ports.
    sinks: Vec<MemoryPort>,
    far_burst: Burst,
    /// Frames that the far ends have received.
    received: u64,
    counters: Arc<Counters>,
    ingress: PortId,
    // The other ends of what the worker holds.
    _publisher: Publisher,
    _commands: Sender<Command>,
    _notices: Receiver<Notice>,
}

impl WorkerPath {
    /// A worker on a host of this size. Three of four frames go to the first `neighbours`
    /// neighbours of vEthernet 1 (1..=15), in turn.
    ///
    /// # Panics
    /// The system has no memory or no descriptors left.
    #[must_use]
    pub fn new(size: Size, neighbours: usize) -> Self {
        let host = Host::new(size);
        let neighbours: Vec<u32> = host.neighbours().take(neighbours).collect();
        let stream = Stream::new(FLOWS, &neighbours);
        let memory = PacketMemory::new(MemoryConfig::with_chunks(CHUNKS)).expect("memory");
        let mut publisher = Publisher::new(Arc::clone(&host.view));
        let (commands, orders) = channel::unbounded();
        let (tell, notices) = channel::unbounded();
        let counters = Arc::new(Counters::default());
        let worker = Worker::new(Setup {
            number: 0,
            memory: Arc::clone(&memory),
            exchange: Arc::new(Exchange::new(1).expect("a descriptor")),
            subscriber: publisher.subscribe(),
            commands: orders,
            notices: tell,
            counters: Arc::clone(&counters),
            clock: Instant::now(),
        });
        let connect = |id: PortId| {
            let (near, far) = MemoryPort::pair(MemoryPort::ANY, QUEUE_FRAMES);
            commands.send(Command::Insert(id, Box::new(near))).expect("the worker is there");
            far
        };
        let ingress = host.vethernet(1);
        let source = connect(ingress);
        let egress = neighbours.iter().map(|number| host.vethernet(*number));
        let sinks = egress.chain(host.uplinks()).map(connect).collect();
        let mut work = Self {
            worker: worker.expect("a descriptor"),
            bursts: (stream.len() / BURST_MAX) as u64,
            stream,
            far_pool: Pool::new(&memory),
            source,
            sinks,
            far_burst: Burst::new(),
            received: 0,
            counters,
            ingress,
            _publisher: publisher,
            _commands: commands,
            _notices: notices,
        };
        // Takes the ports in.
        work.worker.round();
        work
    }

    /// Whether every frame so far has left by a port. Receives what is on the way.
    ///
    /// # Panics
    /// A port is gone.
    pub fn is_lossless(&mut self) -> bool {
        self.drain();
        let totals = self.counters.port(self.ingress).read();
        totals.dropped() == 0 && totals.rx.frames() == self.received
    }

    /// Receives at the far ends.
    fn drain(&mut self) {
        for sink in &mut self.sinks {
            loop {
                sink.rx(&self.far_pool, &mut self.far_burst).expect("the worker has the near end");
                if self.far_burst.is_empty() {
                    break;
                }
                self.received += self.far_burst.len() as u64;
                self.far_burst.clear();
            }
        }
    }
}

impl Workload for WorkerPath {
    fn frames(&self) -> u64 {
        self.stream.len() as u64
    }

    fn refill(&mut self) {
        self.drain();
        for bytes in self.stream.frames() {
            let frame = Frame::from_slice(&self.far_pool, bytes).expect("a chunk");
            if self.far_burst.push(frame).is_ok() && self.far_burst.is_full() {
                self.source.tx(&self.far_pool, &mut self.far_burst);
            }
        }
    }

    fn round(&mut self) -> u64 {
        (0..self.bursts).filter(|_| self.worker.round()).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_comes_out_at_a_far_end() {
        for neighbours in [1, 15] {
            let mut work = WorkerPath::new(Size { vethernets: 1000, rules: 10 }, neighbours);
            for _ in 0..3 {
                work.refill();
                assert_eq!(work.round(), work.bursts);
            }
            assert!(work.is_lossless());
            assert_eq!(work.received, 3 * work.frames());
        }
    }

    #[test]
    fn a_lost_frame_is_noticed() {
        let mut work = WorkerPath::new(Size { vethernets: 100, rules: 0 }, 1);
        work.refill();
        work.sinks[0].set_carrier(false);
        work.round();
        assert!(!work.is_lossless());
    }
}
