//! What changes from one configuration to another: as values, as text for people, as commands.
//!
//! Invariant: `apply(old, diff(old, new).as_commands()) == new`.

use std::collections::BTreeMap;
use std::fmt;

use proto::{InterfaceName, VlanId};

use crate::config::{Config, Name};
use crate::lang::{Section, sections};
use crate::place::{Place, Setting};

/// What changes, section by section in the order of the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// The sections that change.
    pub changes: Vec<Change>,
}

/// What becomes of one section of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The section.
    pub place: Place,
    /// Its first line.
    pub heading: String,
    /// What becomes of it as a whole.
    pub kind: ChangeKind,
    /// What becomes of its lines; those that stay are not here.
    pub lines: Vec<LineChange>,
}

/// What becomes of a section as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// It goes.
    Removed,
    /// It comes.
    Added,
    /// It stays, with other lines.
    Changed,
}

/// What becomes of a line: it goes (`new` is `None`), comes (`old` is `None`), or changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineChange {
    /// What it speaks of.
    pub place: Place,
    /// As it was.
    pub old: Option<String>,
    /// As it will be.
    pub new: Option<String>,
}

/// What changes from `old` to `new`.
#[must_use]
pub fn diff(old: &Config, new: &Config) -> Diff {
    // A section whose heading changes (the type of a profile) goes and comes again.
    let mut pairs: BTreeMap<(Order, String), (Option<Section>, Option<Section>)> = BTreeMap::new();
    let key = |section: &Section| (order(&section.place), section.heading.clone());
    for section in sections(old) {
        let pair = pairs.entry(key(&section)).or_default();
        pair.0 = Some(section);
    }
    for section in sections(new) {
        let pair = pairs.entry(key(&section)).or_default();
        pair.1 = Some(section);
    }
    let changes = pairs.into_values().filter_map(|pair| match pair {
        (Some(old), Some(new)) => {
            let lines = line_changes(Some(&old), Some(&new));
            (!lines.is_empty()).then(|| change(new, ChangeKind::Changed, lines))
        }
        (Some(old), None) => {
            let lines = line_changes(Some(&old), None);
            Some(change(old, ChangeKind::Removed, lines))
        }
        (None, Some(new)) => {
            let lines = line_changes(None, Some(&new));
            Some(change(new, ChangeKind::Added, lines))
        }
        (None, None) => None,
    });
    let mut changes: Vec<Change> = changes.collect();
    changes.sort_by_key(|change| (order(&change.place), change.kind));
    Diff { changes }
}

fn change(section: Section, kind: ChangeKind, lines: Vec<LineChange>) -> Change {
    Change { place: section.place, heading: section.heading, kind, lines }
}

/// The order of the sections in the text: kinds of objects, then numbers or names.
type Order = (u8, Option<VlanId>, Option<Name>, Option<InterfaceName>);

fn order(place: &Place) -> Order {
    match place {
        Place::Hostname => (0, None, None, None),
        Place::LacpSystemPriority => (1, None, None, None),
        Place::LoadBalance => (2, None, None, None),
        Place::Vlan(vlan) | Place::VlanName(vlan) => (3, Some(*vlan), None, None),
        Place::Acl(_, name) | Place::AclStatistics(_, name) | Place::AclEntry(_, name, _) => {
            (4, None, Some(name.clone()), None)
        }
        Place::Profile(name) | Place::ProfileSetting(name, _) => {
            (5, None, Some(name.clone()), None)
        }
        Place::Interface(name) | Place::InterfaceSetting(name, _) => (6, None, None, Some(*name)),
    }
}

fn line_changes(old: Option<&Section>, new: Option<&Section>) -> Vec<LineChange> {
    let mut pairs: BTreeMap<&Place, (Option<&str>, Option<&str>)> = BTreeMap::new();
    for line in old.into_iter().flat_map(|section| &section.lines) {
        pairs.entry(&line.place).or_default().0 = Some(&line.text);
    }
    for line in new.into_iter().flat_map(|section| &section.lines) {
        pairs.entry(&line.place).or_default().1 = Some(&line.text);
    }
    let changed = pairs.into_iter().filter(|(_, (old, new))| old != new);
    changed
        .map(|(place, (old, new))| LineChange {
            place: place.clone(),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
        })
        .collect()
}

impl Diff {
    /// Whether nothing changes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The commands that make the new configuration out of the old one.
    #[must_use]
    pub fn as_commands(&self) -> String {
        let mut out = String::new();
        let mut push = |indent: &str, line: &str| {
            out.push_str(indent);
            out.push_str(line);
            out.push('\n');
        };
        // What goes makes room first, for names and for the limits of the language.
        for change in self.changes.iter().filter(|c| c.kind == ChangeKind::Removed) {
            push("", &format!("no {}", change.heading));
        }
        for change in self.changes.iter().filter(|c| c.kind != ChangeKind::Removed) {
            push("", &change.heading);
            for line in &change.lines {
                if let (Some(old), None) = (&line.old, &line.new) {
                    push("  ", &negation(&line.place, old));
                }
            }
            for text in change.lines.iter().filter_map(|line| line.new.as_ref()) {
                push("  ", text);
            }
        }
        out
    }
}

/// The command that takes a line away.
fn negation(place: &Place, line: &str) -> String {
    match place {
        Place::VlanName(_) => "no name".to_owned(),
        Place::AclEntry(_, _, sequence) => format!("no {sequence}"),
        Place::ProfileSetting(_, setting) | Place::InterfaceSetting(_, setting) => match setting {
            // `no` would say that they are off, not that nothing is said of them.
            Setting::Uufb
            | Setting::Promiscuous
            | Setting::LacpSuspendIndividual
            | Setting::LldpTransmit
            | Setting::HostTraffic
            | Setting::Shutdown => format!("default {setting}"),
            Setting::AccessGroup(..) | Setting::Inherit => format!("no {line}"),
            _ => format!("no {setting}"),
        },
        _ => format!("no {line}"),
    }
}

impl fmt::Display for Diff {
    /// Lines that go with `-`, lines that come with `+`, under the headings they belong to.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            let sign = match change.kind {
                ChangeKind::Removed => '-',
                ChangeKind::Added => '+',
                ChangeKind::Changed => ' ',
            };
            writeln!(f, "{sign} {}", change.heading)?;
            for line in &change.lines {
                if let Some(old) = &line.old {
                    writeln!(f, "-   {old}")?;
                }
                if let Some(new) = &line.new {
                    writeln!(f, "+   {new}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::arbitrary;
    use crate::lang::{apply, parse};

    const OLD: &str = "hostname a\nvlan 10\nname LAN\nvlan 20\nip access-list X\n\
        10 permit ip any any\n20 deny tcp any any\nport-profile type vethernet P\n\
        switchport access vlan 10\nno shutdown\nip port access-group X in\ninterface eth3/1\n";

    #[test]
    fn shows_what_goes_and_comes_under_its_heading() {
        let old = parse(OLD).unwrap();
        let edit = "hostname b\nno vlan 20\nvlan 30\nip access-list X\nno 20\n\
            15 permit tcp any any\n10 deny ip any any\nport-profile P\n\
            switchport access vlan 30\ndefault shutdown\nmtu 9000\nno ip port access-group X in\nno interface eth3/1\n";
        let new = apply(&old, edit).unwrap();
        let diff = diff(&old, &new);
        assert_eq!(
            diff.to_string(),
            "\
- hostname a
+ hostname b
- vlan 20
+ vlan 30
  ip access-list X
-   10 permit ip any any
+   10 deny ip any any
+   15 permit tcp any any
-   20 deny tcp any any
  port-profile type vethernet P
-   switchport access vlan 10
+   switchport access vlan 30
+   mtu 9000
-   ip port access-group X in
-   no shutdown
- interface Ethernet3/1
"
        );
        assert_eq!(
            diff.as_commands(),
            "\
no hostname a
no vlan 20
no interface Ethernet3/1
hostname b
vlan 30
ip access-list X
  no 20
  10 deny ip any any
  15 permit tcp any any
port-profile type vethernet P
  no ip port access-group X in
  default shutdown
  switchport access vlan 30
  mtu 9000
"
        );
    }

    #[test]
    fn an_object_of_another_kind_goes_and_comes_again() {
        let old = parse("ip access-list X\nport-profile type ethernet P\n").unwrap();
        let new = parse("mac access-list X\nport-profile type vethernet P\nmtu 9000\n").unwrap();
        let text = diff(&old, &new).to_string();
        assert!(text.contains("- ip access-list X\n+ mac access-list X\n"), "{text}");
        assert_eq!(apply(&old, &diff(&old, &new).as_commands()), Ok(new));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn its_commands_make_new_out_of_old((old, new) in arbitrary::config_pair()) {
            let diff = diff(&old, &new);
            prop_assert_eq!(diff.is_empty(), old == new);
            let commands = diff.as_commands();
            prop_assert_eq!(apply(&old, &commands), Ok(new), "{}", commands);
        }

        #[test]
        fn nothing_changes_between_equals(config in arbitrary::config()) {
            prop_assert!(diff(&config, &config).is_empty());
        }
    }
}
