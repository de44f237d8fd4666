//! Cables and addresses: veth pairs between namespaces, and what a test does to them.
//!
//! *Where it sits:* above [`crate::netns`]; [`crate::lab`] wires the nodes of a topology with it.
//!
//! *Invariants*
//! 1. An interface is made inside its namespace; the root namespace never sees it.
//! 2. Offloads of a cable are off at both ends. AF_XDP and AF_PACKET see the bytes of a frame and
//!    nothing else: a kernel that left a checksum to "the NIC", or a VLAN tag in metadata, would
//!    hand them a frame that no wire would ever carry.

use std::net::IpAddr;

use proto::MacAddr;

use crate::error::{LabError, Result};
use crate::netns::Namespace;

/// Joins two namespaces by a cable, both ends up, offloads off (invariant 2).
///
/// # Errors
/// When a name is taken or too long (15 characters), or `ethtool` is missing.
pub fn cable(a: (&Namespace, &str), b: (&Namespace, &str), mtu: u16) -> Result<()> {
    let ((a_ns, a_if), (b_ns, b_if)) = (a, b);
    a_ns.ip(&format!(
        "link add name {a_if} mtu {mtu} type veth peer name {b_if} mtu {mtu} netns {}",
        b_ns.name()
    ))?;
    for (namespace, interface) in [a, b] {
        offloads_off(namespace, interface)?;
        up(namespace, interface)?;
    }
    Ok(())
}

/// Makes the kernel put whole frames on the wire: checksums computed, no super-frames, tags in the
/// frame, none merged on receipt.
///
/// # Errors
/// With the words of `ethtool`.
pub fn offloads_off(namespace: &Namespace, interface: &str) -> Result<()> {
    let settings = "tx off tso off gso off gro off txvlan off rxvlan off";
    let mut args = vec!["-K", interface];
    args.extend(settings.split(' '));
    namespace.output("ethtool", &args).map(drop)
}

/// Sets an interface up.
///
/// # Errors
/// With the words of `ip`; so all functions below.
pub fn up(namespace: &Namespace, interface: &str) -> Result<()> {
    namespace.ip(&format!("link set dev {interface} up")).map(drop)
}

/// Sets an interface down: the other end of the cable loses its carrier.
pub fn down(namespace: &Namespace, interface: &str) -> Result<()> {
    namespace.ip(&format!("link set dev {interface} down")).map(drop)
}

/// Deletes an interface, and with it the other end of its cable.
pub fn delete(namespace: &Namespace, interface: &str) -> Result<()> {
    namespace.ip(&format!("link del dev {interface}")).map(drop)
}

/// Sets the MTU of an interface, in bytes of IP packet.
pub fn set_mtu(namespace: &Namespace, interface: &str, mtu: u16) -> Result<()> {
    namespace.ip(&format!("link set dev {interface} mtu {mtu}")).map(drop)
}

/// Sets the MAC address of an interface.
pub fn set_mac(namespace: &Namespace, interface: &str, mac: MacAddr) -> Result<()> {
    namespace.ip(&format!("link set dev {interface} address {mac}")).map(drop)
}

/// Gives an interface an address with its prefix length (`10.10.10.1/24`), without waiting for
/// duplicate address detection.
pub fn add_address(namespace: &Namespace, interface: &str, address: &str) -> Result<()> {
    let nodad = if address.contains(':') { " nodad" } else { "" };
    namespace.ip(&format!("address add {address} dev {interface}{nodad}")).map(drop)
}

/// Adds a route to a prefix, or to `default`.
pub fn add_route(namespace: &Namespace, to: &str, via: IpAddr) -> Result<()> {
    let family = if via.is_ipv6() { "-6 " } else { "" };
    namespace.ip(&format!("{family}route add {to} via {via}")).map(drop)
}

/// The MAC address of an interface.
///
/// # Errors
/// When there is no such interface.
pub fn mac(namespace: &Namespace, interface: &str) -> Result<MacAddr> {
    let text = namespace.output("cat", &[&format!("/sys/class/net/{interface}/address")])?;
    text.trim().parse().map_err(|error| {
        LabError::Unexpected(format!("address of {interface} in {}: {error}", namespace.name()))
    })
}

/// Whether an interface exists, is up and has a carrier.
pub fn has_carrier(namespace: &Namespace, interface: &str) -> bool {
    // The file exists only while the interface does, and reads as an error while it is down.
    namespace
        .output("cat", &[&format!("/sys/class/net/{interface}/carrier")])
        .is_ok_and(|text| text.trim() == "1")
}

/// Whether an interface exists.
pub fn exists(namespace: &Namespace, interface: &str) -> bool {
    namespace.ip(&format!("link show dev {interface}")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cable_joins_two_namespaces_and_loses_carrier_with_either_end() {
        let a = Namespace::create("a").unwrap();
        let b = Namespace::create("b").unwrap();
        cable((&a, "eth1"), (&b, "eth7"), 1500).unwrap();
        assert!(has_carrier(&a, "eth1") && has_carrier(&b, "eth7"));
        down(&b, "eth7").unwrap();
        assert!(!has_carrier(&a, "eth1"));
        let wanted: MacAddr = "02:00:00:00:00:07".parse().unwrap();
        set_mac(&a, "eth1", wanted).unwrap();
        assert_eq!(mac(&a, "eth1").unwrap(), wanted);
        delete(&a, "eth1").unwrap();
        assert!(!exists(&b, "eth7"));
    }

    #[test]
    fn offloads_of_a_cable_are_off() {
        let a = Namespace::create("a").unwrap();
        cable((&a, "eth1"), (&a, "eth2"), 9000).unwrap();
        let features = a.output("ethtool", &["-k", "eth1"]).unwrap();
        for feature in ["tx-checksumming", "tcp-segmentation-offload", "tx-vlan-offload"] {
            assert!(features.contains(&format!("{feature}: off")), "{features}");
        }
        assert!(a.ip("link show dev eth2").unwrap().contains("mtu 9000"));
    }
}
