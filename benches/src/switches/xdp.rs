//! XDP programs of this crate on the switch's ends of the wires.

use std::fmt;

use aya::programs::links::FdLink;
use aya::programs::{Xdp, XdpMode};
use aya::{Ebpf, EbpfLoader};
use tests::error::{LabError, Result};
use tests::netns::Namespace;

/// A program on an interface; it leaves with this value, or with the process.
pub(super) struct Attached {
    _link: FdLink,
    /// Its maps.
    pub(super) bpf: Ebpf,
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached").finish_non_exhaustive()
    }
}

/// Loads a program and attaches it to an interface of the calling thread's namespace, in the
/// driver. `loader` may have set its constants.
///
/// # Errors
/// With the kernel's words.
pub(super) fn attach(
    loader: &mut EbpfLoader<'_>,
    object: &[u8],
    program: &str,
    interface: &str,
) -> Result<Attached> {
    let failed =
        |e: &dyn fmt::Display| LabError::Unexpected(format!("XDP {program} on {interface}: {e}"));
    let mut bpf = loader.load(object).map_err(|e| failed(&e))?;
    let missing = || failed(&"not in the object");
    let xdp = bpf.program_mut(program).ok_or_else(missing)?;
    let xdp: &mut Xdp = xdp.try_into().map_err(|e| failed(&e))?;
    xdp.load().map_err(|e| failed(&e))?;
    let id = xdp.attach(interface, XdpMode::Driver).map_err(|e| failed(&e))?;
    let link = xdp.take_link(id).map_err(|e| failed(&e))?;
    // Anything but a file descriptor would leave the program behind when we die.
    let link = FdLink::try_from(link).map_err(|e| failed(&e))?;
    Ok(Attached { _link: link, bpf })
}

/// Index of an interface.
///
/// # Errors
/// When there is no such interface.
pub(super) fn index(namespace: &Namespace, interface: &str) -> Result<u32> {
    let index = namespace.run(|| nix::net::if_::if_nametoindex(interface))?;
    index.map_err(LabError::errno(format!("no interface {interface} in {}", namespace.name())))
}

/// Whether an interface has an XDP program.
///
/// # Errors
/// With the words of `ip`.
pub fn has_program(namespace: &Namespace, interface: &str) -> Result<bool> {
    Ok(namespace.ip(&format!("-d link show dev {interface}"))?.contains("xdp"))
}
