//! The forwarding core: frames in, verdicts out, as values.
//!
//! *Where it sits:* workers call [`forward`] for every burst; so do the simulator, the fuzzer and
//! `weft trace`, with the same code. It is sans-IO: time comes as a number, frames as bytes, and
//! what comes out is for the caller to carry out.
//!
//! The stages in order (`stage`), the rows of the forwarding table that each one decides, and the drop
//! reasons it gives:
//!
//! ```text
//! admit       the port is known, the bytes are a frame: port-unknown, port-down, malformed
//! link_local  F2      BPDUs and other link-constrained frames of VMs: bpdu-from-vm,
//!                     link-local-from-vm
//!             R1      slow protocols, LLDP, CDP to the control task: link-local-from-wire
//!             R2      BPDUs from the wire: bpdu-from-wire
//! classify    F3, R3  tag and port make a VLAN: port-down, vid-reserved, tag-on-access,
//!                     vlan-not-allowed
//! guard       F1      source addresses of VMs: source-mac-invalid, source-mac-violation
//!             R4      local source addresses from the wire: own-source-from-uplink
//! acl                 access lists of the ingress port: acl-ingress
//! lookup      F4      unicast to a local address: hairpin
//!             F5, F6  the rest, and U(p)
//!             R5, R6  unicast to a local address, by U(q) or not: not-pinned-uplink
//!             R7, R8  the rest, by D(v) or not: not-designated-uplink
//! replicate   F5, F6  targets make copies: no-uplink
//!             R7, R8  unknown-unicast-from-uplink, no-local-member
//!             R9      no copy goes from wire to wire
//! - egress    F4      each copy: is the port in the VLAN, up, do its lists permit, does it fit:
//!                     vlan-not-allowed, port-down, acl-egress, mtu-exceeded
//! - mark              push, pop or rewrite its tag
//! count               what became of every frame
//! ```
//!
//! *Invariants:* (1) no allocation after [`reserve`], no lock, no clock, no panic; (2) every frame
//! ends in exactly one verdict, so `rx = forwarded + consumed + drops` for each ingress port; (3)
//! the verdict of a frame depends on the view, the time and the frame, and not on its neighbours:
//! a burst may be split anywhere.
//!
//! *Each frame goes the whole way before the next one starts* (`way`): what is the same for a
//! burst is looked up once, and what is read of a frame stays in registers and the nearest cache.
//!
//! *Not here:* transmission, offload completion and tag edits on bytes (worker), choice of uplinks
//! (called by the agent: [`pinning`] and, before it, [`hold_down`]).

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod batch;
pub mod counters;
pub mod hold_down;
pub mod pinning;
pub mod port_set;
pub mod rule;
mod stage;
pub mod state;
pub mod team;
pub mod trace;
pub mod view;
mod way;

pub use batch::{BURST_MAX, Batch, Event, Frame, Output, PuntTask, Slot, Verdict};
pub use counters::Counters;
pub use hold_down::HoldDown;
pub use port_set::PortSet;
pub use rule::Rule;
pub use state::State;
pub use team::{Links, TeamState};
pub use trace::{NoTrace, Step, StepTrace, Trace};
pub use view::View;

use proto::{PortId, VlanId};

/// Forwards a burst of at most [`BURST_MAX`] frames that came in at one port before `now_ns` of a
/// clock that never goes back. The results are in `batch` until the next call. Frames beyond the
/// maximum are not looked at.
pub fn forward(
    view: &View,
    now_ns: u64,
    state: &mut State,
    ingress: PortId,
    frames: &[Frame<'_>],
    batch: &mut Batch,
    trace: &mut impl Trace,
) {
    batch.start(frames.len());
    way::walk(view, now_ns, state, ingress, frames, batch, trace);
    stage::count::run(state, ingress, batch, trace);
}

/// Makes room in `state` and `batch` for whatever this view can need, so that [`forward`] does not
/// allocate. To be called when the view has changed, before its first burst.
pub fn reserve(view: &View, state: &State, batch: &mut Batch) {
    let snapshot = &view.snapshot;
    state.counters.reserve(snapshot.ports().map(|port| port.id), snapshot.rules_end());
    // The widest flood is the ports of a VLAN and one uplink.
    let widest = VlanId::all().map(|vlan| snapshot.vlan(vlan).flood.len()).max();
    batch.reserve(widest.unwrap_or(0).saturating_add(1));
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub(crate) mod tests;
