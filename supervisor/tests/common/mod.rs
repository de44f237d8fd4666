//! What the tests of the running supervisor share: a daemon in this process, an operator, and a
//! dataplane that only speaks the protocol.

#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use proto::rpc::operator::operator_client::OperatorClient;
use proto::rpc::switch::switch_client::SwitchClient;
use proto::rpc::switch::{self as rpc, from_dataplane, to_dataplane};
use proto::rpc::{PROTOCOL_VERSION, TO_DATAPLANE_LEN_MAX, operator};
use supervisor::daemon::{self, DaemonError};
use supervisor::listen::{Listen, MESSAGE_LEN_MAX};
use supervisor::options::Options;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

/// How long anything may take before a test fails.
pub const SOON: Duration = Duration::from_secs(10);

/// A supervisor in this process, on Unix sockets in a directory.
pub struct Supervisor {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), DaemonError>>,
    admin: String,
    dataplane: String,
}

impl Supervisor {
    /// Starts one on the store of a directory, and waits until it answers.
    pub async fn start(directory: &Path) -> Self {
        let (admin, dataplane) = (directory.join("admin.sock"), directory.join("dataplane.sock"));
        let options = Options {
            data_dir: directory.join("data"),
            listen_admin: Listen::Unix(admin.clone()),
            listen_dataplane: Listen::Unix(dataplane.clone()),
        };
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(daemon::run(options, async move {
            stopped.await.ok();
        }));
        let unix = |path: &Path| format!("unix:{}", path.display());
        let supervisor = Self { stop, task, admin: unix(&admin), dataplane: unix(&dataplane) };
        until("the supervisor to answer", || async { connect(&supervisor.admin).await.ok() }).await;
        supervisor
    }

    /// Ends it in good order.
    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(SOON, self.task).await.expect("ends in time").unwrap().unwrap();
    }

    /// An operator.
    pub async fn operator(&self) -> Operator {
        let client = OperatorClient::new(connect(&self.admin).await.unwrap());
        Operator(client.max_decoding_message_size(MESSAGE_LEN_MAX))
    }

    /// A host that says hello.
    pub async fn host(&self, hello: rpc::Hello) -> Host {
        let (sender, outgoing) = mpsc::channel(64);
        let mut client = SwitchClient::new(connect(&self.dataplane).await.unwrap())
            .max_decoding_message_size(TO_DATAPLANE_LEN_MAX);
        let outgoing = ReceiverStream::new(outgoing);
        let incoming = client.session(outgoing).await.unwrap().into_inner();
        let mut host = Host { sender, incoming };
        host.say(from_dataplane::Body::Hello(hello)).await;
        host
    }
}

async fn connect(address: &str) -> Result<Channel, tonic::transport::Error> {
    Endpoint::from_shared(address.to_owned()).unwrap().connect().await
}

/// Asks until there is an answer; fails after [`SOON`].
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let found = async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, found).await.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

/// What an operator does.
#[derive(Clone)]
pub struct Operator(pub OperatorClient<Channel>);

impl Operator {
    /// Applies a text that has to be right.
    pub async fn apply(&self, text: &str) -> operator::ApplyReply {
        let reply = self.try_apply(text).await;
        assert_eq!(reply.problems, [], "{text}");
        reply
    }

    /// Applies a text.
    pub async fn try_apply(&self, text: &str) -> operator::ApplyReply {
        let request = operator::ApplyRequest { text: text.to_owned(), ..Default::default() };
        self.0.clone().apply(request).await.unwrap().into_inner()
    }

    /// The running configuration.
    pub async fn running(&self, revision: u64) -> operator::RunningConfigReply {
        let request = operator::RunningConfigRequest { revision };
        self.0.clone().running_config(request).await.unwrap().into_inner()
    }

    /// One module, as `show module` has it.
    pub async fn module(&self, number: u32) -> operator::Module {
        let reply = self.0.clone().modules(operator::ModulesRequest {}).await.unwrap();
        reply.into_inner().modules.into_iter().find(|m| m.module == number).expect("the module")
    }

    /// Waits until a module has a status.
    pub async fn wait_status(&self, number: u32, status: &str) -> operator::Module {
        until(&format!("module {number} to be {status}"), || async {
            let module = self.module(number).await;
            (module.status == status).then_some(module)
        })
        .await
    }
}

/// A dataplane that only speaks.
pub struct Host {
    sender: mpsc::Sender<rpc::FromDataplane>,
    incoming: Streaming<rpc::ToDataplane>,
}

/// The hello of host number `n`, with two NICs and nothing plugged in.
pub fn hello(n: u8) -> rpc::Hello {
    let nic = |number: u32| rpc::Nic {
        number,
        ifname: format!("ens{number}"),
        link_up: true,
        ..Default::default()
    };
    rpc::Hello {
        host_uuid: format!("00000000-0000-0000-0000-0000000000{n:02x}"),
        name: format!("h{n}"),
        version: "0.1.0".to_owned(),
        protocol: PROTOCOL_VERSION,
        nics: vec![nic(1), nic(2)],
        ..Default::default()
    }
}

impl Host {
    /// Says something.
    pub async fn say(&mut self, body: from_dataplane::Body) {
        self.sender.send(rpc::FromDataplane { body: Some(body) }).await.unwrap();
    }

    /// The next message that is not a ping; `None`: the session is over.
    pub async fn next(&mut self) -> Option<(u64, to_dataplane::Body)> {
        loop {
            let message = tokio::time::timeout(SOON, self.incoming.next()).await;
            let message = message.expect("a message in time")?.ok()?;
            match message.body.expect("a body") {
                to_dataplane::Body::Ping(_) => {}
                body => return Some((message.term, body)),
            }
        }
    }

    /// The welcome that has to come next: the module's number.
    pub async fn welcome(&mut self) -> u32 {
        match self.next().await {
            Some((_, to_dataplane::Body::Welcome(welcome))) => welcome.module,
            other => panic!("expected a welcome, got {other:?}"),
        }
    }

    /// The push that has to come next.
    pub async fn push(&mut self) -> rpc::Push {
        match self.next().await {
            Some((_, to_dataplane::Body::Push(push))) => push,
            other => panic!("expected a push, got {other:?}"),
        }
    }

    /// The whole state that has to be pushed next.
    pub async fn full(&mut self) -> (u64, rpc::HostIntent) {
        let push = self.push().await;
        match push.body {
            Some(rpc::push::Body::Full(intent)) => (push.revision, intent),
            other => panic!("expected a whole state, got {other:?}"),
        }
    }

    /// The difference that has to be pushed next.
    pub async fn delta(&mut self) -> (u64, rpc::HostDelta) {
        let push = self.push().await;
        match push.body {
            Some(rpc::push::Body::Delta(delta)) => (push.revision, delta),
            other => panic!("expected a difference, got {other:?}"),
        }
    }

    /// Forwards by a revision.
    pub async fn applied(&mut self, revision: u64) {
        self.say(from_dataplane::Body::Applied(rpc::Applied { revision, duration_ns: 1 })).await;
    }

    /// Refuses a revision.
    pub async fn rejected(&mut self, revision: u64, message: &str) {
        let path = "Vethernet1".to_owned();
        let problems = vec![rpc::Problem { path, message: message.to_owned() }];
        self.say(from_dataplane::Body::Rejected(rpc::Rejected { revision, problems })).await;
    }

    /// Asks for a port.
    pub async fn ask(&mut self, vm: &str, profile: &str, mac: &str) {
        let (vm, profile, mac) = (vm.to_owned(), profile.to_owned(), mac.to_owned());
        let adapter = "eth0".to_owned();
        let request = rpc::AttachRequest { request_id: 7, vm, adapter, profile, mac };
        self.say(from_dataplane::Body::Attach(request)).await;
    }
}
