//! Making a TAP netdev, in whatever network namespace, or taking up again one that is there.

use std::ffi::c_char;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns};
use proto::MacAddr;

use super::vnet::HEADER_BYTES;
use crate::ethtool::Netdev;

/// `TUN_F_CSUM | TSO4 | TSO6 | TSO_ECN | USO4 | USO6` (linux/if_tun.h); UFO stays off.
const OFFLOADS: libc::c_uint = 0x01 | 0x02 | 0x04 | 0x08 | 0x20 | 0x40;
/// The same without USO, which came with Linux 6.2.
const OFFLOADS_NO_USO: libc::c_uint = 0x01 | 0x02 | 0x04 | 0x08;

nix::ioctl_write_ptr_bad!(
    /// `TUNSETIFF`.
    tun_set_iff,
    nix::request_code_write!(b'T', 202, size_of::<libc::c_int>()),
    libc::ifreq
);
nix::ioctl_write_int_bad!(
    /// `TUNSETPERSIST`.
    tun_set_persist,
    nix::request_code_write!(b'T', 203, size_of::<libc::c_int>())
);
nix::ioctl_write_int_bad!(
    /// `TUNSETOFFLOAD`.
    tun_set_offload,
    nix::request_code_write!(b'T', 208, size_of::<libc::c_uint>())
);
nix::ioctl_write_ptr_bad!(
    /// `TUNSETVNETHDRSZ`.
    tun_set_vnet_header_size,
    nix::request_code_write!(b'T', 216, size_of::<libc::c_int>()),
    libc::c_int
);

/// A TAP netdev to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapConfig {
    /// Its name.
    pub ifname: String,
    /// Where it goes: a name under /run/netns, an absolute path, or empty for the caller's own
    /// network namespace.
    pub netns: String,
    /// The address that the VM sees as its own.
    pub mac: MacAddr,
    /// Its MTU in bytes.
    pub mtu_bytes: u16,
}

/// Why there is no TAP.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// The network namespace cannot be entered.
    #[error("network namespace {}: {source}", path.display())]
    Namespace {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The netdev exists and is no TAP of ours, or another process has it open.
    #[error(
        "interface {ifname} exists already and is in use, or is no TAP; choose another name or delete it"
    )]
    InUse {
        /// The netdev.
        ifname: String,
    },
    /// A system call failed.
    #[error("TAP {ifname}: {action}: {source}")]
    System {
        /// The netdev.
        ifname: String,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// A network namespace, and the file by which it is known.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// Device and inode of the namespace.
    identity: (u64, u64),
}

impl Place {
    /// `None` for the file of a process (`/proc/PID/ns/net`): it goes when that process ends, which
    /// says nothing about the namespace.
    fn of(path: &Path, namespace: &File) -> io::Result<Option<Self>> {
        if path.starts_with("/proc") {
            return Ok(None);
        }
        let metadata = namespace.metadata()?;
        let identity = (metadata.dev(), metadata.ino());
        Ok(Some(Self { path: path.to_owned(), identity }))
    }

    /// Whether its file is gone, or is another namespace's now.
    pub(super) fn is_gone(&self) -> bool {
        match fs::metadata(&self.path) {
            Ok(metadata) => (metadata.dev(), metadata.ino()) != self.identity,
            Err(e) => e.kind() == io::ErrorKind::NotFound,
        }
    }
}

/// The queue of a netdev.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) queue: OwnedFd,
    /// It segments UDP.
    pub(super) uso: bool,
    /// The namespace it is in, when that has a name of its own.
    pub(super) place: Option<Place>,
}

/// Makes or takes up the netdev, sets address and MTU, and brings it up.
pub(super) fn open(config: &TapConfig) -> Result<Opened, TapError> {
    let Some(path) = namespace_path(&config.netns) else {
        let (queue, uso) = open_here(config)?;
        return Ok(Opened { queue, uso, place: None });
    };
    let error = |source| TapError::Namespace { path: path.clone(), source };
    let namespace = File::open(&path).map_err(error)?;
    let place = Place::of(&path, &namespace).map_err(error)?;
    let (queue, uso) = inside(&path, &namespace, || open_here(config))?;
    Ok(Opened { queue, uso, place })
}

/// Takes the netdev away, wherever it is; nobody may have it open.
pub(super) fn remove(config: &TapConfig) -> Result<(), TapError> {
    let forget_here = || {
        let queue = create(config)?;
        let action = "remove";
        let ifname = config.ifname.clone();
        forget(&queue).map_err(|source| TapError::System { ifname, action, source })
    };
    let Some(path) = namespace_path(&config.netns) else { return forget_here() };
    let namespace = File::open(&path);
    let error = |source| TapError::Namespace { path: path.clone(), source };
    inside(&path, &namespace.map_err(error)?, forget_here)
}

/// Runs a closure in a network namespace, on a thread of its own: the namespace of a thread is
/// where it makes netdevs, and this one ends.
fn inside<T: Send>(
    path: &Path,
    namespace: &File,
    run: impl FnOnce() -> Result<T, TapError> + Send,
) -> Result<T, TapError> {
    let error = |source| TapError::Namespace { path: path.to_owned(), source };
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET).map_err(|e| error(e.into()))?;
            run()
        });
        thread.join().unwrap_or_else(|_| Err(error(io::Error::other("the thread panicked"))))
    })
}

fn namespace_path(netns: &str) -> Option<PathBuf> {
    match netns {
        "" => None,
        path if path.starts_with('/') => Some(PathBuf::from(path)),
        name => Some(Path::new("/run/netns").join(name)),
    }
}

/// Makes the netdev, or takes it up.
fn create(config: &TapConfig) -> Result<OwnedFd, TapError> {
    let system = |action| {
        move |source: io::Error| TapError::System { ifname: config.ifname.clone(), action, source }
    };
    let queue = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open("/dev/net/tun")
        .map_err(system("open /dev/net/tun"))?;
    let request = interface_request(&config.ifname).map_err(system("name"))?;
    // SAFETY: TUNSETIFF reads an ifreq, and the pointer is to a whole one that outlives the call.
    unsafe { tun_set_iff(queue.as_raw_fd(), &raw const request) }.map_err(|e| match e {
        nix::errno::Errno::EBUSY | nix::errno::Errno::EINVAL | nix::errno::Errno::EEXIST => {
            TapError::InUse { ifname: config.ifname.clone() }
        }
        e => system("create")(e.into()),
    })?;
    Ok(queue.into())
}

/// Its queue, and whether it segments UDP.
fn open_here(config: &TapConfig) -> Result<(OwnedFd, bool), TapError> {
    let system = |action| {
        move |source: io::Error| TapError::System { ifname: config.ifname.clone(), action, source }
    };
    let nix_error = |action| move |e: nix::errno::Errno| system(action)(e.into());
    let queue = create(config)?;
    let fd = queue.as_raw_fd();
    let size = HEADER_BYTES as libc::c_int;
    // SAFETY: TUNSETVNETHDRSZ reads an int, and the pointer is to one that outlives the call.
    unsafe { tun_set_vnet_header_size(fd, &raw const size) }.map_err(nix_error("header size"))?;
    // SAFETY: TUNSETOFFLOAD takes its argument by value.
    let uso = unsafe { tun_set_offload(fd, OFFLOADS as libc::c_int) }.is_ok();
    if !uso {
        // SAFETY: as above.
        unsafe { tun_set_offload(fd, OFFLOADS_NO_USO as libc::c_int) }
            .map_err(nix_error("offloads"))?;
    }
    // SAFETY: TUNSETPERSIST takes its argument by value.
    unsafe { tun_set_persist(fd, 1) }.map_err(nix_error("make persistent"))?;
    let configured = Netdev::new(&config.ifname).and_then(|netdev| {
        // Setting what is set already could fail on a netdev that its owner has bonded or bridged.
        if netdev.mac()? != config.mac {
            netdev.set_mac(config.mac)?;
        }
        if netdev.mtu_bytes()? != u32::from(config.mtu_bytes) {
            netdev.set_mtu_bytes(config.mtu_bytes)?;
        }
        netdev.set_up()
    });
    if let Err(source) = configured {
        // SAFETY: as above. What was made for nothing shall not stay.
        unsafe { tun_set_persist(fd, 0) }.ok();
        return Err(system("set address, MTU and state")(source));
    }
    Ok((queue, uso))
}

/// Takes the netdev of a queue away with its last descriptor.
pub(super) fn forget(queue: &OwnedFd) -> io::Result<()> {
    // SAFETY: TUNSETPERSIST takes its argument by value.
    unsafe { tun_set_persist(queue.as_raw_fd(), 0) }?;
    Ok(())
}

fn interface_request(ifname: &str) -> io::Result<libc::ifreq> {
    // SAFETY: ifreq is plain data for which all zeros is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if ifname.is_empty() || ifname.len() >= request.ifr_name.len() || ifname.contains('%') {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(ifname.bytes()) {
        *to = c_char::from_ne_bytes([from]);
    }
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    Ok(request)
}
