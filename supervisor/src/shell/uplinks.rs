//! `weft show` of uplinks: port-channels, LACP, pins, neighbors and topology.

use std::io::Write;

use proto::rpc::operator as rpc;
use proto::rpc::operator::operator_client::OperatorClient;
use tonic::transport::Channel;

use super::exec::print;
use super::grammar::{NeighborsView, ShowLacp, ShowNeighbors, ShowPortChannel, ShowUplinks};
use super::{Exit, ShellError, show};

/// Asks and prints.
pub(super) async fn show(
    client: &mut OperatorClient<Channel>,
    what: ShowUplinks,
    json: bool,
    out: &mut impl Write,
) -> Result<Exit, ShellError> {
    match what {
        ShowUplinks::PortChannel { what } => {
            let reply = client.port_channels(rpc::PortChannelsRequest {}).await?.into_inner();
            match what {
                ShowPortChannel::Summary => {
                    print(out, json, &reply, show::port_channel_summary::render)
                }
                ShowPortChannel::LoadBalance => {
                    let load_balance = reply.load_balance.unwrap_or_default();
                    print(out, json, &load_balance, show::port_channel_load_balance::render)
                }
            }
        }
        ShowUplinks::Lacp { what } => {
            let reply = client.lacp(rpc::LacpRequest {}).await?;
            let text = match what {
                ShowLacp::Neighbor => show::lacp_neighbor::render,
                ShowLacp::Counters => show::lacp_counters::render,
                ShowLacp::Internal => show::lacp_internal::render,
            };
            print(out, json, reply.get_ref(), text)
        }
        ShowUplinks::Pinning => {
            let reply = client.pinning(rpc::PinningRequest {}).await?;
            print(out, json, reply.get_ref(), show::pinning::render)
        }
        ShowUplinks::Lldp { what } => neighbors(client, "LLDP", what, json, out).await,
        ShowUplinks::Cdp { what } => neighbors(client, "CDP", what, json, out).await,
        ShowUplinks::Topology => {
            let reply = client.topology(rpc::TopologyRequest {}).await?;
            print(out, json, reply.get_ref(), show::topology::render)
        }
    }
}

async fn neighbors(
    client: &mut OperatorClient<Channel>,
    protocol: &str,
    what: ShowNeighbors,
    json: bool,
    out: &mut impl Write,
) -> Result<Exit, ShellError> {
    let request = rpc::NeighborsRequest { protocol: protocol.to_owned(), interface: String::new() };
    let reply = client.neighbors(request).await?;
    let ShowNeighbors::Neighbors { view } = what;
    let text = match view {
        None => show::neighbors::render,
        Some(NeighborsView::Detail) => show::neighbors_detail::render,
    };
    print(out, json, reply.get_ref(), text)
}
