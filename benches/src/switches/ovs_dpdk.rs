//! Open vSwitch on DPDK, its ports AF_XDP sockets too, driven by `net_af_xdp`.
//!
//! `packaging/setup-bench.sh` unpacks Debian's programs. No huge pages are reserved for it: the
//! driver copies through the same memory whatever its pages are, and a setting of the whole
//! machine would have to be put back.

use std::path::PathBuf;

use tests::error::LabError;
use tests::ovs::{OpenVswitch, Setup, tools_dir};

use super::ovs::{RunningOvs, of_port, pmd_mask};
use crate::plan::TESTER_CPU;
use crate::switch::{Running, Setting, StartError, Switch};
use crate::wires::{Wire, Wires};

/// The daemon, in the folder of the tools.
const PROGRAM: &str = "ovs-vswitchd-dpdk";

/// Plug-ins of DPDK. Without a folder, so that the loader finds them among the libraries: DPDK
/// itself refuses those below a folder that others may write into, such as one of `/tmp`.
const PLUGINS: [&str; 3] =
    ["librte_bus_vdev.so.23", "librte_mempool_ring.so.23", "librte_net_af_xdp.so.23"];

/// Memory for packets, in MiB. The daemon touches all of it before it forwards.
const MEMORY_MIB: u32 = 512;

/// Open vSwitch with ports of `type=dpdk`.
#[derive(Debug)]
pub struct OpenVswitchDpdk;

impl Switch for OpenVswitchDpdk {
    fn name(&self) -> &'static str {
        "ovs-dpdk"
    }

    fn start(&self, wires: &Wires, setting: &Setting) -> Result<Box<dyn Running>, StartError> {
        let tools = tools();
        for program in [tools.join(PROGRAM), tools_dir().join("ovs-ofctl")] {
            if !program.is_file() {
                let why = "Open vSwitch on DPDK: run `make setup` and `packaging/setup-bench.sh`";
                return Err(StartError::Unavailable(why.to_owned()));
            }
        }
        let runtime = tempfile::tempdir().map_err(LabError::io("cannot make a folder"))?;
        let setup = Setup {
            program: Some(tools.join(PROGRAM)),
            environment: vec![
                ("LD_LIBRARY_PATH", tools.join("lib")),
                ("RUNTIME_DIRECTORY", runtime.path().to_owned()),
            ],
            other_config: other_config(),
            favoured: false,
        };
        let add = |ovs: &OpenVswitch, wire: Wire| {
            let arguments =
                format!("options:dpdk-devargs=net_af_xdp{},iface={}", wire.index(), wire.switch());
            let number = format!("ofport_request={}", of_port(wire));
            ovs.add_interface(port(wire), &["type=dpdk", &arguments, &number])
        };
        let mut running = RunningOvs::start(wires, setting, setup, add)?;
        running.keep(runtime);
        running.description =
            format!("{}, {}, no huge pages", running.version()?, running.driver(port(Wire::A))?);
        Ok(Box::new(running))
    }
}

/// The folder in which `packaging/setup-bench.sh` has put daemon and libraries.
fn tools() -> PathBuf {
    tools_dir().with_file_name("openvswitch-dpdk")
}

/// Name of a wire's port.
const fn port(wire: Wire) -> &'static str {
    match wire {
        Wire::A => "dpdk-a",
        Wire::B => "dpdk-b",
    }
}

fn other_config() -> Vec<String> {
    let plugins: String = PLUGINS.iter().map(|plugin| format!(" -d {plugin}")).collect();
    // Without huge pages memory is of DPDK's older kind, which has to be said, or the daemon asks
    // for a newer one.
    let extra = format!("--no-huge --legacy-mem -m {MEMORY_MIB} --no-pci{plugins}");
    vec![
        "dpdk-init=true".to_owned(),
        format!("dpdk-lcore-mask={:#x}", 1_u64 << TESTER_CPU),
        format!("dpdk-extra=\"{extra}\""),
        pmd_mask(),
    ]
}
