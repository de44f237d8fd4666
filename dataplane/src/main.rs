//! `weft-dataplane`: the daemon of one host, and the command that plugs vNICs into it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use dataplane::daemon::{self, Options};
use proto::rpc::local;
use proto::rpc::local::local_client::LocalClient;
use tonic::transport::{Channel, Endpoint};

/// The dataplane of one host of a Weft switch.
#[derive(Debug, Parser)]
#[command(name = "weft-dataplane", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon.
    Run(Box<Options>),
    /// Plug a vNIC into the switch.
    Attach(Attach),
    /// Unplug a vNIC.
    Detach(Detach),
    /// Show ports and counters of this host.
    Status(Status),
}

#[derive(Debug, Args)]
struct Socket {
    /// The daemon's local socket.
    #[arg(long, env = "WEFT_DATAPLANE_SOCKET", default_value = "/run/weft/dataplane.sock")]
    socket: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Attach {
    #[command(flatten)]
    socket: Socket,
    /// The port-profile, of type vethernet.
    #[arg(long)]
    profile: String,
    /// The VM.
    #[arg(long)]
    vm: String,
    /// The vNIC in the VM [default: the interface's name].
    #[arg(long)]
    adapter: Option<String>,
    /// tap: a new TAP netdev; afxdp: an existing interface of this host.
    #[arg(long, default_value = "tap")]
    kind: String,
    /// Network namespace that gets the TAP netdev: a name under /run/netns or an absolute path.
    #[arg(long, default_value = "")]
    netns: String,
    /// Name of the netdev.
    #[arg(long)]
    ifname: String,
    /// MAC address [default: one that the supervisor allots].
    #[arg(long, default_value = "")]
    mac: String,
    /// An IPv4 address of the vNIC, to be announced by ARP when the vNIC moves; may be repeated.
    #[arg(long = "ip", value_name = "ADDRESS")]
    ipv4: Vec<std::net::Ipv4Addr>,
    /// MTU of the netdev [default: that of the port-profile].
    #[arg(long, default_value_t = 0)]
    mtu: u32,
}

#[derive(Debug, Args)]
struct Detach {
    #[command(flatten)]
    socket: Socket,
    /// The VM.
    #[arg(long)]
    vm: String,
    /// The vNIC in the VM.
    #[arg(long, alias = "ifname")]
    adapter: String,
}

#[derive(Debug, Args)]
struct Status {
    #[command(flatten)]
    socket: Socket,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weft-dataplane: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Run(options) => Ok(daemon::run(*options)?),
        Command::Attach(attach) => ask(attach_vnic(attach)),
        Command::Detach(detach) => ask(detach_vnic(detach)),
        Command::Status(status) => ask(show_status(status)),
    }
}

fn ask(request: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start")?.block_on(request)
}

async fn attach_vnic(attach: Attach) -> Result<()> {
    let mut client = connect(&attach.socket).await?;
    let request = local::AttachRequest {
        vm: attach.vm,
        adapter: attach.adapter.unwrap_or_else(|| attach.ifname.clone()),
        profile: attach.profile,
        mac: attach.mac,
        kind: attach.kind,
        netns: attach.netns,
        ifname: attach.ifname,
        mtu_bytes: attach.mtu,
        ipv4: attach.ipv4.iter().map(ToString::to_string).collect(),
    };
    let reply = client.attach(request).await.map_err(refused)?.into_inner();
    if attach.socket.json {
        let json = serde_json::json!({
            "vethernet": reply.vethernet, "mac": reply.mac, "netdev": reply.netdev, "note": reply.note,
        });
        println!("{json}");
        return Ok(());
    }
    println!("Vethernet{} {} {}", reply.vethernet, reply.mac, reply.netdev);
    if !reply.note.is_empty() {
        eprintln!("note: {}", reply.note);
    }
    Ok(())
}

async fn detach_vnic(detach: Detach) -> Result<()> {
    let mut client = connect(&detach.socket).await?;
    let request = local::DetachRequest { vm: detach.vm, adapter: detach.adapter };
    client.detach(request).await.map_err(refused)?;
    Ok(())
}

async fn show_status(status: Status) -> Result<()> {
    let mut client = connect(&status.socket).await?;
    let reply = client.status(local::StatusRequest {}).await.map_err(refused)?.into_inner();
    let rendered = if status.socket.json {
        dataplane::status::json(&reply).to_string()
    } else {
        dataplane::status::table(&reply)
    };
    println!("{rendered}");
    Ok(())
}

async fn connect(socket: &Socket) -> Result<LocalClient<Channel>> {
    let context = || format!("no daemon answers at {}", socket.socket.display());
    let endpoint = Endpoint::from_shared(format!("unix://{}", socket.socket.display()));
    let channel = endpoint.with_context(context)?.connect().await.with_context(context)?;
    Ok(LocalClient::new(channel))
}

/// What the daemon said, without the transport's words around it.
fn refused(status: tonic::Status) -> anyhow::Error {
    anyhow::anyhow!("{}", status.message())
}
