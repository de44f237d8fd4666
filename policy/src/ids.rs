//! Ids that outlive a snapshot: slots of ports and counters of rules.
//!
//! Counters, pins and devices are keyed by slot, match counters by [`RuleCounterId`]; both must mean
//! the same port and the same entry after the next snapshot. Invariants: a name keeps its id as long
//! as a snapshot has it, or it is reserved; an id that was given back rests as long as possible
//! before somebody else gets it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proto::{InterfaceName, PortId};

use crate::acl::{RuleCounterId, Sequence};
use crate::config::Name;
use crate::problem::Problem;

/// The ids of one dataplane.
#[derive(Clone, Debug, Default)]
pub struct StableIds {
    ports: BTreeMap<InterfaceName, PortId>,
    /// Ports that keep their slot although no snapshot may have them: their device is open.
    reserved: BTreeSet<InterfaceName>,
    free_ports: VecDeque<PortId>,
    ports_used: u16,
    rules: BTreeMap<(Name, Sequence), RuleCounterId>,
    free_rules: VecDeque<RuleCounterId>,
    rules_used: u32,
}

impl StableIds {
    /// The slot of a port, if it has one.
    #[must_use]
    pub fn port(&self, name: InterfaceName) -> Option<PortId> {
        self.ports.get(&name).copied()
    }

    /// The slot of a port, which it keeps until [`StableIds::release_port`], also when snapshots do
    /// not have it.
    ///
    /// # Errors
    /// All [`PortId::COUNT`] slots are taken.
    pub fn reserve_port(&mut self, name: InterfaceName) -> Result<PortId, Problem> {
        let slot = self.allot_port(name)?;
        self.reserved.insert(name);
        Ok(slot)
    }

    /// Ends a reservation: the slot goes with the next snapshot that does not have the port.
    pub fn release_port(&mut self, name: InterfaceName) {
        self.reserved.remove(&name);
    }

    /// Every entry that has a counter: access list, number (0 is the implicit deny), counter.
    pub fn rules(&self) -> impl Iterator<Item = (&Name, Sequence, RuleCounterId)> {
        self.rules.iter().map(|((name, sequence), counter)| (name, *sequence, *counter))
    }

    /// One above the highest counter ever given.
    #[must_use]
    pub const fn rules_end(&self) -> u32 {
        self.rules_used
    }

    /// The slot of a port, a new one when it has none.
    pub(crate) fn allot_port(&mut self, name: InterfaceName) -> Result<PortId, Problem> {
        if let Some(slot) = self.port(name) {
            return Ok(slot);
        }
        let fresh = PortId::new(self.ports_used);
        let slot = match fresh {
            Some(slot) => {
                self.ports_used += 1;
                slot
            }
            None => self.free_ports.pop_front().ok_or_else(|| Problem {
                span: None,
                path: name.to_string(),
                message: format!("all {} ports of this host are taken", PortId::COUNT),
                hint: String::new(),
            })?,
        };
        self.ports.insert(name, slot);
        Ok(slot)
    }

    /// The counter of an entry, a new one when it has none.
    pub(crate) fn allot_rule(&mut self, list: &Name, sequence: Sequence) -> RuleCounterId {
        if let Some(counter) = self.rules.get(&(list.clone(), sequence)) {
            return *counter;
        }
        let counter = self.free_rules.pop_front().unwrap_or_else(|| {
            self.rules_used += 1;
            RuleCounterId(self.rules_used - 1)
        });
        self.rules.insert((list.clone(), sequence), counter);
        counter
    }

    /// Gives back the slots of ports that are neither `kept` nor reserved.
    pub(crate) fn retain_ports(&mut self, kept: impl Fn(&InterfaceName) -> bool) {
        let reserved = &self.reserved;
        for (_, slot) in
            self.ports.extract_if(.., |name, _| !kept(name) && !reserved.contains(name))
        {
            self.free_ports.push_back(slot);
        }
    }

    /// Gives back the counters of entries that are not `kept`.
    pub(crate) fn retain_rules(&mut self, kept: impl Fn(&Name, Sequence) -> bool) {
        for (_, counter) in self.rules.extract_if(.., |(name, sequence), _| !kept(name, *sequence))
        {
            self.free_rules.push_back(counter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn veth(number: u32) -> InterfaceName {
        InterfaceName::Vethernet(proto::VethId::new(number).expect("a legal number"))
    }

    #[test]
    fn a_port_keeps_its_slot_while_it_is_kept_or_reserved() {
        let mut ids = StableIds::default();
        let first = ids.reserve_port(veth(1)).expect("a slot");
        let second = ids.allot_port(veth(2)).expect("a slot");
        ids.retain_ports(|_| false);
        assert_eq!((ids.port(veth(1)), ids.port(veth(2))), (Some(first), None));
        let third = ids.allot_port(veth(3)).expect("a slot");
        assert_ne!(third, second, "a slot rests before it is used again");
        ids.release_port(veth(1));
        assert_eq!(ids.port(veth(1)), Some(first), "until the next snapshot");
        ids.retain_ports(|_| false);
        assert_eq!(ids.port(veth(1)), None);
    }

    #[test]
    fn slots_run_out_and_come_back() {
        let mut ids = StableIds::default();
        for number in 1..=PortId::COUNT as u32 {
            ids.allot_port(veth(number)).expect("a slot");
        }
        assert!(ids.allot_port(veth(5000)).is_err());
        ids.retain_ports(|name| *name != veth(7));
        assert!(ids.allot_port(veth(5000)).is_ok());
    }

    #[test]
    fn an_entry_keeps_its_counter() {
        let mut ids = StableIds::default();
        let list: Name = "WEB".parse().expect("a name");
        let ten = ids.allot_rule(&list, 10);
        let twenty = ids.allot_rule(&list, 20);
        assert_ne!(ten, twenty);
        ids.retain_rules(|_, sequence| sequence == 20);
        assert_eq!(ids.allot_rule(&list, 20), twenty);
        assert_eq!(ids.rules().count(), 1);
    }
}
