//! A command line from its words to its exit code.

use std::io::{self, Write};

use clap::{CommandFactory, Parser};
use proto::rpc::operator as rpc;
use proto::rpc::operator::operator_client::OperatorClient;
use serde::Serialize;
use tonic::transport::Channel;

use super::grammar::{Command, InterfaceView, Show, ShowArguments, ShowMac, Weft, interface_words};
use super::{Exit, ShellError, apply, client, show, uplinks};

/// Runs `weft` with the arguments of the process. Wrong usage ends the process in clap, with 2.
#[must_use]
pub fn run() -> Exit {
    let weft = Weft::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&ShellError::Output(error)),
    };
    match runtime.block_on(execute(weft)) {
        Ok(exit) => exit,
        Err(error) => failed(&error),
    }
}

fn failed(error: &ShellError) -> Exit {
    let exit = error.exit();
    if exit != Exit::Done {
        let text = error.to_string();
        let prefix = if text.starts_with("error: ") { "" } else { "error: " };
        eprintln!("{prefix}{text}");
    }
    exit
}

async fn execute(weft: Weft) -> Result<Exit, ShellError> {
    let mut out = io::stdout().lock();
    if let Command::Completions { shell } = weft.command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Weft::command(), "weft", &mut script);
        out.write_all(&script)?;
        return Ok(Exit::Done);
    }
    let mut client = client::connect(&weft.server).await?;
    match weft.command {
        Command::Apply(arguments) => apply::apply(&mut client, arguments, &mut out).await,
        Command::Diff(arguments) => apply::diff(&mut client, arguments, &mut out).await,
        Command::Show(arguments) => show(&mut client, arguments, &mut out).await,
        Command::Completions { .. } => Ok(Exit::Done),
    }
}

/// Prints a reply, as JSON or as `text` makes it.
pub(super) fn print<T: Serialize>(
    out: &mut impl Write,
    is_json: bool,
    reply: &T,
    text: impl FnOnce(&T) -> String,
) -> Result<Exit, ShellError> {
    if is_json {
        writeln!(out, "{}", serde_json::to_string_pretty(reply)?)?;
    } else {
        out.write_all(text(reply).as_bytes())?;
    }
    out.flush()?;
    Ok(Exit::Done)
}

async fn show(
    client: &mut OperatorClient<Channel>,
    arguments: ShowArguments,
    out: &mut impl Write,
) -> Result<Exit, ShellError> {
    let json = arguments.json;
    match arguments.what {
        Show::RunningConfig { revision } => {
            let reply = client.running_config(rpc::RunningConfigRequest { revision }).await?;
            print(out, json, reply.get_ref(), |reply| reply.text.clone())
        }
        Show::Module => {
            let reply = client.modules(rpc::ModulesRequest {}).await?;
            print(out, json, reply.get_ref(), show::module::render)
        }
        Show::Interface { words } => {
            let (name, view) = interface_words(&words);
            let reply = client.interfaces(rpc::InterfacesRequest { name }).await?;
            let text = match view {
                InterfaceView::Full => show::interface::render,
                InterfaceView::Brief => show::interface_brief::render,
                InterfaceView::Counters => show::interface_counters::render,
            };
            print(out, json, reply.get_ref(), text)
        }
        Show::PortProfile { name } => {
            let is_one = name.is_some();
            let request = rpc::PortProfilesRequest { name: name.unwrap_or_default() };
            let reply = client.port_profiles(request).await?;
            let text = match is_one {
                true => show::port_profile::render,
                false => show::port_profile::render_list,
            };
            print(out, json, reply.get_ref(), text)
        }
        Show::Vlan => {
            let reply = client.vlans(rpc::VlansRequest {}).await?;
            print(out, json, reply.get_ref(), show::vlan::render)
        }
        Show::Mac { what: ShowMac::AddressTable { module } } => {
            let request = rpc::MacAddressTableRequest { module };
            let reply = client.mac_address_table(request).await?;
            print(out, json, reply.get_ref(), show::mac_address_table::render)
        }
        Show::AccessLists { name } => {
            let request = rpc::AccessListsRequest { name: name.unwrap_or_default() };
            let reply = client.access_lists(request).await?;
            print(out, json, reply.get_ref(), show::access_lists::render)
        }
        Show::Drops { interface, by_interface } => {
            let interface = interface.unwrap_or_default();
            let reply = client.drops(rpc::DropsRequest { interface, by_interface }).await?;
            print(out, json, reply.get_ref(), show::drops::render)
        }
        Show::Logging { last, follow: false } => {
            let reply = client.events(rpc::EventsRequest { last }).await?;
            print(out, json, reply.get_ref(), show::logging::render)
        }
        Show::Logging { last, follow: true } => follow(client, last, json, out).await,
        Show::Revisions { last } => {
            let reply = client.revisions(rpc::RevisionsRequest { last }).await?;
            print(out, json, reply.get_ref(), show::revisions::render)
        }
        Show::Uplinks(what) => uplinks::show(client, what, json, out).await,
    }
}

/// Prints events until the supervisor ends.
async fn follow(
    client: &mut OperatorClient<Channel>,
    last: u32,
    is_json: bool,
    out: &mut impl Write,
) -> Result<Exit, ShellError> {
    let mut events = client.watch_events(rpc::WatchEventsRequest { last }).await?.into_inner();
    while let Some(reply) = events.message().await? {
        if is_json {
            writeln!(out, "{}", serde_json::to_string(&reply)?)?;
        } else {
            out.write_all(show::logging::watched(&reply).as_bytes())?;
        }
        out.flush()?;
    }
    Ok(Exit::Done)
}
