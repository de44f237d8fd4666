//! What is large, and what is absurd: states near every limit, and dataplanes that lie.

mod common;

use common::{Operator, Supervisor, hello};
use proto::MacAddr;
use proto::rpc::switch::{self as rpc, from_dataplane};

/// An access list whose printed form has about so many bytes.
fn list(name: &str, entries: usize) -> String {
    let entry = |n: usize| {
        let (a, b) = (n / 250, n % 250);
        format!(
            "  {} permit tcp 10.{a}.{b}.0 0.0.0.255 range 1000 {} \
             10.{b}.{a}.0 0.0.0.255 range 2000 3000 established log\n",
            10 * n + 10,
            2000 + n
        )
    };
    let entries: String = (0..entries).map(entry).collect();
    format!("ip access-list {name}\n{entries}")
}

fn attachment(n: u32, vm: &str) -> rpc::Attachment {
    with_mac(n, vm, MacAddr::from_u64(0x0200_0000_0000 + u64::from(n)))
}

fn with_mac(n: u32, vm: &str, mac: MacAddr) -> rpc::Attachment {
    rpc::Attachment {
        vethernet: n,
        vm: vm.to_owned(),
        adapter: "eth0".to_owned(),
        mac: mac.to_string(),
        profile: "P".to_owned(),
        ..Default::default()
    }
}

async fn bindings(operator: &Operator) -> usize {
    let request = proto::rpc::operator::InterfacesRequest::default();
    let reply = operator.0.clone().interfaces(request).await.unwrap().into_inner();
    reply.interfaces.iter().filter(|i| i.name.starts_with("Vethernet")).count()
}

#[tokio::test]
async fn a_configuration_that_could_not_be_read_again_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(directory.path()).await;
    let operator = supervisor.operator().await;
    let mut refusal = None;
    for n in 0..16 {
        let reply = operator.try_apply(&list(&format!("L{n}"), 16_000)).await;
        if let [problem] = &reply.problems[..] {
            refusal = Some((n, problem.message.clone()));
            break;
        }
        assert_eq!(reply.problems, []);
    }
    let (lists, message) = refusal.expect("there is a limit");
    assert!(message.starts_with("the configuration would be "), "{message}");
    let before = operator.running(0).await;
    supervisor.stop().await;
    let supervisor = Supervisor::start(directory.path()).await;
    let after = supervisor.operator().await.running(0).await;
    assert!(after.text == before.text, "{lists} lists come back");
    supervisor.stop().await;
}

#[tokio::test]
async fn a_state_larger_than_the_default_limit_of_grpc_reaches_the_host() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(directory.path()).await;
    let operator = supervisor.operator().await;
    let mut text = "port-profile type vethernet P\n  no shutdown\n  state enabled\n".to_owned();
    for n in 0..64 {
        text += &list(&format!("L{n}"), 1000);
        text += &format!("interface vethernet {}\n  ip port access-group L{n} in\n", n + 1);
    }
    operator.apply(&text).await;
    let attachments = (1..=1000).map(|n| attachment(n, &format!("vm{n}"))).collect();
    let mut host = supervisor.host(rpc::Hello { attachments, ..hello(1) }).await;
    host.welcome().await;
    let (revision, intent) = host.full().await;
    assert_eq!((intent.ports.len(), intent.access_lists.len()), (1000, 64));
    assert!(intent.access_lists.iter().all(|list| list.entries.len() == 1000));
    host.applied(revision).await;
    operator.wait_status(3, "ok").await;
    supervisor.stop().await;
}

#[tokio::test]
async fn a_host_that_claims_what_cannot_be_does_not_lock_the_operator_out() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(directory.path()).await;
    let operator = supervisor.operator().await;
    operator.apply("port-profile type vethernet P\n  no shutdown\n  state enabled\n").await;
    // One address twice in one VLAN of one host, and a profile that is not there.
    let same = with_mac(2, "vm2", MacAddr::from_u64(0x0200_0000_0001));
    let foreign = rpc::Attachment { profile: "NONE".to_owned(), ..attachment(3, "vm3") };
    let attachments = vec![attachment(1, "vm1"), same, foreign];
    let mut host = supervisor.host(rpc::Hello { attachments, ..hello(1) }).await;
    host.welcome().await;
    let (revision, _) = host.full().await;
    host.rejected(revision, "one address twice").await;
    operator.apply("vlan 99\n").await;
    operator.apply("port-profile P\n  mtu 9000\n").await;
    let reply = operator.try_apply("no port-profile P\n").await;
    assert!(reply.problems[0].message.contains("in use by Vethernet1"), "{:?}", reply.problems);
    supervisor.stop().await;
}

#[tokio::test]
async fn a_hello_with_more_vnics_than_a_host_has_ports_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(directory.path()).await;
    let operator = supervisor.operator().await;
    let attachments = (1..=50_000).map(|n| attachment(n, &format!("vm{n}"))).collect();
    let mut host = supervisor.host(rpc::Hello { attachments, ..hello(1) }).await;
    assert!(host.next().await.is_none(), "the session is over");
    assert_eq!(bindings(&operator).await, 0);
    supervisor.stop().await;
}

#[tokio::test]
async fn a_hello_cannot_give_a_vnic_two_numbers_or_a_name_that_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(directory.path()).await;
    let operator = supervisor.operator().await;
    operator.apply("port-profile type vethernet P\n  no shutdown\n  state enabled\n").await;
    let group = with_mac(7, "vm7", MacAddr::BROADCAST);
    let attachments = vec![
        attachment(1, "vm1"),
        attachment(2, "vm1"),
        attachment(1, "vm2"),
        attachment(3, ""),
        attachment(4, "two words"),
        attachment(5, &"x".repeat(65)),
        attachment(6, "\u{202e}"),
        group,
    ];
    let mut host = supervisor.host(rpc::Hello { attachments, ..hello(1) }).await;
    host.welcome().await;
    let (revision, intent) = host.full().await;
    host.say(from_dataplane::Body::Applied(rpc::Applied { revision, duration_ns: 1 })).await;
    let names: Vec<&str> = intent.ports.iter().map(|port| port.name.as_str()).collect();
    assert_eq!(names, ["Vethernet1"]);
    assert_eq!(bindings(&operator).await, 1);
    supervisor.stop().await;
}
