//! One host with two uplinks, and a Linux guest at the other end of both cables.

use std::time::Duration;

use serde_json::Value;
use tests::checks::Watched;
use tests::daemons::rows;
use tests::guest::bond::BondConfig;
use tests::guest::{Guest, GuestConfig};
use tests::lab::Lab;
use tests::netns::Namespace;
use tests::topology::Topology;
use tests::traffic::wait_ping;
use tests::wait::wait_for_ok;

/// Negotiation with the slow rate, or the loss of a partner, on a busy machine.
pub(crate) const NEGOTIATION: Duration = Duration::from_secs(60);

const TOPOLOGY: &str = "
name: bonding
mgmt: { ipv4-subnet: 192.168.93.0/24 }
topology:
  nodes:
    vsm: { kind: supervisor }
    h1: { kind: host }
    far: { kind: pc, nics: [ { name: p1 }, { name: p2 } ] }
    a: { kind: vm, host: h1, nics: [ { name: eth0, profile: LAN-10, address: 10.1.10.1/24 } ] }
  links:
    - endpoints: [ 'h1:eth1', 'far:p1' ]
    - endpoints: [ 'h1:eth2', 'far:p2' ]
";

/// Address of the guest in VLAN 10.
const GUEST: &str = "10.1.10.100";

/// The product on one host, and the guest.
pub(crate) struct Rig {
    pub(crate) site: Watched,
    pub(crate) guest: Guest,
}

impl Rig {
    /// Both run, not configured yet.
    pub(crate) fn start() -> Self {
        let topology = Topology::parse(TOPOLOGY).expect("a good topology");
        let site = Watched::start(Lab::build(topology).expect("a lab")).expect("the product runs");
        let far = site.lab().ns("far").expect("a namespace");
        let config = GuestConfig::new("partner").nic(far, "p1").nic(far, "p2");
        let guest = Guest::boot(config).expect("the guest boots");
        Self { site, guest }
    }

    /// Configures the switch, with these lines in the uplinks' profile, and plugs the VM in.
    pub(crate) fn configure(&self, lines: &[&str]) {
        let lines: String = lines.iter().map(|line| format!("  {line}\n")).collect();
        let text = format!(
            "vlan 10\nport-profile type vethernet LAN-10\n  switchport access vlan 10\n  \
             state enabled\nport-profile type ethernet UPLINK\n  switchport mode trunk\n  \
             switchport trunk allowed vlan 10\n{lines}  state enabled\n\
             interface Ethernet3/1-2\n  inherit port-profile UPLINK\n"
        );
        self.site.apply_text(&text).expect("applied");
        self.site.attach("a").expect("the VM is plugged in");
    }

    /// Makes the guest's bond with its address in VLAN 10.
    pub(crate) fn bond(&self, config: &BondConfig) {
        self.guest.bond(config).expect("a bond");
        self.guest.vlan("bond0", 10, Some(&format!("{GUEST}/24"))).expect("a VLAN");
    }

    pub(crate) fn vm(&self) -> &Namespace {
        self.site.lab().ns("a").expect("the VM")
    }

    /// Waits until `show port-channel summary` gives these flags of the members, in their order.
    pub(crate) fn wait_flags(&self, flags: &str) -> Value {
        wait_for_ok(format!("members to be {flags}"), NEGOTIATION, || {
            let reply = self.site.show("port-channel summary").map_err(|e| e.to_string())?;
            let channel = rows(&reply["channels"]).next().ok_or_else(|| reply.to_string())?;
            let now: String =
                rows(&channel["members"]).filter_map(|member| member["flag"].as_str()).collect();
            if now == flags { Ok(channel.clone()) } else { Err(reply.to_string()) }
        })
        .expect("show port-channel summary")
    }

    pub(crate) fn assert_reaches(&self) {
        wait_ping(self.vm(), GUEST.parse().expect("an address")).expect("an answer");
    }

    pub(crate) fn assert_healthy(&mut self) {
        self.site.check_running().expect("all daemons run");
        self.site.wait_conserved("h1").expect("frames are conserved");
    }
}
