//! Link events of this host, from rtnetlink: a carrier that comes or goes, an interface that is
//! created or deleted.
//!
//! Not by sysfs: `/sys/class/net` shows the network namespace it was mounted in, which need not be
//! ours.

use std::collections::BTreeMap;

use crossbeam::channel::Sender;
use futures::{StreamExt, TryStreamExt};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use proto::MacAddr;
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::{MulticastGroup, new_multicast_connection};

use crate::agent::Event;

/// Why links cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum LinksError {
    /// No netlink socket.
    #[error("cannot open a netlink socket: {0}")]
    Socket(#[from] std::io::Error),
    /// The kernel refused the list of links.
    #[error("cannot list the links of this host: {0}")]
    List(#[from] rtnetlink::Error),
    /// The socket ended.
    #[error("the netlink socket ended")]
    Ended,
}

/// Reports the state of every link, and then each change, until the control thread is gone.
///
/// # Errors
/// The netlink socket cannot be had, or fails.
pub async fn watch(events: Sender<Event>) -> Result<(), LinksError> {
    let (connection, handle, mut messages) = new_multicast_connection(&[MulticastGroup::Link])?;
    tokio::spawn(connection);
    let mut state = BTreeMap::new();
    // Subscribed before listed: a change in between is seen twice, never missed.
    let mut links = handle.link().get().execute();
    while let Some(link) = links.try_next().await? {
        if !tell(&events, &mut state, &link, true) {
            return Ok(());
        }
    }
    while let Some((message, _)) = messages.next().await {
        let (link, exists) = match message.payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => (link, true),
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(link)) => (link, false),
            _ => continue,
        };
        if !tell(&events, &mut state, &link, exists) {
            return Ok(());
        }
    }
    Err(LinksError::Ended)
}

/// False when nobody listens any more.
fn tell(
    events: &Sender<Event>,
    state: &mut BTreeMap<u32, (String, bool)>,
    link: &LinkMessage,
    exists: bool,
) -> bool {
    let Some(ifname) = name_of(link) else { return true };
    let up = exists && link.header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp);
    let now = (ifname.clone(), up);
    let before = if exists {
        state.insert(link.header.index, now.clone())
    } else {
        state.remove(&link.header.index)
    };
    // A renamed link is gone under its old name.
    if let Some((old_name, true)) = &before
        && *old_name != ifname
        && events.send(Event::Link { ifname: old_name.clone(), up: false }).is_err()
    {
        return false;
    }
    if before.as_ref() == Some(&now) {
        return true;
    }
    events.send(Event::Link { ifname, up }).is_ok()
}

fn name_of(link: &LinkMessage) -> Option<String> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    })
}

/// The address of an interface of this host.
#[must_use]
pub fn mac_of(ifname: &str) -> Option<MacAddr> {
    let mut addresses = nix::ifaddrs::getifaddrs().ok()?;
    addresses.find_map(|interface| {
        let link = (interface.interface_name == ifname).then_some(interface.address)??;
        link.as_link_addr()?.addr().map(MacAddr::new)
    })
}
