//! `show port-profile`, and `show port-profile NAME`.

use std::fmt::Write as _;

use proto::rpc::operator as rpc;

use super::interface::settings;
use super::number;
use crate::shell::table::{Align, Table};

/// A line for each profile.
#[must_use]
pub fn render_list(reply: &rpc::PortProfilesReply) -> String {
    let mut table = Table::new(&[
        ("Profile", Align::Left),
        ("Type", Align::Left),
        ("State", Align::Left),
        ("Conf-Items", Align::Right),
        ("Eval-Items", Align::Right),
        ("Assigned-Intfs", Align::Right),
        ("Child-Profs", Align::Right),
        ("Inherits", Align::Left),
    ]);
    for profile in &reply.profiles {
        table.row([
            profile.name.clone(),
            profile.kind.clone(),
            state(profile).to_owned(),
            number(profile.config.len()),
            number(profile.evaluated.iter().filter(|s| s.origin != "default").count()),
            number(profile.interfaces.len()),
            number(profile.children.len()),
            profile.inherits.clone(),
        ]);
    }
    table.render()
}

/// Everything that is known of each profile.
#[must_use]
pub fn render(reply: &rpc::PortProfilesReply) -> String {
    let profiles: Vec<String> = reply.profiles.iter().map(profile).collect();
    profiles.join("\n")
}

const fn state(profile: &rpc::PortProfile) -> &'static str {
    if profile.enabled { "enabled" } else { "disabled" }
}

fn profile(of: &rpc::PortProfile) -> String {
    let mut text = format!("port-profile {}\n", of.name);
    let mut line = |what: &str, value: &str| {
        // Writing to a String cannot fail.
        writeln!(text, " {what}: {}", if value.is_empty() { "--" } else { value })
            .unwrap_or_default();
    };
    line("type", &of.kind);
    line("description", &of.description);
    line("status", state(of));
    line("inherit", &of.inherits);
    line("child profiles", &of.children.join(", "));
    line("assigned interfaces", &of.interfaces.join(", "));
    text.push_str(" config attributes:\n");
    text.extend(of.config.iter().map(|attribute| format!("  {attribute}\n")));
    text.push_str(" evaluated config attributes:\n");
    text.extend(settings(&of.evaluated).lines().map(|row| format!("  {row}\n")));
    text
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn reply() -> rpc::PortProfilesReply {
        let web = rpc::PortProfile {
            name: "WEB".to_owned(),
            kind: "vethernet".to_owned(),
            enabled: true,
            inherits: "BASE".to_owned(),
            config: vec![
                "inherit port-profile BASE".to_owned(),
                "switchport access vlan 10".to_owned(),
                "state enabled".to_owned(),
            ],
            evaluated: sample::interfaces().interfaces[2].settings.clone(),
            interfaces: vec!["Vethernet1".to_owned(), "Vethernet2".to_owned()],
            ..rpc::PortProfile::default()
        };
        let base = rpc::PortProfile {
            name: "BASE".to_owned(),
            kind: "vethernet".to_owned(),
            description: "for all VMs".to_owned(),
            config: vec!["description for all VMs".to_owned()],
            children: vec!["WEB".to_owned()],
            ..rpc::PortProfile::default()
        };
        rpc::PortProfilesReply { profiles: vec![base, web] }
    }

    #[test]
    fn golden_list() {
        insta::assert_snapshot!(render_list(&reply()));
    }

    #[test]
    fn golden() {
        insta::assert_snapshot!(render(&reply()));
    }
}
