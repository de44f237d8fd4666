//! From the configuration of the switch and its inventory to what each host has to know, by
//! [`policy::compile`]; and what is wrong with an outcome before anybody gets it.
//!
//! Where it sits: `commit.rs` calls it for every change. Pure functions.

use std::collections::BTreeMap;

use policy::compile::{self, Binding as Attached};
use policy::ids::StableIds;
use policy::{Config, HostIntent, Problem, Snapshot};
use proto::{MacAddr, ModuleId, Revision};

use crate::inventory::{Binding, Bindings, ModuleRecord};

/// The vNICs that are plugged in somewhere.
#[must_use]
pub fn attached(bindings: &Bindings) -> Vec<Attached> {
    bindings.values().filter_map(as_attached).collect()
}

/// A vNIC as the compiler sees it; `None`: it is not plugged in.
#[must_use]
pub fn as_attached(binding: &Binding) -> Option<Attached> {
    Some(Attached {
        veth: binding.veth,
        vm: binding.vm.clone(),
        adapter: binding.adapter.clone(),
        mac: binding.mac,
        profile: binding.profile.clone(),
        module: binding.module?,
    })
}

/// What a host has to know.
#[must_use]
pub fn intent(config: &Config, module: &ModuleRecord, attached: &[Attached]) -> HostIntent {
    let nics: Vec<u8> = module.nics.iter().map(|nic| nic.number).collect();
    compile::compile(config, module.module, &nics, attached.iter())
}

/// What speaks against a configuration because of the vNICs that are plugged in: profiles that are
/// in use and go, addresses that meet in a VLAN of one host.
#[must_use]
pub fn check_config(config: &Config, attached: &[Attached]) -> Vec<Problem> {
    let mut problems = compile::check_bindings(config, attached);
    if !problems.is_empty() {
        return problems;
    }
    let mut homes: BTreeMap<(ModuleId, MacAddr), Vec<&Attached>> = BTreeMap::new();
    for binding in attached {
        homes.entry((binding.module, binding.mac)).or_default().push(binding);
    }
    for group in homes.values().filter(|group| group.len() > 1) {
        // Each pair once: the one with the lower number first.
        for (i, binding) in group.iter().enumerate() {
            let others = group.iter().skip(i + 1).copied();
            problems.extend(compile::check_binding(config, binding, others).err());
        }
    }
    problems
}

/// What a host would refuse of what it has to know: the same build that it makes, for nothing.
#[must_use]
pub fn dry_run(module: &ModuleRecord, intent: &HostIntent) -> Vec<Problem> {
    let built = Snapshot::build(intent, Revision::NONE, &mut StableIds::default());
    let problems = built.err().unwrap_or_default();
    let of_host = |problem: Problem| Problem {
        path: format!("module {} ({}): {}", module.module, module.name, problem.path),
        ..problem
    };
    problems.into_iter().map(of_host).collect()
}

/// What speaks against plugging a vNIC in.
///
/// # Errors
/// What is wrong with it, and what to do.
pub fn check_binding(
    config: &Config,
    binding: &Binding,
    attached: &[Attached],
) -> Result<(), Problem> {
    match as_attached(binding) {
        Some(binding) => compile::check_binding(config, &binding, attached.iter()),
        None => Ok(()),
    }
}
