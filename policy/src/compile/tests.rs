use proptest::prelude::*;

use super::*;
use crate::arbitrary;
use crate::config::MacAllow;
use crate::intent::UplinkRole;
use crate::lang::parse;
use crate::teaming::{Channel, ChannelMode};

const TEXT: &str = "vlan 10,20,30\nvlan 10\nname LAN-A\n\
    ip access-list WEB\nstatistics per-entry\npermit ip any any\nip access-list OTHER\ndeny ip any any\n\
    port-profile type vethernet BASE\nmtu 9000\nip port access-group WEB in\n\
    port-profile type vethernet PC\ninherit port-profile BASE\nswitchport access vlan 10\n\
    max-ports 2\nstate enabled\n\
    port-profile type vethernet OFF\nswitchport access vlan 30\n\
    port-profile type ethernet UP\nswitchport mode trunk\nswitchport trunk allowed vlan 10-15\n\
    channel-group auto mode on mac-pinning\nhost-traffic\nstate enabled\n\
    interface eth3/1\ninherit port-profile UP\n\
    interface veth9\nshutdown\n";

fn config() -> Config {
    parse(TEXT).unwrap()
}

fn binding(veth: u32, module: u32, profile: &str) -> Binding {
    Binding {
        veth: VethId::new(veth).unwrap(),
        vm: format!("vm{veth}"),
        adapter: "eth0".to_owned(),
        mac: MacAddr::from_u64(0x0200_0000_0000 | u64::from(veth)),
        profile: profile.parse().unwrap(),
        module: ModuleId::new(module).unwrap(),
    }
}

fn port<'i>(intent: &'i HostIntent, name: &str) -> &'i PortIntent {
    intent.ports.get(&name.parse::<InterfaceName>().unwrap()).unwrap()
}

#[test]
fn a_host_gets_its_ports_and_what_they_refer_to() {
    let bindings = [binding(1, 3, "PC"), binding(2, 4, "OFF")];
    let intent = compile(&config(), ModuleId::FIRST_HOST, &[1, 2], bindings.iter());
    let names: Vec<String> = intent.ports.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["Ethernet3/1", "Vethernet1"], "NIC 2 is not configured");
    let vlans: Vec<(u16, &str)> = intent.vlans.iter().map(|(v, n)| (v.get(), n.as_str())).collect();
    assert_eq!(vlans, [(10, "LAN-A")]);
    assert_eq!(intent.acls.keys().map(Name::as_str).collect::<Vec<_>>(), ["WEB"]);
    assert!(intent.acls.values().all(|acl| !acl.statistics));

    let veth = port(&intent, "Vethernet1");
    assert!(veth.admin_up);
    assert_eq!((veth.mtu_bytes, veth.profile.as_ref().map(Name::as_str)), (9000, Some("PC")));
    assert_eq!(veth.acl_in.ip.as_ref().map(Name::as_str), Some("WEB"));
    assert!(matches!(veth.mode, PortMode::Access(vlan) if vlan.get() == 10));
    let PortRole::Vethernet(role) = &veth.role else { panic!("{veth:?}") };
    assert_eq!((role.vm.as_str(), &role.mac_allow), ("vm1", &MacAllow::List(Vec::new())));

    let uplink = port(&intent, "Ethernet3/1");
    let channel = Some(Channel::new(1, ChannelMode::MacPinning { relative: false }));
    let expected = UplinkRole { channel, host_traffic: true, ..UplinkRole::new(1) };
    assert_eq!((uplink.admin_up, &uplink.role), (true, &PortRole::Uplink(expected)));
    let PortMode::Trunk { allowed, .. } = &uplink.mode else { panic!("{uplink:?}") };
    assert_eq!(allowed.to_string(), "10");
}

#[test]
fn what_is_not_wanted_up_is_down() {
    let bindings = [binding(2, 3, "OFF"), binding(3, 3, "NONE"), binding(9, 3, "PC")];
    let text = format!("{TEXT}interface eth3/2\nshutdown\n");
    let config = parse(&text).unwrap();
    let intent = compile(&config, ModuleId::FIRST_HOST, &[2], bindings.iter());
    for name in ["Ethernet3/2", "Vethernet2", "Vethernet3", "Vethernet9"] {
        assert!(!port(&intent, name).admin_up, "{name}");
    }
}

#[test]
fn the_profile_on_the_interface_replaces_the_attached_one() {
    let text = format!(
        "{TEXT}interface veth1\ninherit port-profile OFF\nport-profile OFF\nstate enabled\n"
    );
    let config = parse(&text).unwrap();
    let intent = compile(&config, ModuleId::FIRST_HOST, &[], [binding(1, 3, "PC")].iter());
    let veth = port(&intent, "Vethernet1");
    assert_eq!(veth.profile.as_ref().map(Name::as_str), Some("OFF"));
    assert!(matches!(veth.mode, PortMode::Access(vlan) if vlan.get() == 30) && veth.admin_up);
}

#[test]
fn bindings_are_checked_before_they_are_accepted() {
    let config = config();
    let message = |binding: &Binding, others: &[Binding]| {
        check_binding(&config, binding, others.iter()).map_err(|problem| problem.to_string())
    };
    let good = binding(1, 3, "PC");
    assert_eq!(message(&good, &[]), Ok(()));
    assert_eq!(message(&good, std::slice::from_ref(&good)), Ok(()));
    assert_eq!(
        message(&binding(1, 3, "PCC"), &[]),
        Err("Vethernet1: port-profile `PCC` is not defined (did you mean `PC`?)".to_owned())
    );
    assert_eq!(
        message(&binding(1, 3, "UP"), &[]),
        Err("Vethernet1: port-profile `UP` is of type ethernet (a VM needs one of type vethernet)"
            .to_owned())
    );
    assert_eq!(
        message(&good, &[binding(2, 3, "PC"), binding(3, 4, "PC")]),
        Err("Vethernet1: port-profile `PC` has 2 ports, all in use (raise its `max-ports`, or \
             detach another VM)"
            .to_owned())
    );
    let multicast = Binding { mac: MacAddr::BROADCAST, ..good.clone() };
    assert!(message(&multicast, &[]).is_err());
    for vm in ["", " x", "a\u{1b}[31m", &"x".repeat(65)] {
        assert!(message(&Binding { vm: vm.to_owned(), ..good.clone() }, &[]).is_err(), "{vm:?}");
    }
}

#[test]
fn one_address_stands_once_in_a_vlan_of_a_host() {
    let config = config();
    let first = binding(1, 3, "PC");
    let twin = |module, profile| Binding { mac: first.mac, ..binding(2, module, profile) };
    let check = |b: &Binding| check_binding(&config, b, [first.clone()].iter()).is_ok();
    assert!(!check(&twin(3, "PC")));
    assert!(check(&twin(4, "PC")) && check(&twin(3, "OFF")));
}

#[test]
fn a_profile_in_use_cannot_be_taken_away() {
    let users = [binding(1, 3, "PC"), binding(2, 3, "PC")];
    assert_eq!(check_bindings(&config(), &users), []);
    let apply = |text: &str| crate::lang::apply(&config(), text).unwrap();
    for (text, message) in [
        ("no port-profile PC", "is removed, but is in use by Vethernet1 (VM vm1) and 1 more"),
        (
            "port-profile PC\nmax-ports 1",
            "gets `max-ports 1`, but is in use by Vethernet1 (VM vm1) and 1 more",
        ),
        (
            "no port-profile PC\nport-profile type ethernet PC",
            "becomes of type ethernet, but is in use by Vethernet1 (VM vm1) and 1 more",
        ),
    ] {
        let problems = check_bindings(&apply(text), &users);
        assert_eq!(problems.iter().map(|p| p.message.as_str()).collect::<Vec<_>>(), [message]);
    }
}

proptest! {
    #[test]
    fn an_intent_is_consistent_by_itself(config in arbitrary::config()) {
        let names = ["WEB", "DB", "UP"];
        let bindings: Vec<Binding> =
            (1..7u32).map(|n| binding(n, 3, names[n as usize % names.len()])).collect();
        let intent = compile(&config, ModuleId::FIRST_HOST, &[1, 2, 3], bindings.iter());
        let configured = (1..=3u8).filter(|nic| {
            let name = InterfaceName::Ethernet { module: ModuleId::FIRST_HOST, nic: *nic };
            config.interfaces.contains_key(&name)
        });
        prop_assert_eq!(intent.ports.len(), 6 + configured.count());
        for port in intent.ports.values() {
            for (kind, name) in port.acl_in.bound().chain(port.acl_out.bound()) {
                prop_assert_eq!(intent.acls.get(name).map(|acl| acl.kind), Some(kind));
            }
            match &port.mode {
                PortMode::Access(vlan) => prop_assert!(intent.vlans.contains_key(vlan)),
                PortMode::Trunk { allowed, .. } => {
                    prop_assert!(allowed.iter().all(|vlan| intent.vlans.contains_key(&vlan)));
                }
            }
        }
    }
}
