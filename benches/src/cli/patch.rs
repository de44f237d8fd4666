//! What the kernel itself has to join two wires: to try the tester on.

use aya::Ebpf;
use aya::programs::{Xdp, XdpMode};
use clap::ValueEnum;
use nix::net::if_::if_nametoindex;
use tests::error::LabError;
use tests::netns::Namespace;

use crate::bpf::{self, BpfError};
use crate::plan;
use crate::tester::{SinkKind, TesterError};
use crate::wires::{Wire, Wires};

const REDIRECT: &str = "redirect";

/// How the switch's ends are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Patch {
    /// XDP_REDIRECT, frames unread.
    Redirect,
    /// A Linux bridge that knows both end systems.
    Bridge,
}

/// What joins them, until it is dropped.
#[derive(Debug)]
pub(crate) enum Patched {
    Redirect(#[expect(dead_code, reason = "holds the programs on the interfaces")] [Ebpf; 2]),
    Bridge(Namespace),
}

impl Patch {
    pub(crate) const fn sink(self) -> SinkKind {
        match self {
            Self::Redirect => SinkKind::Xdp,
            Self::Bridge => SinkKind::Tc,
        }
    }

    pub(crate) fn join(self, wires: &Wires) -> Result<Patched, TesterError> {
        match self {
            Self::Redirect => {
                let both = [redirect(wires, Wire::A)?, redirect(wires, Wire::B)?];
                Ok(Patched::Redirect(both))
            }
            Self::Bridge => {
                bridge(wires)?;
                Ok(Patched::Bridge(wires.switch().share()))
            }
        }
    }
}

impl Drop for Patched {
    fn drop(&mut self) {
        let Self::Bridge(namespace) = self else { return };
        if let Err(error) = namespace.ip("link del dev br0") {
            eprintln!("cannot remove the bridge: {error}");
        }
    }
}

fn redirect(wires: &Wires, from: Wire) -> Result<Ebpf, TesterError> {
    let error = |e| BpfError::Program(REDIRECT, e);
    let to = from.other().switch();
    let out = wires.switch().run(|| if_nametoindex(to))?;
    let out = out.map_err(LabError::errno(format!("no interface {to}")))?;
    let mut bpf = bpf::load(bpf::REDIRECT, &[("out_ifindex", &out.to_ne_bytes())])?;
    let program: &mut Xdp = bpf::program_mut(&mut bpf, REDIRECT)?;
    program.load().map_err(error)?;
    let attached = wires.switch().run(|| program.attach(from.switch(), XdpMode::Driver))?;
    attached.map_err(error)?;
    Ok(bpf)
}

fn bridge(wires: &Wires) -> Result<(), LabError> {
    let switch = wires.switch();
    switch.ip("link add br0 type bridge mcast_snooping 0")?;
    for wire in Wire::BOTH {
        let (port, mac) = (wire.switch(), plan::MACS[wire.index()].to_string());
        switch.ip(&format!("link set dev {port} master br0"))?;
        switch.output("bridge", &["fdb", "replace", &mac, "dev", port, "master", "static"])?;
        switch.output("ethtool", &["-K", port, "gro", "on"])?;
    }
    switch.ip("link set dev br0 up").map(drop)
}
