//! Policy values to rpc messages, and what dataplanes say to [`Event`]s: the only file of the
//! supervisor that knows both.
//!
//! Invariants: nothing that a dataplane can send panics here. A hello or an answer that makes no
//! sense is an error, which ends the session; a counter or an event that makes none is left out.

mod report;

use policy::acl::Acl;
use policy::config::{AclBinding, MacAllow, Name, is_printable};
use policy::delta::IntentDelta;
use policy::intent::{HostIntent, PortIntent, PortMode, PortRole};
use policy::lang;
use policy::teaming::{Channel, LacpRate, Teaming};
use proto::rpc::{PROTOCOL_VERSION, switch as rpc};
use proto::{InterfaceName, PortId, Revision, Term, VethId, VlanId};

use crate::event::{
    AttachRequest, Attachment, DetachRequest, Event, Hello, Message, Push, Refusal, SessionId, Told,
};
use crate::inventory::Nic;

/// The most NICs of a host: what `Ethernet3/N` can name.
const NICS_MAX: usize = InterfaceName::NIC_MAX as usize;
/// The longest text that is taken over from a dataplane, in characters.
const TEXT_LEN_MAX: usize = 512;
/// The most problems that are kept of a refusal.
const PROBLEMS_MAX: usize = 64;

/// Why a message of a dataplane ends its session.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Another version of the protocol.
    #[error(
        "host speaks version {0} of the protocol, this supervisor speaks {PROTOCOL_VERSION}: \
         install matching versions"
    )]
    Protocol(u32),
    /// A number, address or identifier out of its range.
    #[error("hello: {0}")]
    Value(#[from] proto::TypeError),
    /// A name that is none.
    #[error("hello: {0}")]
    Name(#[from] policy::config::NameError),
    /// NIC numbers are 1..=32, each once.
    #[error("hello: NIC number {0} is out of range or listed twice, expected 1..32")]
    Nic(u32),
    /// More vNICs than a host has ports for.
    #[error("hello: {0} vNICs are plugged in, a host has {max} ports", max = PortId::COUNT)]
    Attachments(usize),
    /// A hello that is not the first message.
    #[error("a second hello in one session")]
    SecondHello,
}

/// A message for a dataplane. Every one carries the term.
#[must_use]
pub fn message(term: Term, message: Message) -> rpc::ToDataplane {
    use rpc::to_dataplane::Body;
    let body = match message {
        Message::Welcome(module) => Body::Welcome(rpc::Welcome {
            module: u32::from(module.get()),
            supervisor: env!("CARGO_PKG_VERSION").to_owned(),
        }),
        Message::Push(revision, push) => Body::Push(rpc::Push {
            revision: revision.get(),
            body: Some(match push {
                Push::Full(intent) => rpc::push::Body::Full(host_intent(&intent)),
                Push::Delta(base, delta) => rpc::push::Body::Delta(host_delta(base, &delta)),
            }),
        }),
        Message::Granted { request_id, veth, mac, revision } => {
            let granted = rpc::AttachGranted {
                vethernet: veth.get(),
                mac: mac.to_string(),
                revision: revision.get(),
            };
            let result = Some(rpc::attach_reply::Result::Granted(granted));
            Body::AttachReply(rpc::AttachReply { request_id, result })
        }
        Message::Refused { request_id, reason } => {
            let result = Some(rpc::attach_reply::Result::Refused(reason));
            Body::AttachReply(rpc::AttachReply { request_id, result })
        }
        Message::Detached { request_id, refused } => {
            Body::DetachReply(rpc::DetachReply { request_id, refused })
        }
        Message::Ping => Body::Ping(rpc::Ping {}),
    };
    rpc::ToDataplane { term: term.get(), body: Some(body) }
}

fn host_intent(intent: &HostIntent) -> rpc::HostIntent {
    rpc::HostIntent {
        vlans: intent.vlans.iter().map(|(id, name)| vlan(*id, name)).collect(),
        access_lists: intent.acls.iter().map(|(name, acl)| access_list(name, acl)).collect(),
        ports: intent.ports.iter().map(|(name, of)| port(*name, of)).collect(),
        teaming: Some(teaming(intent.teaming)),
    }
}

fn host_delta(base: Revision, delta: &IntentDelta) -> rpc::HostDelta {
    rpc::HostDelta {
        base_revision: base.get(),
        vlans: delta.vlans.iter().map(|(id, name)| vlan(*id, name)).collect(),
        removed_vlans: delta.removed_vlans.iter().map(|id| u32::from(id.get())).collect(),
        access_lists: delta.acls.iter().map(|(name, acl)| access_list(name, acl)).collect(),
        removed_access_lists: delta.removed_acls.iter().map(Name::to_string).collect(),
        ports: delta.ports.iter().map(|(name, of)| port(*name, of)).collect(),
        removed_ports: delta.removed_ports.iter().map(InterfaceName::to_string).collect(),
        teaming: delta.teaming.map(teaming),
    }
}

fn teaming(of: Teaming) -> rpc::Teaming {
    rpc::Teaming {
        load_balance: of.load_balance.to_string(),
        lacp_system_priority: u32::from(of.lacp_system_priority),
    }
}

fn channel(of: &Channel) -> rpc::Channel {
    rpc::Channel {
        number: u32::from(of.number),
        mode: of.mode.to_string(),
        lacp_fast: of.lacp_rate == LacpRate::Fast,
        lacp_port_priority: u32::from(of.lacp_port_priority),
        min_links: u32::from(of.min_links),
        max_bundle: u32::from(of.max_bundle),
        suspend_individual: of.suspend_individual,
        rank: u32::from(of.rank),
    }
}

fn vlan(id: VlanId, name: &str) -> rpc::Vlan {
    rpc::Vlan { id: u32::from(id.get()), name: name.to_owned() }
}

fn access_list(name: &Name, acl: &Acl) -> rpc::AccessList {
    let entry = |(number, entry): (&u32, &_)| lang::print_entry(acl.kind, *number, entry);
    rpc::AccessList {
        name: name.to_string(),
        kind: acl.kind.to_string(),
        entries: acl.entries.iter().map(entry).collect(),
    }
}

fn port(name: InterfaceName, of: &PortIntent) -> rpc::Port {
    let mode = match &of.mode {
        PortMode::Access(vlan) => rpc::port::Mode::AccessVlan(u32::from(vlan.get())),
        PortMode::Trunk { native, allowed } => rpc::port::Mode::Trunk(rpc::Trunk {
            native_vlan: u32::from(native.get()),
            allowed_vlans: allowed.to_string(),
        }),
    };
    let mut port = rpc::Port {
        name: name.to_string(),
        profile: of.profile.as_ref().map(Name::to_string).unwrap_or_default(),
        admin_up: of.admin_up,
        mode: Some(mode),
        mtu_bytes: u32::from(of.mtu_bytes),
        acl_in: Some(binding(&of.acl_in)),
        acl_out: Some(binding(&of.acl_out)),
        ..rpc::Port::default()
    };
    port.role = Some(match &of.role {
        PortRole::Vethernet(role) => {
            port.uufb_disabled = role.uufb_disabled;
            port.promiscuous = role.promiscuous;
            port.bpdu_guard = role.bpdu_guard;
            let allowed: &[_] = match &role.mac_allow {
                MacAllow::Any => &[],
                MacAllow::List(macs) => macs,
            };
            rpc::port::Role::Vethernet(rpc::VethernetRole {
                vm: role.vm.clone(),
                adapter: role.adapter.clone(),
                mac: role.mac.to_string(),
                allowed_macs: allowed.iter().map(ToString::to_string).collect(),
                any_mac: role.mac_allow == MacAllow::Any,
                pinned_nics: role.pinned_nics.iter().copied().map(u32::from).collect(),
            })
        }
        PortRole::Uplink(role) => rpc::port::Role::Uplink(rpc::UplinkRole {
            nic: u32::from(role.nic),
            host_traffic: role.host_traffic,
            channel: role.channel.map(|channel| self::channel(&channel)),
            link_up_delay_s: u32::from(role.link_up_delay_s),
            lldp_transmit: role.lldp_transmit,
        }),
    });
    port
}

fn binding(of: &AclBinding) -> rpc::AclBinding {
    let name = |name: &Option<Name>| name.as_ref().map(Name::to_string).unwrap_or_default();
    rpc::AclBinding { mac: name(&of.mac), ip: name(&of.ip), ipv6: name(&of.ipv6) }
}

/// The first message of a session.
///
/// # Errors
/// The session has to end: see [`DecodeError`].
pub fn hello(address: String, hello: rpc::Hello) -> Result<Hello, DecodeError> {
    if hello.protocol != PROTOCOL_VERSION {
        return Err(DecodeError::Protocol(hello.protocol));
    }
    if hello.attachments.len() > PortId::COUNT {
        return Err(DecodeError::Attachments(hello.attachments.len()));
    }
    let attachments: Result<Vec<_>, _> = hello.attachments.iter().map(attachment).collect();
    Ok(Hello {
        address,
        host: hello.host_uuid.parse()?,
        name: clean(&hello.name),
        version: clean(&hello.version),
        nics: nics(&hello.nics)?,
        revision: Revision::new(hello.revision),
        term: Term::new(hello.term),
        attachments: attachments?,
    })
}

fn nics(messages: &[rpc::Nic]) -> Result<Vec<Nic>, DecodeError> {
    let mut nics: Vec<Nic> = Vec::new();
    for message in messages {
        let bad = DecodeError::Nic(message.number);
        let number = match u8::try_from(message.number) {
            Ok(number @ 1..=InterfaceName::NIC_MAX) => number,
            _ => return Err(bad),
        };
        if nics.len() == NICS_MAX || nics.iter().any(|nic| nic.number == number) {
            return Err(bad);
        }
        nics.push(Nic { number, ifname: clean(&message.ifname) });
    }
    nics.sort_by_key(|nic| nic.number);
    Ok(nics)
}

fn attachment(message: &rpc::Attachment) -> Result<Attachment, DecodeError> {
    Ok(Attachment {
        veth: VethId::new(message.vethernet)?,
        vm: clean(&message.vm),
        adapter: clean(&message.adapter),
        mac: message.mac.parse()?,
        profile: message.profile.parse()?,
    })
}

/// A later message of a session; `None`: nothing that this version knows.
///
/// # Errors
/// The session has to end: see [`DecodeError`].
pub fn event(
    session: SessionId,
    message: rpc::FromDataplane,
) -> Result<Option<Event>, DecodeError> {
    use rpc::from_dataplane::Body;
    Ok(Some(match message.body {
        // A newer dataplane may say things that this version has no word for.
        None => return Ok(None),
        Some(Body::Hello(_)) => return Err(DecodeError::SecondHello),
        Some(Body::Applied(applied)) => Event::Applied(session, Revision::new(applied.revision)),
        Some(Body::Rejected(rejected)) => {
            let problems = rejected.problems.iter().take(PROBLEMS_MAX);
            let problems = problems
                .map(|p| Refusal { path: clean(&p.path), message: clean(&p.message) })
                .collect();
            Event::Rejected(session, Revision::new(rejected.revision), problems)
        }
        Some(Body::Attach(attach)) => Event::Attach(
            session,
            AttachRequest {
                request_id: attach.request_id,
                vm: attach.vm,
                adapter: attach.adapter,
                profile: attach.profile,
                mac: attach.mac,
            },
        ),
        Some(Body::Detach(detach)) => {
            let (request_id, veth) = (detach.request_id, detach.vethernet);
            Event::Detach(session, DetachRequest { request_id, veth })
        }
        Some(Body::Event(event)) => Event::Told(
            session,
            Told {
                unix_time_ns: event.unix_time_ns,
                severity: event.severity,
                port: clean(&event.port),
                kind: clean(&event.kind),
                message: clean(&event.message),
            },
        ),
        Some(Body::Counters(counters)) => {
            Event::Report(session, Box::new(report::report(counters)))
        }
    }))
}

/// Text of a dataplane, as it may go to an operator's terminal: bounded, without what cannot be
/// seen.
fn clean(text: &str) -> String {
    text.chars().filter(|c| is_printable(*c)).take(TEXT_LEN_MAX).collect()
}

#[cfg(test)]
mod tests;
