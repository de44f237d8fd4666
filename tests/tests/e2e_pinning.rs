//! Uplinks that no partner helps to team: pinning, active-standby and static port-channels, what
//! is told of moves, and what is heard of neighbours. The real programs on real interfaces; needs
//! root.
//!
//! Port-channels by LACP are in `e2e_bonding`, the forwarding table row by row in `e2e_forwarding`.

#[path = "e2e_pinning/announce.rs"]
mod announce;
#[path = "e2e_pinning/channel.rs"]
mod channel;
#[path = "e2e_pinning/neighbors.rs"]
mod neighbors;
#[path = "e2e_pinning/pins.rs"]
mod pins;
#[path = "e2e_pinning/repeater.rs"]
mod repeater;
#[path = "e2e_pinning/rig.rs"]
mod rig;
#[path = "e2e_pinning/standby.rs"]
mod standby;
