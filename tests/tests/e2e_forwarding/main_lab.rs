//! The lab of the forwarding table: four VMs and two uplinks, teamed by pinning.
//!
//! | place | port | pinned to |
//! |---|---|---|
//! | `a` | access VLAN 10 | `eth1` |
//! | `b` | access VLAN 10 | `eth2` |
//! | `c` | access VLAN 20 | `eth1` |
//! | `t` | trunk 10, 20, 30 (native), 50 | `eth2` |
//! | `eth1`, `eth2` | trunk 10, 20, 30 (native), 40 | |
//!
//! So nobody is in VLAN 40, and VLAN 50 has no uplink.

use proto::MacAddr;

use crate::rig::{Fence, Rig};

/// Address of VM `a`; the others likewise.
pub(crate) const A: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xa]);
pub(crate) const B: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xb]);
pub(crate) const C: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xc]);
pub(crate) const T: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0x7]);

/// A station on the wire that sends, one of the network that nobody knows, and a group.
pub(crate) const REMOTE: MacAddr = MacAddr::new([2, 0, 0, 0, 1, 1]);
pub(crate) const UNKNOWN: MacAddr = MacAddr::new([2, 0, 0, 0, 1, 2]);
pub(crate) const GROUP: MacAddr = MacAddr::new([1, 0, 0x5e, 1, 2, 3]);
pub(crate) const GROUP_V6: MacAddr = MacAddr::new([0x33, 0x33, 0, 1, 2, 3]);
pub(crate) const ALL: MacAddr = MacAddr::BROADCAST;

/// VLAN that is native on `t` and on the uplinks.
pub(crate) const NATIVE: u16 = 30;

const TOPOLOGY: &str = "
name: forwarding
mgmt: { ipv4-subnet: 192.168.97.0/24 }
topology:
  nodes:
    vsm: { kind: supervisor }
    h1: { kind: host }
    wire: { kind: pc, nics: [ { name: eth1 }, { name: eth2 } ] }
    a: { kind: vm, host: h1,
         nics: [ { name: eth0, profile: LAN-10-NIC-1, mac: '02:00:00:00:00:0a' } ] }
    b: { kind: vm, host: h1,
         nics: [ { name: eth0, profile: LAN-10-NIC-2, mac: '02:00:00:00:00:0b' } ] }
    c: { kind: vm, host: h1,
         nics: [ { name: eth0, profile: LAN-20, mac: '02:00:00:00:00:0c' } ] }
    t: { kind: vm, host: h1,
         nics: [ { name: eth0, profile: TRUNK, mac: '02:00:00:00:00:07' } ] }
  links:
    - endpoints: [ 'h1:eth1', 'wire:eth1' ]
    - endpoints: [ 'h1:eth2', 'wire:eth2' ]
";

const CONFIG: &str = "
vlan 10,20,30,40,50
port-profile type vethernet LAN-10-NIC-1
  switchport access vlan 10
  pinning id 1
  state enabled
port-profile type vethernet LAN-10-NIC-2
  switchport access vlan 10
  pinning id 2
  state enabled
port-profile type vethernet LAN-20
  switchport access vlan 20
  pinning id 1
  state enabled
port-profile type vethernet TRUNK
  switchport mode trunk
  switchport trunk native vlan 30
  switchport trunk allowed vlan 10,20,30,50
  pinning id 2
  state enabled
port-profile type ethernet UPLINK
  switchport mode trunk
  switchport trunk native vlan 30
  switchport trunk allowed vlan 10,20,30,40
  channel-group auto mode on mac-pinning
  state enabled
interface Ethernet3/1
  inherit port-profile UPLINK
interface Ethernet3/2
  inherit port-profile UPLINK
";

/// Builds it; nothing has been looked at yet.
pub(crate) fn start() -> Rig {
    let fences = [
        Fence { from: "a", src: A, vid: None, reaches: vec!["b", "t", "eth1"] },
        Fence { from: "b", src: B, vid: None, reaches: vec!["a", "t", "eth2"] },
        Fence { from: "t", src: T, vid: Some(20), reaches: vec!["c", "eth2"] },
    ];
    Rig::start(TOPOLOGY, CONFIG, &fences)
}
