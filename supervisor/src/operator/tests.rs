//! What operators are answered on the uplinks of two hosts: module 3 with a port-channel by LACP,
//! module 4 with two pinned uplinks.

use policy::config::Name;
use proto::{HostId, MacAddr, Revision, Term, VethId};

use super::*;
use crate::event::{ApplyRequest, Attachment, Event, Hello, Now, RequestId, SessionId, Told};
use crate::inventory::Nic;
use crate::report::{ChannelReport, LacpInfo, LacpPort, Member, MemberFlag, Neighbor, Pin, Report};
use crate::state::State;
use crate::store::record::Saved;

const CONFIG: &str = "vlan 10\nport-channel load-balance ethernet source-dest-ip-port\n\
    port-profile type vethernet WEB\n  switchport access vlan 10\n  state enabled\n\
    port-profile type ethernet LACP\n  switchport mode trunk\n\
    channel-group auto mode active\n  state enabled\n\
    port-profile type ethernet PINNED\n  switchport mode trunk\n\
    channel-group auto mode on mac-pinning\n  state enabled\n\
    interface ethernet3/1\n  inherit port-profile LACP\n\
    interface ethernet3/2\n  inherit port-profile LACP\n\
    interface ethernet4/1\n  inherit port-profile PINNED\n\
    interface ethernet4/2\n  inherit port-profile PINNED\n";

const NOW: Now = Now { monotonic_ns: 1, unix_ns: 100_000_000_000 };

fn session(module: u16) -> SessionId {
    SessionId(u64::from(module))
}

fn port(name: &str) -> InterfaceName {
    name.parse().unwrap()
}

/// Two hosts with a vNIC each, which have reported nothing yet.
fn silent() -> State {
    let mut state = State::start(Saved::default()).unwrap();
    for module in [3, 4] {
        let nic = |number| Nic { number, ifname: format!("ens{number}") };
        let veth = VethId::new(u32::from(module)).unwrap();
        let attachment = Attachment {
            veth,
            vm: format!("vm{module}"),
            adapter: "eth0".to_owned(),
            mac: MacAddr::from_u64(0x0200_0000_0000 + u64::from(module)),
            profile: "WEB".parse::<Name>().unwrap(),
        };
        let hello = Hello {
            address: "test".to_owned(),
            host: HostId::new([u8::try_from(module).unwrap(); 16]),
            name: format!("h{module}"),
            version: "1".to_owned(),
            nics: vec![nic(1), nic(2)],
            revision: Revision::NONE,
            term: Term::new(0),
            attachments: vec![attachment],
        };
        drop(state.handle(NOW, Event::Hello(session(module), hello)));
    }
    let request = ApplyRequest { text: CONFIG.to_owned(), ..ApplyRequest::default() };
    drop(state.handle(NOW, Event::Apply(RequestId(1), request)));
    assert_eq!(state.config().0.profiles.len(), 3, "the configuration is taken");
    state
}

fn member(flag: MemberFlag, reason: &str, lacp: Option<LacpPort>) -> Member {
    Member { flag, reason: reason.to_owned(), since_unix_ns: 5, lacp: lacp.map(Box::new) }
}

fn neighbor(at: &str, protocol: Discovery, name: &str, port_id: &str) -> Neighbor {
    Neighbor {
        port: port(at),
        protocol,
        chassis_id: "0200.0000.0099".to_owned(),
        system_name: name.to_owned(),
        port_id: port_id.to_owned(),
        port_description: "swp7".to_owned(),
        platform: "a switch".to_owned(),
        capabilities: vec!["bridge".to_owned()],
        management_address: "192.0.2.1".to_owned(),
        native_vlan: 1,
        hold_time_s: 120,
        heard_unix_ns: 90_000_000_000,
        mtu_bytes: 0,
    }
}

fn pin(uplink: &str, preferred: &str, reason: &str) -> Pin {
    Pin {
        uplink: uplink.parse().ok(),
        preferred: preferred.parse().ok(),
        reason: reason.to_owned(),
        moves: 2,
        moved_unix_ns: 7,
        move_duration_ns: 900_000,
    }
}

fn lacp_report() -> Report {
    let partner = LacpInfo { key: 9, state: 0x3d, ..LacpInfo::default() };
    let lacp = LacpPort { partner, pdus_received: 12, ..LacpPort::default() };
    let silent = LacpPort { receive: "DEFAULTED".to_owned(), ..LacpPort::default() };
    let channel = ChannelReport {
        mode: "active".to_owned(),
        up: true,
        system: "8000,02-00-00-00-00-01".to_owned(),
        partner_system: "8000,02-00-00-00-00-99".to_owned(),
        members: [
            (port("Ethernet3/1"), member(MemberFlag::Bundled, "", Some(lacp))),
            (
                port("Ethernet3/2"),
                member(MemberFlag::Suspended, "the partner is silent", Some(silent)),
            ),
        ]
        .into(),
        ..ChannelReport::default()
    };
    Report {
        channels: [(1, channel)].into(),
        pins: [(port("Vethernet3"), pin("port-channel1", "", "port-channel"))].into(),
        neighbors: vec![
            neighbor("Ethernet3/1", Discovery::Cdp, "tor1", "Gi1/0/7"),
            neighbor("Ethernet3/1", Discovery::Lldp, "tor1", "02:00:00:00:00:77"),
        ],
        ..Report::default()
    }
}

fn pinned_report() -> Report {
    let members = ["Ethernet4/1", "Ethernet4/2"];
    let channel = ChannelReport {
        mode: "on mac-pinning".to_owned(),
        up: true,
        members: members.map(|p| (port(p), member(MemberFlag::Bundled, "", None))).into(),
        ..ChannelReport::default()
    };
    Report {
        channels: [(1, channel)].into(),
        pins: [
            (port("Vethernet4"), pin("Ethernet4/2", "Ethernet4/1", "backup")),
            // One that nobody knows.
            (port("Vethernet77"), pin("", "", "automatic")),
        ]
        .into(),
        neighbors: vec![neighbor("Ethernet4/2", Discovery::Cdp, "", "Gi1/0/8")],
        announcements: 12,
        ..Report::default()
    }
}

fn reported() -> State {
    let mut state = silent();
    for (module, report) in [(3, lacp_report()), (4, pinned_report())] {
        drop(state.handle(NOW, Event::Report(session(module), Box::new(report))));
    }
    state
}

fn offline() -> State {
    let mut state = reported();
    drop(state.handle(NOW, Event::Gone(session(3))));
    state
}

/// Flags, protocol and members of each channel.
fn summary(state: &State) -> Vec<String> {
    let channels = port_channels::port_channels(state).channels;
    let show = |channel: &rpc::PortChannel| {
        let members = channel.members.iter().map(|m| format!("{}({})", m.port, m.flag));
        let members = members.collect::<Vec<_>>().join(" ");
        let rpc::PortChannel { module, name, flags, protocol, .. } = channel;
        format!("{module} {name} {flags} {protocol} {members}")
    };
    channels.iter().map(show).collect()
}

#[test]
fn port_channels_are_those_of_the_hosts_and_of_the_configuration() {
    assert_eq!(
        summary(&silent()),
        [
            "3 port-channel1 SD LACP Ethernet3/1(D) Ethernet3/2(D)",
            "4 port-channel1 SD NONE Ethernet4/1(D) Ethernet4/2(D)",
        ]
    );
    let state = reported();
    assert_eq!(
        summary(&state),
        [
            "3 port-channel1 SU LACP Ethernet3/1(P) Ethernet3/2(s)",
            "4 port-channel1 SU NONE Ethernet4/1(P) Ethernet4/2(P)",
        ]
    );
    let reply = port_channels::port_channels(&state);
    let channel = &reply.channels[0];
    assert_eq!((channel.profile.as_str(), channel.mode.as_str()), ("LACP", "active"));
    assert_eq!((channel.reason.as_str(), channel.up), ("", true));
    assert_eq!(channel.partner_system, "8000,02-00-00-00-00-99");
    assert_eq!(channel.members[1].reason, "the partner is silent");
    let load_balance = reply.load_balance.unwrap();
    assert_eq!(load_balance.method, "source-dest-ip-port");
    assert_eq!(load_balance.non_ip, "source-dest-mac");
    assert_eq!(load_balance.fragments, "source-dest-ip");
}

#[test]
fn of_a_host_that_is_offline_the_last_is_known() {
    let state = offline();
    assert_eq!(summary(&state)[0], "3 port-channel1 SR LACP Ethernet3/1(R) Ethernet3/2(R)");
    let channel = &port_channels::port_channels(&state).channels[0];
    assert_eq!((channel.up, channel.module_status.as_str()), (true, "offline"));
    assert_eq!(channel.reason, "module 3 is offline, was up");
    let reason = &channel.members[1].reason;
    assert_eq!(reason, "module 3 is offline, was suspended: the partner is silent");
    let lacp = lacp::lacp(&state, NOW);
    assert_eq!((lacp.ports[0].flag.as_str(), lacp.ports[0].pdus_received), ("R", 12));
    assert_eq!(pinning::pinning(&state).pins[0].module_status, "offline");
    assert_eq!(topology::topology(&state).rows[0].links[0].flag, "R");
}

#[test]
fn lacp_has_both_sides_and_the_bits_of_their_states() {
    let reply = lacp::lacp(&reported(), NOW);
    let ports: Vec<(&str, &str)> =
        reply.ports.iter().map(|p| (p.port.as_str(), p.flag.as_str())).collect();
    assert_eq!(ports, [("Ethernet3/1", "P"), ("Ethernet3/2", "s")], "without LACP: not here");
    assert_eq!((reply.unix_time_ns, reply.ports[0].channel), (NOW.unix_ns, 1));
    let partner = reply.ports[0].partner.as_ref().unwrap();
    assert_eq!((partner.key, partner.state), (9, 0x3d));
    assert_eq!(
        partner.state_bits,
        ["activity", "aggregation", "synchronization", "collecting", "distributing"]
    );
}

#[test]
fn pins_have_their_vms() {
    let rpc::PinningReply { pins, announcements } = pinning::pinning(&reported());
    assert_eq!(
        announcements.iter().map(|a| (a.module, a.sent)).collect::<Vec<_>>(),
        [(3, 0), (4, 12)]
    );
    let shown: Vec<[&str; 4]> =
        pins.iter().map(|p| [&*p.port, &*p.owner, &*p.uplink, &*p.preferred]).collect();
    assert_eq!(
        shown,
        [
            ["Vethernet3", "vm3", "port-channel1", ""],
            ["Vethernet4", "vm4", "Ethernet4/2", "Ethernet4/1"],
            ["Vethernet77", "", "", ""],
        ]
    );
}

#[test]
fn neighbors_are_asked_for_by_protocol_and_by_port() {
    let state = reported();
    let heard = |protocol, only| {
        let reply = neighbors::neighbors(&state, NOW, protocol, only);
        let show = |n: rpc::Neighbor| format!("{} {} {}", n.port, n.adapter, n.protocol);
        reply.neighbors.into_iter().map(show).collect::<Vec<_>>()
    };
    let (lldp, cdp) = ("Ethernet3/1 ens1 LLDP", "Ethernet3/1 ens1 CDP");
    assert_eq!(heard(None, None), [lldp, cdp, "Ethernet4/2 ens2 CDP"]);
    assert_eq!(heard(Some(Discovery::Lldp), None), [lldp]);
    assert_eq!(heard(Some(Discovery::Cdp), Some(port("Ethernet3/1"))), [cdp]);
    assert!(heard(None, Some(port("Ethernet3/2"))).is_empty());
    assert_eq!(protocol_filter("lldp").unwrap(), Some(Discovery::Lldp));
    assert_eq!(protocol_filter("").unwrap(), None);
    assert!(protocol_filter("edp").unwrap_err().message().contains("`edp` is neither"));
}

#[test]
fn topology_joins_a_vm_with_the_switch_port_behind_it() {
    let rows = topology::topology(&reported()).rows;
    let shown: Vec<[&str; 5]> =
        rows.iter().map(|r| [&*r.vm, &*r.vethernet, &*r.vlan, &*r.host, &*r.uplink]).collect();
    assert_eq!(
        shown,
        [
            ["vm3", "Vethernet3", "10", "h3", "port-channel1"],
            ["vm4", "Vethernet4", "10", "h4", "Ethernet4/2"],
        ]
    );
    let links = |row: &rpc::TopologyRow| -> Vec<String> {
        let show = |l: &rpc::TopologyLink| {
            format!("{}({}) {} {}|{}", l.port, l.flag, l.protocol, l.switch, l.switch_port)
        };
        row.links.iter().map(show).collect()
    };
    // By LLDP, and an address is no name for a port.
    assert_eq!(links(&rows[0]), ["Ethernet3/1(P) LLDP tor1|swp7", "Ethernet3/2(s)  |"]);
    // A switch without a name is known by its identity.
    assert_eq!(links(&rows[1]), ["Ethernet4/2(P) CDP 0200.0000.0099|Gi1/0/8"]);

    let silent = topology::topology(&silent()).rows;
    assert_eq!((silent[0].uplink.as_str(), silent[0].links.len()), ("", 0));
}

#[test]
fn an_uplink_says_what_it_is_part_of_and_who_sends_by_it() {
    let state = reported();
    let of = |name| interfaces::interfaces(&state, Some(port(name))).remove(0);
    let one = of("Ethernet3/1");
    assert_eq!((one.channel, one.channel_mode.as_str()), (1, "active"));
    assert_eq!((one.channel_flag.as_str(), one.pinned), ("P", vec!["Vethernet3".to_owned()]));
    assert_eq!((one.neighbors.len(), one.lacp.map(|l| l.pdus_received)), (2, Some(12)));
    let two = of("Ethernet3/2");
    assert_eq!(two.channel_reason, "the partner is silent");
    let other = of("Ethernet4/1");
    assert_eq!((other.channel, other.pinned.len(), other.lacp), (1, 0, None));
    assert_eq!(of("Ethernet4/2").pinned, ["Vethernet4"]);
    let vethernet = of("Vethernet3");
    assert_eq!((vethernet.channel, vethernet.channel_flag.as_str()), (0, ""));
}

#[test]
fn an_event_of_a_host_is_shown_as_it_told_it() {
    let mut state = silent();
    let told = Told { kind: "repinned".to_owned(), unix_time_ns: 3, ..Told::default() };
    drop(state.handle(NOW, Event::Told(session(4), told)));
    let last = history::events(&state, 1).events.remove(0);
    assert_eq!((last.kind.as_str(), last.module, last.unix_time_ns), ("repinned", 4, 3));
    assert_eq!(last.severity, "warning", "as one that is not known");
}
