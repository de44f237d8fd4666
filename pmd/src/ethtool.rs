//! The few interface settings an AF_XDP port needs, by ioctl (linux/ethtool.h, linux/sockios.h).
//!
//! Where it sits: [`crate::xsk`] reads the driver and its queues, and turns off what would hide a
//! frame's tag from XDP. Invariant: [`OffloadGuard`] puts back what it changed.

use std::ffi::{CStr, c_char};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use proto::MacAddr;

const SIOCETHTOOL: libc::c_ulong = 0x8946;
const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GFLAGS: u32 = 0x25;
const ETHTOOL_SFLAGS: u32 = 0x26;
const ETHTOOL_GCHANNELS: u32 = 0x3c;
/// `ETH_FLAG_LRO`: large receive offload merges frames before XDP sees them.
const FLAG_LRO: u32 = 1 << 15;
/// `ETH_FLAG_RXVLAN`: the NIC takes the tag off before XDP sees the frame.
const FLAG_RXVLAN: u32 = 1 << 8;

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    cmd: u32,
    data: u32,
}

/// `struct ethtool_channels`.
#[repr(C)]
#[derive(Default)]
struct Channels {
    cmd: u32,
    max_rx: u32,
    max_tx: u32,
    max_other: u32,
    max_combined: u32,
    rx_count: u32,
    tx_count: u32,
    other_count: u32,
    combined_count: u32,
}

/// `struct ethtool_drvinfo`.
#[repr(C)]
struct DriverInfo {
    cmd: u32,
    driver: [c_char; 32],
    rest: [u8; 160],
}

const _: () = assert!(size_of::<DriverInfo>() == 196);

/// An interface of the calling thread's network namespace, for asking and setting.
#[derive(Debug)]
pub struct Netdev {
    socket: OwnedFd,
    name: String,
}

impl Netdev {
    /// The interface with this name; whether it exists shows at the first question.
    ///
    /// # Errors
    /// No socket could be had.
    pub fn new(name: &str) -> io::Result<Self> {
        // SAFETY: socket() takes no pointers.
        let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just opened and nobody else has it.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { socket, name: name.to_owned() })
    }

    /// Its index.
    ///
    /// # Errors
    /// There is no such interface.
    pub fn index(&self) -> io::Result<u32> {
        let mut request = self.request()?;
        self.ioctl(libc::SIOCGIFINDEX, &mut request)?;
        // SAFETY: SIOCGIFINDEX filled this member of the union.
        let index = unsafe { request.ifr_ifru.ifru_ifindex };
        u32::try_from(index).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
    }

    /// Its MAC address.
    ///
    /// # Errors
    /// There is no such interface.
    pub fn mac(&self) -> io::Result<MacAddr> {
        let mut request = self.request()?;
        self.ioctl(libc::SIOCGIFHWADDR, &mut request)?;
        // SAFETY: SIOCGIFHWADDR filled this member of the union.
        let data = unsafe { request.ifr_ifru.ifru_hwaddr.sa_data };
        Ok(MacAddr::new(std::array::from_fn(|i| data[i].to_ne_bytes()[0])))
    }

    /// Its MTU in bytes.
    ///
    /// # Errors
    /// There is no such interface.
    pub fn mtu_bytes(&self) -> io::Result<u32> {
        let mut request = self.request()?;
        self.ioctl(libc::SIOCGIFMTU, &mut request)?;
        // SAFETY: SIOCGIFMTU filled this member of the union.
        let mtu = unsafe { request.ifr_ifru.ifru_mtu };
        u32::try_from(mtu).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
    }

    /// Sets its MAC address.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn set_mac(&self, mac: MacAddr) -> io::Result<()> {
        let mut request = self.request()?;
        let mut address =
            libc::sockaddr { sa_family: libc::ARPHRD_ETHER, sa_data: Default::default() };
        for (to, from) in address.sa_data.iter_mut().zip(mac.octets()) {
            *to = c_char::from_ne_bytes([from]);
        }
        request.ifr_ifru.ifru_hwaddr = address;
        self.ioctl(libc::SIOCSIFHWADDR, &mut request)
    }

    /// Sets its MTU.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn set_mtu_bytes(&self, mtu_bytes: u16) -> io::Result<()> {
        let mut request = self.request()?;
        request.ifr_ifru.ifru_mtu = i32::from(mtu_bytes);
        self.ioctl(libc::SIOCSIFMTU, &mut request)
    }

    /// Sets it administratively up.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn set_up(&self) -> io::Result<()> {
        let mut request = self.request()?;
        self.ioctl(libc::SIOCGIFFLAGS, &mut request)?;
        // SAFETY: SIOCGIFFLAGS filled this member of the union.
        let flags = unsafe { request.ifr_ifru.ifru_flags };
        request.ifr_ifru.ifru_flags = flags | libc::IFF_UP as libc::c_short;
        self.ioctl(libc::SIOCSIFFLAGS, &mut request)
    }

    /// Whether it is up and has carrier.
    ///
    /// # Errors
    /// There is no such interface.
    pub fn has_carrier(&self) -> io::Result<bool> {
        let mut request = self.request()?;
        self.ioctl(libc::SIOCGIFFLAGS, &mut request)?;
        // SAFETY: SIOCGIFFLAGS filled this member of the union.
        let flags = i32::from(unsafe { request.ifr_ifru.ifru_flags });
        let needed = libc::IFF_UP | libc::IFF_RUNNING;
        Ok(flags & needed == needed)
    }

    /// The name of its driver.
    ///
    /// # Errors
    /// There is no such interface, or its driver does not tell.
    pub fn driver(&self) -> io::Result<String> {
        let mut info = DriverInfo { cmd: ETHTOOL_GDRVINFO, driver: [0; 32], rest: [0; 160] };
        self.ethtool(&mut info)?;
        let bytes = info.driver.map(|c| c.to_ne_bytes()[0]);
        let name = CStr::from_bytes_until_nul(&bytes).unwrap_or_default();
        Ok(name.to_string_lossy().into_owned())
    }

    /// How many receive queues it uses; 1 when its driver does not tell.
    #[must_use]
    pub fn receive_queues(&self) -> u32 {
        let mut channels = Channels { cmd: ETHTOOL_GCHANNELS, ..Channels::default() };
        match self.ethtool(&mut channels) {
            Ok(()) => (channels.combined_count + channels.rx_count).max(1),
            Err(_) => 1,
        }
    }

    /// Turns off VLAN receive offload and LRO, until the guard goes.
    ///
    /// # Errors
    /// The driver has one of them on and refuses to turn it off.
    pub fn expose_frames(self) -> io::Result<OffloadGuard> {
        let mut value = Value { cmd: ETHTOOL_GFLAGS, data: 0 };
        // A driver that knows no flags has none of them on.
        let hidden = match self.ethtool(&mut value) {
            Ok(()) => value.data & (FLAG_LRO | FLAG_RXVLAN),
            Err(_) => 0,
        };
        if hidden != 0 {
            self.ethtool(&mut Value { cmd: ETHTOOL_SFLAGS, data: value.data & !hidden })?;
        }
        Ok(OffloadGuard { netdev: self, hidden })
    }

    fn request(&self) -> io::Result<libc::ifreq> {
        // SAFETY: ifreq is plain data for which all zeros is a value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        if self.name.is_empty() || self.name.len() >= request.ifr_name.len() {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        for (to, from) in request.ifr_name.iter_mut().zip(self.name.bytes()) {
            *to = c_char::from_ne_bytes([from]);
        }
        Ok(request)
    }

    fn ioctl(&self, number: libc::c_ulong, request: &mut libc::ifreq) -> io::Result<()> {
        // SAFETY: every number used here takes a pointer to a whole ifreq, which this is, and
        // writes nothing outside it.
        let result = unsafe { libc::ioctl(self.socket.as_raw_fd(), number as _, request) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// One ethtool command on a structure that begins with its number.
    fn ethtool<T>(&self, command: &mut T) -> io::Result<()> {
        let mut request = self.request()?;
        request.ifr_ifru.ifru_data = std::ptr::from_mut(command).cast();
        // The pointer is to a live, exclusively borrowed structure of the layout its command has.
        self.ioctl(SIOCETHTOOL, &mut request)
    }
}

/// Holds VLAN receive offload and LRO off; puts back what was on.
#[derive(Debug)]
pub struct OffloadGuard {
    netdev: Netdev,
    hidden: u32,
}

impl Drop for OffloadGuard {
    fn drop(&mut self) {
        if self.hidden == 0 {
            return;
        }
        let mut value = Value { cmd: ETHTOOL_GFLAGS, data: 0 };
        let restored = self.netdev.ethtool(&mut value).and_then(|()| {
            let data = value.data | self.hidden;
            self.netdev.ethtool(&mut Value { cmd: ETHTOOL_SFLAGS, data })
        });
        if let Err(error) = restored {
            // An interface that is gone needs nothing put back.
            tracing::debug!(netdev = self.netdev.name, %error, "offloads not put back");
        }
    }
}

/// Keeps an interface promiscuous: a NIC must take in frames for the VMs' addresses. The kernel
/// ends it with the descriptor, so also when the process is killed (packet(7), `PACKET_MR_PROMISC`).
#[derive(Debug)]
pub struct Promiscuous(#[expect(dead_code, reason = "held for its descriptor")] OwnedFd);

impl Promiscuous {
    /// Makes the interface with this index promiscuous while the value lives.
    ///
    /// # Errors
    /// No packet socket could be had (`CAP_NET_RAW`), or there is no such interface.
    pub fn hold(ifindex: u32) -> io::Result<Self> {
        // Protocol 0: the socket itself receives nothing.
        // SAFETY: socket() takes no pointers.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just opened and nobody else has it.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        let request = libc::packet_mreq {
            mr_ifindex: i32::try_from(ifindex).map_err(|_| io::ErrorKind::InvalidInput)?,
            mr_type: libc::PACKET_MR_PROMISC as libc::c_ushort,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        // SAFETY: the pointer and length are those of a live packet_mreq.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_ADD_MEMBERSHIP,
                (&raw const request).cast(),
                size_of::<libc::packet_mreq>() as libc::socklen_t,
            )
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(Self(socket)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_answers() {
        let lo = Netdev::new("lo").expect("a socket");
        assert_eq!(lo.index().expect("lo exists in every namespace"), 1);
        assert_eq!(lo.mac().expect("lo has an address"), MacAddr::ZERO);
        assert_eq!(lo.receive_queues(), 1);
        assert!(lo.mtu_bytes().expect("lo has an MTU") >= 1280);
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        for name in ["", "a-name-longer-than-15", "no-such-if"] {
            assert!(Netdev::new(name).expect("a socket").index().is_err(), "{name}");
        }
    }
}
