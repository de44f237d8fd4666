//! Targets become copies, one an egress port; local ports ascending, the uplink last.
//!
//! A port never gets its own frame back, and of a flood a port that is down is no part. Only the
//! port that an address belongs to stays in when it is down, so that the reason can be told.
//!
//! Unknown unicast from the wire reaches a port that wants it only by the port's own uplink, as
//! known unicast does (R6): a physical switch that floods it does so on every link of the host, and
//! each copy but one is a duplicate.
//!
//! A frame of which at least one copy leaves is forwarded; one whose copies were all refused is
//! dropped for the reason of the first. Each refused copy also counts at the port that refused it.

use policy::snapshot::{Role, Vlan};
use proto::frame::{FrameKey, TagEdit};
use proto::{DropReason, PortId, VlanId};

use super::lookup::Local;
use super::{egress, mark};
use crate::core::batch::{Frame, Output, Slot, Verdict};
use crate::core::trace::{Step, Trace};
use crate::core::way::{Stage, Way};

/// Writes the outputs of a frame to a known address: nearly always one, and an access port.
#[inline(always)]
pub(in crate::core) fn known<T: Trace>(
    way: &mut Way<'_, T>,
    slot: Slot,
    frame: &Frame<'_>,
    key: &FrameKey,
    vlan: VlanId,
    owner: PortId,
) -> Stage<()> {
    let payload_bytes = egress::payload_bytes(frame, key);
    if way.view.is_open(owner, vlan, payload_bytes)
        && way.view.snapshot.vlan(vlan).promiscuous.is_empty()
    {
        leave(way, slot, owner, mark::untagged(key));
        return Ok(());
    }
    others(way, slot, frame, key, vlan, Local::Known(owner), None)
}

/// Writes the outputs of a frame that may have several; drops one that has none.
#[inline(always)]
pub(in crate::core) fn others<T: Trace>(
    way: &mut Way<'_, T>,
    slot: Slot,
    frame: &Frame<'_>,
    key: &FrameKey,
    vlan: VlanId,
    local: Local,
    uplink: Option<PortId>,
) -> Stage<()> {
    let payload_bytes = egress::payload_bytes(frame, key);
    Copies { way, slot, payload_bytes, key, vlan, leaves: false, refusal: None }.all(local, uplink)
}

/// Adds a copy.
#[inline(always)]
fn leave<T: Trace>(way: &mut Way<'_, T>, slot: Slot, port: PortId, edit: TagEdit) {
    way.trace.step(slot, Step::Output { port, edit });
    way.batch.leave(Output { frame: slot, port, edit });
}

/// The copies of one frame.
struct Copies<'w, 'a, T> {
    way: &'w mut Way<'a, T>,
    slot: Slot,
    payload_bytes: u32,
    key: &'w FrameKey,
    vlan: VlanId,
    leaves: bool,
    refusal: Option<DropReason>,
}

impl<T: Trace> Copies<'_, '_, T> {
    /// Adds a copy for every port that the frame is for.
    #[inline(never)] // Out of the way of frames to one open port.
    fn all(mut self, local: Local, uplink: Option<PortId>) -> Stage<()> {
        let (view, now_ns) = (self.way.view, self.way.now_ns);
        let vlan = view.snapshot.vlan(self.vlan);
        match local {
            Local::Known(owner) => {
                self.add(owner);
                for port in vlan.promiscuous.iter().filter(|port| **port != owner) {
                    self.add_taking(*port);
                }
            }
            Local::Unknown => wanting_unknown(vlan).for_each(|port| self.add_taking(port)),
            Local::UnknownFrom(group) => wanting_unknown(vlan)
                .filter(|port| view.team.accepts(*port, group, now_ns))
                .for_each(|port| self.add_taking(port)),
            Local::Flood => vlan.flood.iter().for_each(|port| self.add_taking(*port)),
        }
        if let Some(uplink) = uplink {
            self.add(uplink);
        }
        if self.leaves { Ok(()) } else { Err(Verdict::Drop(self.reason(local))) }
    }

    /// Adds a copy for a member of the VLAN, unless the frame is its own or it is down.
    #[inline]
    fn add_taking(&mut self, port: PortId) {
        if port != self.way.port.id && self.way.view.team.is_up(port) {
            self.add(port);
        }
    }

    /// Adds a copy, if the egress port lets it pass.
    #[inline]
    fn add(&mut self, port: PortId) {
        debug_assert!(!self.wire_to_wire(port), "rule R9");
        let (slot, way) = (self.slot, &mut *self.way);
        match egress::check(way, port, slot, self.payload_bytes, self.key, self.vlan) {
            Ok(edit) => {
                leave(way, slot, port, edit);
                self.leaves = true;
            }
            Err(reason) => {
                way.trace.step(slot, Step::Refused { port, reason });
                way.state.counters.port(port).tx_drop(reason);
                self.refusal = self.refusal.or(Some(reason));
            }
        }
    }

    /// Why none of the copies left: the first refusal, or that there was no port at all.
    #[cold]
    fn reason(&self, local: Local) -> DropReason {
        let nobody = || match (&self.way.port.role, local) {
            (Role::Vethernet(_), _) => DropReason::NoUplink,
            (_, Local::Flood) => DropReason::NoLocalMember,
            _ => DropReason::UnknownUnicastFromUplink,
        };
        self.refusal.unwrap_or_else(nobody)
    }

    /// What must not happen, whatever the configuration.
    fn wire_to_wire(&self, to: PortId) -> bool {
        let target = self.way.view.snapshot.port(to).map(|port| &port.role);
        matches!((&self.way.port.role, target), (Role::Uplink(_), Some(Role::Uplink(_))))
    }
}

/// Ports that get unknown unicast, ascending and each once: promiscuous ones and those without
/// blocking of unknown unicast. Both lists are ascending, and nearly always empty.
fn wanting_unknown(vlan: &Vlan) -> impl Iterator<Item = PortId> + '_ {
    let mut promiscuous = vlan.promiscuous.iter().copied().peekable();
    let mut unblocked = vlan.uufb.iter().copied().peekable();
    std::iter::from_fn(move || match (promiscuous.peek(), unblocked.peek()) {
        (Some(a), Some(b)) if a == b => {
            promiscuous.next();
            unblocked.next()
        }
        (Some(a), Some(b)) if a > b => unblocked.next(),
        (Some(_), _) => promiscuous.next(),
        (None, _) => unblocked.next(),
    })
}
