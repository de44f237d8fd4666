//! A host to forward on: vEthernets in 64 VLANs behind two uplinks, all with the same list.

use std::sync::Arc;

use dataplane::core::{Links, TeamState, View, pinning};
use policy::acl::{Acl, AclKind};
use policy::config::{AclBinding, MacAllow, Name};
use policy::ids::StableIds;
use policy::intent::{PortIntent, PortMode, PortRole, UplinkRole, VethernetRole};
use policy::teaming::{Channel, ChannelMode};
use policy::{HostIntent, Snapshot, lang};
use proto::{InterfaceName, MacAddr, ModuleId, PortId, Revision, VethId, VlanId};

use crate::plan;

/// VLANs that the vEthernets take turns in.
pub const VLANS: u32 = 64;
/// NICs.
const UPLINKS: u8 = 2;

/// How large the host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// vEthernets, at least 1.
    pub vethernets: u32,
    /// Rules of the inbound list of every vEthernet, the last of which permits everything; with 0
    /// there is no list.
    pub rules: u32,
}

impl Default for Size {
    fn default() -> Self {
        Self { vethernets: 1000, rules: 100 }
    }
}

/// A host with all of its links up.
#[derive(Debug)]
pub struct Host {
    /// What to forward by.
    pub view: Arc<View>,
    ids: StableIds,
    size: Size,
}

impl Host {
    /// Builds a host.
    ///
    /// # Panics
    /// There are more vEthernets or rules than a host can have.
    #[must_use]
    pub fn new(size: Size) -> Self {
        let mut ids = StableIds::default();
        let intent = intent(size);
        let snapshot = Snapshot::build(&intent, Revision::new(1), &mut ids).expect("consistent");
        let links: Links = snapshot.ports().map(|port| port.id).collect();
        let (team, _) = pinning::compute(&snapshot, &links, &TeamState::default(), 0);
        let view = View::new(Arc::new(snapshot), Arc::new(team));
        Self { view: Arc::new(view), ids, size }
    }

    /// The port of a vEthernet (1..).
    ///
    /// # Panics
    /// The host has no such vEthernet.
    #[must_use]
    pub fn vethernet(&self, number: u32) -> PortId {
        self.ids.port(veth(number)).expect("a vEthernet of the host")
    }

    /// The ports of the NICs.
    #[must_use]
    pub fn uplinks(&self) -> Vec<PortId> {
        (1..=UPLINKS).filter_map(|nic| self.ids.port(ethernet(nic))).collect()
    }

    /// The other vEthernets in the VLAN of vEthernet 1.
    pub fn neighbours(&self) -> impl Iterator<Item = u32> + use<> {
        (1..=self.size.vethernets).step_by(VLANS as usize).skip(1)
    }
}

/// The address of a vEthernet's VM.
#[must_use]
pub fn mac(number: u32) -> MacAddr {
    MacAddr::from_u64(0x0257_4600_0000 + u64::from(number))
}

/// The address of a station on the wire.
#[must_use]
pub fn remote_mac() -> MacAddr {
    mac(0xff_ffff)
}

/// The VLAN of a vEthernet.
///
/// # Panics
/// Never: the VLANs stay below 4095.
#[must_use]
pub fn vlan(number: u32) -> VlanId {
    VlanId::new(u32::from(plan::VLAN) + number % VLANS).expect("below 4095")
}

/// A list of which the last rule permits everything, and no other matches a frame of a measurement.
///
/// # Panics
/// Never: the rules are legal.
#[must_use]
pub fn list(rules: u32) -> Acl {
    let denied = plan::rules(rules)
        .map(|rule| format!("deny tcp {}/{} any eq {}", rule.network, rule.prefix_len, rule.port));
    let permitted = (rules > 0).then(|| "permit ip any any".to_owned());
    let mut acl = Acl::new(AclKind::Ipv4);
    for (number, text) in (1..).zip(denied.chain(permitted)) {
        let entry = lang::parse_entry(AclKind::Ipv4, &format!("{number} {text}"));
        acl.entries.extend(entry);
    }
    acl
}

fn veth(number: u32) -> InterfaceName {
    InterfaceName::Vethernet(VethId::new(number).expect("a legal number"))
}

const fn ethernet(nic: u8) -> InterfaceName {
    InterfaceName::Ethernet { module: ModuleId::FIRST_HOST, nic }
}

fn intent(size: Size) -> HostIntent {
    let mut intent = HostIntent::default();
    let name: Name = "BENCH".parse().expect("a legal name");
    let bound = (size.rules > 0).then_some(&name);
    if size.rules > 0 {
        intent.acls.insert(name.clone(), list(size.rules));
    }
    for number in 1..=size.vethernets {
        intent.vlans.insert(vlan(number), String::new());
        let role = PortRole::Vethernet(VethernetRole {
            vm: format!("vm{number}"),
            adapter: "eth0".to_owned(),
            mac: mac(number),
            mac_allow: MacAllow::List(Vec::new()),
            uufb_disabled: false,
            promiscuous: false,
            bpdu_guard: false,
            pinned_nics: Vec::new(),
        });
        intent.ports.insert(veth(number), port(PortMode::Access(vlan(number)), role, bound));
    }
    for nic in 1..=UPLINKS {
        let channel = Some(Channel::new(1, ChannelMode::MacPinning { relative: false }));
        let role = PortRole::Uplink(UplinkRole { channel, ..UplinkRole::new(nic) });
        let allowed = (0..VLANS).map(vlan).collect();
        let mode = PortMode::Trunk { native: VlanId::DEFAULT, allowed };
        intent.ports.insert(ethernet(nic), port(mode, role, None));
    }
    intent
}

fn port(mode: PortMode, role: PortRole, list: Option<&Name>) -> PortIntent {
    PortIntent {
        profile: None,
        admin_up: true,
        mode,
        mtu_bytes: 1500,
        acl_in: AclBinding { ip: list.cloned(), ..AclBinding::default() },
        acl_out: AclBinding::default(),
        role,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_as_many_rules_as_asked_for() {
        for rules in [0, 1, 10, 1000] {
            assert_eq!(list(rules).rules().count(), rules as usize);
        }
    }

    #[test]
    fn neighbours_are_in_the_vlan_of_the_first() {
        let host = Host::new(Size { vethernets: 200, rules: 0 });
        let neighbours: Vec<u32> = host.neighbours().collect();
        assert_eq!(neighbours, [65, 129, 193]);
        assert!(neighbours.iter().all(|n| vlan(*n) == vlan(1)));
        assert_eq!(host.uplinks().len(), 2);
    }
}
