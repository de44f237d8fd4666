//! QEMU itself: its command line, its sockets, its start.
//!
//! *Where it sits:* between [`super::Guest`] and the process. All files of a guest are in its
//! folder: `initrd`, `console`, `qmp`, `agent`, and for each NIC `nic<n>.lab` (ours) and
//! `nic<n>.guest` (QEMU's), between which frames pass as datagrams.

use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};

use proto::MacAddr;

use super::agent::Agent;
use super::image;
use super::qmp::Qmp;
use crate::error::{LabError, Result};
use crate::netns::Namespace;
use crate::process::Process;
use crate::wait::{SOON, wait_for_ok};

/// The kernel's command line: no delay for what only real machines have.
const KERNEL_ARGUMENTS: &str =
    "console=ttyS0 panic=0 mitigations=off nokaslr no_timer_check tsc=reliable net.ifnames=0";

/// Datagrams that wait for the guest, on top of the buffer of the packet socket; Linux has 10.
const DATAGRAM_QUEUE: &str = "256";

/// What a guest is to be started from, as often as it is.
#[derive(Debug)]
pub(super) struct Machine {
    name: String,
    arguments: Vec<String>,
    dir: PathBuf,
    /// Where QEMU runs: without interfaces, and ended with the namespace at the latest.
    namespace: Namespace,
}

/// A QEMU that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) process: Process,
    pub(super) qmp: Qmp,
    pub(super) agent: Agent,
}

impl Machine {
    /// A machine with these NICs, all of one MTU, whose files are in `dir`.
    pub(super) fn new(
        name: &str,
        memory_mib: u16,
        macs: &[MacAddr],
        mtu: u16,
        dir: &Path,
    ) -> Result<Self> {
        let namespace = Namespace::create(&format!("guest-{name}"))?;
        namespace.sysctl("net/unix/max_dgram_qlen", DATAGRAM_QUEUE)?;
        let arguments = arguments(memory_mib, macs, mtu, dir)?;
        Ok(Self { name: name.to_owned(), arguments, dir: dir.to_owned(), namespace })
    }

    /// Makes the lab's ends of the NICs' wires. They are to exist before the machine is started,
    /// so that no frame of the guest is refused.
    pub(super) fn sockets(&self, count: usize) -> Result<Vec<UnixDatagram>> {
        let bind = || {
            let paths = (0..count).map(|index| self.dir.join(format!("nic{index}.lab")));
            paths.map(UnixDatagram::bind).collect::<std::io::Result<Vec<_>>>()
        };
        self.namespace.run(bind)?.map_err(LabError::io("cannot bind the sockets of a guest's NICs"))
    }

    /// Where QEMU's end of the wire of a NIC is, once it runs.
    pub(super) fn nic_socket(&self, nic: usize) -> PathBuf {
        self.dir.join(format!("nic{nic}.guest"))
    }

    /// What the kernel and the first process have printed since the last start.
    pub(super) fn console(&self) -> String {
        std::fs::read(self.dir.join("console")).map_or_else(
            |error| format!("(no console of {}: {error})", self.name),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// Starts QEMU and connects to its sockets; the guest boots meanwhile.
    pub(super) fn start(&self) -> Result<Running> {
        let mut command = self.namespace.command("qemu-system-x86_64");
        command.args(&self.arguments);
        let mut process = Process::spawn(&self.name, command, &self.dir)?;
        let qmp = Qmp::new(connect(&self.dir.join("qmp"), &mut process)?)?;
        let agent = Agent::new(connect(&self.dir.join("agent"), &mut process)?);
        Ok(Running { process, qmp, agent })
    }
}

/// The arguments of QEMU.
fn arguments(memory_mib: u16, macs: &[MacAddr], mtu: u16, dir: &Path) -> Result<Vec<String>> {
    let kernel = image::kernel()?.display().to_string();
    let at = |name: &str| dir.join(name).display().to_string();
    let memory = memory_mib.to_string();
    // One thread emulates one processor; KVM is left alone even where it is.
    let machine = ["-nodefaults", "-no-user-config", "-display", "none", "-M", "pc"];
    let more = ["-accel", "tcg,thread=single", "-m", &memory, "-append", KERNEL_ARGUMENTS];
    let mut arguments: Vec<_> = machine.into_iter().chain(more).map(str::to_owned).collect();
    let mut add = |option: &str, value: String| arguments.extend([option.to_owned(), value]);
    add("-kernel", kernel);
    add("-initrd", at("initrd"));
    add("-serial", format!("file:{}", at("console")));
    add("-qmp", format!("unix:{},server=on,wait=off", at("qmp")));
    add("-chardev", format!("socket,id=agent,path={},server=on,wait=off", at("agent")));
    add("-device", "virtio-serial-pci".to_owned());
    add("-device", "virtserialport,chardev=agent,name=weft".to_owned());
    // The backend knows plain frames alone, so no checksum, segmentation or merging is offered.
    // The bonding driver wants to know the speed.
    let offers = "csum=off,guest_csum=off,gso=off,ctrl_vlan=off,speed=10000,duplex=full";
    for (index, mac) in macs.iter().enumerate() {
        let (ours, theirs) = (at(&format!("nic{index}.lab")), at(&format!("nic{index}.guest")));
        let wire =
            format!("local.type=unix,local.path={theirs},remote.type=unix,remote.path={ours}");
        add("-netdev", format!("dgram,id=wire{index},{wire}"));
        let nic = format!("virtio-net-pci,id=nic{index},netdev=wire{index},mac={mac},romfile=");
        add("-device", format!("{nic},host_mtu={mtu},{offers}"));
    }
    Ok(arguments)
}

/// Connects to a socket of QEMU as soon as it is there.
fn connect(path: &Path, process: &mut Process) -> Result<UnixStream> {
    wait_for_ok(format!("QEMU's socket {}", path.display()), SOON, || {
        match UnixStream::connect(path) {
            Ok(stream) => Ok(Ok(stream)),
            Err(error) => match process.check_running() {
                Ok(()) => Err(error),
                // No use in waiting longer.
                Err(ended) => Ok(Err(ended)),
            },
        }
    })?
}
