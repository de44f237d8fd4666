//! Our port-channels against those of Open vSwitch: another LACP, with its own ideas of when to
//! speak, and bonds that do without. The real programs on real interfaces; needs root.

#[path = "e2e_ovs/agree.rs"]
mod agree;
#[path = "e2e_ovs/fixed.rs"]
mod fixed;
#[path = "e2e_ovs/limits.rs"]
mod limits;
#[path = "e2e_ovs/partners.rs"]
mod partners;
#[path = "e2e_ovs/silence.rs"]
mod silence;
