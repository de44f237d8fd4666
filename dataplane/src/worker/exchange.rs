//! Between workers: who owns which port, and frames on their way to a port of another worker.
//!
//! A port belongs to one worker, which receives and transmits on it, so a flow keeps its order. A
//! frame for a port of another worker goes through that worker's mailbox, whole and already edited.
//! Invariant: a full mailbox refuses the frame; nobody waits.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use crossbeam::queue::ArrayQueue;
use nix::sys::eventfd::{EfdFlags, EventFd};
use pmd::DetachedFrame;
use proto::PortId;

/// Frames that may wait for one worker: eight bursts of each of eight others.
const MAILBOX_LEN: usize = 4096;
/// The owner of a slot that nobody has.
const NOBODY: u8 = u8::MAX;
/// Most workers of a dataplane.
pub const WORKERS_MAX: usize = 64;

/// What all workers share.
#[derive(Debug)]
pub struct Exchange {
    owners: Box<[AtomicU8]>,
    mailboxes: Vec<Mailbox>,
}

/// A worker's inbound side.
#[derive(Debug)]
struct Mailbox {
    frames: ArrayQueue<(PortId, DetachedFrame)>,
    wake: EventFd,
    sleeping: AtomicBool,
}

impl Exchange {
    /// An exchange of `workers` (1..=[`WORKERS_MAX`]) workers that own no port yet.
    ///
    /// # Errors
    /// The system has no event descriptor left.
    pub fn new(workers: usize) -> nix::Result<Self> {
        let mailbox = || -> nix::Result<Mailbox> {
            Ok(Mailbox {
                frames: ArrayQueue::new(MAILBOX_LEN),
                wake: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
                sleeping: AtomicBool::new(false),
            })
        };
        let mailboxes: nix::Result<Vec<Mailbox>> =
            (0..workers.clamp(1, WORKERS_MAX)).map(|_| mailbox()).collect();
        let owners = (0..PortId::COUNT).map(|_| AtomicU8::new(NOBODY)).collect();
        Ok(Self { owners, mailboxes: mailboxes? })
    }

    /// How many workers there are.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.mailboxes.len()
    }

    /// Says which worker owns a port; `None`: nobody.
    pub fn set_owner(&self, port: PortId, worker: Option<usize>) {
        let owner = worker.and_then(|w| u8::try_from(w).ok()).unwrap_or(NOBODY);
        if let Some(slot) = self.owners.get(port.index()) {
            slot.store(owner, Ordering::Release);
        }
    }

    /// Puts a frame into the mailbox of the port's owner.
    ///
    /// # Errors
    /// The frame comes back when nobody owns the port, or the mailbox is full.
    #[inline]
    pub fn send(&self, port: PortId, frame: DetachedFrame) -> Result<(), DetachedFrame> {
        let owner = self.owners.get(port.index()).map_or(NOBODY, |o| o.load(Ordering::Acquire));
        match self.mailboxes.get(usize::from(owner)) {
            Some(mailbox) => mailbox.frames.push((port, frame)).map_err(|(_, frame)| frame),
            None => Err(frame),
        }
    }

    /// The next frame for this worker's ports.
    #[inline]
    pub fn receive(&self, worker: usize) -> Option<(PortId, DetachedFrame)> {
        self.mailboxes.get(worker)?.frames.pop()
    }

    /// Whether frames wait for this worker.
    #[inline]
    pub fn has_mail(&self, worker: usize) -> bool {
        self.mailboxes.get(worker).is_some_and(|mailbox| !mailbox.frames.is_empty())
    }

    /// Wakes every other worker that sleeps on a mailbox with mail in it.
    #[inline]
    pub fn wake_receivers(&self, sender: usize) {
        for (worker, mailbox) in self.mailboxes.iter().enumerate() {
            if worker != sender && !mailbox.frames.is_empty() && mailbox.is_asleep() {
                mailbox.ring();
            }
        }
    }

    /// Wakes one worker, for a command or a new view.
    pub fn wake(&self, worker: usize) {
        if let Some(mailbox) = self.mailboxes.get(worker) {
            mailbox.ring();
        }
    }

    /// What a worker sleeps on, beside its ports.
    #[must_use]
    pub fn wake_fd(&self, worker: usize) -> Option<BorrowedFd<'_>> {
        self.mailboxes.get(worker).map(|mailbox| mailbox.wake.as_fd())
    }

    /// Marks a worker as asleep. The caller looks for work once more after this, and then sleeps.
    pub fn fall_asleep(&self, worker: usize) {
        if let Some(mailbox) = self.mailboxes.get(worker) {
            mailbox.sleeping.store(true, Ordering::SeqCst);
        }
    }

    /// Marks a worker as awake and takes back the ring that woke it.
    pub fn wake_up(&self, worker: usize) {
        if let Some(mailbox) = self.mailboxes.get(worker) {
            mailbox.sleeping.store(false, Ordering::SeqCst);
            // Fails with EAGAIN when something else woke the worker.
            mailbox.wake.read().ok();
        }
    }
}

impl Mailbox {
    /// The fence pairs with the store of [`Exchange::fall_asleep`]: either the sender sees the flag, or
    /// the sleeper's last look sees the mail.
    fn is_asleep(&self) -> bool {
        std::sync::atomic::fence(Ordering::SeqCst);
        self.sleeping.load(Ordering::SeqCst)
    }

    fn ring(&self) {
        // Fails only when the counter is full, and then the worker has not looked yet anyway.
        self.wake.write(1).ok();
    }
}

#[cfg(test)]
mod tests {
    use pmd::{Frame, MemoryConfig, PacketMemory, Pool};

    use super::*;

    #[test]
    fn a_frame_reaches_the_owner_of_its_port_and_no_other() {
        let memory = PacketMemory::new(MemoryConfig::with_chunks(256)).expect("packet memory");
        let pool = Pool::new(&memory);
        let exchange = Exchange::new(2).expect("event descriptors");
        let port = PortId::new(7).expect("a legal slot");
        let frame = || Frame::from_slice(&pool, &[7; 60]).expect("a chunk").into_detached();
        assert!(exchange.send(port, frame()).is_err(), "nobody owns it");
        exchange.set_owner(port, Some(1));
        assert!(exchange.send(port, frame()).is_ok());
        assert!(exchange.receive(0).is_none() && exchange.has_mail(1));
        let (to, received) = exchange.receive(1).expect("the frame");
        assert_eq!(to, port);
        let received = received.adopt(&pool).expect("the same memory");
        assert_eq!(received.head(), [7; 60]);
    }

    #[test]
    fn a_full_mailbox_gives_the_frame_back() {
        let memory =
            PacketMemory::new(MemoryConfig::with_chunks(MAILBOX_LEN as u32 + 256)).expect("memory");
        let pool = Pool::new(&memory);
        let exchange = Exchange::new(1).expect("event descriptors");
        let port = PortId::new(0).expect("a legal slot");
        exchange.set_owner(port, Some(0));
        let mut accepted = 0;
        while let Some(frame) = Frame::from_slice(&pool, &[0; 60]) {
            if exchange.send(port, frame.into_detached()).is_err() {
                break;
            }
            accepted += 1;
        }
        assert_eq!(accepted, MAILBOX_LEN);
    }
}
