//! What a dataplane tells of itself: hello and counters to the supervisor, status to the host.

use std::collections::BTreeMap;

use policy::acl::RuleCounterId;
use policy::snapshot::Port;
use proto::rpc::{PROTOCOL_VERSION, local, switch};
use proto::{DropReason, PortId};

use super::attach::{Attachment, DeviceState};
use super::chassis::Chassis;
use super::control::Control;
use super::uplink::{Uplink, UplinkState};
use crate::clock::unix_time_ns;
use crate::core::counters::PortTotals;

/// What this build can do, for supervisors that know more.
const CAPABILITIES: [&str; 5] = ["afxdp", "tap", "delta", "mac-pinning", "lacp"];

impl<C: Chassis> Control<C> {
    /// Who we are, what we forward by, what is plugged in.
    pub(super) fn hello(&self) -> switch::Hello {
        switch::Hello {
            host_uuid: self.host.to_string(),
            name: self.settings.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL_VERSION,
            capabilities: CAPABILITIES.map(str::to_owned).to_vec(),
            nics: self.nics(),
            revision: self.revision.get(),
            term: self.term.get(),
            attachments: self.plugged(),
        }
    }

    fn nics(&self) -> Vec<switch::Nic> {
        let nic = |(number, uplink): (&u8, &Uplink)| switch::Nic {
            number: u32::from(*number),
            ifname: uplink.ifname.clone(),
            mac: crate::links::mac_of(&uplink.ifname).map(|m| m.to_string()).unwrap_or_default(),
            link_up: uplink.carrier,
            driver_mode: match &uplink.state {
                UplinkState::Open { kind, .. } => kind.clone(),
                _ => String::new(),
            },
        };
        self.uplinks.iter().map(nic).collect()
    }

    fn plugged(&self) -> Vec<switch::Attachment> {
        let attachment = |a: &Attachment| switch::Attachment {
            vethernet: a.saved.vethernet,
            vm: a.saved.vm.clone(),
            adapter: a.saved.adapter.clone(),
            mac: a.mac.to_string(),
            profile: a.saved.profile.clone(),
            kind: match &a.device {
                DeviceState::Open { kind, .. } => kind.clone(),
                _ => a.saved.kind.clone(),
            },
            link_up: matches!(a.device, DeviceState::Open { .. }),
        };
        self.attachments.values().map(attachment).collect()
    }

    /// All counters as they stand.
    pub(super) fn counters(&self) -> switch::Counters {
        let rules = self.ids.rules().map(|(access_list, sequence, counter)| switch::RuleCounter {
            access_list: access_list.to_string(),
            sequence,
            matches: self.rule_matches(counter),
        });
        let macs = self.snapshot.fib().iter().map(|(vlan, mac, port)| switch::MacEntry {
            vlan: u32::from(vlan.get()),
            mac: mac.to_string(),
            port: self.port_name(port),
        });
        let attached = self.attached();
        let port = |port: &Port| self.port_counters(port, attached.get(&port.id).copied());
        switch::Counters {
            unix_time_ns: unix_time_ns(),
            ports: self.snapshot.ports().map(port).collect(),
            rules: rules.collect(),
            macs: macs.collect(),
            attachments: self.plugged(),
            nics: self.nics(),
            revision: self.revision.get(),
            channels: self.channels(),
            pins: self.pins(),
            neighbors: self.neighbors(),
            announcements: self.announcer.sent(),
        }
    }

    /// Matches since the entry got its counter.
    fn rule_matches(&self, counter: RuleCounterId) -> u64 {
        let base = self.rule_bases.get(&counter).copied().unwrap_or(0);
        self.chassis.rule_matches(counter).saturating_sub(base)
    }

    /// What is plugged in, by slot: with a thousand ports nobody looks for each in a list.
    fn attached(&self) -> BTreeMap<PortId, &Attachment> {
        self.attachments.values().map(|attachment| (attachment.slot, attachment)).collect()
    }

    fn port_counters(&self, port: &Port, attachment: Option<&Attachment>) -> switch::PortCounters {
        let totals = self.chassis.totals(port.id);
        let (link_up, state_reason) = self.link_state(port.id, attachment);
        switch::PortCounters {
            name: port.name.to_string(),
            link_up: link_up && port.admin_up,
            state_reason: if port.admin_up {
                state_reason
            } else {
                "administratively down".to_owned()
            },
            rx_frames: totals.rx.frames(),
            rx_bytes: totals.rx.bytes,
            rx_multicast: totals.rx.multicast,
            rx_broadcast: totals.rx.broadcast,
            tx_frames: totals.tx.frames(),
            tx_bytes: totals.tx.bytes,
            tx_multicast: totals.tx.multicast,
            tx_broadcast: totals.tx.broadcast,
            forwarded: totals.forwarded,
            consumed: totals.consumed,
            drops: drops(&totals.drops, |reason, frames| switch::DropCounter { reason, frames }),
            tx_drops: drops(&totals.tx_drops, |reason, frames| switch::DropCounter {
                reason,
                frames,
            }),
            pinned_to: self.pinned_to(port.id),
        }
    }

    fn pinned_to(&self, slot: PortId) -> String {
        self.team.pinned_member(slot).map(|uplink| self.port_name(uplink)).unwrap_or_default()
    }

    /// Whether the device of a slot passes frames, and why not. The slot is that of `attachment`, or of
    /// an uplink.
    fn link_state(&self, slot: PortId, attachment: Option<&Attachment>) -> (bool, String) {
        if let Some(attachment) = attachment {
            return match &attachment.device {
                DeviceState::Open { .. } => (true, String::new()),
                DeviceState::Closed { reason, .. } | DeviceState::ErrDisabled { reason } => {
                    (false, reason.clone())
                }
            };
        }
        self.uplink_state(slot)
    }

    /// Whether the NIC of an uplink's slot passes frames, and why not.
    pub(super) fn uplink_state(&self, slot: PortId) -> (bool, String) {
        match self.uplinks.values().find(|u| u.slot() == Some(slot)) {
            Some(Uplink { state: UplinkState::Closed { reason, .. }, .. }) => {
                (false, reason.clone())
            }
            Some(uplink) if uplink.is_open() && uplink.carrier => (true, self.short_mtu(uplink)),
            Some(_) => (false, "link not connected".to_owned()),
            None => (false, "no such device on this host".to_owned()),
        }
    }

    /// What to say of a NIC that cannot carry the longest frame its port may.
    fn short_mtu(&self, uplink: &Uplink) -> String {
        let port = uplink.slot().and_then(|slot| self.snapshot.port(slot));
        match (uplink.mtu_bytes, port.map(|port| u32::from(port.mtu_bytes))) {
            (Some(nic), Some(port)) if nic < port => {
                format!("MTU of {} is {nic}, not {port}: longer frames are dropped", uplink.ifname)
            }
            _ => String::new(),
        }
    }

    /// How things are, for whoever asks on this host.
    pub(super) fn status(&self) -> local::StatusReply {
        let mut reply = local::StatusReply {
            host_uuid: self.host.to_string(),
            name: self.settings.name.clone(),
            module: self.module.map_or(0, |m| u32::from(m.get())),
            revision: self.revision.get(),
            term: self.term.get(),
            headless: !self.is_online(),
            supervisor: self.settings.supervisor.clone(),
            memory: Some(self.chassis.memory()),
            announcements: self.announcer.sent(),
            ..Default::default()
        };
        let mut slots: BTreeMap<PortId, Option<&Attachment>> =
            self.snapshot.ports().map(|p| (p.id, None)).collect();
        slots.extend(self.attached().into_iter().map(|(slot, a)| (slot, Some(a))));
        for (slot, attachment) in slots {
            let totals = self.chassis.totals(slot);
            reply.rx_frames += totals.rx.frames();
            reply.tx_frames += totals.tx.frames();
            reply.forwarded += totals.forwarded;
            reply.consumed += totals.consumed;
            reply.dropped += totals.dropped();
            reply.tx_dropped += totals.tx_drops.iter().sum::<u64>();
            reply.ports.push(self.port_status(slot, attachment, &totals));
        }
        reply
    }

    fn port_status(
        &self,
        slot: PortId,
        attachment: Option<&Attachment>,
        totals: &PortTotals,
    ) -> local::PortStatus {
        let (link_up, reason) = self.link_state(slot, attachment);
        let saved = attachment.map(|a| &a.saved);
        let uplink = self.uplinks.values().find(|u| u.slot() == Some(slot));
        let kind = match (attachment.map(|a| &a.device), uplink.map(|u| &u.state)) {
            (Some(DeviceState::Open { kind, .. }), _)
            | (_, Some(UplinkState::Open { kind, .. })) => kind.clone(),
            _ => saved.map(|s| s.kind.clone()).unwrap_or_default(),
        };
        let adapter = saved.map(|s| s.adapter.clone());
        local::PortStatus {
            name: attachment.map_or_else(|| self.port_name(slot), |a| a.name.to_string()),
            vm: saved.map(|s| s.vm.clone()).unwrap_or_default(),
            adapter: adapter.or_else(|| uplink.map(|u| u.ifname.clone())).unwrap_or_default(),
            mac: saved.map(|s| s.mac.clone()).unwrap_or_default(),
            kind,
            link_up,
            reason,
            rx_frames: totals.rx.frames(),
            tx_frames: totals.tx.frames(),
            forwarded: totals.forwarded,
            consumed: totals.consumed,
            drops: drops(&totals.drops, |reason, frames| local::Drop { reason, frames }),
            tx_drops: drops(&totals.tx_drops, |reason, frames| local::Drop { reason, frames }),
            pinned_to: self.pinned_to(slot),
            profile: saved.map(|s| s.profile.clone()).unwrap_or_default(),
        }
    }
}

/// The reasons that have been counted at all.
fn drops<T>(counts: &[u64; DropReason::COUNT], make: impl Fn(String, u64) -> T) -> Vec<T> {
    let counted = DropReason::ALL.iter().zip(counts).filter(|(_, frames)| **frames > 0);
    counted.map(|(reason, frames)| make(reason.name().to_owned(), *frames)).collect()
}
