//! The texts of the show commands: one command, one file, one golden output.

pub mod access_lists;
pub mod drops;
pub mod events;
pub mod interface;
pub mod interface_brief;
pub mod interface_counters;
pub mod mac_address_table;
pub mod module;
pub mod port_profile;
pub mod revisions;
pub mod vlan;

/// A number as a table's value.
fn number(n: impl ToString) -> String {
    n.to_string()
}

/// A module number as a table's value; 0 is none.
fn module_number(module: u32) -> String {
    if module == 0 { String::new() } else { module.to_string() }
}

#[cfg(test)]
mod sample;
