//! A push on its way to the workers: decode, check, build, save, publish, acknowledge.
//!
//! All or nothing: whatever is wrong is told to the supervisor, and the last good state stays.

use std::sync::Arc;
use std::time::Instant;

use policy::ids::StableIds;
use policy::{HostIntent, Problem, Snapshot};
use proto::Revision;
use proto::rpc::switch;
use tracing::{info, warn};

use super::cache::Saved;
use super::chassis::Chassis;
use super::control::Control;
use super::decode;
use super::uplink::UplinkState;
use crate::clock::unix_time_ns;
use crate::core::{View, pinning};

impl<C: Chassis> Control<C> {
    /// The supervisor pushed a state.
    pub(super) fn push(&mut self, push: switch::Push) {
        let started = Instant::now();
        let revision = Revision::new(push.revision);
        if revision == self.revision && !matches!(push.body, Some(switch::push::Body::Full(_))) {
            return self.acknowledge(revision, started);
        }
        match self.take_up(push, revision) {
            Ok(()) => {
                // First how the ports stand now: who waited for the answer may look at once.
                self.report();
                self.acknowledge(revision, started);
            }
            Err(problems) => self.reject(revision, &problems),
        }
    }

    /// Builds what the push leads to, saves it, then forwards by it. What fails changes nothing.
    fn take_up(&mut self, push: switch::Push, revision: Revision) -> Result<(), Vec<Problem>> {
        let wire = decode::resulting_intent(push, self.revision, &self.wire)?;
        let intent = decode::host_intent(&wire)?;
        let mut ids = self.ids.clone();
        let snapshot = Snapshot::build(&intent, revision, &mut ids)?;
        let saved = Saved { revision, term: self.term, intent: wire };
        self.cache.save_intent(&saved).map_err(|e| {
            vec![Problem {
                span: None,
                path: String::new(),
                message: e.to_string(),
                hint: "the state is not applied because it could not be kept".to_owned(),
            }]
        })?;
        self.adopt(saved, intent, snapshot, ids);
        Ok(())
    }

    /// Forwards by a state that is on disk.
    fn adopt(&mut self, saved: Saved, intent: HostIntent, snapshot: Snapshot, ids: StableIds) {
        self.ids = ids;
        for counter in self.ids.new_rules() {
            self.rule_bases.insert(*counter, self.chassis.rule_matches(*counter));
        }
        self.revision = saved.revision;
        self.wire = saved.intent;
        self.intent = intent;
        self.snapshot = Arc::new(snapshot);
        self.reconcile_uplinks();
        self.reconcile_attachments();
        self.publish();
        self.finish_waiting();
    }

    /// Takes up the state of before the restart.
    pub(super) fn restore_intent(&mut self, saved: Saved) {
        let mut ids = self.ids.clone();
        let built = decode::host_intent(&saved.intent).and_then(|intent| {
            let snapshot = Snapshot::build(&intent, saved.revision, &mut ids)?;
            Ok((intent, snapshot))
        });
        match built {
            Ok((intent, snapshot)) => {
                info!("forwarding by revision {} of before the restart", saved.revision);
                self.adopt(saved, intent, snapshot, ids);
            }
            Err(problems) => {
                for problem in problems {
                    warn!("saved state: {problem}");
                }
            }
        }
    }

    fn acknowledge(&self, revision: Revision, started: Instant) {
        let duration_ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let applied = switch::Applied { revision: revision.get(), duration_ns };
        self.say(switch::from_dataplane::Body::Applied(applied));
    }

    fn reject(&self, revision: Revision, problems: &[Problem]) {
        for problem in problems {
            warn!("revision {revision} refused: {problem}");
        }
        let rejected = decode::rejected(revision, problems);
        self.say(switch::from_dataplane::Body::Rejected(rejected));
    }

    /// The carrier or the MTU of a netdev changed.
    pub(super) fn link(&mut self, ifname: &str, up: bool, mtu_bytes: Option<u32>) {
        let mut uplinks = self.uplinks.iter();
        let Some(nic) = uplinks.find(|(_, u)| u.ifname == ifname).map(|(nic, _)| *nic) else {
            return;
        };
        self.chassis.control_link(nic, up);
        self.resize_uplink(nic, mtu_bytes);
        let Some(uplink) = self.uplinks.get_mut(&nic) else { return };
        if uplink.carrier == up {
            self.reconcile_uplinks();
            self.refresh_team();
            self.report_soon = true;
            return;
        }
        uplink.carrier = up;
        uplink.changed_unix_ns = unix_time_ns();
        if up && let UplinkState::Closed { retry, .. } = &mut uplink.state {
            *retry = Instant::now();
        }
        let (kind, word) = if up { ("link-up", "up") } else { ("link-down", "down") };
        let slot = uplink.slot();
        self.reconcile_uplinks();
        self.refresh_team();
        if let Some(slot) = slot {
            let name = self.port_name(slot);
            self.event("notice", &name, kind, format!("{name} ({ifname}): link is {word}"));
        }
    }

    /// Computes teaming again, and publishes it when something changed.
    pub(super) fn refresh_team(&mut self) {
        let links = self.links();
        if self.team.links() != &links {
            self.publish();
        }
    }

    /// Makes the workers forward by the snapshot and by teaming as it is now, and announces the
    /// addresses that have moved.
    fn publish(&mut self) {
        let now_ns = self.chassis.now_ns();
        let (before, links) = (self.team.clone(), self.links());
        let (team, moved) = pinning::compute(&self.snapshot, &links, &before, now_ns);
        self.team = Arc::new(team);
        let view = View::new(self.snapshot.clone(), self.team.clone());
        self.chassis.publish(Arc::new(view));
        self.report_soon = true;
        self.moved(&moved, self.began);
    }

    /// Sends what is to be told of addresses that have moved.
    pub(super) fn announce(&mut self) {
        let attachments = &self.attachments;
        let addresses = |port| {
            let of = attachments.values().find(|attachment| attachment.slot == port);
            of.map(|attachment| attachment.saved.ipv4.clone()).unwrap_or_default()
        };
        let uplink = |port| self.team.pinned_member(port);
        let due = self.announcer.due(&self.snapshot, uplink, addresses, Instant::now());
        for announcement in due {
            self.chassis.inject(announcement.uplink, &announcement.frame);
        }
    }
}
