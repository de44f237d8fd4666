//! `show access-lists`: the entries with their matches, summed over all hosts, and where each list
//! is bound.

use policy::acl::Acl;
use policy::config::{AclBinding, Config, Name, Settings};
use policy::lang;
use proto::rpc::operator as rpc;

use crate::state::State;

/// The number that hosts report the implicit deny by.
const IMPLICIT_DENY: u32 = 0;

/// One list, or all of them.
pub(super) fn lists(state: &State, only: Option<&Name>) -> Vec<rpc::AccessList> {
    let config = state.config().0;
    let wanted = config.acls.iter().filter(|(name, _)| only.is_none_or(|o| o == *name));
    let show = |(name, acl): (&Name, &Acl)| {
        let mut entries: Vec<rpc::AccessListEntry> = acl
            .entries
            .iter()
            .map(|(sequence, entry)| {
                let line = lang::print_entry(acl.kind, *sequence, entry);
                let text = line.split_once(' ').map_or("", |(_, text)| text).to_owned();
                rpc::AccessListEntry {
                    sequence: *sequence,
                    text,
                    matches: matches(state, name, *sequence),
                }
            })
            .collect();
        entries.push(rpc::AccessListEntry {
            sequence: IMPLICIT_DENY,
            text: "implicit deny".to_owned(),
            matches: matches(state, name, IMPLICIT_DENY),
        });
        let kind = acl.kind.to_string();
        rpc::AccessList { name: name.to_string(), kind, entries, bound: bound(config, name) }
    };
    wanted.map(show).collect()
}

fn matches(state: &State, list: &Name, sequence: u32) -> u64 {
    let key = (list.to_string(), sequence);
    let counts = state.modules().values().filter_map(|m| m.report.rules.get(&key));
    counts.fold(0u64, |sum, n| sum.saturating_add(*n))
}

/// Where a list is bound: `port-profile WEB in`, `Vethernet3 out`.
fn bound(config: &Config, list: &Name) -> Vec<String> {
    let profiles =
        config.profiles.iter().map(|(name, p)| (format!("port-profile {name}"), &p.settings));
    let interfaces = config.interfaces.iter().map(|(name, i)| (name.to_string(), &i.settings));
    let directions = |(place, settings): (String, &Settings)| {
        let names = |binding: &AclBinding| binding.bound().any(|(_, name)| name == list);
        let ways = [(names(&settings.acl_in), "in"), (names(&settings.acl_out), "out")];
        let ways = ways.into_iter().filter(|(is_bound, _)| *is_bound);
        ways.map(|(_, way)| format!("{place} {way}")).collect::<Vec<_>>()
    };
    profiles.chain(interfaces).flat_map(directions).collect()
}
