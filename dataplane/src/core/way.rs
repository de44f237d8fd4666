//! The way of a frame: every stage in order, for frames of VMs and for those from the wire.
//!
//! *Where it sits:* [`forward`](super::forward) calls [`walk`] for a burst. A stage that ends a
//! frame's way gives its verdict as the error; what is left to do is skipped by `?`.

use policy::snapshot::{Port, Role, Vethernet};
use proto::frame::FrameKey;
use proto::{DropReason, PortId};

use super::batch::{Batch, Frame, Slot, Verdict};
use super::rule::Rule;
use super::stage::lookup::Local;
use super::stage::{acl, admit, classify, guard, link_local, lookup, replicate};
use super::state::State;
use super::team::GroupId;
use super::trace::{Step, Trace};
use super::view::{Exit, View};

/// What a stage says: something for the next one, or the end of the frame's way.
pub(super) type Stage<T> = Result<T, Verdict>;

/// What all frames of a burst have in common, and what they leave behind.
pub(super) struct Way<'a, T> {
    pub(super) view: &'a View,
    pub(super) now_ns: u64,
    pub(super) state: &'a State,
    /// The port that they came in at.
    pub(super) port: &'a Port,
    /// Whether it may pass data.
    pub(super) is_up: bool,
    /// Its inbound lists.
    pub(super) acl_in: &'a acl::Inbound<'a>,
    pub(super) batch: &'a mut Batch,
    pub(super) trace: &'a mut T,
}

/// Takes every frame of a burst to its verdict.
pub(super) fn walk<T: Trace>(
    view: &View,
    now_ns: u64,
    state: &State,
    ingress: PortId,
    frames: &[Frame<'_>],
    batch: &mut Batch,
    trace: &mut T,
) {
    let port = match view.snapshot.port(ingress) {
        Some(port) if port.admin_up => port,
        Some(_) => return admit::refuse(DropReason::PortDown, ingress, frames, batch, trace),
        None => return admit::refuse(DropReason::PortUnknown, ingress, frames, batch, trace),
    };
    let is_up = view.team.is_up(port.id);
    let acl_in = acl::Inbound::of(port, &view.snapshot);
    let slots = batch.slots().zip(frames);
    let mut way = Way { view, now_ns, state, port, is_up, acl_in: &acl_in, batch, trace };
    let mut key = FrameKey::EMPTY;
    match &port.role {
        Role::Vethernet(vethernet) => {
            let exit = view.exit(port);
            for (slot, frame) in slots {
                if let Err(verdict) = way.frame_of_vm(vethernet, exit, slot, frame, &mut key) {
                    way.batch.end(slot, verdict);
                }
            }
        }
        Role::Uplink(_) => {
            let group = view.team.group_of(port.id);
            for (slot, frame) in slots {
                if let Err(verdict) = way.frame_of_wire(group, slot, frame, &mut key) {
                    way.batch.end(slot, verdict);
                }
            }
        }
    }
}

impl<T: Trace> Way<'_, T> {
    /// F1 to F6.
    #[inline(always)]
    fn frame_of_vm(
        &mut self,
        vethernet: &Vethernet,
        exit: Exit<'_>,
        slot: Slot,
        frame: &Frame<'_>,
        key: &mut FrameKey,
    ) -> Stage<()> {
        admit::read(self, slot, frame, key)?;
        link_local::from_vm(self, vethernet, slot, frame, key)?;
        let vlan = classify::vlan(self, Rule::F3, slot, key)?;
        guard::from_vm(self, vethernet, slot, key)?;
        acl::inbound(self, slot, key, vlan)?;
        match lookup::from_vm(self, slot, key, vlan)? {
            Local::Known(owner) => replicate::known(self, slot, frame, key, vlan, owner),
            local => {
                let uplink = exit.uplink(self.view, key, vlan);
                replicate::others(self, slot, frame, key, vlan, local, uplink)
            }
        }
    }

    /// R1 to R9.
    #[inline(always)]
    fn frame_of_wire(
        &mut self,
        group: Option<GroupId>,
        slot: Slot,
        frame: &Frame<'_>,
        key: &mut FrameKey,
    ) -> Stage<()> {
        admit::read(self, slot, frame, key)?;
        link_local::from_wire(self, slot, frame, key)?;
        let vlan = classify::vlan(self, Rule::R3, slot, key)?;
        guard::from_wire(self, slot, key, vlan)?;
        acl::inbound(self, slot, key, vlan)?;
        match lookup::from_wire(self, group, slot, key, vlan)? {
            Local::Known(owner) => replicate::known(self, slot, frame, key, vlan, owner),
            local => replicate::others(self, slot, frame, key, vlan, local, None),
        }
    }

    /// The end of a frame's way because of a row of the forwarding table.
    #[cold]
    #[inline(never)]
    pub(super) fn drop_by(&mut self, rule: Rule, slot: Slot, reason: DropReason) -> Verdict {
        self.trace.step(slot, Step::Rule(rule));
        Verdict::Drop(reason)
    }
}
