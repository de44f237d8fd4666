//! Who is where: the hosts that ever came, and the vNICs that ever got a number.
//!
//! Where it sits: plain values and the rules of numbering; `commit.rs` changes them, the store
//! keeps them. Invariants: a module number belongs to one host for ever, and a vEthernet number to
//! one vNIC (VM and adapter), also while it is not plugged in and when it moves between hosts.

use std::collections::BTreeMap;

use policy::config::Name;
use proto::{HostId, InterfaceName, MacAddr, ModuleId, Revision, VethId};

/// The first three octets of allotted addresses: locally administered (IEEE 802c-2017 clause 8.4),
/// then "WF".
const MAC_PREFIX: u64 = 0x02_5746;
/// Bits of an allotted address below the prefix.
const MAC_NUMBER_BITS: u32 = 24;
/// Bits of a vEthernet number: what is left above it tells addresses of one number apart.
const VETH_BITS: u32 = 20;

/// A NIC of a host that may be an uplink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// The N of `Ethernet3/N`.
    pub number: u8,
    /// The host's name for it.
    pub ifname: String,
}

/// A host, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleRecord {
    /// Its number.
    pub module: ModuleId,
    /// Its identity.
    pub host: HostId,
    /// Its name, as it said last.
    pub name: String,
    /// Its NICs, as it said last; ascending numbers.
    pub nics: Vec<Nic>,
    /// The revision that changed last what this host has to know.
    pub target: Revision,
}

/// A vNIC and its switch port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Its number.
    pub veth: VethId,
    /// The VM.
    pub vm: String,
    /// The vNIC in the VM.
    pub adapter: String,
    /// Its address.
    pub mac: MacAddr,
    /// The profile it was plugged in with.
    pub profile: Name,
    /// The host it is plugged in at; `None`: nowhere.
    pub module: Option<ModuleId>,
}

impl Binding {
    /// Its interface.
    #[must_use]
    pub const fn interface(&self) -> InterfaceName {
        InterfaceName::Vethernet(self.veth)
    }
}

/// All vNICs by number.
pub type Bindings = BTreeMap<VethId, Binding>;

/// The number of a vNIC, if it ever got one.
#[must_use]
pub fn find<'a>(bindings: &'a Bindings, vm: &str, adapter: &str) -> Option<&'a Binding> {
    bindings.values().find(|b| b.vm == vm && b.adapter == adapter)
}

/// The smallest number that no vNIC ever had; `None`: all 1,048,575 are given.
#[must_use]
pub fn free_veth(bindings: &Bindings) -> Option<VethId> {
    // Numbers are never given back: a gap is there only when a number was adopted from a host, and
    // those below it were never used.
    let mut expected = 1u32;
    for veth in bindings.keys() {
        if veth.get() != expected {
            break;
        }
        expected += 1;
    }
    VethId::new(expected).ok()
}

/// The smallest free module number for a new host, from 3 up; `None`: all are given.
#[must_use]
pub fn free_module<'a>(taken: impl Iterator<Item = &'a ModuleId>) -> Option<ModuleId> {
    let highest = taken.max().map_or(ModuleId::FIRST_HOST.get(), |m| m.get() + 1);
    ModuleId::new(highest.max(ModuleId::FIRST_HOST.get())).ok()
}

/// An address for a vNIC that came without one: made of its number, and of another vNIC's never.
/// `None`: somebody took all sixteen by hand.
#[must_use]
pub fn allot_mac(bindings: &Bindings, veth: VethId) -> Option<MacAddr> {
    let taken = |mac| bindings.values().any(|b| b.mac == mac && b.veth != veth);
    (0..1u64 << (MAC_NUMBER_BITS - VETH_BITS))
        .map(|n| {
            let number = n << VETH_BITS | u64::from(veth.get());
            MacAddr::from_u64(MAC_PREFIX << MAC_NUMBER_BITS | number)
        })
        .find(|mac| !taken(*mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bindings(numbers: &[u32]) -> Bindings {
        let binding = |n: &u32| Binding {
            veth: VethId::new(*n).unwrap(),
            vm: format!("vm{n}"),
            adapter: "eth0".to_owned(),
            mac: MacAddr::from_u64(0x0200_0000_0000 + u64::from(*n)),
            profile: "WEB".parse().unwrap(),
            module: None,
        };
        numbers.iter().map(binding).map(|b| (b.veth, b)).collect()
    }

    #[test]
    fn vethernets_are_numbered_from_one_and_fill_gaps() {
        assert_eq!(free_veth(&bindings(&[])).map(VethId::get), Some(1));
        assert_eq!(free_veth(&bindings(&[1, 2])).map(VethId::get), Some(3));
        assert_eq!(free_veth(&bindings(&[1, 3])).map(VethId::get), Some(2));
    }

    #[test]
    fn modules_are_numbered_from_three() {
        let module = |n: u16| ModuleId::new(n).unwrap();
        assert_eq!(free_module([].iter()), Some(module(3)));
        assert_eq!(free_module([module(3), module(4)].iter()), Some(module(5)));
        assert_eq!(free_module([module(1026)].iter()), None);
    }

    #[test]
    fn addresses_come_from_the_number_and_avoid_taken_ones() {
        let mut all = bindings(&[1, 2]);
        let two = VethId::new(2u32).unwrap();
        let first: MacAddr = "02:57:46:00:00:02".parse().unwrap();
        assert_eq!(allot_mac(&all, two), Some(first));
        all.values_mut().next().unwrap().mac = first;
        assert_eq!(allot_mac(&all, two), "02:57:46:10:00:02".parse().ok());
    }

    #[test]
    fn a_vnic_is_found_by_vm_and_adapter() {
        let all = bindings(&[1, 2]);
        assert_eq!(find(&all, "vm2", "eth0").map(|b| b.veth.get()), Some(2));
        assert_eq!(find(&all, "vm2", "eth1"), None);
    }
}
