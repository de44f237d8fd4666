//! The steps of a frame's way through the core, for those who want to know why.
//!
//! *Where it sits:* every stage reports what it decided to a [`Trace`]. Workers pass [`NoTrace`],
//! of which nothing is left in the compiled code; `weft trace` and tests pass a [`StepTrace`].
//! Steps are values: they are put into words by [`StepTrace::lines`], after the burst.

use std::fmt;

use policy::Snapshot;
use policy::acl::{Action, Decision};
use policy::snapshot::AclIndex;
use proto::frame::edit::TagEdit;
use proto::{DropReason, PortId, VlanId};

use super::batch::{PuntTask, Slot, Verdict};
use super::rule::Rule;

/// Which of a port's lists: for frames that come in, or for those that leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Frames that come in at the port.
    In,
    /// Frames that leave by the port.
    Out,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::In => "in",
            Self::Out => "out",
        })
    }
}

/// One decision on a frame's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It came in at this port.
    Received(PortId),
    /// It belongs to this VLAN.
    Classified(VlanId),
    /// This row of the forwarding table applies.
    Rule(Rule),
    /// A rule of an access list matched.
    Acl {
        /// The port whose list it is.
        port: PortId,
        /// Which of its lists.
        direction: Direction,
        /// The list.
        acl: AclIndex,
        /// What the list says.
        decision: Decision,
    },
    /// An access list cannot read the IP header that the EtherType announces, and so denies.
    AclUnreadable {
        /// The port whose list it is.
        port: PortId,
        /// Which of its lists.
        direction: Direction,
        /// The list.
        acl: AclIndex,
    },
    /// An egress port takes a copy.
    Output {
        /// The port.
        port: PortId,
        /// What becomes of the tag.
        edit: TagEdit,
    },
    /// An egress port refuses a copy.
    Refused {
        /// The port.
        port: PortId,
        /// Why.
        reason: DropReason,
    },
    /// The end.
    Ended(Verdict),
}

/// Takes the steps of frames.
pub trait Trace {
    /// Takes a step of the frame in this place of the burst.
    fn step(&mut self, frame: Slot, step: Step);
}

/// Takes nothing and costs nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTrace;

impl Trace for NoTrace {
    #[inline(always)]
    fn step(&mut self, _frame: Slot, _step: Step) {}
}

/// Collects steps. Allocates: not for workers.
#[derive(Clone, Debug, Default)]
pub struct StepTrace(Vec<(Slot, Step)>);

impl Trace for StepTrace {
    fn step(&mut self, frame: Slot, step: Step) {
        self.0.push((frame, step));
    }
}

impl StepTrace {
    /// The steps of one frame, by its index in the burst, in order.
    pub fn steps(&self, frame: usize) -> impl Iterator<Item = Step> + '_ {
        self.0.iter().filter(move |(slot, _)| slot.index() == frame).map(|(_, step)| *step)
    }

    /// The rows of the forwarding table that one frame met, in order.
    #[must_use]
    pub fn rules(&self, frame: usize) -> Vec<Rule> {
        let rule = |step| if let Step::Rule(rule) = step { Some(rule) } else { None };
        self.steps(frame).filter_map(rule).collect()
    }

    /// The steps of one frame in words, one a line, with the names of this snapshot.
    #[must_use]
    pub fn lines(&self, frame: usize, snapshot: &Snapshot) -> Vec<String> {
        self.steps(frame).map(|step| line(step, snapshot)).collect()
    }
}

fn line(step: Step, snapshot: &Snapshot) -> String {
    let name = |id: PortId| {
        snapshot.port(id).map_or_else(|| format!("{id:?}"), |port| port.name.to_string())
    };
    match step {
        Step::Received(port) => format!("received at {}", name(port)),
        Step::Classified(vlan) => format!("VLAN {vlan}"),
        Step::Rule(rule) => format!("{rule}: {}", rule.text()),
        Step::Acl { port, direction, acl, decision } => {
            let rule = match (decision.sequence, decision.action) {
                (0, _) => "implicit deny".to_owned(),
                (sequence, Action::Permit) => format!("{sequence} permit"),
                (sequence, Action::Deny) => format!("{sequence} deny"),
            };
            format!("access list {} {direction} of {}: {rule}", acl_name(acl, snapshot), name(port))
        }
        Step::AclUnreadable { port, direction, acl } => format!(
            "access list {} {direction} of {}: the IP header cannot be read, denied",
            acl_name(acl, snapshot),
            name(port)
        ),
        Step::Output { port, edit: TagEdit::Keep } => format!("leaves by {}", name(port)),
        Step::Output { port, edit: TagEdit::Pop } => {
            format!("leaves by {}, tag popped", name(port))
        }
        Step::Output { port, edit: TagEdit::Push(tag) } => {
            format!("leaves by {}, tag of VLAN {} pushed", name(port), tag.vid())
        }
        Step::Output { port, edit: TagEdit::Rewrite(tag) } => {
            format!("leaves by {}, tag rewritten to VLAN {}", name(port), tag.vid())
        }
        Step::Refused { port, reason } => {
            format!("refused by {}: {}", name(port), reason.name())
        }
        Step::Ended(Verdict::Forward) => "forwarded".to_owned(),
        Step::Ended(Verdict::Drop(reason)) => {
            format!("dropped: {} ({})", reason.name(), reason.help())
        }
        Step::Ended(Verdict::Punt(task)) => format!(
            "to the control task: {}",
            match task {
                PuntTask::Slow => "slow protocols",
                PuntTask::Lldp => "LLDP",
                PuntTask::Cdp => "CDP",
            }
        ),
    }
}

fn acl_name(acl: AclIndex, snapshot: &Snapshot) -> String {
    snapshot.acl(acl).map_or_else(|| format!("{acl:?}"), |acl| acl.name().to_string())
}
