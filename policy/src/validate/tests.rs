use proptest::prelude::*;

use super::*;
use crate::arbitrary;
use crate::lang::{self, parse};

fn problems(text: &str) -> Vec<String> {
    match check(&Config::default(), text) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

const UPLINKS: &str = "vlan 10,20\nport-profile type ethernet UP\nswitchport mode trunk\n\
                       channel-group auto mode on mac-pinning\nstate enabled\n\
                       interface eth3/1-2\ninherit port-profile UP\n";

#[test]
fn a_sound_configuration_has_no_problem() {
    assert_eq!(problems(""), Vec::<String>::new());
    assert_eq!(problems(UPLINKS), Vec::<String>::new());
}

#[test]
fn names_are_guessed_for_as_many_problems_as_anybody_reads() {
    let text: String = (0..2000)
        .map(|n| {
            format!("port-profile type vethernet PROFILE-{n}\ninherit port-profile PROFILE-X{n}\n")
        })
        .collect();
    let found = check(&Config::default(), &text).unwrap_err();
    assert_eq!(found.len(), 2000);
    let guessed = found.iter().filter(|problem| problem.hint.starts_with("did you mean"));
    assert_eq!(guessed.count(), PROBLEMS_MAX);
}

#[test]
fn uplinks_that_carry_a_common_vlan_need_a_common_group() {
    let bad = UPLINKS.replace("channel-group auto mode on mac-pinning\n", "");
    let found = problems(&bad);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with(
            "5:11: Ethernet3/2: carries VLANs 1,10,20 as Ethernet3/1 does, and the two are in no \
             common group"
        ),
        "{found:?}"
    );
    for repair in [
        "interface eth3/1\nshutdown\n",
        "port-profile UP\nno state enabled\n",
        "interface eth3/1\nswitchport trunk allowed vlan 10\n\
         interface eth3/2\nswitchport trunk allowed vlan 20\n",
        "interface eth3/1\nswitchport trunk allowed vlan 1,11-19\n\
         interface eth3/2\nswitchport trunk allowed vlan 10-20\n",
        "no interface eth3/2\ninterface eth4/1\ninherit port-profile UP\n",
    ] {
        assert_eq!(problems(&format!("{bad}{repair}")), Vec::<String>::new(), "{repair}");
    }
    let one_sided = format!("{bad}interface eth3/1\nchannel-group auto mode on mac-pinning\n");
    assert_eq!(problems(&one_sided).len(), 1);
}

const PORT_CHANNEL: &str = "vlan 10,20\nport-profile type ethernet PO\nswitchport mode trunk\n\
                            channel-group auto mode active\nstate enabled\n\
                            interface eth3/1-2\ninherit port-profile PO\n";

#[test]
fn what_an_operator_may_say_of_teaming() {
    for more in [
        // More links are needed than there are: the port-channel waits for them.
        "port-profile PO\nlacp min-links 4\n",
        // A base profile may speak of LACP before anybody says the mode.
        "port-profile type ethernet BASE\nlacp rate fast\nfailover order 1 2\n",
        // Priorities and rates are of a port, not of its group.
        "interface eth3/1\nlacp port-priority 1\nlacp rate fast\nlink-up delay 9\n\
         lldp transmit\ndescription to leaf 1\n",
        // A member that is shut down may be changed before it comes back.
        "interface eth3/2\nshutdown\nmtu 9000\nswitchport trunk allowed vlan 10\n",
        // Of an order, hosts take the NICs that they have.
        "port-profile PO\nno lacp suspend-individual\nfailover order 9 2\n",
        // Groups with VLANs of their own stand side by side.
        "port-profile PO\nswitchport trunk allowed vlan 10\n\
         port-profile type ethernet PINS\nswitchport mode trunk\n\
         switchport trunk allowed vlan 1,20\nchannel-group auto mode on mac-pinning\n\
         state enabled\ninterface eth3/3-4\ninherit port-profile PINS\n",
        // Where the mode is taken away, what it left means nothing.
        "port-profile PO\nlacp rate fast\nlacp max-bundle 2\nno channel-group auto\n\
         interface eth3/2\nshutdown\n",
        // VMs may be pinned to NICs that their host does not have.
        "port-profile type vethernet WEB\npinning id 7 backup 8\n",
    ] {
        assert_eq!(problems(&format!("{PORT_CHANNEL}{more}")), Vec::<String>::new(), "{more}");
    }
}

#[test]
fn uplinks_that_pin_may_carry_different_vlans_and_be_of_different_profiles() {
    let text = format!(
        "{UPLINKS}port-profile type ethernet MORE\ninherit port-profile UP\nstate enabled\n\
         mtu 9000\ninterface eth3/2\ninherit port-profile MORE\n\
         switchport trunk allowed vlan 10\n"
    );
    assert_eq!(problems(&text), Vec::<String>::new());
}

#[test]
fn the_first_place_of_a_relative_group_can_be_pinned_to() {
    let zero = "port-profile type vethernet WEB\npinning id 0\n";
    assert_eq!(problems(&format!("{UPLINKS}{zero}")).len(), 1);
    let relative = "port-profile UP\nchannel-group auto mode on mac-pinning relative\n";
    assert_eq!(problems(&format!("{UPLINKS}{zero}{relative}")), Vec::<String>::new());
}

#[test]
fn who_differs_from_the_profile_is_blamed_wherever_it_stands() {
    for (nic, other) in [(1, 2), (2, 1)] {
        let found = problems(&format!("{PORT_CHANNEL}interface eth3/{nic}\nmtu 9000\n"));
        let expected = format!(
            "Ethernet3/{nic}: `mtu 9000`, but Ethernet3/{other} of the same group has `mtu 1500`"
        );
        assert!(found.len() == 1 && found[0].contains(&expected), "{found:?}");
    }
}

#[test]
fn a_mistake_that_the_text_did_not_bring_has_no_place() {
    let base =
        parse("vlan 10\nport-profile type vethernet P\nswitchport access vlan 10\n").unwrap();
    let found = check(&base, "no vlan 10\n").unwrap_err();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].span, None);
    assert_eq!(
        found[0].to_string(),
        "port-profile P: VLAN 10 is not defined (define it with `vlan 10`, or use another)"
    );
}

#[test]
fn what_only_follows_from_a_mistake_in_the_text_is_left_out() {
    let text = "vlan 1O\nip acces-list X\npermit ip any any\n\
                port-profile type vethernt BASE\nport-profile type vethernet P\n\
                inherit port-profile BASE\nswitchport access vlan 10\n\
                ip port access-group X in\nmac port access-group X in\n";
    assert_eq!(problems(text).len(), 3, "{:?}", problems(text));
    let later = "vlan 1O\nport-profile type vethernet P\nip port access-group X in\n";
    let found = problems(later);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[1].starts_with("3:22: port-profile P: ip access-list `X` is not defined"));
}

proptest! {
    #[test]
    fn any_configuration_can_be_validated(config in arbitrary::config()) {
        let text = lang::print(&config);
        let messages = |problems: Vec<Problem>| {
            let mut all: Vec<_> = problems.into_iter().map(|p| (p.path, p.message)).collect();
            all.sort();
            all
        };
        // By value and by text the same problems are found, and a text points at each of them.
        let by_text = check(&Config::default(), &text).err().unwrap_or_default();
        prop_assert!(by_text.iter().all(|problem| problem.span.is_some()));
        prop_assert_eq!(messages(by_text), messages(validate(&config)));
    }
}
