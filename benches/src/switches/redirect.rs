//! The limit of the kernel: an XDP program on each end that sends every frame out by the other one.
//! No table, no rule, no program of user space.

use aya::{EbpfLoader, include_bytes_aligned};
use tests::error::{LabError, Result};

use super::gro::Gro;
use super::{probe, xdp};
use crate::switch::{Running, Setting, StartError, Switch};
use crate::wires::{Wire, Wires};

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/redirect.bpf.o"));

/// `XDP_REDIRECT` between the two ends. Any setting will do: it looks at nothing.
#[derive(Debug)]
pub struct Redirect;

#[derive(Debug)]
struct Redirecting {
    _programs: [xdp::Attached; 2],
    _gro: Gro,
}

impl Switch for Redirect {
    fn name(&self) -> &'static str {
        "xdp-redirect"
    }

    fn sends_xdp(&self) -> bool {
        true
    }

    fn start(&self, wires: &Wires, _: &Setting) -> Result<Box<dyn Running>, StartError> {
        // What a program sends by a veth is lost unless the other end polls.
        let gro = Gro::on(wires.tester(), Wire::BOTH.map(Wire::tester))?;
        let [a, b] = Wire::BOTH.map(|wire| attach(wires, wire));
        let programs = [a?, b?];
        let running = Redirecting { _programs: programs, _gro: gro };
        probe::wait_forwards(wires, || Ok(()))?;
        Ok(Box::new(running))
    }
}

fn attach(wires: &Wires, wire: Wire) -> Result<xdp::Attached> {
    let peer = xdp::index(wires.switch(), wire.other().switch())?;
    wires.switch().run(|| {
        let mut loader = EbpfLoader::new();
        loader.override_global("PEER", &peer, true);
        xdp::attach(&mut loader, OBJECT, "redirect", wire.switch())
    })?
}

impl Running for Redirecting {
    fn describe(&self) -> String {
        format!("Linux {}, native, on the sender's core", super::kernel())
    }

    fn check(&mut self) -> Result<(), LabError> {
        Ok(())
    }
}
