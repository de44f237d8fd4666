//! The YAML as it is written, before anything is checked: see the example in [`super`].

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) mgmt: Option<Mgmt>,
    pub(super) topology: Graph,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Mgmt {
    pub(super) ipv4_subnet: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Graph {
    pub(super) nodes: BTreeMap<String, Node>,
    #[serde(default)]
    pub(super) links: Vec<Link>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    Supervisor,
    Host,
    Switch,
    Vm,
    Pc,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Supervisor => "supervisor",
            Self::Host => "host",
            Self::Switch => "switch",
            Self::Vm => "vm",
            Self::Pc => "pc",
        }
    }
}

/// All fields of all kinds; which kind may have which is checked afterwards, so that the message
/// can name the node.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) uuid: Option<String>,
    pub(super) stp: Option<bool>,
    pub(super) ports: Option<BTreeMap<String, Port>>,
    pub(super) host: Option<String>,
    pub(super) nics: Option<Vec<Nic>>,
    pub(super) gateway: Option<IpAddr>,
    pub(super) routes: Option<Vec<Route>>,
    pub(super) forward: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Port {
    pub(super) access: Option<u16>,
    pub(super) trunk: Option<Vec<u16>>,
    pub(super) native: Option<u16>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nic {
    pub(super) name: String,
    pub(super) profile: Option<String>,
    pub(super) mac: Option<String>,
    pub(super) address: Option<String>,
    pub(super) addresses: Option<Vec<String>>,
    pub(super) mtu: Option<u16>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    pub(super) to: String,
    pub(super) via: IpAddr,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    pub(super) endpoints: Vec<String>,
    pub(super) mtu: Option<u16>,
}
