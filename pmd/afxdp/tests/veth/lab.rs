//! A network namespace with veth pairs in it, and the far ends of the pairs.
//!
//! Invariant: the namespace has the process id in its name and is removed when the [`Lab`] is
//! dropped, also when a test panics.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// EtherType of the frames sent here (IEEE 802 local experimental 1), to tell them from what the
/// kernel may send by itself.
pub(crate) const ETHER_TYPE: [u8; 2] = [0x88, 0xb5];
/// How long anything may take before a test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// A namespace of its own.
pub(crate) struct Lab {
    name: String,
}

impl Lab {
    /// Makes the namespace; fails the test when that is not allowed.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // SAFETY: geteuid has no preconditions.
        let user = unsafe { libc::geteuid() };
        assert_eq!(user, 0, "this test makes network namespaces and XDP programs: run it as root");
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let lab = Self { name: format!("afxdp-{}-{count}", std::process::id()) };
        ip(&["netns", "add", &lab.name]);
        lab
    }

    /// Makes a veth pair with `queues` queues at each end, both up.
    pub(crate) fn veth(&self, near: &str, far: &str, queues: u32, mtu: u32) {
        let (queues, mtu) = (queues.to_string(), mtu.to_string());
        let ends = [near, "numrxqueues", &queues, "numtxqueues", &queues, "mtu", &mtu];
        let mut add = vec!["-n", &self.name, "link", "add"];
        add.extend(ends);
        add.extend(["type", "veth", "peer", "name", far]);
        add.extend(&ends[1..]);
        ip(&add);
        for end in [near, far] {
            // No IPv6 of the kernel's own on the link.
            ip(&["-n", &self.name, "link", "set", end, "addrgenmode", "none"]);
            self.ip(&["link", "set", end, "up"]);
        }
    }

    /// `ip` in the namespace.
    pub(crate) fn ip(&self, arguments: &[&str]) {
        ip(&[&["-n", &self.name], arguments].concat());
    }

    /// Runs `body` on a thread that is in the namespace.
    pub(crate) fn run(&self, body: impl FnOnce() + Send) {
        let outcome = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    let file = std::fs::File::open(format!("/run/netns/{}", self.name))
                        .expect("the namespace was made");
                    // SAFETY: setns takes an open descriptor and concerns this thread only.
                    let rc = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
                    assert_eq!(rc, 0, "setns: {}", io::Error::last_os_error());
                    body();
                })
                .join()
        });
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        match Command::new("ip").args(["netns", "del", &self.name]).status() {
            Ok(status) if status.success() => {}
            other => eprintln!("namespace {} stays behind: {other:?}", self.name),
        }
    }
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().expect("iproute2 is installed");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {}: {stderr}", arguments.join(" "));
}

/// Index of an interface of the thread's namespace.
pub(crate) fn ifindex(name: &str) -> u32 {
    let name = std::ffi::CString::new(name).expect("no zero in a name");
    // SAFETY: the pointer is to a string that ends in zero.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    assert_ne!(index, 0, "no interface {name:?}");
    index
}

/// An AF_PACKET socket on an interface: a host that sends and receives whole frames.
pub(crate) struct Host {
    fd: OwnedFd,
}

impl Host {
    pub(crate) fn new(interface: &str) -> Self {
        let protocol = (libc::ETH_P_ALL as u16).to_be();
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: socket takes no pointer; the descriptor is new and nobody else's.
        let fd = unsafe {
            let fd = libc::socket(libc::AF_PACKET, kind, i32::from(protocol));
            assert!(fd >= 0, "socket(AF_PACKET): {}", io::Error::last_os_error());
            OwnedFd::from_raw_fd(fd)
        };
        // SAFETY: all fields of the structure may be zero.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol;
        address.sll_ifindex = ifindex(interface) as i32;
        let (buffer, ignore) = (8 << 20, 1);
        set(&fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, buffer);
        set(&fd, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, ignore);
        // SAFETY: pointer and length are those of `address`.
        let rc = unsafe {
            libc::bind(
                fd.as_raw_fd(),
                (&raw const address).cast(),
                size_of::<libc::sockaddr_ll>() as u32,
            )
        };
        assert_eq!(rc, 0, "bind(AF_PACKET): {}", io::Error::last_os_error());
        Self { fd }
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        // SAFETY: pointer and length are those of `frame`.
        let sent =
            unsafe { libc::send(self.fd.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        assert_eq!(sent, frame.len() as isize, "send: {}", io::Error::last_os_error());
    }

    /// The next of our frames that has arrived, if any.
    pub(crate) fn receive(&self) -> Option<Vec<u8>> {
        loop {
            let mut frame = vec![0u8; 65536];
            // SAFETY: pointer and length are those of `frame`.
            let got = unsafe {
                libc::recv(self.fd.as_raw_fd(), frame.as_mut_ptr().cast(), frame.len(), 0)
            };
            let Ok(len) = usize::try_from(got) else {
                let e = io::Error::last_os_error();
                assert_eq!(e.kind(), io::ErrorKind::WouldBlock, "recv: {e}");
                return None;
            };
            frame.truncate(len);
            if frame.get(12..14) == Some(&ETHER_TYPE) {
                return Some(frame);
            }
        }
    }
}

fn set(fd: &OwnedFd, level: i32, name: i32, value: i32) {
    // SAFETY: pointer and length are those of `value`.
    let rc = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), 4) };
    assert_eq!(rc, 0, "setsockopt {name}: {}", io::Error::last_os_error());
}

/// The `n`th test frame, of `len` bytes, all of which depend on `n`.
pub(crate) fn frame(n: u32, len: usize) -> Vec<u8> {
    let mut frame = vec![0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2];
    frame.extend(ETHER_TYPE);
    frame.extend(n.to_be_bytes());
    let fill = (frame.len()..len).map(|i| (n as usize).wrapping_mul(31).wrapping_add(i * 7) as u8);
    frame.extend(fill);
    frame
}

/// Calls `done` until it is true; fails the test with `what` at the deadline.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        std::thread::yield_now();
    }
}
