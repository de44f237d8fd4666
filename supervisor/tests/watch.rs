//! Operators that follow events, over real sockets.

mod common;

use common::{Operator, SOON, Supervisor, hello};
use proto::rpc::operator::{Event, WatchEventsReply, WatchEventsRequest};
use proto::rpc::switch::{self as rpc, from_dataplane};
use tokio_stream::StreamExt;
use tonic::{Code, Status, Streaming};

async fn watch(operator: &Operator, last: u32) -> Streaming<WatchEventsReply> {
    operator.0.clone().watch_events(WatchEventsRequest { last }).await.unwrap().into_inner()
}

async fn next(stream: &mut Streaming<WatchEventsReply>) -> Result<WatchEventsReply, Status> {
    let next = tokio::time::timeout(SOON, stream.next()).await.expect("something in time");
    next.expect("an event or the reason why there is none")
}

/// The next event; none is missed.
async fn event(stream: &mut Streaming<WatchEventsReply>) -> Event {
    let reply = next(stream).await.unwrap();
    assert_eq!(reply.missed, 0);
    reply.event.expect("an event")
}

fn told(n: u64) -> from_dataplane::Body {
    from_dataplane::Body::Event(rpc::Event {
        unix_time_ns: n,
        severity: "warning".to_owned(),
        port: "Ethernet3/1".to_owned(),
        kind: "link-down".to_owned(),
        message: "x".repeat(500),
    })
}

#[tokio::test]
async fn events_arrive_as_they_happen_until_the_supervisor_ends() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(directory.path()).await;
    let operator = supervisor.operator().await;
    operator.apply("vlan 10\n").await;
    let (mut new, mut all) = (watch(&operator, 0).await, watch(&operator, 9).await);
    let before = event(&mut all).await;

    let mut host = supervisor.host(hello(1)).await;
    host.welcome().await;
    for stream in [&mut new, &mut all] {
        let online = event(stream).await;
        assert_eq!((online.kind.as_str(), online.module), ("module-online", 3));
        assert_ne!(online.kind, before.kind);
    }
    host.say(told(77)).await;
    let told = event(&mut new).await;
    assert_eq!((told.unix_time_ns, told.module, told.port.as_str()), (77, 3, "Ethernet3/1"));
    assert_eq!((told.severity.as_str(), told.kind.as_str()), ("warning", "link-down"));

    supervisor.stop().await;
    let end = loop {
        if let Err(end) = next(&mut new).await {
            break end;
        }
    };
    assert_eq!((end.code(), end.message()), (Code::Unavailable, "the supervisor is stopping"));
}

#[tokio::test]
async fn a_watcher_that_does_not_read_holds_nobody_up_and_learns_what_it_missed() {
    // Many times what transport and queue hold.
    const EVENTS: u64 = 20_000;
    let directory = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(directory.path()).await;
    let operator = supervisor.operator().await;
    // Connections of their own: calls of one connection share what may be under way.
    let mut slow = watch(&supervisor.operator().await, 0).await;
    let mut never = watch(&supervisor.operator().await, 0).await;
    let mut host = supervisor.host(hello(1)).await;
    host.welcome().await;
    for n in 1..=EVENTS {
        host.say(told(n)).await;
    }
    common::until("all events to be kept", || async {
        let request = proto::rpc::operator::EventsRequest { last: 1 };
        let reply = operator.0.clone().events(request).await.unwrap().into_inner();
        (reply.events[0].unix_time_ns == EVENTS).then_some(())
    })
    .await;

    assert_eq!(event(&mut slow).await.kind, "module-online");
    let (mut taken, mut missed) = (0, 0);
    while taken + missed < EVENTS {
        let reply = next(&mut slow).await.unwrap();
        missed += reply.missed;
        if let Some(event) = reply.event {
            taken += 1;
            assert_eq!(event.unix_time_ns, taken + missed, "in order, with what is missing said");
        }
    }
    assert!(missed > 0, "a queue without a bound");
    supervisor.stop().await;
    assert!(never.message().await.is_ok_and(|m| m.is_some()), "what was sent is there");
}

#[tokio::test]
async fn one_watcher_too_many_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::start(directory.path()).await;
    let mut open = Vec::new();
    let refusal = loop {
        assert!(open.len() <= 64);
        // Each with a connection of its own: one connection has its own limit of open calls.
        let operator = supervisor.operator().await;
        match operator.0.clone().watch_events(WatchEventsRequest::default()).await {
            Ok(stream) => open.push(stream),
            Err(status) => break status,
        }
    };
    assert_eq!((open.len(), refusal.code()), (64, Code::ResourceExhausted));
    drop(open);
    let operator = supervisor.operator().await;
    let request = WatchEventsRequest::default();
    common::until("a place", || async { operator.0.clone().watch_events(request).await.ok() })
        .await;
    supervisor.stop().await;
}
