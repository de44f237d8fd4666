//! A worker on memory ports: what comes out at each port is what the core decided, in order, edited
//! and counted, however the burst was made up.

use std::sync::Arc;
use std::time::Instant;

use crossbeam::channel::unbounded;
use pmd::memory_port::MemoryPort;
use pmd::{Burst, Capabilities, Frame, MemoryConfig, PacketMemory, Pool, Port};
use proptest::prelude::*;
use proto::frame::edit::{HEADROOM, TagEdit};
use proto::frame::{Gso, GsoKind, Offload, PartialChecksum};
use proto::{InterfaceName, MacAddr};

use super::{Command, Exchange, Setup, Worker};
use crate::core::Counters;
use crate::core::counters::{PortTotals, TrafficTotals};
use crate::core::tests::lab::{Lab, Switch, access, mac, nic, trunk, udp_of, vm};
use crate::publish::Publisher;

/// More frames than any port gets in a case, and more chunks than all of them take.
const QUEUE_FRAMES: usize = 512;
const CHUNKS: u32 = 8192;

/// VM 1 sends; VMs 2 and 3 are in its VLAN, VM 4 too, with tags, and VM 5 is not.
fn lab() -> Lab {
    Lab::default()
        .vm(1, access(10))
        .vm(2, access(10))
        .vm(3, access(10))
        .vm(4, trunk(20, &[10, 20]))
        .vm(5, access(20))
        .nic(1, trunk(1, &[10, 20]))
}

const PORTS: [fn() -> InterfaceName; 6] =
    [|| vm(1), || vm(2), || vm(3), || vm(4), || vm(5), || nic(1)];

/// A worker, and the far ends of its ports in the order of [`PORTS`].
struct Rig {
    worker: Worker,
    far: Vec<MemoryPort>,
    pool: Pool,
    counters: Arc<Counters>,
    /// Decides the same, frame by frame.
    switch: Switch,
    _publisher: Publisher,
}

impl Rig {
    fn new(capabilities: Capabilities) -> Self {
        let switch = lab().build();
        let memory = PacketMemory::new(MemoryConfig::with_chunks(CHUNKS)).unwrap();
        let mut publisher = Publisher::new(Arc::new(lab().build().view));
        let (commands, orders) = unbounded();
        let counters = Arc::new(Counters::default());
        let worker = Worker::new(Setup {
            number: 0,
            memory: Arc::clone(&memory),
            exchange: Arc::new(Exchange::new(1).unwrap()),
            subscriber: publisher.subscribe(),
            commands: orders,
            notices: unbounded().0,
            counters: Arc::clone(&counters),
            clock: Instant::now(),
        });
        let connect = |name: fn() -> InterfaceName| {
            // What VM 1 sends, its port can take.
            let capabilities = if name() == vm(1) { MemoryPort::ANY } else { capabilities };
            let (near, far) = MemoryPort::pair(capabilities, QUEUE_FRAMES);
            commands.send(Command::Insert(switch.id(name()), Box::new(near))).unwrap();
            far
        };
        let far = PORTS.map(connect).into();
        let pool = Pool::new(&memory);
        let mut rig =
            Self { worker: worker.unwrap(), far, pool, counters, switch, _publisher: publisher };
        rig.worker.round();
        rig
    }

    /// VM 1 sends these; the worker has one look at it a burst.
    fn send(&mut self, frames: &[Vec<u8>]) {
        let mut burst = Burst::new();
        for chunk in frames.chunks(pmd::BURST_MAX) {
            for bytes in chunk {
                burst.push(Frame::from_slice(&self.pool, bytes).unwrap()).unwrap();
            }
            let report = self.far[0].tx(&self.pool, &mut burst);
            assert_eq!(report.sent_frames as usize, chunk.len());
            self.worker.round();
        }
    }

    /// What has come out at a port.
    fn received(&mut self, port: usize) -> Vec<Frame> {
        let (mut frames, mut burst) = (Vec::new(), Burst::new());
        loop {
            self.far[port].rx(&self.pool, &mut burst).unwrap();
            if burst.is_empty() {
                return frames;
            }
            frames.extend(burst.drain());
        }
    }

    fn totals(&self, port: usize) -> PortTotals {
        self.counters.port(self.switch.id(PORTS[port]())).read()
    }

    /// What has to come out at each port.
    fn expected(&mut self, frames: &[Vec<u8>]) -> Vec<Vec<Vec<u8>>> {
        let mut expected = vec![Vec::new(); PORTS.len()];
        for bytes in frames {
            for (name, edit) in self.switch.send(vm(1), bytes).outputs {
                let port = PORTS.iter().position(|port| port() == name).unwrap();
                expected[port].push(edited(bytes, edit));
            }
        }
        expected
    }
}

fn edited(bytes: &[u8], edit: TagEdit) -> Vec<u8> {
    let mut room = vec![0; HEADROOM];
    room.extend(bytes);
    let start = edit.apply(&mut room).unwrap();
    room.split_off(start)
}

/// Runs of frames to one destination: whole bursts to one port, and bursts of all kinds.
fn frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let destination = prop_oneof![
        3 => (2u32..=4).prop_map(mac),
        1 => Just(mac(5)),
        1 => Just(mac(100)),
        1 => Just(MacAddr::BROADCAST),
        1 => Just(MacAddr::new([0x33, 0x33, 0, 0, 0, 1])),
    ];
    // A frame of somebody else's address goes nowhere.
    let source = prop_oneof![9 => Just(mac(1)), 1 => Just(mac(9))];
    let run = (source, destination, 1usize..=80, 0usize..200);
    prop::collection::vec(run, 1..4).prop_map(|runs| {
        let run = |(src, dst, count, len)| std::iter::repeat_n(udp_of(src, dst, &[], len), count);
        runs.into_iter().flat_map(run).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_the_core_decides_leaves_in_order_edited_and_counted(
        frames in frames(),
        plain in any::<bool>(),
    ) {
        let mut rig = Rig::new(if plain { MemoryPort::PLAIN } else { MemoryPort::ANY });
        let expected = rig.expected(&frames);
        rig.send(&frames);
        for (port, expected) in expected.iter().enumerate() {
            let received: Vec<_> = rig.received(port).iter().map(Frame::copy_to_vec).collect();
            prop_assert_eq!(&received, expected, "port {}", port);
            let bytes = expected.iter().map(|frame| frame.len() as u64).sum();
            let cast = |frame: &Vec<u8>| super::cast_of(&Frame::from_slice(&rig.pool, frame).unwrap());
            let sent = TrafficTotals::of(expected.iter().map(cast), bytes);
            prop_assert_eq!(rig.totals(port).tx, sent, "port {}", port);
        }
    }
}

#[test]
fn one_frame_that_the_port_cannot_take_as_it_is_does_not_change_the_order() {
    let mut rig = Rig::new(MemoryPort::PLAIN);
    let mut burst = Burst::new();
    // Ethernet, IPv4 and UDP.
    const HEADERS: usize = 14 + 20 + 8;
    for number in 0..pmd::BURST_MAX {
        let bytes = udp_of(mac(1), mac(2), &[], 100 + number);
        let mut frame = Frame::from_slice(&rig.pool, &bytes).unwrap();
        if number == 40 {
            let gso =
                Gso { kind: GsoKind::UdpL4, size: 70, header_len: HEADERS as u16, ecn: false };
            let checksum = PartialChecksum { start: 34, offset: 6 };
            let (gso, checksum) = (Some(gso), Some(checksum));
            frame.set_offload(Offload { gso, checksum, checksum_verified: false });
        }
        burst.push(frame).unwrap();
    }
    rig.far[0].tx(&rig.pool, &mut burst);
    rig.worker.round();
    let lens: Vec<_> = rig.received(1).iter().map(|frame| frame.len_bytes() - HEADERS).collect();
    let expected: Vec<_> = (100..140).chain([70, 70]).chain(141..164).collect();
    assert_eq!(lens, expected);
}
