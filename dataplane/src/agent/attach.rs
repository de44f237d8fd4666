//! Plugging vNICs in and out.
//!
//! ```text
//! attach --online--> asked --granted--> open, waits for its policy --applied--> answered
//!    |                 '--refused or late--> refused
//!    '--headless, vNIC known--> open --> answered (policy of the last revision)
//!    '--headless, vNIC unknown--> refused
//! ```
//! The supervisor numbers vEthernets; a headless dataplane plugs in only what it knows from its last
//! state. Whatever is plugged in is on disk, and comes back after a restart of the daemon.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use policy::config::Name;
use proto::rpc::{local, switch};
use proto::{InterfaceName, MacAddr, PortId, Revision, VethId};
use tracing::{info, warn};

use super::cache::SavedAttachment;
use super::chassis::{Chassis, Close, Device};
use super::control::Control;
use super::decode;
use super::event::{Answer, Refusal};

/// How long the supervisor may take to number a vNIC, and then to push its policy.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// How long to wait before a device that failed is opened again.
const REOPEN_WAIT: Duration = Duration::from_secs(1);
/// Longest name of a VM or an adapter.
const NAME_LEN_MAX: usize = 64;
/// The most IPv4 addresses that may be told of a vNIC.
const ADDRESSES_MAX: usize = 16;
/// MTU of a vNIC whose attach names none, until its policy is known.
const MTU_DEFAULT_BYTES: u16 = 1500;

/// A vNIC that is plugged in.
#[derive(Debug)]
pub(super) struct Attachment {
    pub(super) saved: SavedAttachment,
    pub(super) slot: PortId,
    pub(super) name: InterfaceName,
    pub(super) mac: MacAddr,
    pub(super) device: DeviceState,
}

impl Attachment {
    /// Whether frames pass.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.device, DeviceState::Open { .. })
    }
}

/// Where its device stands.
#[derive(Debug)]
pub(super) enum DeviceState {
    /// Frames pass.
    Open { kind: String, device: Device },
    /// It failed; it is tried again.
    Closed { reason: String, retry: Instant },
    /// Shut by a guard until it is plugged out and in.
    ErrDisabled { reason: String },
}

/// An attach that is not answered yet.
#[derive(Debug)]
pub(super) struct Waiting {
    request: local::AttachRequest,
    answer: Answer<local::AttachReply>,
    deadline: Instant,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The supervisor has been asked.
    Asked { request_id: u64 },
    /// The port is open; its policy comes with this revision.
    Granted { revision: Revision, reply: local::AttachReply },
}

impl<C: Chassis> Control<C> {
    /// Somebody plugs a vNIC in.
    pub(super) fn attach(
        &mut self,
        request: local::AttachRequest,
        answer: Answer<local::AttachReply>,
    ) {
        if let Err(refusal) = check(&request) {
            answer.send(Err(refusal)).ok();
            return;
        }
        let key = (request.vm.clone(), request.adapter.clone());
        if let Some(present) = self.attachments.get(&key) {
            answer.send(repeated(present, &request)).ok();
            return;
        }
        if !self.is_online() {
            let reply = self.attach_headless(&request);
            answer.send(reply).ok();
            return;
        }
        let request_id = self.next_request;
        self.next_request += 1;
        let asked = self.say(switch::from_dataplane::Body::Attach(switch::AttachRequest {
            request_id,
            vm: request.vm.clone(),
            adapter: request.adapter.clone(),
            profile: request.profile.clone(),
            mac: request.mac.clone(),
        }));
        if !asked {
            let busy = "the session with the supervisor is congested, try again";
            answer.send(Err(Refusal::Unavailable(busy.to_owned()))).ok();
            return;
        }
        let deadline = Instant::now() + WAIT_MAX;
        self.waiting.push(Waiting {
            request,
            answer,
            deadline,
            stage: Stage::Asked { request_id },
        });
    }

    /// The supervisor numbered a vNIC, or refused to.
    pub(super) fn attach_reply(&mut self, reply: switch::AttachReply) {
        use switch::attach_reply::Result::{Granted, Refused};
        let asked = |w: &Waiting| matches!(w.stage, Stage::Asked { request_id } if request_id == reply.request_id);
        let Some(at) = self.waiting.iter().position(asked) else {
            // Nobody waits any more: give the port back.
            if let Some(Granted(granted)) = reply.result {
                self.say_detach(granted.vethernet);
            }
            return;
        };
        let mut waiting = self.waiting.swap_remove(at);
        let granted = match reply.result {
            Some(Granted(granted)) => granted,
            Some(Refused(why)) => return drop(waiting.answer.send(Err(Refusal::Refused(why)))),
            None => {
                let why = "the supervisor sent an empty answer".to_owned();
                return drop(waiting.answer.send(Err(Refusal::Unavailable(why))));
            }
        };
        match self.plug(&waiting.request, granted.vethernet, &granted.mac, &waiting.request.profile)
        {
            Ok(reply) => {
                let revision = Revision::new(granted.revision);
                waiting.stage = Stage::Granted { revision, reply };
                waiting.deadline = Instant::now() + WAIT_MAX;
                self.waiting.push(waiting);
                self.finish_waiting();
            }
            Err(refusal) => {
                self.say_detach(granted.vethernet);
                waiting.answer.send(Err(refusal)).ok();
            }
        }
    }

    fn attach_headless(
        &mut self,
        request: &local::AttachRequest,
    ) -> Result<local::AttachReply, Refusal> {
        let known = decode::known_vethernet(&self.intent, &request.vm, &request.adapter);
        let Some(known) = known else {
            return Err(Refusal::Unavailable(format!(
                "no supervisor, and vNIC {} of {} is not part of revision {}: only a supervisor can \
                 number a new one",
                request.adapter, request.vm, self.revision
            )));
        };
        let profile = known.profile.as_ref().map_or(request.profile.clone(), Name::to_string);
        if profile != request.profile {
            return Err(Refusal::Refused(format!(
                "no supervisor, and {} has port-profile {profile} in revision {}",
                known.name, self.revision
            )));
        }
        let InterfaceName::Vethernet(number) = known.name else {
            return Err(Refusal::Refused(format!("{} is not a vEthernet", known.name)));
        };
        let mut reply = self.plug(request, number.get(), &known.mac.to_string(), &profile)?;
        let headless = format!("headless: forwarding by revision {}", self.revision);
        reply.note = join_notes(&reply.note, &headless);
        self.refresh_team();
        Ok(reply)
    }

    /// Opens the device of a numbered vNIC and remembers it.
    fn plug(
        &mut self,
        request: &local::AttachRequest,
        vethernet: u32,
        mac: &str,
        profile: &str,
    ) -> Result<local::AttachReply, Refusal> {
        let number = VethId::new(vethernet).map_err(|e| Refusal::Refused(e.to_string()))?;
        let address: MacAddr = mac.parse().map_err(|e| Refusal::Refused(format!("{e}")))?;
        let name = InterfaceName::Vethernet(number);
        let slot = self.ids.reserve_port(name).map_err(|p| Refusal::Refused(p.to_string()))?;
        let saved = SavedAttachment {
            vm: request.vm.clone(),
            adapter: request.adapter.clone(),
            vethernet,
            mac: address.to_string(),
            profile: profile.to_owned(),
            kind: request.kind.clone(),
            netns: request.netns.clone(),
            ifname: request.ifname.clone(),
            mtu_bytes: request.mtu_bytes,
            // Each was looked at in `check`.
            ipv4: request.ipv4.iter().filter_map(|ip| ip.parse().ok()).collect(),
        };
        let device = self.device_of(&saved, address);
        let opened = self.chassis.open(slot, &device).map_err(|e| {
            self.ids.release_port(name);
            Refusal::Refused(e.to_string())
        })?;
        info!(%name, vm = saved.vm, adapter = saved.adapter, kind = opened.kind, "attached");
        let reply = local::AttachReply {
            vethernet,
            mac: address.to_string(),
            netdev: saved.ifname.clone(),
            note: opened.note,
        };
        let device = DeviceState::Open { kind: opened.kind, device };
        let key = (saved.vm.clone(), saved.adapter.clone());
        self.attachments.insert(key, Attachment { saved, slot, name, mac: address, device });
        self.save_attachments();
        Ok(reply)
    }

    /// Somebody unplugs a vNIC.
    pub(super) fn detach(
        &mut self,
        request: &local::DetachRequest,
        answer: Answer<local::DetachReply>,
    ) {
        let key = (request.vm.clone(), request.adapter.clone());
        let Some(gone) = self.attachments.remove(&key) else {
            let why = format!("no vNIC {} of {} is attached here", request.adapter, request.vm);
            answer.send(Err(Refusal::NotFound(why))).ok();
            return;
        };
        match &gone.device {
            DeviceState::Open { .. } => self.chassis.close(gone.slot, Close::Unplug),
            // Its netdev may still be in the VM.
            DeviceState::Closed { .. } | DeviceState::ErrDisabled { .. } => {
                self.chassis.remove(&self.device_of(&gone.saved, gone.mac));
            }
        }
        self.ids.release_port(gone.name);
        self.save_attachments();
        self.say_detach(gone.saved.vethernet);
        self.refresh_team();
        info!(name = %gone.name, vm = gone.saved.vm, adapter = gone.saved.adapter, "detached");
        answer.send(Ok(local::DetachReply {})).ok();
    }

    /// Tells the supervisor that a port is not used any more. Without a session the next `Hello`
    /// does, because it lists what is plugged in.
    fn say_detach(&mut self, vethernet: u32) {
        let request_id = self.next_request;
        self.next_request += 1;
        let request = switch::DetachRequest { request_id, vethernet };
        self.say(switch::from_dataplane::Body::Detach(request));
    }

    pub(super) fn detach_reply(&self, reply: &switch::DetachReply) {
        if !reply.refused.is_empty() {
            warn!("the supervisor refused a detach: {}", reply.refused);
        }
    }

    /// Answers those whose policy is now forwarded by.
    pub(super) fn finish_waiting(&mut self) {
        let (revision, snapshot) = (self.revision, self.snapshot.clone());
        let done = |w: &mut Waiting| match &w.stage {
            Stage::Granted { revision: wanted, reply } => {
                let name = VethId::new(reply.vethernet).map(InterfaceName::Vethernet);
                revision >= *wanted && snapshot.ports().any(|p| Ok(p.name) == name)
            }
            Stage::Asked { .. } => false,
        };
        for waiting in self.waiting.extract_if(.., done) {
            if let Stage::Granted { reply, .. } = waiting.stage {
                waiting.answer.send(Ok(reply)).ok();
            }
        }
    }

    /// Refuses those that have waited too long. A port that is open stays so: its policy may come.
    pub(super) fn expire_waiting(&mut self, now: Instant) {
        for waiting in self.waiting.extract_if(.., |w| w.deadline <= now) {
            let what = match waiting.stage {
                Stage::Asked { .. } => {
                    "the supervisor did not answer in time; try again".to_owned()
                }
                Stage::Granted { reply, .. } => format!(
                    "Vethernet{} is attached, but its policy did not come in time",
                    reply.vethernet
                ),
            };
            waiting.answer.send(Err(Refusal::Unavailable(what))).ok();
        }
    }

    /// Refuses all that wait for a supervisor that is gone.
    pub(super) fn refuse_waiting(&mut self, why: &str) {
        for waiting in self.waiting.drain(..) {
            waiting.answer.send(Err(Refusal::Unavailable(why.to_owned()))).ok();
        }
    }

    /// Remembers what was plugged in when the daemon ended. Nothing is opened yet: the last policy
    /// says with which MTU.
    pub(super) fn restore_attachments(&mut self, saved: Vec<SavedAttachment>) {
        for saved in saved {
            let number = VethId::new(saved.vethernet).map(InterfaceName::Vethernet);
            let (Ok(name), Ok(mac)) = (number, saved.mac.parse::<MacAddr>()) else {
                warn!("attachment of {} {} is not readable, left out", saved.vm, saved.adapter);
                continue;
            };
            let Ok(slot) = self.ids.reserve_port(name) else {
                warn!("no slot left for {name}, left out");
                continue;
            };
            let reason = "not opened yet".to_owned();
            let device = DeviceState::Closed { reason, retry: Instant::now() };
            let key = (saved.vm.clone(), saved.adapter.clone());
            self.attachments.insert(key, Attachment { saved, slot, name, mac, device });
        }
    }

    /// Opens what is closed, and those ports anew whose device has to be another one than it is: the
    /// MTU comes from the port-profile, which is known with the port's first policy, and may change.
    pub(super) fn reconcile_attachments(&mut self) {
        let is_stale = |a: &&Attachment| matches!(&a.device, DeviceState::Open { device, .. } if *device != self.device_of(&a.saved, a.mac));
        let stale: Vec<_> = self
            .attachments
            .values()
            .filter(is_stale)
            .map(|a| (a.saved.vm.clone(), a.saved.adapter.clone()))
            .collect();
        for key in &stale {
            let Some(attachment) = self.attachments.get_mut(key) else { continue };
            let reason = "its MTU changes".to_owned();
            attachment.device = DeviceState::Closed { reason, retry: Instant::now() };
            self.chassis.close(attachment.slot, Close::Release);
        }
        self.reopen_devices();
    }

    /// Opens again what failed, when its time has come.
    pub(super) fn reopen_devices(&mut self) {
        self.reconcile_uplinks();
        let now = Instant::now();
        let due =
            |a: &Attachment| matches!(a.device, DeviceState::Closed { retry, .. } if retry <= now);
        let keys: Vec<_> =
            self.attachments.iter().filter(|(_, a)| due(a)).map(|(key, _)| key.clone()).collect();
        for key in keys {
            let Some((slot, device)) =
                self.attachments.get(&key).map(|a| (a.slot, self.device_of(&a.saved, a.mac)))
            else {
                continue;
            };
            let outcome = self.chassis.open(slot, &device);
            let Some(attachment) = self.attachments.get_mut(&key) else { continue };
            attachment.device = match outcome {
                Ok(opened) => {
                    info!(name = %attachment.name, kind = opened.kind, "attached again");
                    DeviceState::Open { kind: opened.kind, device }
                }
                Err(e) => DeviceState::Closed { reason: e.to_string(), retry: now + REOPEN_WAIT },
            };
        }
    }

    /// A worker let go of a port because its device failed.
    pub(super) fn port_gone(&mut self, slot: PortId, reason: &str) {
        let name = self.port_name(slot);
        self.event("warning", &name, "port-vanished", format!("{name} went down: {reason}"));
        let retry = Instant::now() + REOPEN_WAIT;
        let nic = self.uplinks.iter().find(|(_, u)| u.slot() == Some(slot)).map(|(nic, _)| *nic);
        if let Some(nic) = nic {
            self.uplink_gone(nic, reason);
        }
        if let Some(attachment) = self.attachments.values_mut().find(|a| a.slot == slot) {
            attachment.device = DeviceState::Closed { reason: reason.to_owned(), retry };
        }
        self.chassis.close(slot, Close::Release);
        self.refresh_team();
    }

    /// Lets go of ports whose VM is gone with its network namespace.
    pub(super) fn release_stranded(&mut self) {
        for slot in self.chassis.stranded() {
            self.port_gone(slot, "its network namespace was deleted");
        }
    }

    /// A VM behind BPDU guard sent a BPDU: shut its port until it is plugged in again.
    pub(super) fn bpdu_guard(&mut self, slot: PortId) {
        let name = self.port_name(slot);
        let Some(attachment) = self.attachments.values_mut().find(|a| a.slot == slot) else {
            return;
        };
        if matches!(attachment.device, DeviceState::ErrDisabled { .. }) {
            return;
        }
        let reason = "err-disabled by BPDU guard".to_owned();
        attachment.device = DeviceState::ErrDisabled { reason };
        self.chassis.close(slot, Close::Release);
        self.event("error", &name, "bpdu-guard", format!("{name} sent a BPDU and was shut"));
        self.refresh_team();
    }

    fn device_of(&self, saved: &SavedAttachment, mac: MacAddr) -> Device {
        let policy = self
            .snapshot
            .ports()
            .find(|p| matches!(p.name, InterfaceName::Vethernet(n) if n.get() == saved.vethernet));
        let mtu_bytes = match u16::try_from(saved.mtu_bytes) {
            Ok(mtu) if mtu > 0 => mtu,
            _ => policy.map_or(MTU_DEFAULT_BYTES, |p| p.mtu_bytes),
        };
        match saved.kind.as_str() {
            "afxdp" => {
                Device::Afxdp { ifname: saved.ifname.clone(), uplink: false, host_traffic: false }
            }
            _ => Device::Tap {
                ifname: saved.ifname.clone(),
                netns: saved.netns.clone(),
                mac,
                mtu_bytes,
            },
        }
    }

    fn save_attachments(&self) {
        let saved: Vec<SavedAttachment> =
            self.attachments.values().map(|a| a.saved.clone()).collect();
        if let Err(e) = self.cache.save_attachments(&saved) {
            self.event("error", "", "state-not-saved", e.to_string());
        }
    }
}

fn check(request: &local::AttachRequest) -> Result<(), Refusal> {
    let named = |what: &str, text: &str| {
        let legal = |b: u8| b.is_ascii_graphic() && b != b'/';
        if text.is_empty() || text.len() > NAME_LEN_MAX || !text.bytes().all(legal) {
            let expected = "expected 1..64 printable characters without blanks and slashes";
            return Err(Refusal::Invalid(format!("{what} `{text}` is not a name, {expected}")));
        }
        Ok(())
    };
    named("VM", &request.vm)?;
    named("adapter", &request.adapter)?;
    named("interface", &request.ifname)?;
    if request.ifname.len() > 15 {
        let why = "Linux allows 15 characters";
        return Err(Refusal::Invalid(format!("interface `{}` is too long: {why}", request.ifname)));
    }
    if !matches!(request.kind.as_str(), "tap" | "afxdp") {
        let why = format!("unknown kind of port `{}`, expected tap or afxdp", request.kind);
        return Err(Refusal::Invalid(why));
    }
    if request.kind == "afxdp" && !request.netns.is_empty() {
        let why = "an afxdp port takes an interface of the daemon's own network namespace";
        return Err(Refusal::Invalid(why.to_owned()));
    }
    if request.mtu_bytes != 0 && !(68..=9216).contains(&request.mtu_bytes) {
        let why = format!("mtu {} is out of range, expected 68..9216", request.mtu_bytes);
        return Err(Refusal::Invalid(why));
    }
    if request.ipv4.len() > ADDRESSES_MAX {
        let why =
            format!("{} IPv4 addresses, expected at most {ADDRESSES_MAX}", request.ipv4.len());
        return Err(Refusal::Invalid(why));
    }
    for text in &request.ipv4 {
        let station = text.parse().ok().filter(|ip: &Ipv4Addr| {
            !(ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast() || ip.is_loopback())
        });
        if station.is_none() {
            return Err(Refusal::Invalid(format!("`{text}` is not the IPv4 address of a vNIC")));
        }
    }
    request.profile.parse::<Name>().map_err(|e| Refusal::Invalid(e.to_string()))?;
    if !request.mac.is_empty() {
        let mac: MacAddr = request.mac.parse().map_err(|e| Refusal::Invalid(format!("{e}")))?;
        if !mac.is_valid_source() {
            let why = format!("{mac} is a group address or zero, not the address of a vNIC");
            return Err(Refusal::Invalid(why));
        }
    }
    Ok(())
}

/// An attach of what is attached: the same again is fine, another one is not.
fn repeated(
    present: &Attachment,
    request: &local::AttachRequest,
) -> Result<local::AttachReply, Refusal> {
    let saved = &present.saved;
    let same_mac = request.mac.is_empty() || request.mac.parse() == Ok(present.mac);
    let same = same_mac
        && saved.kind == request.kind
        && saved.netns == request.netns
        && saved.ifname == request.ifname
        && saved.profile == request.profile;
    if !same {
        return Err(Refusal::Refused(format!(
            "vNIC {} of {} is attached as {} with another profile, address or interface: detach it first",
            saved.adapter, saved.vm, present.name
        )));
    }
    Ok(local::AttachReply {
        vethernet: saved.vethernet,
        mac: saved.mac.clone(),
        netdev: saved.ifname.clone(),
        note: "was attached already".to_owned(),
    })
}

fn join_notes(first: &str, second: &str) -> String {
    if first.is_empty() { second.to_owned() } else { format!("{first}; {second}") }
}
