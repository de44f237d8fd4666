//! The local table: `(VLAN, MAC) -> vEthernet`, filled by attachment and never by traffic.
//!
//! One flat table with a seeded hash: a lookup takes a few ns up to 100,000 entries
//! (`benches/fib.rs`), and a VM that chooses its neighbours' addresses cannot make it slow. Each
//! host has its own; tables of two hosts are never compared here.

use hashbrown::HashMap;
use proto::{MacAddr, PortId, VlanId};

/// The static table of one host.
#[derive(Debug, Default)]
pub struct Fib {
    table: HashMap<u64, PortId, foldhash::fast::RandomState>,
}

impl Fib {
    /// The vEthernet that owns this address in this VLAN.
    #[must_use]
    #[inline]
    pub fn lookup(&self, vlan: VlanId, mac: MacAddr) -> Option<PortId> {
        self.table.get(&key(vlan, mac)).copied()
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Every entry, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (VlanId, MacAddr, PortId)> {
        self.table.iter().filter_map(|(key, port)| {
            let vlan = VlanId::new((key >> 48) as u16).ok()?;
            Some((vlan, MacAddr::from_u64(*key), *port))
        })
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// The port that owns the address already, when it is another.
    pub fn insert(&mut self, vlan: VlanId, mac: MacAddr, port: PortId) -> Result<(), PortId> {
        match *self.table.entry(key(vlan, mac)).or_insert(port) {
            owner if owner == port => Ok(()),
            owner => Err(owner),
        }
    }
}

/// VLAN in the high 16 bits, address in the low 48: both whole, so keys are never shared.
const fn key(vlan: VlanId, mac: MacAddr) -> u64 {
    (vlan.get() as u64) << 48 | mac.as_u64()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The table is a map and nothing else: first owner wins, and every entry can be listed.
        #[test]
        fn behaves_as_a_map(entries in prop::collection::vec((1u16..5, 0u64..8, 0u16..4), 0..64)) {
            let (mut fib, mut model) = (Fib::default(), BTreeMap::new());
            for (vlan, mac, port) in entries {
                let vlan = VlanId::new(vlan).expect("legal");
                let (mac, port) = (MacAddr::from_u64(mac), PortId::new(port).expect("legal"));
                let owner = *model.entry((vlan, mac)).or_insert(port);
                let expected = if owner == port { Ok(()) } else { Err(owner) };
                prop_assert_eq!(fib.insert(vlan, mac, port), expected);
            }
            let listed: BTreeMap<_, _> = fib.iter().map(|(v, m, p)| ((v, m), p)).collect();
            prop_assert_eq!(&listed, &model);
            prop_assert_eq!(fib.len(), model.len());
            for ((vlan, mac), port) in model {
                prop_assert_eq!(fib.lookup(vlan, mac), Some(port));
            }
        }
    }
}
