//! The operator's API: each rpc is one event or one question to the engine, and one is a stream.
//!
//! Where it sits: `weft` and other clients call it; it calls the engine. What a question answers is
//! in a file of its own, a pure function of the state.

mod access_lists;
mod apply;
mod counters;
mod history;
mod interfaces;
mod lacp;
mod macs;
mod modules;
mod neighbors;
mod pinning;
mod port_channels;
mod profiles;
mod topology;
mod vlans;
mod watch;

use std::pin::Pin;

use policy::config::Name;
use proto::InterfaceName;
use proto::rpc::operator as rpc;
use proto::rpc::operator::operator_server::Operator;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use crate::engine::{Handle, Stopped};
use crate::report::Discovery;

/// The service that operators call.
#[derive(Clone, Debug)]
pub struct OperatorService {
    engine: Handle,
}

impl OperatorService {
    /// The service of an engine.
    #[must_use]
    pub const fn new(engine: Handle) -> Self {
        Self { engine }
    }
}

type Reply<T> = Result<Response<T>, Status>;

fn stopped(error: Stopped) -> Status {
    Status::unavailable(error.to_string())
}

/// An interface as an operator names it; empty: all.
fn interface_filter(name: &str) -> Result<Option<InterfaceName>, Status> {
    if name.is_empty() {
        return Ok(None);
    }
    name.parse().map(Some).map_err(|e: proto::TypeError| Status::invalid_argument(e.to_string()))
}

/// A name of a profile or a list as an operator gives it; empty: all.
fn name_filter(name: &str) -> Result<Option<Name>, Status> {
    if name.is_empty() {
        return Ok(None);
    }
    name.parse()
        .map(Some)
        .map_err(|e: policy::config::NameError| Status::invalid_argument(e.to_string()))
}

/// A protocol as an operator names it; empty: all.
fn protocol_filter(name: &str) -> Result<Option<Discovery>, Status> {
    match (name, Discovery::from_name(&name.to_ascii_uppercase())) {
        ("", _) => Ok(None),
        (_, Some(protocol)) => Ok(Some(protocol)),
        (name, None) => Err(Status::invalid_argument(format!("`{name}` is neither LLDP nor CDP"))),
    }
}

/// Refuses an answer without what was asked for by name.
fn found<T>(items: Vec<T>, filter: Option<impl ToString>, what: &str) -> Result<Vec<T>, Status> {
    match filter {
        Some(name) if items.is_empty() => {
            Err(Status::not_found(format!("{what} {} does not exist", name.to_string())))
        }
        _ => Ok(items),
    }
}

#[tonic::async_trait]
impl Operator for OperatorService {
    async fn apply(&self, request: Request<rpc::ApplyRequest>) -> Reply<rpc::ApplyReply> {
        let request = request.into_inner();
        let text = request.text.clone();
        let outcome = self.engine.apply(apply::request(request)).await;
        // The commit may have become durable or not: the caller has to look.
        let outcome = outcome.map_err(|_| {
            Status::unknown("the supervisor stopped before it answered: look at `show revisions`")
        })?;
        Ok(Response::new(apply::reply(&text, outcome)))
    }

    async fn running_config(
        &self,
        request: Request<rpc::RunningConfigRequest>,
    ) -> Reply<rpc::RunningConfigReply> {
        let revision = request.into_inner().revision;
        let ask = self
            .engine
            .query(move |state, store, _| history::running_config(state, store, revision));
        ask.await.map_err(stopped)?.map(Response::new)
    }

    async fn modules(&self, _: Request<rpc::ModulesRequest>) -> Reply<rpc::ModulesReply> {
        let ask = self.engine.query(|state, _, _| modules::modules(state));
        ask.await.map_err(stopped).map(Response::new)
    }

    async fn interfaces(
        &self,
        request: Request<rpc::InterfacesRequest>,
    ) -> Reply<rpc::InterfacesReply> {
        let filter = interface_filter(&request.into_inner().name)?;
        let ask = self.engine.query(move |state, _, _| interfaces::interfaces(state, filter));
        let interfaces = found(ask.await.map_err(stopped)?, filter, "interface")?;
        Ok(Response::new(rpc::InterfacesReply { interfaces }))
    }

    async fn port_profiles(
        &self,
        request: Request<rpc::PortProfilesRequest>,
    ) -> Reply<rpc::PortProfilesReply> {
        let filter = name_filter(&request.into_inner().name)?;
        let wanted = filter.clone();
        let ask = self.engine.query(move |state, _, _| profiles::profiles(state, wanted.as_ref()));
        let profiles = found(ask.await.map_err(stopped)?, filter, "port-profile")?;
        Ok(Response::new(rpc::PortProfilesReply { profiles }))
    }

    async fn vlans(&self, _: Request<rpc::VlansRequest>) -> Reply<rpc::VlansReply> {
        let ask = self.engine.query(|state, _, _| vlans::vlans(state));
        ask.await.map_err(stopped).map(Response::new)
    }

    async fn mac_address_table(
        &self,
        request: Request<rpc::MacAddressTableRequest>,
    ) -> Reply<rpc::MacAddressTableReply> {
        let module = request.into_inner().module;
        let ask = self.engine.query(move |state, _, _| macs::macs(state, module));
        ask.await.map_err(stopped).map(Response::new)
    }

    async fn access_lists(
        &self,
        request: Request<rpc::AccessListsRequest>,
    ) -> Reply<rpc::AccessListsReply> {
        let filter = name_filter(&request.into_inner().name)?;
        let wanted = filter.clone();
        let ask = self.engine.query(move |state, _, _| access_lists::lists(state, wanted.as_ref()));
        let lists = found(ask.await.map_err(stopped)?, filter, "access list")?;
        Ok(Response::new(rpc::AccessListsReply { lists }))
    }

    async fn drops(&self, request: Request<rpc::DropsRequest>) -> Reply<rpc::DropsReply> {
        let request = request.into_inner();
        let filter = interface_filter(&request.interface)?;
        let by_interface = request.by_interface || filter.is_some();
        let ask =
            self.engine.query(move |state, _, _| counters::drops(state, filter, by_interface));
        ask.await.map_err(stopped).map(Response::new)
    }

    async fn port_channels(
        &self,
        _: Request<rpc::PortChannelsRequest>,
    ) -> Reply<rpc::PortChannelsReply> {
        let ask = self.engine.query(|state, _, _| port_channels::port_channels(state));
        ask.await.map_err(stopped).map(Response::new)
    }

    async fn lacp(&self, _: Request<rpc::LacpRequest>) -> Reply<rpc::LacpReply> {
        let ask = self.engine.query(|state, _, now| lacp::lacp(state, now));
        ask.await.map_err(stopped).map(Response::new)
    }

    async fn pinning(&self, _: Request<rpc::PinningRequest>) -> Reply<rpc::PinningReply> {
        let ask = self.engine.query(|state, _, _| pinning::pinning(state));
        ask.await.map_err(stopped).map(Response::new)
    }

    async fn neighbors(
        &self,
        request: Request<rpc::NeighborsRequest>,
    ) -> Reply<rpc::NeighborsReply> {
        let request = request.into_inner();
        let protocol = protocol_filter(&request.protocol)?;
        let only = interface_filter(&request.interface)?;
        let ask = self
            .engine
            .query(move |state, _, now| neighbors::neighbors(state, now, protocol, only));
        ask.await.map_err(stopped).map(Response::new)
    }

    async fn topology(&self, _: Request<rpc::TopologyRequest>) -> Reply<rpc::TopologyReply> {
        let ask = self.engine.query(|state, _, _| topology::topology(state));
        ask.await.map_err(stopped).map(Response::new)
    }

    type WatchEventsStream =
        Pin<Box<dyn Stream<Item = Result<rpc::WatchEventsReply, Status>> + Send>>;

    async fn watch_events(
        &self,
        request: Request<rpc::WatchEventsRequest>,
    ) -> Reply<Self::WatchEventsStream> {
        let last = usize::try_from(request.into_inner().last).unwrap_or(usize::MAX);
        let watch = self.engine.watch(last).await.map_err(stopped)?;
        let watch = watch.map_err(|e| Status::resource_exhausted(e.to_string()))?;
        Ok(Response::new(Box::pin(watch::stream(watch))))
    }

    async fn events(&self, request: Request<rpc::EventsRequest>) -> Reply<rpc::EventsReply> {
        let last = request.into_inner().last;
        let ask = self.engine.query(move |state, _, _| history::events(state, last));
        ask.await.map_err(stopped).map(Response::new)
    }

    async fn revisions(
        &self,
        request: Request<rpc::RevisionsRequest>,
    ) -> Reply<rpc::RevisionsReply> {
        let last = request.into_inner().last;
        let ask = self.engine.query(move |state, _, _| history::revisions(state, last));
        ask.await.map_err(stopped).map(Response::new)
    }
}

#[cfg(test)]
mod tests;
