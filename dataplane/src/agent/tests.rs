//! The control thread against a chassis without interfaces and a supervisor made of two channels.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use policy::acl::RuleCounterId;
use proto::rpc::{local, switch};
use proto::{HostId, PortId, Revision};
use tokio::sync::{mpsc, oneshot};

use super::cache::Cache;
use super::chassis::{Chassis, Close, Device, DeviceError, Opened};
use super::control::{Control, Settings};
use super::event::{Event, Refusal};
use crate::control_plane;
use crate::core::View;
use crate::core::counters::PortTotals;

mod links;

/// What the control thread did to the chassis.
#[derive(Debug, Default)]
struct Record {
    open: BTreeMap<PortId, Device>,
    opened: usize,
    control_plane: Option<control_plane::Settings>,
    control_links: BTreeMap<u8, bool>,
    seen: Arc<control_plane::Seen>,
    unplugged: Vec<PortId>,
    removed: Vec<Device>,
    stranded: Vec<PortId>,
    published: Option<Arc<View>>,
    injected: Vec<(PortId, Vec<u8>)>,
    refuse: Option<String>,
    matches: BTreeMap<RuleCounterId, u64>,
}

#[derive(Clone, Debug, Default)]
struct FakeChassis(Arc<Mutex<Record>>);

impl FakeChassis {
    fn record(&self) -> std::sync::MutexGuard<'_, Record> {
        self.0.lock().expect("no test panics while it holds the record")
    }
}

impl Chassis for FakeChassis {
    fn open(&mut self, slot: PortId, device: &Device) -> Result<Opened, DeviceError> {
        if let Some(why) = &self.record().refuse {
            return Err(DeviceError(why.clone()));
        }
        let mut record = self.record();
        record.open.insert(slot, device.clone());
        record.opened += 1;
        drop(record);
        Ok(Opened { kind: "fake".to_owned(), ..Opened::default() })
    }

    fn close(&mut self, slot: PortId, how: Close) {
        self.record().open.remove(&slot);
        if how == Close::Unplug {
            self.record().unplugged.push(slot);
        }
    }

    fn remove(&mut self, device: &Device) {
        self.record().removed.push(device.clone());
    }

    fn stranded(&self) -> Vec<PortId> {
        self.record().stranded.clone()
    }

    fn publish(&mut self, view: Arc<View>) {
        self.record().published = Some(view);
    }

    fn inject(&mut self, slot: PortId, frame: &[u8]) {
        self.record().injected.push((slot, frame.to_vec()));
    }

    fn configure_control_plane(&mut self, settings: control_plane::Settings) {
        self.record().control_plane = Some(settings);
    }

    fn control_link(&mut self, nic: u8, up: bool) {
        self.record().control_links.insert(nic, up);
    }

    fn seen(&self) -> Arc<control_plane::Seen> {
        Arc::clone(&self.record().seen)
    }

    fn totals(&self, _slot: PortId) -> PortTotals {
        PortTotals::default()
    }

    fn rule_matches(&self, counter: RuleCounterId) -> u64 {
        self.record().matches.get(&counter).copied().unwrap_or(0)
    }

    fn memory(&self) -> local::Memory {
        local::Memory::default()
    }

    fn now_ns(&self) -> u64 {
        1
    }
}

/// A dataplane under test, with the supervisor's end of its session.
struct Rig {
    control: Control<FakeChassis>,
    chassis: FakeChassis,
    supervisor: Option<mpsc::Receiver<switch::FromDataplane>>,
    dir: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        Self::in_dir(tempfile::tempdir().expect("a temporary directory"))
    }

    fn in_dir(dir: tempfile::TempDir) -> Self {
        let chassis = FakeChassis::default();
        let cache = Cache::open(dir.path()).expect("a state directory");
        let settings = Settings {
            name: "h1".to_owned(),
            uplinks: vec!["eth1".to_owned(), "eth2".to_owned()],
            supervisor: "test".to_owned(),
        };
        let control = Control::start(settings, HostId::new([1; 16]), cache, chassis.clone())
            .expect("a readable state directory");
        Self { control, chassis, supervisor: None, dir }
    }

    /// The daemon dies and starts again on the same disk.
    fn restart(self) -> Self {
        let Self { control, dir, .. } = self;
        drop(control);
        Self::in_dir(dir)
    }

    fn connect(&mut self, term: u64) {
        let (sender, receiver) = mpsc::channel(64);
        self.supervisor = Some(receiver);
        self.control.handle(Event::SessionUp { supervisor: "test".to_owned(), sender });
        assert!(matches!(self.heard(), Some(switch::from_dataplane::Body::Hello(_))));
        let welcome = switch::Welcome { module: 3, supervisor: "0".to_owned() };
        self.tell(term, switch::to_dataplane::Body::Welcome(welcome));
    }

    fn tell(&mut self, term: u64, body: switch::to_dataplane::Body) {
        self.control.handle(Event::Message(switch::ToDataplane { term, body: Some(body) }));
    }

    /// The next message to the supervisor.
    fn heard(&mut self) -> Option<switch::from_dataplane::Body> {
        self.supervisor.as_mut()?.try_recv().ok()?.body
    }

    /// The next message that is neither an event nor a report.
    fn answer(&mut self) -> Option<switch::from_dataplane::Body> {
        use switch::from_dataplane::Body;
        loop {
            match self.heard()? {
                Body::Event(_) | Body::Counters(_) => {}
                body => return Some(body),
            }
        }
    }

    fn push(&mut self, term: u64, revision: u64, intent: switch::HostIntent) {
        let body = Some(switch::push::Body::Full(intent));
        self.tell(term, switch::to_dataplane::Body::Push(switch::Push { revision, body }));
    }

    fn attach(&mut self) -> oneshot::Receiver<Result<local::AttachReply, Refusal>> {
        let (answer, answered) = oneshot::channel();
        let request = local::AttachRequest {
            vm: "vm1".to_owned(),
            adapter: "eth0".to_owned(),
            profile: "WEB".to_owned(),
            kind: "tap".to_owned(),
            ifname: "eth0".to_owned(),
            ..Default::default()
        };
        self.control.handle(Event::Attach(request, answer));
        answered
    }

    fn grant(&mut self, term: u64, request_id: u64, revision: u64) {
        use switch::attach_reply::Result::Granted;
        let granted =
            switch::AttachGranted { vethernet: 12, mac: "02:57:46:00:00:0c".to_owned(), revision };
        let reply = switch::AttachReply { request_id, result: Some(Granted(granted)) };
        self.tell(term, switch::to_dataplane::Body::AttachReply(reply));
    }

    /// What is reported of the access lists: matches by the number of the entry.
    fn matches(&self) -> BTreeMap<u32, u64> {
        self.control.counters().rules.iter().map(|r| (r.sequence, r.matches)).collect()
    }

    fn revision(&self) -> Revision {
        self.chassis.record().published.as_ref().map_or(Revision::NONE, |v| v.snapshot.revision)
    }

    /// A vNIC that is plugged in by the rules, at revision 5 of term 1.
    fn with_vm() -> Self {
        let mut rig = Self::new();
        rig.connect(1);
        let mut answered = rig.attach();
        rig.grant(1, 1, 5);
        rig.push(1, 5, intent(10));
        assert!(answered.try_recv().expect("an answer").is_ok());
        while rig.heard().is_some() {}
        rig
    }
}

fn uplink(nic: u32) -> switch::Port {
    switch::Port {
        name: format!("Ethernet3/{nic}"),
        admin_up: true,
        mtu_bytes: 1500,
        mode: Some(switch::port::Mode::Trunk(switch::Trunk {
            native_vlan: 1,
            allowed_vlans: "10,20".to_owned(),
        })),
        role: Some(switch::port::Role::Uplink(switch::UplinkRole {
            nic,
            channel: Some(switch::Channel {
                number: 1,
                mode: "on mac-pinning".to_owned(),
                lacp_port_priority: 32768,
                min_links: 1,
                max_bundle: 8,
                ..Default::default()
            }),
            ..Default::default()
        })),
        ..Default::default()
    }
}

fn intent(vlan: u32) -> switch::HostIntent {
    let vm = switch::Port {
        name: "Vethernet12".to_owned(),
        profile: "WEB".to_owned(),
        admin_up: true,
        mtu_bytes: 1500,
        mode: Some(switch::port::Mode::AccessVlan(vlan)),
        role: Some(switch::port::Role::Vethernet(switch::VethernetRole {
            vm: "vm1".to_owned(),
            adapter: "eth0".to_owned(),
            mac: "02:57:46:00:00:0c".to_owned(),
            ..Default::default()
        })),
        ..Default::default()
    };
    let vlans = [10, 20].map(|id| switch::Vlan { id, name: format!("VLAN{id:04}") }).to_vec();
    switch::HostIntent { vlans, ports: vec![uplink(1), uplink(2), vm], ..Default::default() }
}

#[test]
fn an_attach_is_answered_when_its_policy_is_forwarded_by() {
    let mut rig = Rig::new();
    rig.connect(1);
    let mut answered = rig.attach();
    let Some(switch::from_dataplane::Body::Attach(request)) = rig.answer() else {
        panic!("the supervisor is not asked")
    };
    assert_eq!((request.vm.as_str(), request.profile.as_str()), ("vm1", "WEB"));
    rig.grant(1, request.request_id, 5);
    assert!(answered.try_recv().is_err(), "no policy yet");
    rig.push(1, 5, intent(10));
    let reply = answered.try_recv().expect("an answer").expect("granted");
    assert_eq!((reply.vethernet, reply.mac.as_str()), (12, "02:57:46:00:00:0c"));
    assert!(matches!(
        rig.answer(),
        Some(switch::from_dataplane::Body::Applied(switch::Applied { revision: 5, .. }))
    ));
    assert_eq!(rig.chassis.record().open.len(), 3, "two uplinks and the TAP");
}

#[test]
fn a_refused_attach_says_why_and_opens_nothing() {
    let mut rig = Rig::new();
    rig.connect(1);
    let mut answered = rig.attach();
    use switch::attach_reply::Result::Refused;
    let why = "port-profile WEB does not exist".to_owned();
    let reply = switch::AttachReply { request_id: 1, result: Some(Refused(why.clone())) };
    rig.tell(1, switch::to_dataplane::Body::AttachReply(reply));
    assert_eq!(answered.try_recv().expect("an answer"), Err(Refusal::Refused(why)));
    assert!(rig.chassis.record().open.is_empty());
}

#[test]
fn a_device_that_fails_gives_the_port_back() {
    let mut rig = Rig::new();
    rig.connect(1);
    let mut answered = rig.attach();
    rig.answer();
    rig.chassis.record().refuse = Some("interface eth0 exists already".to_owned());
    rig.grant(1, 1, 5);
    let refusal = answered.try_recv().expect("an answer").expect_err("the device failed");
    assert!(refusal.to_string().contains("exists already"));
    let Some(switch::from_dataplane::Body::Detach(detach)) = rig.answer() else {
        panic!("the supervisor is not told")
    };
    assert_eq!(detach.vethernet, 12);
}

#[test]
fn a_rejected_revision_changes_nothing() {
    let mut rig = Rig::with_vm();
    let mut bad = intent(20);
    bad.ports[0].mtu_bytes = 70_000;
    bad.ports[2].mode = Some(switch::port::Mode::AccessVlan(4095));
    rig.push(1, 6, bad);
    let Some(switch::from_dataplane::Body::Rejected(rejected)) = rig.answer() else {
        panic!("it was not refused")
    };
    assert_eq!(rejected.revision, 6);
    assert_eq!(rejected.problems.len(), 2, "{:?}", rejected.problems);
    assert_eq!(rig.revision(), Revision::new(5));
    assert_eq!(rig.restart().revision(), Revision::new(5), "not on disk either");
}

#[test]
fn a_revision_that_cannot_be_kept_changes_nothing() {
    let mut rig = Rig::with_vm();
    // Nothing can be written there: a directory is in the way.
    std::fs::create_dir(rig.dir.path().join("intent.new")).expect("an empty directory");
    rig.push(1, 6, with_rules(&["10 permit tcp any any"]));
    let Some(switch::from_dataplane::Body::Rejected(rejected)) = rig.answer() else {
        panic!("it was not refused")
    };
    assert_eq!((rejected.revision, rejected.problems.len()), (6, 1));
    assert_eq!(rig.revision(), Revision::new(5));
    assert!(rig.matches().is_empty(), "no list of the refused revision is counted");
}

/// The state of [`intent`] with an access list on the vEthernet.
fn with_rules(entries: &[&str]) -> switch::HostIntent {
    let mut intent = intent(10);
    intent.access_lists.push(switch::AccessList {
        name: "L".to_owned(),
        kind: "ip".to_owned(),
        entries: entries.iter().map(|text| (*text).to_owned()).collect(),
    });
    intent
}

#[test]
fn matches_of_an_entry_are_its_own() {
    let mut rig = Rig::with_vm();
    rig.push(1, 6, with_rules(&["10 permit tcp any any", "20 permit udp any any"]));
    let counters: Vec<RuleCounterId> = (0..3).map(RuleCounterId).collect();
    rig.chassis.record().matches = counters.iter().map(|c| (*c, 12)).collect();
    assert_eq!(rig.matches(), [(0, 12), (10, 12), (20, 12)].into());
    // Another entry under the number of one before it, and then other entries altogether.
    rig.push(1, 7, with_rules(&["10 deny tcp any any", "20 permit udp any any"]));
    assert_eq!(rig.matches(), [(0, 12), (10, 0), (20, 12)].into());
    rig.push(1, 8, with_rules(&["30 permit icmp any any"]));
    assert_eq!(rig.matches(), [(0, 12), (30, 0)].into());
    for count in rig.chassis.record().matches.values_mut() {
        *count += 1;
    }
    assert_eq!(rig.matches(), [(0, 13), (30, 1)].into());
}

#[test]
fn a_lower_term_changes_nothing() {
    let mut rig = Rig::with_vm();
    rig.push(7, 6, intent(20));
    assert_eq!(rig.revision(), Revision::new(6));
    rig.push(6, 8, intent(10));
    assert_eq!(rig.revision(), Revision::new(6), "pushed by a deposed supervisor");
    let mut rig = rig.restart();
    rig.connect(7);
    rig.push(6, 9, intent(10));
    assert_eq!(rig.revision(), Revision::new(6), "the term is remembered on disk");
}

#[test]
fn a_damaged_state_comes_anew_and_only_from_the_term_that_is_known() {
    let mut rig = Rig::with_vm();
    rig.connect(7);
    std::fs::write(rig.dir.path().join("intent"), "spoilt").expect("written");
    let mut rig = rig.restart();
    assert_eq!(rig.revision(), Revision::NONE);
    rig.connect(6);
    rig.push(6, 8, intent(10));
    assert_eq!(rig.revision(), Revision::NONE, "pushed by a deposed supervisor");
    rig.connect(7);
    rig.push(7, 6, intent(20));
    assert_eq!(rig.revision(), Revision::new(6));
    assert_eq!(rig.control.attachments.len(), 1, "what is plugged in stays");
}

#[test]
fn a_difference_applies_to_the_revision_it_names_and_to_no_other() {
    let mut rig = Rig::with_vm();
    let delta = |base_revision| switch::HostDelta {
        base_revision,
        ports: vec![intent(20).ports.remove(2)],
        ..Default::default()
    };
    let push = |base, revision| switch::Push {
        revision,
        body: Some(switch::push::Body::Delta(delta(base))),
    };
    rig.tell(1, switch::to_dataplane::Body::Push(push(4, 6)));
    assert!(matches!(rig.answer(), Some(switch::from_dataplane::Body::Rejected(_))));
    rig.tell(1, switch::to_dataplane::Body::Push(push(5, 6)));
    assert!(matches!(rig.answer(), Some(switch::from_dataplane::Body::Applied(_))));
    let view = rig.chassis.record().published.clone().expect("a view");
    let moved = view.snapshot.ports().any(|p| {
        p.name.to_string() == "Vethernet12"
            && p.vlan_mode.carries(proto::VlanId::new(20u16).expect("legal"))
    });
    assert!(moved && view.snapshot.ports().count() == 3);
}

#[test]
fn headless_after_a_restart_everything_comes_back() {
    let rig = Rig::with_vm().restart();
    assert_eq!(rig.revision(), Revision::new(5));
    let record = rig.chassis.record();
    assert!(
        record.open.values().any(|d| matches!(d, Device::Tap { ifname, .. } if ifname == "eth0"))
    );
    assert_eq!(record.open.len(), 3);
}

#[test]
fn a_tap_has_the_mtu_of_its_profile_also_when_that_changes_and_after_a_restart() {
    let mut rig = Rig::with_vm();
    let mtu = |rig: &Rig| {
        let record = rig.chassis.record();
        record.open.values().find_map(|device| match device {
            Device::Tap { mtu_bytes, .. } => Some(*mtu_bytes),
            Device::Afxdp { .. } => None,
        })
    };
    assert_eq!(mtu(&rig), Some(1500));
    let mut jumbo = intent(10);
    jumbo.ports[2].mtu_bytes = 9000;
    rig.push(1, 6, jumbo);
    assert_eq!(mtu(&rig), Some(9000));
    assert_eq!(rig.chassis.record().open.len(), 3);
    assert_eq!(mtu(&rig.restart()), Some(9000));
}

#[test]
fn headless_a_known_vnic_is_plugged_in_and_an_unknown_one_is_not() {
    let mut rig = Rig::with_vm();
    rig.control.handle(Event::SessionDown { reason: "killed".to_owned() });
    let (answer, mut answered) = oneshot::channel();
    let request = local::DetachRequest { vm: "vm1".to_owned(), adapter: "eth0".to_owned() };
    rig.control.handle(Event::Detach(request.clone(), answer));
    assert_eq!(answered.try_recv().expect("an answer"), Ok(local::DetachReply {}));
    assert_eq!(rig.chassis.record().unplugged.len(), 1);
    let mut answered = rig.attach();
    let reply = answered.try_recv().expect("an answer").expect("it is known");
    assert_eq!(reply.vethernet, 12);
    assert!(reply.note.contains("headless"));

    let (answer, mut answered) = oneshot::channel();
    let stranger = local::AttachRequest {
        vm: "vm2".to_owned(),
        adapter: "eth0".to_owned(),
        profile: "WEB".to_owned(),
        kind: "tap".to_owned(),
        ifname: "eth9".to_owned(),
        ..Default::default()
    };
    rig.control.handle(Event::Attach(stranger, answer));
    let refusal = answered.try_recv().expect("an answer").expect_err("it is not known");
    assert!(matches!(refusal, Refusal::Unavailable(_)), "{refusal}");
}

#[test]
fn a_session_that_ends_refuses_those_that_wait_for_it() {
    let mut rig = Rig::new();
    rig.connect(1);
    let mut answered = rig.attach();
    rig.control.handle(Event::SessionDown { reason: "reset".to_owned() });
    let refusal = answered.try_recv().expect("an answer").expect_err("nobody can number it");
    assert!(refusal.to_string().contains("reset"));
}

#[test]
fn who_waits_for_a_revision_sees_the_ports_as_they_are_by_it() {
    use switch::from_dataplane::Body;
    let mut rig = Rig::with_vm();
    let mut shut = intent(10);
    shut.ports[2].admin_up = false;
    rig.push(1, 6, shut);
    let said: Vec<Body> = std::iter::from_fn(|| rig.heard()).collect();
    let at = |wanted: fn(&Body) -> bool| said.iter().position(wanted).expect("it was said");
    let reported = at(|body| {
        matches!(body, Body::Counters(counters) if counters.revision == 6
            && counters.ports.iter().any(|p| p.state_reason == "administratively down"))
    });
    assert!(reported < at(|body| matches!(body, Body::Applied(_))));
}

#[test]
fn a_port_whose_device_vanished_is_opened_again() {
    let mut rig = Rig::with_vm();
    let tap = rig
        .chassis
        .record()
        .open
        .iter()
        .find_map(|(slot, device)| matches!(device, Device::Tap { .. }).then_some(*slot));
    let slot = tap.expect("the TAP is open");
    rig.control.handle(Event::PortGone { port: slot, reason: "deleted".to_owned() });
    assert!(!rig.chassis.record().open.contains_key(&slot));
    let Some(switch::from_dataplane::Body::Event(event)) = rig.heard() else { panic!("no event") };
    assert_eq!((event.kind.as_str(), event.port.as_str()), ("port-vanished", "Vethernet12"));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !rig.chassis.record().open.contains_key(&slot) {
        assert!(std::time::Instant::now() < deadline, "not opened again");
        rig.control.tick(false);
    }
}

#[test]
fn bpdu_guard_shuts_the_port_for_good() {
    let mut rig = Rig::with_vm();
    let view = rig.chassis.record().published.clone().expect("a view");
    let slot = view.snapshot.ports().find(|p| p.name.to_string() == "Vethernet12").map(|p| p.id);
    let slot = slot.expect("the port");
    rig.control.handle(Event::BpduGuard { port: slot });
    rig.control.tick(true);
    assert!(!rig.chassis.record().open.contains_key(&slot));
    let view = rig.chassis.record().published.clone().expect("a view");
    assert!(!view.team.is_up(slot));
    // Its netdev is still in the VM: plugging it out takes that away.
    let (answer, mut answered) = oneshot::channel();
    let request = local::DetachRequest { vm: "vm1".to_owned(), adapter: "eth0".to_owned() };
    rig.control.handle(Event::Detach(request, answer));
    assert!(matches!(answered.try_recv(), Ok(Ok(_))));
    assert!(matches!(rig.chassis.record().removed.as_slice(), [Device::Tap { .. }]));
}

#[test]
fn a_port_whose_namespace_was_deleted_is_let_go_of() {
    let mut rig = Rig::with_vm();
    let find =
        |(slot, device): (&PortId, &Device)| matches!(device, Device::Tap { .. }).then_some(*slot);
    let slot = rig.chassis.record().open.iter().find_map(find).expect("the TAP is open");
    rig.chassis.record().stranded.push(slot);
    rig.chassis.record().refuse = Some("no such namespace".to_owned());
    rig.control.tick(false);
    assert!(!rig.chassis.record().open.contains_key(&slot));
    let Some(switch::from_dataplane::Body::Event(event)) = rig.heard() else { panic!("no event") };
    assert_eq!(event.kind, "port-vanished");
    assert!(event.message.ends_with("its network namespace was deleted"), "{}", event.message);
}

#[test]
fn wrong_requests_are_refused_before_anybody_is_asked() {
    let mut rig = Rig::new();
    rig.connect(1);
    let good = local::AttachRequest {
        vm: "vm1".to_owned(),
        adapter: "eth0".to_owned(),
        profile: "WEB".to_owned(),
        kind: "tap".to_owned(),
        ifname: "eth0".to_owned(),
        ..Default::default()
    };
    type Spoil = fn(&mut local::AttachRequest);
    let spoil: [(&str, Spoil); 8] = [
        ("VM", |r| r.vm.clear()),
        ("adapter", |r| r.adapter = "a/b".to_owned()),
        ("too long", |r| r.ifname = "a".repeat(16)),
        ("unknown kind", |r| r.kind = "vhost".to_owned()),
        ("own network namespace", |r| {
            r.kind = "afxdp".to_owned();
            r.netns = "vm1".to_owned();
        }),
        ("mtu", |r| r.mtu_bytes = 10),
        ("is not a name", |r| r.profile = "no name".to_owned()),
        ("group address", |r| r.mac = "01:00:5e:00:00:01".to_owned()),
    ];
    for (expected, spoil) in spoil {
        let mut request = good.clone();
        spoil(&mut request);
        let (answer, mut answered) = oneshot::channel();
        rig.control.handle(Event::Attach(request, answer));
        let refusal = answered.try_recv().expect("an answer").expect_err("it is wrong");
        assert!(refusal.to_string().contains(expected), "{refusal} / {expected}");
    }
    assert!(rig.answer().is_none());
}
