//! Link events of this host, from rtnetlink: a carrier that comes or goes, an MTU that changes, an
//! interface that is created or deleted.
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

/// A link as it was seen last.
#[derive(Clone, PartialEq)]
struct Seen {
    ifname: String,
    up: bool,
    mtu_bytes: Option<u32>,
}

/// False when nobody listens any more.
fn tell(
    events: &Sender<Event>,
    state: &mut BTreeMap<u32, Seen>,
    link: &LinkMessage,
    exists: bool,
) -> bool {
    let Some(ifname) = name_of(link) else { return true };
    let up = exists && link.header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp);
    let mtu_bytes = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Mtu(mtu_bytes) if exists => Some(*mtu_bytes),
        _ => None,
    });
    let now = Seen { ifname: ifname.clone(), up, mtu_bytes };
    let before = if exists {
        state.insert(link.header.index, now.clone())
    } else {
        state.remove(&link.header.index)
    };
    // A renamed link is gone under its old name.
    if let Some(Seen { ifname: old, up: true, .. }) = &before
        && *old != ifname
        && events.send(Event::Link { ifname: old.clone(), up: false, mtu_bytes: None }).is_err()
    {
        return false;
    }
    if before.as_ref() == Some(&now) {
        return true;
    }
    events.send(Event::Link { ifname, up, mtu_bytes }).is_ok()
}

fn name_of(link: &LinkMessage) -> Option<String> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    })
}

/// The bridge, bond or other device that an interface of this host belongs to, by name. An interface
/// that does not exist belongs to none. Asked on its own, outside of any async runtime.
///
/// # Errors
/// The kernel cannot be asked.
pub fn master_of(ifname: &str) -> Result<Option<String>, LinksError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        let connection = tokio::spawn(connection);
        let asked = handle.link().get().match_name(ifname.to_owned()).execute().try_next().await;
        let master = asked.ok().flatten().and_then(|link| {
            link.attributes.iter().find_map(|attribute| match attribute {
                LinkAttribute::Controller(index) => Some(*index),
                _ => None,
            })
        });
        let name = match master {
            None => None,
            Some(index) => {
                let link = handle.link().get().match_index(index).execute().try_next().await?;
                link.as_ref().and_then(name_of).or_else(|| Some(format!("interface {index}")))
            }
        };
        connection.abort();
        Ok(name)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs in a network namespace of its own, which ends with the thread. Needs root.
    fn in_namespace(test: impl FnOnce() + Send + 'static) {
        let thread = std::thread::spawn(move || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("run tests as root");
            test();
        });
        thread.join().expect("the test passes");
    }

    fn ip(arguments: &str) {
        let status = std::process::Command::new("ip").args(arguments.split(' ')).status();
        assert!(status.expect("iproute2 is installed").success(), "ip {arguments}");
    }

    #[test]
    fn an_interface_of_a_bridge_is_known_as_such() {
        in_namespace(|| {
            ip("link add eth1 type veth peer name p1");
            assert_eq!(master_of("eth1").expect("asked"), None);
            ip("link add br0 type bridge");
            ip("link set eth1 master br0");
            assert_eq!(master_of("eth1").expect("asked").as_deref(), Some("br0"));
            ip("link set eth1 nomaster");
            assert_eq!(master_of("eth1").expect("asked"), None);
            assert_eq!(master_of("nosuch").expect("asked"), None);
        });
    }
}
