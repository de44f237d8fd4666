//! Uplinks teamed with the Linux bonding driver, in a guest that QEMU runs: a partner that none of
//! us wrote. The real programs on real interfaces; needs root.

#[path = "e2e_bonding/agree.rs"]
mod agree;
#[path = "e2e_bonding/rig.rs"]
mod rig;
