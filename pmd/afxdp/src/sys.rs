//! The system calls this crate makes, each behind a safe function.
//!
//! Where it sits: called by `socket`, `region` and the rings; nothing here knows what a ring is.
//!
//! Invariant: a [`Mapping`] is unmapped exactly once, by its drop.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::time::Duration;

use libc::{c_int, c_void, socklen_t};

use crate::uapi::sockaddr_xdp;

/// Marks the plain structures of the uapi that may be passed to and filled by the kernel.
///
/// # Safety
///
/// The type has no padding, and every bit pattern is a value of it.
pub(crate) unsafe trait Plain: Copy + Default {}

// SAFETY: `repr(C)` structures of unsigned integers without padding (their sizes are asserted in
// `uapi` to be the sums of their fields), or unsigned integers.
unsafe impl Plain for crate::uapi::xdp_mmap_offsets {}
// SAFETY: as above.
unsafe impl Plain for crate::uapi::xdp_umem_reg {}
// SAFETY: as above.
unsafe impl Plain for crate::uapi::xdp_statistics {}
// SAFETY: as above.
unsafe impl Plain for crate::uapi::xdp_options {}
// SAFETY: as above.
unsafe impl Plain for u32 {}

/// The machine's page size in bytes.
pub(crate) fn page_bytes() -> usize {
    // SAFETY: sysconf takes no pointer.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    // Linux always answers; the fallback is the page size of x86-64 and most of arm64.
    usize::try_from(size).unwrap_or(4096)
}

/// Opens an unbound AF_XDP socket, closed on exec.
pub(crate) fn xdp_socket() -> io::Result<OwnedFd> {
    // SAFETY: socket takes no pointer.
    let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just opened and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `setsockopt` with a plain value.
pub(crate) fn set_option<T: Plain>(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: &T,
) -> io::Result<()> {
    // SAFETY: the pointer and length are those of `value`, which the kernel only reads.
    let rc = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            ptr::from_ref(value).cast::<c_void>(),
            size_of::<T>() as socklen_t,
        )
    };
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `getsockopt` of a plain value; also says how many bytes the kernel wrote (an older kernel
/// knows fewer fields and leaves the rest zero).
pub(crate) fn get_option<T: Plain>(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
) -> io::Result<(T, usize)> {
    let mut value = T::default();
    let mut len = size_of::<T>() as socklen_t;
    // SAFETY: the pointer and length are those of `value`; the kernel writes at most `len` bytes,
    // and any bytes are a value of a `Plain` type.
    let rc = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            level,
            name,
            ptr::from_mut(&mut value).cast::<c_void>(),
            &raw mut len,
        )
    };
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok((value, len as usize)) }
}

/// Binds an AF_XDP socket.
pub(crate) fn bind(fd: BorrowedFd<'_>, address: &sockaddr_xdp) -> io::Result<()> {
    // SAFETY: the pointer and length are those of `address`, which the kernel only reads.
    let rc = unsafe {
        libc::bind(
            fd.as_raw_fd(),
            ptr::from_ref(address).cast::<libc::sockaddr>(),
            size_of::<sockaddr_xdp>() as socklen_t,
        )
    };
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// An empty, non-blocking `sendto`: the kernel looks at the transmit ring.
pub(crate) fn kick_send(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: buffer and address are null with length zero, which the call allows.
    let rc =
        unsafe { libc::sendto(fd.as_raw_fd(), ptr::null(), 0, libc::MSG_DONTWAIT, ptr::null(), 0) };
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// An empty, non-blocking `recvfrom`: the kernel looks at the fill ring, and says whether the
/// socket still has its device.
pub(crate) fn kick_receive(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: buffer and address are null with length zero, which the call allows.
    let rc = unsafe {
        libc::recvfrom(
            fd.as_raw_fd(),
            ptr::null_mut(),
            0,
            libc::MSG_DONTWAIT,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Waits until one of the sockets can be read or has an error; see [`crate::wait`].
pub(crate) fn poll(fds: &[BorrowedFd<'_>], timeout: Duration) -> io::Result<usize> {
    let mut polled: Vec<libc::pollfd> = fds
        .iter()
        .map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 })
        .collect();
    let timeout_ms = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
    // SAFETY: pointer and count are those of the vector.
    let rc = unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, timeout_ms) };
    match usize::try_from(rc) {
        Ok(ready) => Ok(ready),
        Err(_) => match io::Error::last_os_error() {
            e if e.kind() == io::ErrorKind::Interrupted => Ok(0),
            e => Err(e),
        },
    }
}

/// Raises the soft and hard limit of locked memory to infinity.
pub(crate) fn raise_memlock() -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the pointer is to a live structure that the kernel only reads.
    let rc = unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A mapping that is unmapped when it is dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a mapping belongs to the process, not to a thread; this type hands out its address only.
unsafe impl Send for Mapping {}
// SAFETY: as above; there is no method that changes anything through a shared reference.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps a ring of a socket.
    pub(crate) fn ring(fd: BorrowedFd<'_>, len: usize, offset: i64) -> io::Result<Self> {
        Self::map(len, libc::MAP_SHARED | libc::MAP_POPULATE, fd.as_raw_fd(), offset)
    }

    /// Maps zeroed memory of ordinary pages, or of 2 MiB pages (of which `len` is a multiple).
    pub(crate) fn anonymous(len: usize, huge: bool) -> io::Result<Self> {
        let huge = if huge { libc::MAP_HUGETLB | libc::MAP_HUGE_2MB } else { 0 };
        Self::map(len, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | huge, -1, 0)
    }

    fn map(len: usize, flags: c_int, fd: c_int, offset: i64) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: with a null hint and without MAP_FIXED the call replaces no existing mapping.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, fd, offset) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        match NonNull::new(base.cast::<u8>()) {
            Some(base) => Ok(Self { base, len }),
            None => Err(io::Error::other("mmap returned address zero")),
        }
    }

    /// Asks for transparent huge pages; no more than a wish, so a refusal is of no consequence.
    pub(crate) fn wish_huge(&self) -> bool {
        // SAFETY: the range is exactly this mapping, and the advice changes no content.
        let rc = unsafe {
            libc::madvise(self.base.as_ptr().cast::<c_void>(), self.len, libc::MADV_HUGEPAGE)
        };
        rc == 0
    }

    /// Start of the mapping.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: base and length are what mmap returned, and drop runs once. The owners of the
        // mapping (a ring, a region) drop with it, so no pointer into it is used afterwards.
        let rc = unsafe { libc::munmap(self.base.as_ptr().cast::<c_void>(), self.len) };
        debug_assert_eq!(rc, 0, "munmap of a live mapping");
    }
}
