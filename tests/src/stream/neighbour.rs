//! The neighbour entry of a stream's destination, held while the stream runs.
//!
//! *Why:* the kernel forgets neighbours when an interface loses its carrier and asks for old ones
//! again; until the answer comes it holds back, drops and even reorders datagrams. A stream is to
//! tell what the network does.

use std::net::IpAddr;

use crate::error::Result;
use crate::netns::Namespace;

/// A permanent entry; an ordinary one again on drop.
#[derive(Debug)]
pub(super) struct Neighbour {
    namespace: Namespace,
    /// What `ip neigh` takes: address, link address and device.
    entry: String,
}

impl Neighbour {
    /// Makes the entry permanent; `None` when there is none, because a gateway is in between.
    pub(super) fn hold(namespace: &Namespace, address: IpAddr) -> Result<Option<Self>> {
        let shown = namespace.ip(&format!("neigh show to {address}"))?;
        let Some(entry) = entry(&shown) else { return Ok(None) };
        namespace.ip(&format!("neigh replace {entry} nud permanent"))?;
        Ok(Some(Self { namespace: namespace.share(), entry }))
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        // It may be gone, with its interface or its namespace.
        self.namespace.ip(&format!("neigh change {} nud stale", self.entry)).ok();
    }
}

/// Out of `10.0.0.2 dev eth0 lladdr 02:00:00:00:00:01 REACHABLE`.
fn entry(shown: &str) -> Option<String> {
    let words: Vec<_> = shown.lines().next()?.split_whitespace().collect();
    let after = |name: &str| Some(*words.get(words.iter().position(|word| *word == name)? + 1)?);
    let (address, device, mac) = (words.first()?, after("dev")?, after("lladdr")?);
    Some(format!("{address} lladdr {mac} dev {device}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_from_what_ip_shows() {
        let shown = "10.0.0.2 dev e lladdr 02:00:00:00:00:01 ref 1 REACHABLE \n";
        assert_eq!(entry(shown).as_deref(), Some("10.0.0.2 lladdr 02:00:00:00:00:01 dev e"));
        assert_eq!(entry("10.0.0.2 dev e FAILED\n"), None);
        assert_eq!(entry(""), None);
    }
}
