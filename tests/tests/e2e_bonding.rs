//! Uplinks teamed with the Linux bonding driver, in a guest that QEMU runs: a partner that none of
//! us wrote. The real programs on real interfaces; needs root.

#[path = "e2e_bonding/agree.rs"]
mod agree;
#[path = "e2e_bonding/change.rs"]
mod change;
#[path = "e2e_bonding/limits.rs"]
mod limits;
#[path = "e2e_bonding/partners.rs"]
mod partners;
#[path = "e2e_bonding/restart.rs"]
mod restart;
#[path = "e2e_bonding/rig.rs"]
mod rig;
#[path = "e2e_bonding/silence.rs"]
mod silence;
#[path = "e2e_bonding/wire.rs"]
mod wire;
