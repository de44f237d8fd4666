//! The local table: `(VLAN, MAC) -> vEthernet`, filled by attachment and never by traffic.

use hashbrown::HashMap;
use proto::{MacAddr, PortId, VlanId};

/// The static table of one host. Each host has its own.
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
}

const fn key(vlan: VlanId, mac: MacAddr) -> u64 {
    (vlan.get() as u64) << 48 | mac.as_u64()
}
