//! The control thread of a dataplane: one loop over [`Event`]s that owns all of its state.
//!
//! Where it sits: session, local socket, link monitor and workers send events; it answers through
//! the channels that came with them and acts through [`Chassis`]. Plugging in and out is in
//! `attach.rs`, a push in `apply.rs`, what is told to others in `report.rs`.
//!
//! Invariants:
//! 1. A revision is on disk before it is forwarded by, and forwarded by before it is acknowledged.
//! 2. A message with a lower term than the highest seen changes nothing.
//! 3. No event needs the supervisor to keep what is plugged in forwarding.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError};
use policy::acl::RuleCounterId;
use policy::ids::StableIds;
use policy::{HostIntent, Snapshot};
use proto::rpc::switch;
use proto::{HostId, ModuleId, PortId, Revision, Term};
use tracing::{info, warn};

use super::acl_log::LogBudget;
use super::announce::Announcer;
use super::attach::{Attachment, Waiting};
use super::cache::Cache;
use super::chassis::{Chassis, Close};
use super::event::{Event, SessionSender};
use super::pins::Moves;
use super::uplink::Uplink;
use crate::control_plane;
use crate::core::TeamState;
use crate::core::hold_down::HoldDown;

/// How often counters are reported and waits are looked at.
const TICK: Duration = Duration::from_millis(250);
/// How often counters go to the supervisor: every fourth tick.
const REPORT_TICKS: u32 = 4;

/// What the daemon was started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of this host, for people.
    pub name: String,
    /// The NICs that may be uplinks: NIC 1 first.
    pub uplinks: Vec<String>,
    /// Where a supervisor is looked for, for people.
    pub supervisor: String,
}

/// The session with the supervisor, as the control thread sees it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) sender: SessionSender,
    pub(super) welcomed: bool,
}

/// The state of the control thread.
#[derive(Debug)]
pub struct Control<C> {
    pub(super) settings: Settings,
    pub(super) host: HostId,
    pub(super) cache: Cache,
    pub(super) chassis: C,
    pub(super) ids: StableIds,
    /// What a counter stood at when it got its owner, who starts from nothing.
    pub(super) rule_bases: BTreeMap<RuleCounterId, u64>,
    pub(super) module: Option<ModuleId>,
    pub(super) term: Term,
    pub(super) revision: Revision,
    /// The applied state as it came over the wire: what a difference applies to.
    pub(super) wire: switch::HostIntent,
    pub(super) intent: HostIntent,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) team: Arc<TeamState>,
    pub(super) session: Option<Session>,
    pub(super) attachments: BTreeMap<(String, String), Attachment>,
    pub(super) uplinks: BTreeMap<u8, Uplink>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) next_request: u64,
    pub(super) log_budget: LogBudget,
    pub(super) announcer: Announcer,
    /// By the name of the vEthernet.
    pub(super) moves: BTreeMap<String, Moves>,
    pub(super) hold_down: HoldDown,
    /// When the event that is being handled came.
    pub(super) began: Instant,
    /// What the control plane was told last.
    pub(super) plane: Option<control_plane::Settings>,
    /// Something changed that the supervisor shows: it is told at the next tick.
    pub(super) report_soon: bool,
}

impl<C: Chassis> Control<C> {
    /// Starts from what is on disk: the last applied state and what was plugged in.
    ///
    /// # Errors
    /// The state directory cannot be read, or its list of attachments is damaged.
    pub fn start(
        settings: Settings,
        host: HostId,
        cache: Cache,
        chassis: C,
    ) -> Result<Self, super::cache::CacheError> {
        let saved = cache.load_intent()?;
        let term = cache.load_term()?;
        let attachments = cache.load_attachments()?;
        let uplinks =
            settings.uplinks.iter().zip(1u8..).map(|(name, nic)| (nic, Uplink::new(name)));
        let mut control = Self {
            uplinks: uplinks.collect(),
            settings,
            host,
            cache,
            chassis,
            ids: StableIds::default(),
            rule_bases: BTreeMap::new(),
            module: None,
            term,
            revision: Revision::NONE,
            wire: switch::HostIntent::default(),
            intent: HostIntent::default(),
            snapshot: Arc::new(Snapshot::empty()),
            team: Arc::new(TeamState::default()),
            session: None,
            attachments: BTreeMap::new(),
            waiting: Vec::new(),
            next_request: 1,
            log_budget: LogBudget::new(Instant::now()),
            announcer: Announcer::new(Instant::now()),
            moves: BTreeMap::new(),
            hold_down: HoldDown::default(),
            began: Instant::now(),
            plane: None,
            report_soon: false,
        };
        control.restore_attachments(attachments);
        if let Some(saved) = saved {
            control.term = term.max(saved.term);
            control.restore_intent(saved);
        }
        control.reopen_devices();
        Ok(control)
    }

    /// Handles events until [`Event::Stop`], or until nobody can send any more.
    pub fn run(mut self, events: &Receiver<Event>) {
        let mut next_tick = Instant::now() + TICK;
        let mut ticks = 0u32;
        loop {
            match events.recv_deadline(next_tick) {
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(event) => self.handle(event),
                Err(RecvTimeoutError::Timeout) => {}
            }
            // Also when events keep coming.
            let now = Instant::now();
            if now >= next_tick {
                next_tick = now + TICK;
                ticks = ticks.wrapping_add(1);
                self.tick(ticks.is_multiple_of(REPORT_TICKS));
            }
        }
        self.release_devices();
    }

    /// One event.
    pub fn handle(&mut self, event: Event) {
        self.began = Instant::now();
        match event {
            Event::SessionUp { supervisor, sender } => {
                info!(supervisor, "session up");
                self.session = Some(Session { sender, welcomed: false });
                self.say(switch::from_dataplane::Body::Hello(self.hello()));
            }
            Event::SessionDown { reason } => self.session_down(&reason),
            Event::Message(message) => self.message(message),
            Event::Attach(request, answer) => self.attach(request, answer),
            Event::Detach(request, answer) => self.detach(&request, answer),
            Event::Status(answer) => {
                // A caller that has gone away needs no answer.
                answer.send(Ok(self.status())).ok();
            }
            Event::PortGone { port, reason } => self.port_gone(port, &reason),
            Event::BpduGuard { port } => self.bpdu_guard(port),
            Event::Link { ifname, up, mtu_bytes } => self.link(&ifname, up, mtu_bytes),
            Event::Member(change) => self.member(&change),
            Event::Neighbor(change) => self.neighbor(&change),
            Event::AclLog(matched) => self.acl_log(&matched),
            Event::Stop => {}
        }
    }

    /// Time passed: waits may be over, devices may be back, and the supervisor wants counters.
    pub fn tick(&mut self, report: bool) {
        self.began = Instant::now();
        self.expire_waiting(Instant::now());
        self.release_stranded();
        self.reopen_devices();
        self.refresh_team();
        self.announce();
        if self.report_soon || report {
            self.report();
        }
    }

    /// Tells the supervisor how everything stands.
    pub(super) fn report(&mut self) {
        self.report_soon = false;
        let counters = self.counters();
        self.say(switch::from_dataplane::Body::Counters(counters));
    }

    /// Whether the supervisor has welcomed us.
    pub(super) fn is_online(&self) -> bool {
        self.session.as_ref().is_some_and(|s| s.welcomed)
    }

    fn session_down(&mut self, reason: &str) {
        if self.session.take().is_some() {
            warn!(reason, "session down, forwarding on by revision {}", self.revision);
        }
        self.refuse_waiting(&format!("the session with the supervisor ended: {reason}"));
    }

    fn message(&mut self, message: switch::ToDataplane) {
        use switch::to_dataplane::Body;
        let term = Term::new(message.term);
        if term < self.term {
            warn!("term {term} is older than {}: message refused", self.term);
            self.event("warning", "", "term-refused", format!("refused a message of term {term}"));
            return;
        }
        self.raise_term(term);
        match message.body {
            Some(Body::Welcome(welcome)) => self.welcome(&welcome),
            Some(Body::Push(push)) => self.push(push),
            Some(Body::AttachReply(reply)) => self.attach_reply(reply),
            Some(Body::DetachReply(reply)) => self.detach_reply(&reply),
            Some(Body::Ping(_)) | None => {}
        }
    }

    /// The highest term is written before it is obeyed, so that no restart listens to a deposed
    /// supervisor again. When that fails, this supervisor is still the right one.
    fn raise_term(&mut self, term: Term) {
        if term == self.term {
            return;
        }
        if let Err(e) = self.cache.save_term(term) {
            warn!("term {term} could not be kept, a restart will not know it: {e}");
        }
        self.term = term;
    }

    fn welcome(&mut self, welcome: &switch::Welcome) {
        match ModuleId::new(welcome.module) {
            Ok(module) => {
                info!(%module, supervisor = welcome.supervisor, "welcomed");
                self.module = Some(module);
                if let Some(session) = &mut self.session {
                    session.welcomed = true;
                }
                self.report_soon = true;
            }
            Err(e) => warn!("supervisor says {e}"),
        }
    }

    /// Sends to the supervisor, if there is a session. What does not fit into the channel is lost:
    /// reports come again, and requests have deadlines.
    pub(super) fn say(&self, body: switch::from_dataplane::Body) -> bool {
        let Some(session) = &self.session else { return false };
        session.sender.try_send(switch::FromDataplane { body: Some(body) }).is_ok()
    }

    /// Reports something to the log and to the supervisor.
    pub(super) fn event(&self, severity: &str, port: &str, kind: &str, message: String) {
        info!(port, kind, "{message}");
        self.say(switch::from_dataplane::Body::Event(switch::Event {
            unix_time_ns: crate::clock::unix_time_ns(),
            severity: severity.to_owned(),
            port: port.to_owned(),
            kind: kind.to_owned(),
            message,
        }));
    }

    /// The name of a slot, as people know it.
    pub(super) fn port_name(&self, slot: PortId) -> String {
        self.snapshot.port(slot).map_or_else(|| format!("{slot:?}"), |p| p.name.to_string())
    }

    fn release_devices(&mut self) {
        let uplinks = self.uplinks.values().filter_map(Uplink::slot);
        let slots: Vec<PortId> = self.attachments.values().map(|a| a.slot).chain(uplinks).collect();
        for slot in slots {
            self.chassis.close(slot, Close::Release);
        }
    }
}
