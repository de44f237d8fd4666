//! A supervisor, an operator and dataplanes that speak the protocol, over real sockets.

mod common;

use common::{Host, Operator, Supervisor, hello};
use proto::rpc::operator;
use proto::rpc::switch::{self as rpc, attach_reply, from_dataplane, to_dataplane};

const SITE: &str = "vlan 10,20\n\
    port-profile type vethernet WEB\n  switchport access vlan 10\n  no shutdown\n  state enabled\n\
    port-profile type ethernet UP\n  switchport mode trunk\n  state enabled\n\
    interface ethernet3/1\n  inherit port-profile UP\n";

/// A host that is online and forwards by whatever there is.
async fn online(supervisor: &Supervisor, hello: rpc::Hello) -> (Host, u32, rpc::HostIntent) {
    let mut host = supervisor.host(hello).await;
    let module = host.welcome().await;
    let (revision, intent) = host.full().await;
    host.applied(revision).await;
    (host, module, intent)
}

fn names(intent: &rpc::HostIntent) -> Vec<&str> {
    intent.ports.iter().map(|port| port.name.as_str()).collect()
}

async fn granted(host: &mut Host) -> rpc::AttachGranted {
    loop {
        match host.next().await.expect("an answer").1 {
            to_dataplane::Body::AttachReply(reply) => match reply.result {
                Some(attach_reply::Result::Granted(granted)) => return granted,
                other => panic!("expected a port, got {other:?}"),
            },
            to_dataplane::Body::Push(push) => host.applied(push.revision).await,
            other => panic!("expected an answer, got {other:?}"),
        }
    }
}

async fn refused(host: &mut Host) -> String {
    match host.next().await {
        Some((_, to_dataplane::Body::AttachReply(reply))) => match reply.result {
            Some(attach_reply::Result::Refused(why)) => why,
            other => panic!("expected a refusal, got {other:?}"),
        },
        other => panic!("expected an answer, got {other:?}"),
    }
}

#[tokio::test]
async fn configuration_goes_in_and_comes_out_at_the_host_it_concerns() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(directory.path()).await;
    let operator = supervisor.operator().await;
    let (mut first, module, intent) = online(&supervisor, hello(1)).await;
    assert_eq!((module, names(&intent)), (3, vec![]), "no NIC is configured yet");
    let (_second, module, _) = online(&supervisor, hello(2)).await;
    assert_eq!(module, 4);
    operator.wait_status(3, "ok").await;
    let second_before = operator.wait_status(4, "ok").await;

    let host = tokio::spawn(async move {
        let (revision, delta) = first.delta().await;
        first.applied(revision).await;
        (first, revision, delta)
    });
    let reply = operator.apply(SITE).await;
    let (_first, revision, delta) = host.await.unwrap();
    assert_eq!(reply.revision, revision);
    assert_eq!(delta.ports.len(), 1, "only the port that changes: {delta:?}");
    assert_eq!(delta.ports[0].name, "Ethernet3/1");
    let vlans: Vec<u32> = delta.vlans.iter().map(|v| v.id).collect();
    assert_eq!(vlans, [1, 10, 20]);
    let outcomes: Vec<(u32, &str)> =
        reply.modules.iter().map(|m| (m.module, m.outcome.as_str())).collect();
    assert_eq!(outcomes, [(3, "applied"), (4, "unchanged")]);
    assert_eq!(reply.ports.len(), 1);
    assert_eq!(operator.module(3).await.target_revision, revision);
    assert_eq!(operator.module(4).await.target_revision, second_before.target_revision);
    assert!(operator.running(0).await.text.contains("port-profile type vethernet WEB"));
    supervisor.stop().await;
}

#[tokio::test]
async fn a_refusal_is_shown_and_does_not_stick() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(directory.path()).await;
    let operator = supervisor.operator().await;
    let (mut host, ..) = online(&supervisor, hello(1)).await;
    operator.wait_status(3, "ok").await;
    let host = tokio::spawn(async move {
        let (revision, _) = host.delta().await;
        host.rejected(revision, "as a difference").await;
        // A refused difference comes again whole, before it counts.
        let (again, _) = host.full().await;
        assert_eq!(again, revision);
        host.rejected(revision, "the NIC is on fire").await;
        host
    });
    let reply = operator.apply(SITE).await;
    let mut host = host.await.unwrap();
    assert_eq!(reply.modules[0].outcome, "rejected");
    assert_eq!(reply.modules[0].problems, ["Vethernet1: the NIC is on fire"]);
    let module = operator.wait_status(3, "rejected").await;
    assert_eq!(module.problems, ["Vethernet1: the NIC is on fire"]);
    assert!(module.running_revision < module.target_revision);

    let applied = tokio::spawn(async move {
        let (revision, _) = host.full().await;
        host.applied(revision).await;
        host
    });
    let reply = operator.apply("interface ethernet3/1\n  mtu 9000\n").await;
    assert_eq!(reply.modules[0].outcome, "applied");
    assert_eq!(operator.wait_status(3, "ok").await.problems, Vec::<String>::new());
    drop(applied.await.unwrap());
    supervisor.stop().await;
}

#[tokio::test]
async fn a_vnic_keeps_its_number_wherever_it_goes() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(directory.path()).await;
    let operator = supervisor.operator().await;
    let (mut first, ..) = online(&supervisor, hello(1)).await;
    let (mut second, ..) = online(&supervisor, hello(2)).await;
    operator.wait_status(4, "ok").await;
    operator.apply("port-profile type vethernet WEB\n  state enabled\n").await;

    first.ask("vm1", "WEB", "").await;
    let one = granted(&mut first).await;
    assert_eq!((one.vethernet, one.mac.as_str()), (1, "02:57:46:00:00:01"));
    let (revision, delta) = first.delta().await;
    assert_eq!((revision, delta.ports[0].name.as_str()), (one.revision, "Vethernet1"));
    first.applied(revision).await;
    first.ask("vm2", "WEB", "0200.0000.0099").await;
    let two = granted(&mut first).await;
    assert_eq!((two.vethernet, two.mac.as_str()), (2, "02:00:00:00:00:99"));
    let (revision, _) = first.delta().await;
    first.applied(revision).await;

    // It moves: the new host gets it, the old one loses it.
    second.ask("vm1", "WEB", "").await;
    assert_eq!(granted(&mut second).await.vethernet, 1);
    let (revision, delta) = second.delta().await;
    assert_eq!(delta.ports[0].name, "Vethernet1");
    second.applied(revision).await;
    let (revision, delta) = first.delta().await;
    assert_eq!(delta.removed_ports, ["Vethernet1"]);
    first.applied(revision).await;

    // Plugged out and in again, with the number and the address of before.
    let detach = rpc::DetachRequest { request_id: 8, vethernet: 1 };
    second.say(from_dataplane::Body::Detach(detach)).await;
    match second.next().await {
        Some((_, to_dataplane::Body::DetachReply(reply))) => assert_eq!(reply.refused, ""),
        other => panic!("expected an answer, got {other:?}"),
    }
    let (revision, delta) = second.delta().await;
    assert_eq!(delta.removed_ports, ["Vethernet1"]);
    second.applied(revision).await;
    first.ask("vm1", "WEB", "").await;
    let again = granted(&mut first).await;
    assert_eq!((again.vethernet, again.mac), (1, one.mac));
    supervisor.stop().await;
}

#[tokio::test]
async fn an_attach_that_cannot_be_is_refused_with_a_reason() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(directory.path()).await;
    let operator = supervisor.operator().await;
    let (mut host, ..) = online(&supervisor, hello(1)).await;
    operator.wait_status(3, "ok").await;
    operator.apply("port-profile type vethernet WEB\n  state enabled\n").await;
    for (vm, profile, mac, reason) in [
        ("vm1", "WEBB", "", "port-profile `WEBB` is not defined"),
        ("vm1", "no good", "", "is not a name"),
        ("", "WEB", "", "is not the name of a VM"),
        ("vm1", "WEB", "01:00:00:00:00:01", "group address"),
        ("vm1", "WEB", "zz", "not a MAC address"),
    ] {
        host.ask(vm, profile, mac).await;
        let why = refused(&mut host).await;
        assert!(why.contains(reason), "{why}");
    }
    host.ask("vm1", "WEB", "02:00:00:00:00:01").await;
    granted(&mut host).await;
    let (revision, _) = host.delta().await;
    host.applied(revision).await;
    host.ask("vm2", "WEB", "02:00:00:00:00:01").await;
    let why = refused(&mut host).await;
    assert!(why.contains("is the address of Vethernet1 (VM vm1) in VLAN 1"), "{why}");
    supervisor.stop().await;
}

#[tokio::test]
async fn a_host_that_comes_back_gets_the_whole_state_and_its_ports_are_compared() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(directory.path()).await;
    let operator = supervisor.operator().await;
    let (mut host, ..) = online(&supervisor, hello(1)).await;
    operator.wait_status(3, "ok").await;
    operator.apply("port-profile type vethernet WEB\n  state enabled\n").await;
    for vm in ["vm1", "vm2"] {
        host.ask(vm, "WEB", "").await;
        granted(&mut host).await;
        let (revision, _) = host.delta().await;
        host.applied(revision).await;
    }
    let held = operator.wait_status(3, "ok").await.target_revision;
    drop(host);
    operator.wait_status(3, "offline").await;

    // vm2 was plugged out while nobody listened.
    let attachment = rpc::Attachment {
        vethernet: 1,
        vm: "vm1".to_owned(),
        adapter: "eth0".to_owned(),
        mac: "02:57:46:00:00:01".to_owned(),
        profile: "WEB".to_owned(),
        kind: "tap".to_owned(),
        link_up: true,
    };
    let back = rpc::Hello { revision: held, attachments: vec![attachment], ..hello(1) };
    let (_host, module, intent) = online(&supervisor, back).await;
    assert_eq!(module, 3);
    assert_eq!(names(&intent), ["Vethernet1"]);
    operator.wait_status(3, "ok").await;
    supervisor.stop().await;
}

#[tokio::test]
async fn a_port_that_no_host_has_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(directory.path()).await;
    let operator = supervisor.operator().await;
    let (_host, ..) = online(&supervisor, hello(1)).await;
    let text = "interface eth3/7\ninterface eth9/1\ninterface veth5\n";
    operator.apply(text).await;
    let request = operator::InterfacesRequest { name: String::new() };
    let reply = operator.0.clone().interfaces(request).await.unwrap().into_inner();
    let ports: Vec<[&str; 4]> =
        reply.interfaces.iter().map(|i| [&*i.name, &*i.admin, &*i.status, &*i.reason]).collect();
    assert_eq!(
        ports,
        [
            ["Ethernet3/1", "down", "down", "not configured: left to the host"],
            ["Ethernet3/2", "down", "down", "not configured: left to the host"],
            ["Ethernet3/7", "up", "down", "absent: module 3 has no NIC 7"],
            ["Ethernet9/1", "up", "down", "absent: module 9 has never come"],
            ["Vethernet5", "up", "down", "absent: no vNIC has this number"],
        ]
    );
    supervisor.stop().await;
}

#[tokio::test]
async fn a_second_hello_of_a_host_ends_the_first_session() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(directory.path()).await;
    let (mut old, ..) = online(&supervisor, hello(1)).await;
    let (_new, module, _) = online(&supervisor, hello(1)).await;
    assert_eq!(module, 3);
    assert!(old.next().await.is_none());
    let operator = supervisor.operator().await;
    operator.wait_status(3, "ok").await;
    let events = operator.0.clone().events(operator::EventsRequest { last: 0 }).await.unwrap();
    assert!(events.into_inner().events.iter().any(|e| e.kind == "session-replaced"));
    supervisor.stop().await;
}

#[tokio::test]
async fn another_protocol_or_no_hello_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(directory.path()).await;
    let mut host = supervisor.host(rpc::Hello { protocol: 99, ..hello(1) }).await;
    assert!(host.next().await.is_none());
    let mut host = supervisor.host(rpc::Hello { host_uuid: "x".to_owned(), ..hello(1) }).await;
    assert!(host.next().await.is_none());
    supervisor.stop().await;
}

#[tokio::test]
async fn a_restart_keeps_everything_and_the_term_grows() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(directory.path()).await;
    let operator = supervisor.operator().await;
    operator.apply(SITE).await;
    operator.apply("vlan 30\n").await;
    let before = operator.running(0).await;
    let (mut host, ..) = online(&supervisor, hello(2)).await;
    // A session does not keep it from ending.
    supervisor.stop().await;
    assert!(host.next().await.is_none());

    let supervisor = Supervisor::start(directory.path()).await;
    let operator = supervisor.operator().await;
    assert_eq!(operator.running(0).await, before);
    assert!(!operator.running(before.revision - 1).await.text.contains("30"));
    let mut host = supervisor.host(hello(2)).await;
    let (term, _) = host.next().await.unwrap();
    assert_eq!(term, 2);
    let (_, module) = (host.full().await, operator.module(3).await);
    assert_eq!(module.name, "h2");
    supervisor.stop().await;
}

#[tokio::test]
async fn a_store_that_went_back_in_time_goes_on_above_what_hosts_hold() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(directory.path()).await;
    let ahead = rpc::Hello { revision: 500, term: 40, ..hello(1) };
    let mut host = supervisor.host(ahead).await;
    let (term, _) = host.next().await.unwrap();
    assert_eq!(term, 41);
    let (revision, _) = host.full().await;
    assert_eq!(revision, 501);
    supervisor.stop().await;
}

async fn problems(operator: &Operator, request: operator::ApplyRequest) -> Vec<operator::Problem> {
    operator.0.clone().apply(request).await.unwrap().into_inner().problems
}

#[tokio::test]
async fn a_wrong_configuration_changes_nothing_and_says_where() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(directory.path()).await;
    let operator = supervisor.operator().await;
    let first = operator.apply(SITE).await.revision;
    let wrong = operator.try_apply("vlan 30\nport-profile WEB\n  switchport acess vlan 30\n").await;
    assert_eq!((wrong.revision, wrong.problems.len()), (0, 1));
    let problem = &wrong.problems[0];
    assert_eq!((problem.line, problem.column, problem.length), (3, 14, 5));
    assert_eq!(problem.source_line, "  switchport acess vlan 30");
    assert_eq!(operator.running(0).await.revision, first);

    // On a dry run, and when there is nothing to change, nothing is committed.
    let dry =
        operator::ApplyRequest { text: "vlan 30".into(), dry_run: true, ..Default::default() };
    let dry = operator.0.clone().apply(dry).await.unwrap().into_inner();
    assert_eq!((dry.revision, dry.diff.len()), (0, 1));
    assert_eq!(operator.apply("vlan 10\n").await, operator::ApplyReply::default());
    assert_eq!(operator.running(0).await.revision, first);

    // Somebody else was faster.
    let late = operator::ApplyRequest {
        text: "vlan 40".into(),
        expected_revision: first + 1,
        ..Default::default()
    };
    let late = problems(&operator, late).await;
    assert!(late[0].message.contains("the running configuration is revision"), "{late:?}");

    // Replacing takes away what is left out.
    let replace = operator::ApplyRequest {
        text: "vlan 99\n".into(),
        replace: true,
        expected_revision: first,
        ..Default::default()
    };
    assert_eq!(problems(&operator, replace).await, []);
    assert_eq!(operator.running(0).await.text.trim(), "vlan 99");
    supervisor.stop().await;
}

#[tokio::test]
async fn counters_are_summed_and_the_last_known_ones_stay() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(directory.path()).await;
    let operator = supervisor.operator().await;
    operator
        .apply(
            "ip access-list L\n  10 permit tcp any any\n\
             port-profile type vethernet WEB\n  ip port access-group L in\n",
        )
        .await;
    let mut hosts = Vec::new();
    for n in [1, 2] {
        let (mut host, module, _) = online(&supervisor, hello(n)).await;
        let drop = |frames| rpc::DropCounter { reason: "acl-ingress".to_owned(), frames };
        let port = rpc::PortCounters {
            name: format!("Ethernet{module}/1"),
            link_up: true,
            rx_frames: 10,
            drops: vec![drop(4)],
            tx_drops: vec![drop(1)],
            ..Default::default()
        };
        let rule =
            |sequence, matches| rpc::RuleCounter { access_list: "L".to_owned(), sequence, matches };
        let counters = rpc::Counters {
            ports: vec![port],
            rules: vec![rule(10, 5), rule(0, 2)],
            revision: 1,
            ..Default::default()
        };
        host.say(from_dataplane::Body::Counters(counters)).await;
        hosts.push(host);
    }
    let lists = || async {
        let request = operator::AccessListsRequest { name: "L".to_owned() };
        let lists = operator.0.clone().access_lists(request).await.unwrap().into_inner().lists;
        let matches: Vec<u64> = lists[0].entries.iter().map(|e| e.matches).collect();
        (matches == [10, 4]).then_some(lists)
    };
    let shown = common::until("matches of both hosts", lists).await;
    assert_eq!(shown[0].bound, ["port-profile WEB in"]);
    drop(hosts);
    operator.wait_status(3, "offline").await;
    operator.wait_status(4, "offline").await;
    assert!(lists().await.is_some());
    let drops = |by_interface| {
        let request = operator::DropsRequest { by_interface, ..Default::default() };
        let mut client = operator.0.clone();
        async move { client.drops(request).await.unwrap().into_inner().drops }
    };
    let total: Vec<(String, u64)> =
        drops(false).await.into_iter().map(|d| (d.direction, d.frames)).collect();
    assert_eq!(total, [("rx".to_owned(), 8), ("tx".to_owned(), 2)]);
    let by_port = drops(true).await;
    assert_eq!((by_port.len(), by_port[0].interface.as_str()), (4, "Ethernet3/1"));
    supervisor.stop().await;
}

/// What a host with a port-channel by LACP and a switch behind it reports.
fn teamed(module: u32) -> rpc::Counters {
    let uplink = format!("Ethernet{module}/1");
    let partner = rpc::LacpInfo { system: "00:1b:54:c2:00:01".to_owned(), ..Default::default() };
    let member = rpc::Member {
        port: uplink.clone(),
        flag: "P".to_owned(),
        lacp: Some(rpc::LacpPort { partner: Some(partner), ..Default::default() }),
        ..Default::default()
    };
    let channel = rpc::PortChannel {
        number: 1,
        mode: "active".to_owned(),
        up: true,
        members: vec![member],
        ..Default::default()
    };
    let pin = rpc::Pin {
        port: "Vethernet1".to_owned(),
        uplink: "port-channel1".to_owned(),
        ..Default::default()
    };
    let neighbor = |port: &str, name: &str| rpc::Neighbor {
        port: port.to_owned(),
        protocol: "LLDP".to_owned(),
        system_name: name.to_owned(),
        port_id: "Ethernet1/7".to_owned(),
        ..Default::default()
    };
    rpc::Counters {
        channels: vec![channel],
        pins: vec![pin],
        // It hears nothing by the uplink of another host, whatever it says.
        neighbors: vec![neighbor(&uplink, "tor1"), neighbor("Ethernet9/1", "evil")],
        ..Default::default()
    }
}

#[tokio::test]
async fn the_way_from_a_vm_to_its_switch_port_is_shown_also_when_its_host_is_away() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(directory.path()).await;
    let operator = supervisor.operator().await;
    let (mut host, module, _) = online(&supervisor, hello(1)).await;
    operator.wait_status(module, "ok").await;
    operator.apply("port-profile type vethernet WEB\n  state enabled\n").await;
    host.ask("vm1", "WEB", "").await;
    granted(&mut host).await;
    let (revision, _) = host.delta().await;
    host.applied(revision).await;
    host.say(from_dataplane::Body::Counters(teamed(module))).await;

    let row = || async {
        let reply = operator.0.clone().topology(operator::TopologyRequest {}).await.unwrap();
        reply.into_inner().rows.into_iter().find(|row| !row.links.is_empty())
    };
    let shown = common::until("the way of vm1", row).await;
    assert_eq!((shown.vm.as_str(), shown.uplink.as_str()), ("vm1", "port-channel1"));
    let link = &shown.links[0];
    assert_eq!((link.port.as_str(), link.flag.as_str()), ("Ethernet3/1", "P"));
    assert_eq!((link.switch.as_str(), link.switch_port.as_str()), ("tor1", "Ethernet1/7"));
    let request = operator::NeighborsRequest::default();
    let heard = operator.0.clone().neighbors(request).await.unwrap().into_inner().neighbors;
    assert_eq!(heard.iter().map(|n| n.system_name.as_str()).collect::<Vec<_>>(), ["tor1"]);

    drop(host);
    operator.wait_status(module, "offline").await;
    let shown = row().await.expect("the last that is known");
    assert_eq!((shown.module_status.as_str(), shown.links[0].flag.as_str()), ("offline", "R"));
    let reply = operator.0.clone().port_channels(operator::PortChannelsRequest {}).await.unwrap();
    let channel = &reply.into_inner().channels[0];
    assert_eq!((channel.flags.as_str(), channel.up), ("SR", true));
    let reply = operator.0.clone().lacp(operator::LacpRequest {}).await.unwrap().into_inner();
    let partner = reply.ports[0].partner.as_ref().unwrap();
    assert_eq!(partner.system, "00:1b:54:c2:00:01");
    assert!(reply.unix_time_ns > 0);
    supervisor.stop().await;
}
