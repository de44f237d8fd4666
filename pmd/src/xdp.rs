//! The XDP program of an AF_XDP port: loads it, attaches it by a bpf link, fills its maps.
//!
//! Where it sits: [`crate::xsk`] owns one for each interface. The program itself is
//! `bpf/xdp.bpf.c`; constants here mirror it.
//!
//! Invariants: the program is on the interface exactly as long as this value lives, also when the
//! process is killed, because only a link's file descriptor holds it there. An interface that already
//! has a program is refused, never taken over.

use std::fmt;
use std::os::fd::AsRawFd;

use aya::maps::{Array, MapData, MapError, PerCpuArray, XskMap};
use aya::programs::links::FdLink;
use aya::programs::{ProgramError, Xdp, XdpMode};
use aya::{Ebpf, EbpfError, include_bytes_aligned};
use proto::MacAddr;

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/xdp.bpf.o"));

const PROGRAM: &str = "weft_port";
/// Words of the VLAN bitmap: 4096 VLANs, 64 a word.
pub const VLAN_WORDS: usize = 64;
/// Queues that the socket map has room for.
pub const QUEUES_MAX: u32 = 64;

const FILTER_BPDUS: u32 = 1;
const FILTER_VLANS: u32 = 2;
const HOST_TRAFFIC: u32 = 4;
const CONTROL: u32 = 8;

/// Why the program is not on the interface.
#[derive(Debug, thiserror::Error)]
pub enum XdpError {
    /// The kernel refused to load it.
    #[error("cannot load the XDP program: {0}")]
    Load(#[source] Box<EbpfError>),
    /// The object has no such program or map: it does not belong to this build.
    #[error("the XDP object of this build lacks `{0}`")]
    Missing(&'static str),
    /// Another XDP program holds the interface.
    #[error(
        "another XDP program is attached to it; `ip link set dev IF xdp off` removes one that was left behind"
    )]
    Busy,
    /// The kernel refused to attach it.
    #[error("cannot attach the XDP program: {0}")]
    Attach(#[source] Box<ProgramError>),
    /// The kernel cannot attach by a link, and any other way would outlive the daemon.
    #[error("the kernel cannot attach XDP by a bpf link (Linux 5.9 or later can)")]
    NoLink,
    /// A map could not be read or written.
    #[error("cannot access the map `{0}` of the XDP program: {1}")]
    Map(&'static str, #[source] Box<MapError>),
}

/// How the program runs on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachMode {
    /// In the driver, before an skb exists.
    Native,
    /// In the network stack, on an skb: works on every driver, slowly.
    Generic,
}

/// What the program does with frames, beside giving them to the sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Drop BPDUs of the spanning tree.
    pub bpdus: bool,
    /// Drop VLANs that are not wanted.
    pub vlans: bool,
    /// VLAN of untagged frames; `None`: there is none, so they are not wanted.
    pub native_vlan: Option<proto::VlanId>,
    /// Leave frames for this address, and floods in VLANs that are not wanted, to the kernel.
    pub host: Option<MacAddr>,
    /// Leave LACP, LLDP and CDP to the kernel, where a
    /// [`ControlSocket`](crate::control_socket::ControlSocket) hears them.
    pub control: bool,
}

impl Filter {
    /// `struct settings` of the program: flags, native VLAN, address, in native byte order.
    fn to_bytes(self) -> [u8; 12] {
        let mut flags = 0;
        for (on, flag) in [
            (self.bpdus, FILTER_BPDUS),
            (self.vlans, FILTER_VLANS),
            (self.host.is_some(), HOST_TRAFFIC),
            (self.control, CONTROL),
        ] {
            flags |= if on { flag } else { 0 };
        }
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&flags.to_ne_bytes());
        let native = self.native_vlan.map_or(0, proto::VlanId::get);
        bytes[4..6].copy_from_slice(&native.to_ne_bytes());
        bytes[6..].copy_from_slice(&self.host.unwrap_or(MacAddr::ZERO).octets());
        bytes
    }
}

/// Frames by what the program did with them, since it was attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Given to a socket.
    pub to_socket: u64,
    /// Left to the kernel: the queue had no socket.
    pub to_kernel_no_socket: u64,
    /// Left to the kernel: the host's own traffic.
    pub to_kernel_host: u64,
    /// Left to the kernel: LACP, LLDP or CDP.
    pub to_kernel_control: u64,
    /// Dropped: a BPDU from the wire.
    pub dropped_bpdu: u64,
    /// Dropped: a VLAN that the uplink does not carry.
    pub dropped_not_allowed: u64,
    /// Dropped: a VLAN that the uplink carries, but no port of this host is in.
    pub dropped_no_member: u64,
}

/// The program on one interface.
pub struct XdpPort {
    sockets: XskMap<MapData>,
    settings: Array<MapData, [u8; 12]>,
    vlans: Array<MapData, [u64; 2]>,
    outcomes: PerCpuArray<MapData, u64>,
    mode: AttachMode,
    _link: FdLink,
}

impl XdpPort {
    /// Loads the program and attaches it: in the driver, or generically when the driver cannot.
    ///
    /// Until a socket is registered every frame goes to the kernel.
    ///
    /// # Errors
    /// See [`XdpError`]; then nothing is attached.
    pub fn attach(ifindex: u32) -> Result<Self, XdpError> {
        let mut bpf = Ebpf::load(OBJECT).map_err(|e| XdpError::Load(Box::new(e)))?;
        let (link, mode) = attach_program(&mut bpf, ifindex)?;
        Ok(Self {
            sockets: take_map(&mut bpf, "sockets")?,
            settings: take_map(&mut bpf, "port_settings")?,
            vlans: take_map(&mut bpf, "vlans")?,
            outcomes: take_map(&mut bpf, "outcomes")?,
            mode,
            _link: link,
        })
    }

    /// How it runs.
    #[must_use]
    pub const fn mode(&self) -> AttachMode {
        self.mode
    }

    /// From now on the frames of `queue` go to `socket`, until the socket is closed.
    ///
    /// # Errors
    /// The queue is [`QUEUES_MAX`] or above, or the socket is not bound to this interface and queue.
    pub fn set_socket(&mut self, queue: u32, socket: &impl AsRawFd) -> Result<(), XdpError> {
        let set = self.sockets.set(queue, socket.as_raw_fd(), 0);
        set.map_err(|e| XdpError::Map("sockets", Box::new(e)))
    }

    /// From now on the frames of `queue` go to the kernel.
    ///
    /// # Errors
    /// The queue is [`QUEUES_MAX`] or above.
    pub fn clear_socket(&mut self, queue: u32) -> Result<(), XdpError> {
        let unset = self.sockets.unset(queue);
        unset.map_err(|e| XdpError::Map("sockets", Box::new(e)))
    }

    /// Sets which frames are dropped or left to the kernel.
    ///
    /// # Errors
    /// The kernel refused to write the map.
    pub fn set_filter(&mut self, filter: Filter) -> Result<(), XdpError> {
        let set = self.settings.set(0, filter.to_bytes(), 0);
        set.map_err(|e| XdpError::Map("port_settings", Box::new(e)))
    }

    /// Sets which VLANs the interface carries, and which of them a port of this host is in: bit
    /// `v % 64` of word `v / 64` for VLAN `v`. Counts only with [`Filter::vlans`] or
    /// [`Filter::host`].
    ///
    /// # Errors
    /// The kernel refused to write the map.
    pub fn set_vlans(
        &mut self,
        allowed: &[u64; VLAN_WORDS],
        wanted: &[u64; VLAN_WORDS],
    ) -> Result<(), XdpError> {
        for (index, (allowed, wanted)) in (0..).zip(allowed.iter().zip(wanted)) {
            let set = self.vlans.set(index, [*allowed, *wanted & *allowed], 0);
            set.map_err(|e| XdpError::Map("vlans", Box::new(e)))?;
        }
        Ok(())
    }

    /// What became of the frames so far.
    ///
    /// # Errors
    /// The kernel refused to read the map.
    pub fn outcomes(&self) -> Result<Outcomes, XdpError> {
        let read = |index: u32| -> Result<u64, XdpError> {
            let per_cpu = self.outcomes.get(&index, 0);
            let per_cpu = per_cpu.map_err(|e| XdpError::Map("outcomes", Box::new(e)))?;
            Ok(per_cpu.iter().sum())
        };
        Ok(Outcomes {
            to_socket: read(0)?,
            to_kernel_no_socket: read(1)?,
            to_kernel_host: read(2)?,
            to_kernel_control: read(3)?,
            dropped_bpdu: read(4)?,
            dropped_not_allowed: read(5)?,
            dropped_no_member: read(6)?,
        })
    }
}

impl fmt::Debug for XdpPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XdpPort").field("mode", &self.mode).finish_non_exhaustive()
    }
}

fn attach_program(bpf: &mut Ebpf, ifindex: u32) -> Result<(FdLink, AttachMode), XdpError> {
    let program = bpf.program_mut(PROGRAM).ok_or(XdpError::Missing(PROGRAM))?;
    let program: &mut Xdp = program.try_into().map_err(|_| XdpError::Missing(PROGRAM))?;
    let load = |e| XdpError::Load(Box::new(EbpfError::from(e)));
    program.load().map_err(load)?;
    let (id, mode) = match program.attach_to_if_index(ifindex, XdpMode::Driver) {
        Ok(id) => (id, AttachMode::Native),
        Err(e) if is_busy(&e) => return Err(XdpError::Busy),
        Err(_) => match program.attach_to_if_index(ifindex, XdpMode::Skb) {
            Ok(id) => (id, AttachMode::Generic),
            Err(e) if is_busy(&e) => return Err(XdpError::Busy),
            Err(e) => return Err(XdpError::Attach(Box::new(e))),
        },
    };
    let link = program.take_link(id).map_err(|e| XdpError::Attach(Box::new(e)))?;
    // Anything but a file descriptor would leave the program behind when we die.
    let link = FdLink::try_from(link).map_err(|_| XdpError::NoLink)?;
    Ok((link, mode))
}

fn is_busy(error: &ProgramError) -> bool {
    let ProgramError::SyscallError(error) = error else { return false };
    matches!(error.io_error.raw_os_error(), Some(libc::EBUSY | libc::EEXIST))
}

fn take_map<M: TryFrom<aya::maps::Map>>(bpf: &mut Ebpf, name: &'static str) -> Result<M, XdpError> {
    let map = bpf.take_map(name).ok_or(XdpError::Missing(name))?;
    M::try_from(map).map_err(|_| XdpError::Missing(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_laid_out_as_the_program_reads_them() {
        let filter = Filter {
            bpdus: true,
            vlans: false,
            native_vlan: proto::VlanId::new(7u16).ok(),
            host: Some(MacAddr::new([2, 3, 4, 5, 6, 7])),
            control: true,
        };
        let bytes = filter.to_bytes();
        assert_eq!(bytes[..4], 13u32.to_ne_bytes());
        assert_eq!(bytes[4..6], 7u16.to_ne_bytes());
        assert_eq!(bytes[6..], [2, 3, 4, 5, 6, 7]);
    }
}
