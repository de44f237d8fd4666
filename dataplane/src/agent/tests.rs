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

mod attach;
mod links;
mod revisions;

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

/// The first adapter of a VM, as a TAP of this name.
fn tap_of(vm: &str, ifname: &str) -> local::AttachRequest {
    local::AttachRequest {
        vm: vm.to_owned(),
        adapter: "eth0".to_owned(),
        profile: "WEB".to_owned(),
        kind: "tap".to_owned(),
        ifname: ifname.to_owned(),
        ..Default::default()
    }
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
        self.control.handle(Event::Attach(tap_of("vm1", "eth0"), answer));
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
