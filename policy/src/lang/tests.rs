//! The language as a whole: what is read, what is printed, and that nothing makes it fall over.

use proptest::prelude::*;

use super::*;
use crate::acl::AclKind;
use crate::arbitrary;
use crate::config::{MacAllow, SwitchportMode};
use crate::place::Place;
use crate::problem::Span;
use crate::teaming::LoadBalance;

/// A whole configuration in its printed form.
const CANONICAL: &str = "\
hostname weft
lacp system-priority 4096
port-channel load-balance ethernet source-dest-ip-port

vlan 1,30-32

vlan 10
  name LAN-A

ip access-list WEB
  statistics per-entry
  10 remark from the office, not from the lab
  20 permit tcp 10.0.0.0/24 any eq 443 established log
  30 deny udp 10.0.0.1/32 range 1000 2000 10.0.0.0 0.255.0.255 neq 53
  40 permit icmp any any echo
  50 permit sctp any any dscp ef fragments
  60 permit 200 any any dscp 1

mac access-list ONLY-ARP
  10 permit any host ffff.ffff.ffff 0x806 vlan 10
  20 deny 0200.0000.0000 0000.ffff.ffff any log

ipv6 access-list SIX
  10 permit icmp any any nd-ns
  20 deny ipv6 2001:db8::/32 any

port-profile type ethernet UPLINK
  description to the two spines
  switchport mode trunk
  switchport trunk native vlan 30
  switchport trunk allowed vlan 1,10,30-32
  mtu 9000
  channel-group auto mode active
  lacp rate fast
  lacp port-priority 100
  lacp min-links 2
  lacp max-bundle 4
  no lacp suspend-individual
  failover order 3 1 2
  link-up delay 0
  lldp transmit
  host-traffic
  no shutdown
  state enabled

port-profile type vethernet PC
  inherit port-profile BASE
  switchport mode access
  switchport access vlan 10
  switchport uufb disable
  no switchport promiscuous
  mac-address allow 0200.0000.0001 0200.0000.0002
  spanning-tree bpduguard enable
  mac port access-group ONLY-ARP out
  ip port access-group WEB in
  ipv6 port traffic-filter SIX in
  pinning id 2 backup 4 3
  max-ports 8
  state enabled

interface Ethernet3/1
  inherit port-profile UPLINK

interface Vethernet7
  shutdown
";

fn problems(text: &str) -> Vec<String> {
    match parse(text) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

/// Applies a text over another and prints what comes out.
fn applied(base: &str, text: &str) -> Result<String, String> {
    let message = |problems: Vec<Problem>| {
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let base = parse(base).map_err(message)?;
    apply(&base, text).map(|config| print(&config)).map_err(message)
}

#[test]
fn every_kind_of_line_prints_as_it_was_read() {
    // In the canonical text WEB stands before ONLY-ARP; lists print in order of their names.
    let config = parse(CANONICAL).unwrap();
    let printed = print(&config);
    let sorted = |text: &str| {
        let mut blocks: Vec<String> = text.trim_end().split("\n\n").map(str::to_owned).collect();
        blocks.sort();
        blocks
    };
    assert_eq!(sorted(&printed), sorted(CANONICAL));
    assert_eq!(parse(&printed), Ok(config));
}

#[test]
fn words_may_be_short_and_blocks_are_found_without_indentation() {
    let short = "vl 10\nna LAN\nint eth3/1\nsw mode acc\nsw acc vlan 10\nno shut\nip access-l X\n\
                 per ip a a\nexit\nport-p type v P\nst en\nend\n";
    let long = "vlan 10\n name LAN\ninterface Ethernet3/1\n  switchport mode access\n  \
                switchport access vlan 10\n  no shutdown\nip access-list X\n  permit ip any any\n\
                port-profile type vethernet P\n  state enabled\n";
    assert_eq!(parse(short), parse(long));
    assert!(parse(long).is_ok());
}

#[test]
fn comments_and_line_ends() {
    let text = "! a comment\r\nvlan 10 ! the lab\r\n\r\n  !\r\n\tname A\r\n";
    assert_eq!(parse(text), parse("vlan 10\nname A"));
    let config = parse("interface veth 1\ndescription hot !stuff  here ").unwrap();
    let interface = config.interfaces.values().next().unwrap();
    assert_eq!(interface.settings.description.as_deref(), Some("hot !stuff  here"));
}

#[test]
fn ranges_open_several_objects() {
    let config = parse("interface eth 3/1-2, Ethernet4/1 , veth5-6\nmtu 9000\n").unwrap();
    let names: Vec<String> = config.interfaces.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["Ethernet3/1", "Ethernet3/2", "Ethernet4/1", "Vethernet5", "Vethernet6"]);
    assert!(config.interfaces.values().all(|i| i.settings.mtu_bytes == Some(9000)));
    let vlans = parse("vlan 10,20-22").unwrap().vlans;
    assert_eq!(vlans.keys().map(|v| v.get()).collect::<Vec<_>>(), [10, 20, 21, 22]);
}

#[test]
fn values_of_a_port() {
    let text = "port-profile type vethernet P\nmac-address allow 0200.0000.0002 02:00:00:00:00:01 \
                02-00-00-00-00-02\nswitchport mode trunk\nswitchport trunk allowed vlan 1-10\n\
                switchport trunk allowed vlan add 20\nswitchport trunk allowed vlan remove 5-20\n\
                ip access-group X in\nipv6 access-group Y out\nmac access-group Z out\n";
    let profile = parse(text).unwrap().profiles.into_values().next().unwrap().settings;
    let Some(MacAllow::List(macs)) = &profile.mac_allow else { panic!("{profile:?}") };
    assert_eq!(
        macs.iter().map(|m| m.nxos()).collect::<Vec<_>>(),
        ["0200.0000.0001", "0200.0000.0002"]
    );
    assert_eq!(profile.mode, Some(SwitchportMode::Trunk));
    assert_eq!(profile.trunk_allowed_vlans.map(|v| v.to_string()).as_deref(), Some("1-4"));
    assert_eq!(profile.acl_in.ip.map(|n| n.to_string()).as_deref(), Some("X"));
    assert_eq!(profile.acl_out.ipv6.map(|n| n.to_string()).as_deref(), Some("Y"));
    assert_eq!(profile.acl_out.mac.map(|n| n.to_string()).as_deref(), Some("Z"));
    let except = parse("int eth3/1\nswitchport trunk allowed vlan except 2-4093\n").unwrap();
    let vlans = except.interfaces.into_values().next().unwrap().settings.trunk_allowed_vlans;
    assert_eq!(vlans.map(|v| v.to_string()).as_deref(), Some("1,4094"));
}

#[test]
fn lines_of_the_whole_switch_end_a_block_and_those_of_a_port_do_not() {
    let text = "interface eth3/1\nlacp rate fast\nlacp sys 5\ninterface eth3/1\nno lacp susp\n\
                port-channel load-balance ethernet source-v\n";
    assert_eq!(
        applied("", text).as_deref(),
        Ok("lacp system-priority 5\nport-channel load-balance ethernet source-virtual-port-id\n\n\
            interface Ethernet3/1\n  lacp rate fast\n  no lacp suspend-individual\n")
    );
    let back = "default port-channel load-balance ethernet\ninterface eth3/1\n\
                default lacp system-priority 9\ndefault interface eth3/1\n";
    assert_eq!(applied(text, back).as_deref(), Ok("interface Ethernet3/1\n"));
}

#[test]
fn entries_without_a_number_go_to_the_end_and_can_be_applied_twice() {
    let base = "ip access-list X\n5 permit ip any any\n";
    let text = "ip access-list X\ndeny tcp any any\npermit ip any any\nremark r\nremark r\n";
    let once = "ip access-list X\n  5 permit ip any any\n  15 deny tcp any any\n  25 remark r\n  \
                35 remark r\n";
    assert_eq!(applied(base, text).as_deref(), Ok(once));
    assert_eq!(applied(once, text).as_deref(), Ok(once));
}

#[test]
fn an_entry_with_a_number_takes_the_place_of_an_older_one() {
    let base = "ip access-list X\n10 permit ip any any\n20 deny ip any any\n";
    assert_eq!(
        applied(base, "ip access-list X\n10 deny tcp any any\nno 20\n30 permit udp any any"),
        Ok("ip access-list X\n  10 deny tcp any any\n  30 permit udp any any\n".to_owned())
    );
    assert_eq!(
        applied(base, "ip access-list X\nno permit ip any any\nno 20 deny ip any any"),
        Ok("ip access-list X\n".to_owned())
    );
    assert_eq!(
        applied(base, "resequence ip access-list X 100 5"),
        Ok("ip access-list X\n  100 permit ip any any\n  105 deny ip any any\n".to_owned())
    );
}

#[test]
fn no_and_default_take_away_at_every_place() {
    let no = "no hostname\nno lacp system-priority 7\nno port-channel load-balance ethernet\n\
              no vlan 30\nno mac access-list ONLY-ARP\nno ip access-list WEB\n\
              no ipv6 access-list SIX\nno interface Vethernet7\n\
              no port-profile type ethernet UPLINK\nvlan 10\nno name\nvlan 1,31-32\nno vlan \
              1,31-32\n\
              interface Ethernet3/1\nno inherit port-profile UPLINK\n\
              port-profile PC\nno inherit port-profile\nno switchport mode access\n\
              no switchport access vlan\ndefault switchport uufb disable\n\
              default switchport promiscuous\nno mac-address allow\nno spanning-tree bpduguard\n\
              no mac port access-group ONLY-ARP out\nno ip port access-group in\n\
              no ipv6 port traffic-filter SIX in\nno pinning id\nno max-ports\nno state enabled\n";
    assert_eq!(
        applied(CANONICAL, no).as_deref(),
        Ok("vlan 10\n\nport-profile type vethernet PC\n\ninterface Ethernet3/1\n")
    );
    let no = "port-profile UPLINK\nno description\nno switchport trunk native vlan\n\
              no switchport trunk allowed vlan\nno mtu 9000\n\
              no channel-group auto mode on mac-pinning\nno lacp rate\n\
              no lacp port-priority 100\nno lacp min-links\nno lacp max-bundle\n\
              default lacp suspend-individual\nno failover order 3 1 2\nno link-up delay\n\
              default lldp transmit\ndefault host-traffic\n\
              default shutdown\nno switchport mode\n";
    let left = applied(CANONICAL, no).unwrap();
    assert!(left.contains("port-profile type ethernet UPLINK\n  state enabled\n\n"), "{left}");
    assert_eq!(
        applied("int eth3/1\nmtu 9000\n", "default interface eth3/1").as_deref(),
        Ok("interface Ethernet3/1\n")
    );
}

#[test]
fn a_no_that_names_another_object_takes_nothing_away() {
    let base = "int eth3/1\nip port access-group X in\ninherit port-profile P\n";
    for (line, message) in [
        ("no ip port access-group Y in", "the access list here is `X`, not `Y`"),
        ("no inherit port-profile Q", "the port-profile here is `P`, not `Q`"),
    ] {
        let problem = applied(base, &format!("int eth3/1\n{line}")).unwrap_err();
        assert!(problem.contains(message), "{problem}");
    }
}

#[test]
fn all_problems_are_reported_at_once_and_nothing_is_changed() {
    let text = "vlan 5000\n name X Y\nport-profile type vethrnet P\n swichport mode access\n\
                interfce Ethernet3/1\n mtu 1\n";
    assert_eq!(
        problems(text),
        [
            "1:6: VLAN 5000 is out of range, expected 1..4094",
            "2:9: unexpected `Y`, expected the end of the line",
            "3:19: unexpected `vethrnet`, expected `vethernet` or `ethernet` (did you mean \
             `vethernet`?)",
            "4:2: unexpected `swichport`, expected `description`, `inherit`, `switchport`, \
             `mac-address`, `spanning-tree`, `mtu`, `ip`, `ipv6`, `mac`, `channel-group`, \
             `lacp`, `failover`, `link-up`, `lldp`, `pinning`, `host-traffic`, `shutdown`, `max-ports`, `state`, `no`, `default`, \
             `exit` or `end` (did \
             you mean `switchport`?)",
            "5:1: unexpected `interfce`, expected `description`, `inherit`, `switchport`, \
             `mac-address`, `spanning-tree`, `mtu`, `ip`, `ipv6`, `mac`, `channel-group`, \
             `lacp`, `failover`, `link-up`, `lldp`, `pinning`, `host-traffic`, `shutdown`, `max-ports`, `state`, `no`, `default`, \
             `exit` or `end` (did \
             you mean `interface`?)",
            "6:6: 1 is out of range, expected an MTU (576..9216)",
        ]
    );
}

#[test]
fn places_are_noted_where_the_text_speaks_of_them() {
    let base = parse("port-profile type vethernet OLD\nmtu 9000\n").unwrap();
    let text = "\nport-profile type vethernet P\n  switchport access vlan 10\nport-profile OLD\n";
    let spans = read(&base, text).unwrap().spans;
    let name = |text: &str| text.parse::<crate::config::Name>().unwrap();
    let place = |n, setting| Place::ProfileSetting(name(n), setting);
    let at = |line, column, length| Some(Span { line, column, length });
    assert_eq!(spans.get(&Place::Profile(name("P"))), at(2, 29, 1));
    assert_eq!(spans.get(&place("P", crate::place::Setting::AccessVlan)), at(3, 26, 2));
    assert_eq!(spans.get(&place("OLD", crate::place::Setting::Mtu)), None);
}

#[test]
fn what_could_come_next() {
    let base = Config::default();
    let keywords = |text: &str| {
        let words = expected_next(&base, text).into_iter().map(|expected| match expected {
            Expected::Keyword(word) => word.to_owned(),
            Expected::Value(what) => format!("<{what}>"),
        });
        words.collect::<Vec<_>>()
    };
    assert_eq!(keywords("int eth3/1\nswitchport mode "), ["access", "trunk"]);
    assert_eq!(keywords("port-profile type "), ["vethernet", "ethernet"]);
    assert_eq!(
        keywords("int eth3/1\nchannel-group auto mode "),
        ["active", "passive", "on", "active-standby"]
    );
    assert_eq!(
        keywords("int eth3/1\nlacp "),
        ["rate", "port-priority", "min-links", "max-bundle", "suspend-individual"]
    );
    assert_eq!(keywords("lacp "), ["system-priority"]);
    assert_eq!(keywords("default "), ["interface", "lacp", "port-channel"]);
    assert_eq!(
        keywords("int eth3/1\nport-channel load-balance ethernet "),
        LoadBalance::ALL.map(LoadBalance::name)
    );
    assert_eq!(keywords("int veth1\npinning id 1 backup ").len(), 1);
    assert!(keywords("").contains(&"hostname".to_owned()));
    assert!(keywords("int eth3/1\n").contains(&"switchport".to_owned()));
    assert!(keywords("ip access-list X\npermit tcp any any ").contains(&"established".to_owned()));
    assert_eq!(keywords("nonsense "), Vec::<String>::new());
}

#[test]
fn sizes_are_bounded() {
    assert_eq!(problems(&" ".repeat(TEXT_LEN_MAX + 1)).len(), 1);
    assert_eq!(problems(&format!("vlan {}", "1,".repeat(LINE_LEN_MAX))).len(), 1);
    assert_eq!(problems(&"x\n".repeat(10_000)).len(), PROBLEMS_MAX + 1);
    let mut entries = String::from("ip access-list X\n");
    entries.push_str(&"permit ip any any\n".repeat(ENTRIES_MAX));
    assert_eq!(problems(&entries), Vec::<String>::new());
    entries.push_str("permit ip any any\n");
    assert_eq!(problems(&entries).len(), 1);
    assert_eq!(problems("interface veth1-1048575").len(), 1);
    let busy = problems(&"vlan 1-4094\n".repeat(100_000));
    assert_eq!(busy.len(), 1);
    assert!(busy[0].starts_with("too much work, nothing behind line "), "{busy:?}");
    let deep = "exit\n".repeat(100_000);
    assert_eq!(problems(&deep), Vec::<String>::new());
}

/// Lines made of the words of the language, in any order.
fn sentences() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "hostname",
        "vlan",
        "mac",
        "ip",
        "ipv6",
        "access-list",
        "port-profile",
        "interface",
        "resequence",
        "default",
        "no",
        "exit",
        "type",
        "vethernet",
        "ethernet",
        "3/1",
        "7",
        "10",
        "20-22",
        "name",
        "X",
        "Y",
        "permit",
        "deny",
        "remark",
        "statistics",
        "per-entry",
        "any",
        "host",
        "tcp",
        "icmp",
        "10.0.0.0/8",
        "::/0",
        "0200.0000.0001",
        "eq",
        "range",
        "80",
        "log",
        "established",
        "description",
        "inherit",
        "switchport",
        "mode",
        "access",
        "trunk",
        "allowed",
        "native",
        "add",
        "remove",
        "port",
        "access-group",
        "in",
        "out",
        "mtu",
        "9000",
        "shutdown",
        "channel-group",
        "auto",
        "on",
        "mac-pinning",
        "state",
        "enabled",
        "max-ports",
        "!",
        "pinning",
        "id",
        "backup",
        "1",
        "0",
        "lacp",
        "rate",
        "fast",
        "system-priority",
        "port-priority",
        "min-links",
        "max-bundle",
        "suspend-individual",
        "failover",
        "order",
        "link-up",
        "delay",
        "lldp",
        "transmit",
        "relative",
        "active",
        "active-standby",
        "sub-group",
        "port-channel",
        "load-balance",
        "source-mac",
        "vlan-only",
        "module",
    ];
    let line = prop::collection::vec(prop::sample::select(WORDS), 0..7);
    let lines = prop::collection::vec(line.prop_map(|words| words.join(" ")), 0..30);
    lines.prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_printed_reads_back(config in arbitrary::config()) {
        let text = print(&config);
        match parse(&text) {
            Ok(read) => prop_assert_eq!(read, config),
            Err(problems) => prop_assert!(false, "{}", render("printed", &text, &problems)),
        }
    }

    #[test]
    fn nothing_changes_nothing(config in arbitrary::config()) {
        prop_assert_eq!(apply(&config, ""), Ok(config.clone()));
        prop_assert_eq!(apply(&config, &print(&config)), Ok(config));
    }

    #[test]
    fn entries_read_back(
        (kind, entry) in arbitrary::acl_kind().prop_flat_map(|k| (Just(k), arbitrary::entry(k))),
        sequence in arbitrary::sequence(),
    ) {
        let text = print_entry(kind, sequence, &entry);
        prop_assert_eq!(parse_entry(kind, &text), Ok((sequence, entry)), "{}", text);
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC*|[ -~\n\t]*") {
        let _outcome = parse(&text);
        let _next = expected_next(&Config::default(), &text);
        for kind in AclKind::ALL {
            let _entry = parse_entry(kind, &text);
        }
    }

    #[test]
    fn no_sentence_of_its_words_makes_it_panic(text in sentences()) {
        let (parsed, problems, _) = read_leniently(&Config::default(), &text);
        // What could be read of it is a configuration that reads back.
        prop_assert_eq!(parse(&print(&parsed.config)), Ok(parsed.config));
        prop_assert!(problems.len() <= PROBLEMS_MAX + 1);
        let _next = expected_next(&Config::default(), &text);
    }

    #[test]
    fn no_mutation_of_a_good_text_makes_it_panic(
        config in arbitrary::config(),
        cut in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<char>()), 0..6),
    ) {
        let mut chars: Vec<char> = print(&config).chars().collect();
        prop_assume!(!chars.is_empty());
        let prefix: String = chars[..cut.index(chars.len())].iter().collect();
        let _prefix = parse(&prefix);
        let _next = expected_next(&config, &prefix);
        for (place, c) in edits {
            let place = place.index(chars.len());
            chars[place] = c;
        }
        let text: String = chars.iter().collect();
        if let Err(problems) = apply(&config, &text) {
            for problem in &problems {
                if let Some(span) = problem.span {
                    let line = text.lines().nth(span.line as usize - 1);
                    let length = line.map_or(0, |l| l.chars().count());
                    prop_assert!(span.column as usize <= length + 2, "{problem}");
                }
            }
            prop_assert!(render("mutated", &text, &problems).starts_with("error: "));
        }
    }
}
