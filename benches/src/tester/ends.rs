//! The two ends of the tester, as the BPF programs know them.

use nix::net::if_::if_nametoindex;
use tests::error::LabError;

use super::error::TesterError;
use crate::plan;
use crate::wires::{Wire, Wires};

/// `struct end_system` of `bpf/frame.h`, in bytes.
const END_BYTES: usize = 16;

/// The globals `ends` and `port_dst`.
#[derive(Debug)]
pub(crate) struct Ends {
    ends: [u8; 2 * END_BYTES],
    port_dst: [u8; 2],
}

impl Ends {
    pub(crate) fn of(wires: &Wires) -> Result<Self, TesterError> {
        let mut ends = [0; 2 * END_BYTES];
        for (wire, end) in Wire::BOTH.into_iter().zip(ends.chunks_exact_mut(END_BYTES)) {
            let name = wire.tester();
            let ifindex = wires.tester().run(|| if_nametoindex(name))?;
            let ifindex = ifindex.map_err(LabError::errno(format!("no interface {name}")))?;
            let network = plan::NETWORKS[wire.index()].to_bits();
            end[..4].copy_from_slice(&ifindex.to_ne_bytes());
            end[4..8].copy_from_slice(&network.to_ne_bytes());
            end[8..14].copy_from_slice(&plan::MACS[wire.index()].octets());
        }
        Ok(Self { ends, port_dst: plan::UDP_DST.to_ne_bytes() })
    }

    pub(crate) fn globals(&self) -> [(&'static str, &[u8]); 2] {
        [("ends", &self.ends), ("port_dst", &self.port_dst)]
    }
}
