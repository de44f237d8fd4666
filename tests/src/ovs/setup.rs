//! How Open vSwitch is run when it is not just a partner: another program, settings of the datapath.

use std::path::PathBuf;

/// What [`super::OpenVswitch::start_as`] is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// The daemon that forwards, when it is not `ovs-vswitchd` of [`super::tools_dir`].
    pub program: Option<PathBuf>,
    /// Variables of its environment.
    pub environment: Vec<(&'static str, PathBuf)>,
    /// Settings of ovs-vswitchd.conf.db(5), table `Open_vSwitch`, column `other_config`:
    /// `pmd-cpu-mask=0x2`. They are there before the daemon starts.
    pub other_config: Vec<String>,
    /// Whether the daemon goes before ordinary programs, as a stand-in for hardware must.
    pub favoured: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self { program: None, environment: Vec::new(), other_config: Vec::new(), favoured: true }
    }
}
