//! What happens to a running switch: links lost, interfaces deleted, daemons killed and started
//! again, VMs that come, go and move. The real programs on real interfaces; needs root.

#[path = "e2e_lifecycle/dataplane.rs"]
mod dataplane;
#[path = "e2e_lifecycle/ports.rs"]
mod ports;
#[path = "e2e_lifecycle/supervisor.rs"]
mod supervisor;
#[path = "e2e_lifecycle/uplinks.rs"]
mod uplinks;
