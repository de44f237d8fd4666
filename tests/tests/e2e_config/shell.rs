//! `weft apply` and `weft diff`: dry runs, errors, round trips.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;
use tests::site::{CONFIG, Site, VMS, ip};
use tests::traffic::ping_once;

use crate::{ended, running_config, weft_file};

/// Moves `a` and `c` to VLAN 20 and renames it.
const CHANGE: &str = "vlan 20
  name TWENTY
port-profile type vethernet LAN-10
  switchport access vlan 20
";

/// What `apply` and `diff` say about it.
const CHANGE_SHOWN: &str = "  vlan 20
+   name TWENTY
  port-profile type vethernet LAN-10
-   switchport access vlan 10
+   switchport access vlan 20

3 ports change:
  Vethernet1 (module 3): access vlan 10 -> 20
  Vethernet2 (module 3): access vlan 10 -> 20
  Vethernet3 (module 4): access vlan 10 -> 20
";

/// All that a change could change: configuration, revisions, and what the hosts forward by.
fn everything(site: &Site) -> (String, Value, [Value; 2]) {
    let revisions = site.show("revisions").expect("show revisions");
    let hosts = ["h1", "h2"].map(|host| site.status(host).expect("status")["revision"].clone());
    (running_config(site), revisions, hosts)
}

#[test]
fn what_is_shown_before_is_what_is_done_and_a_look_changes_nothing() {
    let mut site = Site::start();
    let before = everything(&site);
    for words in [&["diff"][..], &["apply", "--dry-run"]] {
        let shown = weft_file(&site, words, CHANGE);
        assert_eq!(shown, (Some(0), CHANGE_SHOWN.to_owned(), String::new()), "{words:?}");
        let (code, json, _) = weft_file(&site, &[words, &["--json"]].concat(), CHANGE);
        let json: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!((code, &json["revision"]), (Some(0), &0.into()));
        assert_eq!(json["ports"].as_array().map(Vec::len), Some(3), "{json:#}");
    }
    assert_eq!(everything(&site), before);
    site.assert_reaches("a", "b");

    let (code, printed, errors) = weft_file(&site, &["apply", "--comment", "one test"], CHANGE);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let outcome = printed.strip_prefix(CHANGE_SHOWN).unwrap_or_else(|| panic!("{printed}"));
    assert!(outcome.contains("Committed as revision "), "{printed}");
    assert!(outcome.contains("module 3 (h1): applied\n"), "{printed}");
    assert!(outcome.contains("module 4 (h2): applied\n"), "{printed}");
    let revisions = site.show("revisions").expect("show revisions");
    let last = revisions["revisions"].as_array().and_then(|all| all.last()).cloned();
    assert_eq!(last.expect("a revision")["comment"], "one test");
    // Done twice is done once.
    let again = weft_file(&site, &["apply"], CHANGE);
    assert_eq!(again, (Some(0), "No changes.\n".to_owned(), String::new()));
    site.assert_healthy();
}

#[test]
fn errors_point_at_line_and_column_and_nothing_is_changed() {
    let site = Site::start();
    let before = everything(&site);
    let text = "vlan 30
port-profile type vethernet LAN-10
  switchport acess vlan 10
  switchport access vlan 77
  ip port access-group NOPE in
ip access-list NO-PING-TO-C
  30 permit tcp any any eq 70000
interface Ethernet3/1
  inherit port-profile LAN-20
";
    let (code, printed, errors) = weft_file(&site, &["apply"], text);
    assert_eq!((code, printed.as_str()), (Some(1), ""), "{errors}");
    let file = site.lab().dir().join("site.cfg");
    for place in ["3:14", "4:26", "5:24", "7:28", "9:24"] {
        let arrow = format!("--> {}:{place}\n", file.display());
        assert!(errors.contains(&arrow), "{arrow}{errors}");
    }
    assert!(
        errors.contains("3 |   switchport acess vlan 10\n  |              ^^^^^\n"),
        "{errors}"
    );
    assert!(errors.contains("did you mean `access`?"), "{errors}");
    assert!(errors.ends_with("5 problems; nothing was changed.\n"), "{errors}");

    let (code, json, _) = weft_file(&site, &["diff", "--json"], text);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    let places: Vec<_> = json["problems"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|problem| (problem["line"].as_u64(), problem["column"].as_u64()))
        .collect();
    let place = |line, column| (Some(line), Some(column));
    let expected = [place(3, 14), place(4, 26), place(5, 24), place(7, 28), place(9, 24)];
    assert_eq!((code, places), (Some(1), expected.to_vec()), "{json:#}");
    assert_eq!(everything(&site), before);
}

#[test]
fn what_show_prints_apply_reads_back() {
    let site = Site::start();
    site.apply_text(CHANGE).expect("applied");
    let extra = "interface Vethernet4\n  description \"d, on trial\"\n  mtu 1400\n";
    site.apply_text(extra).expect("applied");
    let text = running_config(&site);
    for words in [&["diff"][..], &["apply"], &["diff", "--replace"], &["apply", "--replace"]] {
        let shown = weft_file(&site, words, &text);
        assert_eq!(shown, (Some(0), "No changes.\n".to_owned(), String::new()), "{words:?}");
    }
    assert_eq!(running_config(&site), text);
    // And on a switch that has nothing yet.
    let other = Site::start_empty();
    let (code, _, errors) = weft_file(&other, &["apply"], &text);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert_eq!(running_config(&other), text);
    // An older revision too is a file that can be applied.
    let first = site.show("revisions").expect("show revisions")["revisions"]
        .as_array()
        .and_then(|all| all.iter().find(|revision| revision["kind"] == "config"))
        .map(|revision| revision["revision"].to_string())
        .expect("a revision");
    let old = site.weft(&["show", "running-config", "--revision", &first]).expect("shown");
    assert_ne!(old, text);
    let (code, _, errors) = weft_file(&site, &["apply", "--replace"], &old);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert_eq!(running_config(&site), old);
}

#[test]
fn a_replaced_configuration_loses_what_the_file_leaves_out_and_keeps_what_is_plugged_in() {
    let mut site = Site::start();
    let identities = VMS.map(|vm| site.identity(vm));
    assert!(!ping_once(site.ns("b"), ip("c")).expect("ping"), "NO-PING-TO-C does nothing");
    let without_list: String = CONFIG
        .lines()
        .filter(|line| {
            !["access-list", "icmp", "permit ip", "access-group"]
                .iter()
                .any(|word| line.contains(word))
        })
        .map(|line| format!("{line}\n"))
        .collect();
    // On top of what runs the shorter file changes nothing.
    let added = weft_file(&site, &["apply"], &without_list);
    assert_eq!(added, (Some(0), "No changes.\n".to_owned(), String::new()));
    let (code, printed, errors) = weft_file(&site, &["apply", "--replace"], &without_list);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(printed.contains("- ip access-list NO-PING-TO-C\n"), "{printed}");
    assert_eq!(
        site.show("access-lists").expect("show access-lists")["lists"],
        Value::Array(vec![])
    );
    site.assert_reaches("b", "c");
    assert_eq!(VMS.map(|vm| site.identity(vm)), identities);

    // A profile that VMs use does not go.
    let without_profile = without_list.replace("LAN-20", "LAN-TWENTY");
    let (code, _, errors) = weft_file(&site, &["apply", "--replace"], &without_profile);
    assert_eq!(code, Some(1));
    assert!(errors.contains("port-profile LAN-20: is removed, but is in use by"), "{errors}");
    site.assert_reaches("d", "e");
    site.assert_healthy();
}

#[test]
fn configuration_comes_by_standard_input_too() {
    let site = Site::start_empty();
    let mut command = site.cli();
    command.args(["apply", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut weft = command.spawn().expect("weft runs");
    weft.stdin.take().expect("a pipe").write_all(b"vlan 10\nvlna 20\n").expect("written");
    let (code, printed, errors) = ended(&weft.wait_with_output().expect("it ends"));
    assert_eq!((code, printed.as_str()), (Some(1), ""), "{errors}");
    assert!(errors.contains("--> <stdin>:2:1\n"), "{errors}");
    assert_eq!(running_config(&site), "");
}
