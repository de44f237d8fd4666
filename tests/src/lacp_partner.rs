//! The simplest LACP partner there can be: says every second that it is in sync, and counts what it
//! has said.
//!
//! *Where it sits:* for tests that must know how many LACPDUs were sent, which no real partner
//! tells. It negotiates nothing: it agrees with whatever it hears.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use proto::MacAddr;
use proto::frame::lacp::{Lacpdu, PortInfo, PortState, SlowPdu, SystemId, parse};
use std::os::fd::AsFd;

use crate::error::Result;
use crate::netns::Namespace;
use crate::packet::{Hear, PacketSocket};

/// The fast rate (IEEE 802.1AX-2020 clause 6.4: `Fast_Periodic_Time`).
const PERIOD: Duration = Duration::from_secs(1);

/// Its LACP system.
const SYSTEM: SystemId =
    SystemId { priority: 1, mac: MacAddr::new([0x02, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa]) };

/// One port of the partner; ends on drop.
#[derive(Debug)]
pub struct LacpPartner {
    sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl LacpPartner {
    /// Speaks on an interface as the port with this number. All ports are of one system and key.
    ///
    /// # Errors
    /// As [`PacketSocket::open`].
    pub fn start(namespace: &Namespace, interface: &str, port: u16) -> Result<Self> {
        let mut socket = PacketSocket::open(namespace, interface, Hear::Incoming)?;
        let (sent, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (sent, stop) = (Arc::clone(&sent), Arc::clone(&stop));
            thread::spawn(move || speak(&mut socket, port, &sent, &stop))
        };
        Ok(Self { sent, stop, thread: Some(thread) })
    }

    /// LACPDUs sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

impl Drop for LacpPartner {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn speak(socket: &mut PacketSocket, port: u16, sent: &AtomicU64, stop: &AtomicBool) {
    let src = MacAddr::new([0x02, 0xaa, 0, 0, 0, port as u8]);
    let state = [
        PortState::ACTIVITY,
        PortState::SHORT_TIMEOUT,
        PortState::AGGREGATION,
        PortState::SYNCHRONIZATION,
        PortState::COLLECTING,
        PortState::DISTRIBUTING,
    ];
    let state = state.into_iter().fold(PortState::NONE, |all, bit| all.with(bit, true));
    let actor = PortInfo { system: SYSTEM, key: 1, port_priority: 1, port, state };
    let mut partner = PortInfo::UNKNOWN;
    let mut next = Instant::now();
    while !stop.load(Ordering::SeqCst) {
        let now = Instant::now();
        if now >= next {
            next += PERIOD;
            let pdu = Lacpdu { actor, partner, collector_max_delay: 0 };
            if socket.send(&pdu.to_frame(src)).is_ok() {
                sent.fetch_add(1, Ordering::SeqCst);
            }
        }
        let wait = next.saturating_duration_since(Instant::now()).min(Duration::from_millis(50));
        let timeout = PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO);
        poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], timeout).ok();
        while let Ok(Some((_, frame))) = socket.receive() {
            if let Ok(SlowPdu::Lacp(pdu)) = parse(frame)
                && std::mem::replace(&mut partner, pdu.actor) != pdu.actor
            {
                // It says something new: answer at once, as a real partner does.
                next = next.min(Instant::now());
            }
        }
    }
}
