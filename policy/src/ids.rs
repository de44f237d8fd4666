//! Ids that outlive a snapshot: slots of ports and counters of rules.
//!
//! Counters, pins and devices are keyed by slot, match counters by [`RuleCounterId`]; both must
//! mean the same port and the same entry after the next snapshot. Invariants: a name keeps its id
//! as long as a snapshot has it, or it is reserved; an entry that says something else is another
//! entry; an id that was given back rests as long as possible, and a counter at least until the
//! next snapshot, before somebody else gets it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use proto::{InterfaceName, PortId};

use crate::acl::{Acl, RuleCounterId, Sequence};
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
    /// What the entries said when they got their counters.
    acls: Arc<BTreeMap<Name, Acl>>,
    free_rules: VecDeque<RuleCounterId>,
    /// Given back by the last snapshot: the one before may still count with them.
    resting_rules: Vec<RuleCounterId>,
    /// Given out by the last snapshot.
    new_rules: Vec<RuleCounterId>,
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

    /// The counters that got a new owner with the last snapshot. Some may have counted for another
    /// before; nothing counts with them until the snapshot is forwarded by.
    #[must_use]
    pub fn new_rules(&self) -> &[RuleCounterId] {
        &self.new_rules
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
        self.new_rules.push(counter);
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

    /// Begins a new snapshot, which has these lists: gives back the counters of the entries that
    /// are not in them, or say something else there.
    pub(crate) fn retain_rules(&mut self, acls: &BTreeMap<Name, Acl>) {
        self.free_rules.extend(self.resting_rules.drain(..));
        self.new_rules.clear();
        let old = Arc::clone(&self.acls);
        let gone = self.rules.extract_if(.., |(name, sequence), _| {
            !is_same_entry(old.get(name), acls.get(name), *sequence)
        });
        self.resting_rules.extend(gone.map(|(_, counter)| counter));
        if *old != *acls {
            self.acls = Arc::new(acls.clone());
        }
    }
}

/// Whether an entry (0: the implicit deny) is in both lists and says the same.
fn is_same_entry(old: Option<&Acl>, new: Option<&Acl>, sequence: Sequence) -> bool {
    let (Some(old), Some(new)) = (old, new) else { return false };
    let (before, after) = (old.entries.get(&sequence), new.entries.get(&sequence));
    old.kind == new.kind && (sequence == 0 || after.is_some() && before == after)
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

    fn lists(text: &str) -> BTreeMap<Name, Acl> {
        crate::lang::parse(text).expect("a configuration").acls
    }

    /// What building a snapshot does to the counters: those of WEB, by number.
    fn build(ids: &mut StableIds, text: &str) -> BTreeMap<Sequence, RuleCounterId> {
        let acls = lists(text);
        ids.retain_rules(&acls);
        for (name, acl) in &acls {
            for sequence in acl.entries.keys().chain([&0]) {
                ids.allot_rule(name, *sequence);
            }
        }
        ids.rules().map(|(_, sequence, counter)| (sequence, counter)).collect()
    }

    #[test]
    fn an_entry_keeps_its_counter_while_it_says_the_same() {
        let mut ids = StableIds::default();
        let before =
            build(&mut ids, "ip access-list WEB\n10 permit ip any any\n20 deny ip any any");
        assert_eq!(ids.new_rules().len(), 3);
        let text = "ip access-list WEB\n10 deny icmp any any\n20 deny ip any any";
        let after = build(&mut ids, text);
        assert_ne!(before[&10], after[&10], "matches of a permit are no matches of a deny");
        assert_eq!((before[&20], before[&0]), (after[&20], after[&0]));
        assert_eq!(ids.new_rules(), [after[&10]]);
        assert_eq!(build(&mut ids, text), after);
        assert_eq!(ids.new_rules(), []);
    }

    #[test]
    fn a_counter_rests_for_one_snapshot_and_is_then_used_again() {
        let mut ids = StableIds::default();
        let gone = build(&mut ids, "ip access-list WEB\n10 permit ip any any")[&10];
        let next = build(&mut ids, "ip access-list WEB\n20 permit ip any any")[&20];
        assert_ne!(gone, next, "the snapshot before may still count with it");
        let reused = build(&mut ids, "ip access-list WEB\n30 permit ip any any")[&30];
        assert_eq!((reused, ids.new_rules()), (gone, [gone].as_slice()));
        assert_eq!(ids.rules_end(), 3);
    }
}
