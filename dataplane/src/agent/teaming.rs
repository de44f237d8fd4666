//! How the uplinks of this host work together: what the control plane is told, what it tells, and
//! which uplinks may carry data.

use policy::snapshot::{Role, Uplink as UplinkPolicy};
use proto::frame::lacp::SystemId;
use proto::{HostId, InterfaceName, MacAddr, PortId};

use super::chassis::Chassis;
use super::control::Control;
use crate::control_plane::{LacpSettings, NicSettings, Settings};
use crate::core::Links;
use crate::lacp::{Change, Flag};
use crate::neighbor::{self, ChangeKind};

/// The first octet of the address of an LACP system: locally administered, of one station (IEEE
/// 802c-2017 clause 8.4), and another one than vNICs are given.
const SYSTEM_MAC_FIRST: u8 = 0x0a;

/// The address that this host has as an LACP system: the same as long as its identity is, whatever
/// NICs it has, so that a NIC that is replaced does not make it another system.
pub(super) fn system_mac(host: HostId) -> MacAddr {
    let mut octets = [SYSTEM_MAC_FIRST, 0, 0, 0, 0, 0];
    for (at, octet) in host.octets().into_iter().enumerate() {
        octets[1 + at % 5] ^= octet;
    }
    MacAddr::new(octets)
}

impl<C: Chassis> Control<C> {
    /// Tells the control plane which uplinks there are, when that has changed.
    pub(super) fn configure_control_plane(&mut self) {
        let priority = self.snapshot.teaming().lacp_system_priority;
        let nics = self.snapshot.ports().filter_map(|port| {
            let Role::Uplink(of) = &port.role else { return None };
            // One without its XDP program would join a port-channel and carry nothing.
            let uplink = self.uplinks.get(&of.nic).filter(|uplink| uplink.is_open())?;
            Some(NicSettings {
                nic: of.nic,
                ifname: uplink.ifname.clone(),
                port: port.name.to_string(),
                lacp: lacp_settings(of, port.admin_up),
                lldp_transmit: of.lldp_transmit && port.admin_up,
            })
        });
        let settings = Settings {
            system: SystemId { priority, mac: system_mac(self.host) },
            host: self.host,
            name: self.settings.name.clone(),
            nics: nics.collect(),
        };
        if self.plane.as_ref() != Some(&settings) {
            self.plane = Some(settings.clone());
            self.chassis.configure_control_plane(settings);
        }
    }

    /// A member of a port-channel with LACP stands differently.
    pub(super) fn member(&mut self, change: &Change) {
        self.refresh_team();
        self.report_soon = true;
        let (Some(before), Some(after)) = (change.before, change.after) else { return };
        if before.carries == after.carries && before.flag == after.flag {
            return;
        }
        let Some(name) = self.uplink_name(change.nic) else { return };
        let channel = channel_name(change.key);
        let why = after.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let name = name.to_string();
        if after.carries {
            let message = format!("{name} carries for {channel}{why}");
            self.event("notice", &name, "member-up", message);
        } else if before.carries {
            let message = format!("{name} carries no more for {channel}{why}");
            self.event("warning", &name, "member-down", message);
        } else {
            let flag = after.flag.letter();
            let message = format!("{name} is `{flag}` in {channel}{why}");
            self.event("notice", &name, "member-state", message);
        }
    }

    /// What an uplink hears of the other end of its cable has changed.
    pub(super) fn neighbor(&mut self, change: &neighbor::Change) {
        self.report_soon = true;
        let of = &change.neighbor;
        let Some(name) = self.uplink_name(of.nic) else { return };
        let said = &of.announcement;
        let who = if said.system_name.is_empty() { &said.chassis_id } else { &said.system_name };
        let (port, protocol) = (&said.port_id, said.protocol.name());
        let (kind, message) = match &change.kind {
            ChangeKind::New => ("neighbor-up", format!("is behind {name}")),
            ChangeKind::Changed => ("neighbor-changed", format!("is behind {name} now")),
            ChangeKind::Lost(loss) => {
                ("neighbor-down", format!("is not heard at {name} any more: {}", loss.reason()))
            }
        };
        let message = format!("{who} port {port} {message} ({protocol})");
        self.event("notice", &name.to_string(), kind, message);
    }

    /// The name of an uplink, if the configuration has it.
    pub(super) fn uplink_name(&self, nic: u8) -> Option<InterfaceName> {
        let ports = self.snapshot.ports();
        let mut uplinks = ports.filter_map(|port| match &port.role {
            Role::Uplink(of) => Some((of.nic, port.name)),
            Role::Vethernet(_) => None,
        });
        uplinks.find(|(number, _)| *number == nic).map(|(_, name)| name)
    }

    /// The ports that may carry data: open, with carrier and, where LACP decides, let by it.
    pub(super) fn links(&mut self) -> Links {
        let now_ns = self.chassis.now_ns();
        let open = self.uplinks.values().filter(|uplink| uplink.is_open());
        let carriers = open.filter_map(|uplink| Some((uplink.slot()?, uplink.carrier)));
        let usable = self.hold_down.update(now_ns, &self.snapshot, carriers);
        let vethernets = self.attachments.values().filter(|a| a.is_open()).map(|a| a.slot);
        let mut links: Links = vethernets.collect();
        let seen = self.chassis.seen();
        for (nic, uplink) in &self.uplinks {
            let Some(slot) = uplink.slot().filter(|slot| usable.contains(*slot)) else { continue };
            let member = seen.port(*nic).map(|port| port.member);
            if !self.runs_lacp(slot) || member.is_some_and(|member| member.carries) {
                links.up.insert(slot);
            }
            if member.is_some_and(|member| member.flag == Flag::Individual) {
                links.individual.insert(slot);
            }
        }
        links
    }

    /// Whether LACP decides about an uplink.
    fn runs_lacp(&self, slot: PortId) -> bool {
        let role = self.snapshot.port(slot).map(|port| &port.role);
        let Some(Role::Uplink(of)) = role else { return false };
        of.channel.is_some_and(|channel| channel.mode.is_lacp())
    }
}

fn lacp_settings(of: &UplinkPolicy, admin_up: bool) -> Option<LacpSettings> {
    let channel = of.channel.filter(|channel| channel.mode.is_lacp())?;
    Some(LacpSettings { channel, admin_up })
}

/// The name of the port-channel with this number.
pub(super) fn channel_name(number: u16) -> String {
    format!("port-channel{number}")
}
