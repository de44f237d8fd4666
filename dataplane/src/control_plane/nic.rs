//! The control socket of one uplink, opened when the NIC is there and again when it comes back.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use pmd::control_socket::{ControlSocket, FRAME_LEN_MAX};
use proto::MacAddr;
use tracing::{debug, warn};

use super::NicSettings;
use crate::neighbor::LldpTransmit;

/// How long to wait before a NIC that could not be opened is tried again.
const REOPEN_WAIT_NS: u64 = 1_000_000_000;
/// Frames of one NIC that are taken in one round, so that a flood on one uplink does not keep the
/// others waiting.
const FRAMES_PER_ROUND: usize = 64;

/// One uplink as the control plane has it.
#[derive(Debug)]
pub(super) struct Nic {
    pub(super) settings: NicSettings,
    /// The netdev is up and has carrier.
    pub(super) carrier: bool,
    /// When to say by LLDP who is here.
    pub(super) lldp: LldpTransmit,
    socket: Option<ControlSocket>,
    /// The address that its frames are sent from, once it has been open.
    mac: Option<MacAddr>,
    /// When to try to open it again; meaningless while it is open.
    retry_ns: u64,
    /// Said once that it cannot be opened.
    told: bool,
}

impl Nic {
    pub(super) const fn new(settings: NicSettings) -> Self {
        Self {
            settings,
            carrier: false,
            lldp: LldpTransmit::new(),
            socket: None,
            mac: None,
            retry_ns: 0,
            told: false,
        }
    }

    /// Opens the socket if it is not open and its time has come. True when it is open now and was
    /// not before.
    pub(super) fn open(&mut self, now_ns: u64) -> bool {
        if self.socket.is_some() || now_ns < self.retry_ns {
            return false;
        }
        let ifname = &self.settings.ifname;
        match ControlSocket::open(ifname) {
            Ok(socket) => {
                self.mac = Some(socket.mac());
                self.socket = Some(socket);
                self.told = false;
                true
            }
            Err(e) => {
                if !std::mem::replace(&mut self.told, true) {
                    warn!("{ifname}: no LACP, LLDP and CDP: {e}");
                }
                self.retry_ns = now_ns.saturating_add(REOPEN_WAIT_NS);
                false
            }
        }
    }

    /// When the next try to open it is due.
    pub(super) fn deadline_ns(&self) -> Option<u64> {
        self.socket.is_none().then_some(self.retry_ns)
    }

    /// The address that its frames are sent from; `None` until it was open.
    pub(super) const fn mac(&self) -> Option<MacAddr> {
        self.mac
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    /// The netdev came, went, or changed: a socket may be bound to one that is gone.
    pub(super) fn set_carrier(&mut self, up: bool) {
        if up && !self.carrier {
            // It may be another netdev of the same name: bind anew.
            self.socket = None;
            self.retry_ns = 0;
        }
        self.carrier = up;
    }

    /// Gives the frames that wait to `take`, some at a time. True when there may be more.
    pub(super) fn hear(&mut self, now_ns: u64, mut take: impl FnMut(&[u8])) -> bool {
        let Some(socket) = &self.socket else { return false };
        let mut buffer = [0; FRAME_LEN_MAX];
        for _ in 0..FRAMES_PER_ROUND {
            match socket.receive(&mut buffer) {
                Ok(Some(frame)) => take(frame),
                Ok(None) => return false,
                // It went down, and says so once; it can still be used when it is up again.
                Err(e) if e.raw_os_error() == Some(nix::libc::ENETDOWN) => return true,
                Err(e) => {
                    self.give_up(&e, now_ns);
                    return false;
                }
            }
        }
        true
    }

    /// Sends a frame. What cannot be sent is lost, as on a cable: every protocol here repeats.
    pub(super) fn send(&mut self, frame: &[u8], now_ns: u64) {
        let Some(socket) = &self.socket else { return };
        match socket.send(frame) {
            Ok(()) => {}
            Err(e) if matches!(e.raw_os_error(), Some(nix::libc::ENXIO | nix::libc::ENODEV)) => {
                self.give_up(&e, now_ns);
            }
            Err(e) => debug!("{}: {e}", self.settings.ifname),
        }
    }

    fn give_up(&mut self, error: &io::Error, now_ns: u64) {
        debug!("{}: {error}", self.settings.ifname);
        self.socket = None;
        self.retry_ns = now_ns.saturating_add(REOPEN_WAIT_NS);
    }
}
