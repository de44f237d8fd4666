//! The state under random sequences of everything that can happen, a crash at any effect included,
//! on a real store; and the cases that want a look of their own.

use std::collections::BTreeMap;

use policy::HostIntent;
use proptest::prelude::*;
use proto::{HostId, VethId};

use super::*;
use crate::event::{
    ApplyOutcome, ApplyRequest, AttachRequest, Attachment, DetachRequest, Hello, Push, Refusal,
    RequestId,
};
use crate::inventory::Nic;
use crate::store::Store;

const HOSTS: usize = 3;
const VMS: [&str; 4] = ["vm1", "vm2", "vm3", "vm4"];
/// Texts that operators apply; the last is wrong whatever there is.
const TEXTS: [&str; 6] = [
    "port-profile type vethernet P\n  state enabled\n",
    "vlan 10\nport-profile type vethernet P\n  switchport access vlan 10\n  state enabled\n",
    "port-profile type ethernet UP\n  mtu 9000\n  state enabled\n\
     interface ethernet3/1\n  inherit port-profile UP\n",
    "interface vethernet1\n  mtu 2000\n",
    "interface ethernet4/1\n  shutdown\n",
    "port-profile type vethernet P\n  switchport access vlan 4000\n",
];

#[derive(Clone, Debug)]
enum Step {
    Apply(usize),
    Connect(usize),
    Disconnect(usize),
    Answer(usize),
    Refuse(usize, bool),
    Attach(usize, usize),
    Detach(usize, usize),
    Wait(u64),
    /// The process dies when it has carried out that many more effects.
    CrashAfter(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..TEXTS.len()).prop_map(Step::Apply),
        4 => (0..HOSTS).prop_map(Step::Connect),
        1 => (0..HOSTS).prop_map(Step::Disconnect),
        8 => (0..HOSTS).prop_map(Step::Answer),
        1 => (0..HOSTS, any::<bool>()).prop_map(|(h, refuses)| Step::Refuse(h, refuses)),
        6 => (0..HOSTS, 0..VMS.len()).prop_map(|(h, vm)| Step::Attach(h, vm)),
        2 => (0..HOSTS, 0..VMS.len()).prop_map(|(h, vm)| Step::Detach(h, vm)),
        1 => (0..9u64).prop_map(Step::Wait),
        2 => (0..6usize).prop_map(Step::CrashAfter),
    ]
}

/// A dataplane as the protocol describes one.
#[derive(Default)]
struct Host {
    session: Option<SessionId>,
    inbox: Vec<Message>,
    held: (u64, HostIntent),
    term: u64,
    refuses: bool,
    plugged: BTreeMap<&'static str, Attachment>,
    module: Option<ModuleId>,
}

struct World {
    directory: tempfile::TempDir,
    store: Option<Store>,
    state: State,
    hosts: Vec<Host>,
    now: Now,
    next_id: u64,
    crash_after: Option<usize>,
    /// The highest revision that anybody was told of.
    told: Revision,
    /// The numbers that vNICs were given.
    numbers: BTreeMap<&'static str, VethId>,
    replies: Vec<(RequestId, ApplyOutcome)>,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (store, saved) = Store::open(directory.path()).unwrap();
        Self {
            directory,
            store: Some(store),
            state: State::start(saved).unwrap(),
            hosts: (0..HOSTS).map(|_| Host::default()).collect(),
            now: Now { monotonic_ns: 1, unix_ns: 1 },
            next_id: 0,
            crash_after: None,
            told: Revision::NONE,
            numbers: BTreeMap::new(),
            replies: Vec::new(),
        }
    }

    fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Feeds an event and carries out its effects, up to the crash if one is due.
    fn feed(&mut self, event: Event) {
        self.now.monotonic_ns += 1_000_000;
        self.now.unix_ns += 1_000_000;
        let before = (self.state.revision, self.state.term);
        let effects = self.state.handle(self.now, event);
        assert!(self.state.revision >= before.0 && self.state.term >= before.1);
        for effect in effects {
            if let Some(left) = &mut self.crash_after {
                if *left == 0 {
                    return self.crash();
                }
                *left -= 1;
            }
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Persist(transaction) => {
                assert!(transaction.revision > self.told, "told before it was durable");
                self.store.as_ref().unwrap().commit(&transaction).unwrap();
            }
            Effect::Send(session, message) => {
                match &message {
                    Message::Push(revision, _) | Message::Granted { revision, .. } => {
                        self.told = self.told.max(*revision);
                    }
                    _ => {}
                }
                let host = self.hosts.iter_mut().find(|h| h.session == Some(session));
                let host = host.expect("a message for a session that is there");
                assert!(self.state.term.get() >= host.term);
                host.term = self.state.term.get();
                host.inbox.push(message);
            }
            Effect::Close(session, _) => {
                for host in self.hosts.iter_mut().filter(|h| h.session == Some(session)) {
                    (host.session, host.inbox) = (None, Vec::new());
                }
            }
            Effect::Reply(request, outcome) => {
                self.told = self.told.max(outcome.revision.unwrap_or(Revision::NONE));
                self.replies.push((request, *outcome));
            }
        }
    }

    /// The process dies and a new one takes up what is on disk.
    fn crash(&mut self) {
        self.crash_after = None;
        self.store = None;
        let (store, saved) = Store::open(self.directory.path()).unwrap();
        self.store = Some(store);
        self.state = State::start(saved).unwrap();
        assert!(self.state.revision >= self.told, "a revision that was told is lost");
        for host in &mut self.hosts {
            assert!(self.state.term.get() > host.term, "a term is used twice");
            (host.session, host.inbox) = (None, Vec::new());
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Apply(text) => self.apply(TEXTS[text]),
            Step::Connect(host) => self.connect(host),
            Step::Disconnect(host) => {
                self.hosts[host].inbox.clear();
                if let Some(session) = self.hosts[host].session.take() {
                    self.feed(Event::Gone(session));
                }
            }
            Step::Answer(host) => self.answer(host),
            Step::Refuse(host, refuses) => self.hosts[host].refuses = refuses,
            Step::Attach(host, vm) => self.attach(host, VMS[vm], ""),
            Step::Detach(host, vm) => self.detach(host, VMS[vm]),
            Step::Wait(seconds) => {
                self.now.monotonic_ns += seconds * 1_000_000_000;
                self.feed(Event::Tick);
            }
            Step::CrashAfter(effects) => self.crash_after = Some(effects),
        }
    }

    fn apply(&mut self, text: &str) {
        let request = RequestId(self.fresh_id());
        let apply = ApplyRequest { text: text.to_owned(), ..ApplyRequest::default() };
        self.feed(Event::Apply(request, apply));
    }

    fn connect(&mut self, n: usize) {
        let session = SessionId(self.fresh_id());
        let host = &mut self.hosts[n];
        // A new session of a host that has one replaces it.
        if let Some(old) = host.session.take() {
            host.inbox.clear();
            self.feed(Event::Gone(old));
        }
        let host = &mut self.hosts[n];
        host.session = Some(session);
        let nic = |number| Nic { number, ifname: format!("ens{number}") };
        let hello = Hello {
            address: "test".to_owned(),
            host: HostId::new([n as u8 + 1; 16]),
            name: format!("h{n}"),
            version: "1".to_owned(),
            nics: vec![nic(1), nic(2)],
            revision: Revision::new(host.held.0),
            term: Term::new(host.term),
            attachments: host.plugged.values().cloned().collect(),
        };
        self.feed(Event::Hello(session, hello));
    }

    /// A host takes its messages.
    fn answer(&mut self, n: usize) {
        while let (Some(session), false) = (self.hosts[n].session, self.hosts[n].inbox.is_empty()) {
            let message = self.hosts[n].inbox.remove(0);
            let host = &mut self.hosts[n];
            match message {
                Message::Welcome(module) => {
                    assert_eq!(*host.module.get_or_insert(module), module, "module numbers stay");
                }
                Message::Push(revision, _) if host.refuses => {
                    let problem = Refusal { path: String::new(), message: "no".to_owned() };
                    self.feed(Event::Rejected(session, revision, vec![problem]));
                }
                Message::Push(revision, push) => {
                    let intent = match push {
                        Push::Full(intent) => (*intent).clone(),
                        Push::Delta(base, delta) => {
                            assert_eq!(base.get(), host.held.0, "a difference to what is held");
                            delta.apply(&host.held.1)
                        }
                    };
                    host.held = (revision.get(), intent);
                    self.feed(Event::Applied(session, revision));
                }
                Message::Granted { request_id, veth, mac, .. } => {
                    let vm = VMS[usize::try_from(request_id).unwrap()];
                    let profile = "P".parse().unwrap();
                    let (vm_name, adapter) = (vm.to_owned(), "eth0".to_owned());
                    let plugged = Attachment { veth, vm: vm_name, adapter, mac, profile };
                    host.plugged.insert(vm, plugged);
                    assert_eq!(*self.numbers.entry(vm).or_insert(veth), veth, "numbers stay");
                }
                Message::Refused { .. } | Message::Detached { .. } | Message::Ping => {}
            }
        }
    }

    fn attach(&mut self, n: usize, vm: &str, mac: &str) {
        let Some(session) = self.hosts[n].session else { return };
        let request = AttachRequest {
            request_id: VMS.iter().position(|v| *v == vm).unwrap() as u64,
            vm: vm.to_owned(),
            adapter: "eth0".to_owned(),
            profile: "P".to_owned(),
            mac: mac.to_owned(),
        };
        self.feed(Event::Attach(session, request));
    }

    fn detach(&mut self, n: usize, vm: &str) {
        let host = &mut self.hosts[n];
        let Some(gone) = host.plugged.remove(vm) else { return };
        if let Some(session) = host.session {
            let detach = DetachRequest { request_id: 0, veth: gone.veth.get() };
            self.feed(Event::Detach(session, detach));
        }
    }

    /// Everybody is willing and connected: all must hold what the state says they have to know.
    fn converge(&mut self) {
        self.crash_after = None;
        for n in 0..HOSTS {
            self.hosts[n].refuses = false;
            self.connect(n);
        }
        for _ in 0..10 {
            (0..HOSTS).for_each(|n| self.answer(n));
        }
        let attached = compile::attached(&self.state.bindings);
        for host in &self.hosts {
            let module = &self.state.modules[&host.module.unwrap()];
            let expected = compile::intent(&self.state.config, &module.record, &attached);
            assert_eq!(host.held.1, expected);
            assert_eq!(host.held.0, module.record.target.get());
            assert_eq!(module.status(), "ok");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_numbers_stay_nothing_told_is_lost_and_hosts_converge(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new();
        for step in steps {
            world.run(step);
        }
        world.converge();
        // What a new process reads is what this one knows.
        let (config, bindings) = (world.state.config.clone(), world.state.bindings.clone());
        let targets: Vec<Revision> =
            world.state.modules.values().map(|m| m.record.target).collect();
        world.crash();
        prop_assert_eq!(&world.state.config, &config);
        prop_assert_eq!(&world.state.bindings, &bindings);
        let kept: Vec<Revision> = world.state.modules.values().map(|m| m.record.target).collect();
        prop_assert_eq!(kept, targets);
    }
}

/// A world with a profile and hosts that are up to date.
fn settled() -> World {
    let mut world = World::new();
    world.apply(TEXTS[0]);
    for n in 0..HOSTS {
        world.connect(n);
        world.answer(n);
    }
    world.replies.clear();
    world
}

fn kinds(world: &World) -> Vec<&str> {
    world.state.log.last(usize::MAX).map(|e| e.kind.as_str()).collect()
}

#[test]
fn an_operator_waits_for_hosts_but_not_for_ever() {
    let mut world = settled();
    world.apply("interface ethernet3/1\n  mtu 9000\n");
    assert!(world.replies.is_empty(), "host 3 has not answered");
    world.now.monotonic_ns += crate::waiting::WAIT_MAX_NS;
    world.feed(Event::Tick);
    let outcomes: Vec<&str> = world.replies[0].1.modules.iter().map(|m| m.outcome.name()).collect();
    assert_eq!(outcomes, ["pending", "unchanged", "unchanged"]);

    world.apply("interface ethernet4/1\n  mtu 9000\n");
    world.answer(1);
    assert_eq!(world.replies[1].1.modules[1].outcome.name(), "applied");
    world.run(Step::Disconnect(2));
    world.apply("interface ethernet5/1\n  mtu 9000\n");
    assert_eq!(world.replies[2].1.modules[2].outcome.name(), "offline");
}

#[test]
fn a_silent_host_is_offline_and_a_quiet_session_gets_pings() {
    let mut world = settled();
    world.run(Step::Wait(2));
    assert!(world.hosts.iter().all(|h| matches!(h.inbox[..], [Message::Ping])));
    world.run(Step::Wait(5));
    assert!(world.hosts.iter().all(|h| h.session.is_none()));
    assert!(world.state.modules.values().all(|m| m.status() == "offline"));
}

#[test]
fn an_address_that_is_up_twice_is_said_and_on_one_host_refused() {
    let mut world = settled();
    let mac = "02:00:00:00:00:01";
    world.attach(0, "vm1", mac);
    world.answer(0);
    world.attach(1, "vm2", mac);
    world.answer(1);
    assert!(kinds(&world).contains(&"duplicate-mac"));
    assert_eq!(world.state.bindings.len(), 2);
    world.attach(0, "vm3", mac);
    assert!(kinds(&world).contains(&"attach-refused"));
    assert_eq!(world.state.bindings.len(), 2);
}

#[test]
fn a_configuration_may_not_bring_one_address_twice_into_a_vlan() {
    let mut world = settled();
    world.apply("vlan 20\ninterface vethernet2\n  switchport access vlan 20\n");
    let mac = "02:00:00:00:00:01";
    world.attach(0, "vm1", mac);
    world.attach(0, "vm2", mac);
    assert_eq!(world.state.bindings.len(), 2);
    world.answer(0);
    let revision = world.state.revision;
    world.replies.clear();
    world.apply("no interface vethernet2\n");
    assert_eq!(world.state.revision, revision);
    let problem = world.replies[0].1.problems[0].to_string();
    assert!(problem.contains("is the address of"), "{problem}");
}

#[test]
fn a_profile_in_use_cannot_go() {
    let mut world = settled();
    world.attach(0, "vm1", "");
    world.apply("no port-profile P\n");
    let problem = world.replies[0].1.problems[0].to_string();
    assert!(problem.contains("is removed, but is in use by Vethernet1 (VM vm1)"), "{problem}");
    world.answer(0);
    world.detach(0, "vm1");
    world.replies.clear();
    world.apply("no port-profile P\n");
    world.answer(0);
    assert_eq!(world.replies[0].1.problems, []);
}

#[test]
fn a_port_that_moved_is_not_claimed_back() {
    let mut world = settled();
    world.attach(0, "vm1", "");
    world.answer(0);
    world.attach(1, "vm1", "");
    world.answer(1);
    assert!(kinds(&world).contains(&"vethernet-moved"));
    world.connect(0);
    let at = world.state.bindings.values().next().unwrap().module;
    assert_eq!(at, world.hosts[1].module);
    assert!(kinds(&world).contains(&"attachment-conflict"));
}

#[test]
fn a_hello_far_beyond_us_is_nonsense() {
    let mut world = settled();
    world.hosts[0].held.0 = u64::MAX;
    let revision = world.state.revision;
    world.connect(0);
    assert_eq!((world.hosts[0].session, world.state.revision), (None, revision));
    assert!(kinds(&world).contains(&"hello-refused"));
}

#[test]
fn a_damaged_configuration_in_the_store_is_named() {
    let config = Some((Revision::new(7), "vlan ten\n".to_owned()));
    let error = State::start(Saved { config, ..Saved::default() }).unwrap_err().to_string();
    assert!(error.contains("configuration of revision 7 in the store cannot be read"), "{error}");
}
