//! What real programs and tools see of the switch: tags as tshark decodes them, TCP and UDP with
//! their content and checksums, jumbo frames, super-frames, ping, arping and DHCP. Needs root.

#[path = "e2e_wire/jumbo.rs"]
mod jumbo;
#[path = "e2e_wire/programs.rs"]
mod programs;
#[path = "e2e_wire/streams.rs"]
mod streams;
#[path = "e2e_wire/super_frames.rs"]
mod super_frames;
#[path = "e2e_wire/tags.rs"]
mod tags;

use std::net::IpAddr;

use proto::MacAddr;
use tests::checks::Watched;
use tests::inject::Injector;
use tests::lab::Lab;
use tests::netns::Namespace;
use tests::port_channel::LAN_CONFIG;
use tests::topology::Topology;

/// The one host.
const HOST: &str = "h1";

/// VMs in VLAN 10, and one uplink that carries it.
fn lan_config() -> String {
    format!("{LAN_CONFIG}interface Ethernet3/1\n  inherit port-profile UPLINK\n")
}

/// Builds a lab, applies a configuration and attaches the VMs, until each is up.
fn start(topology: &str, config: &str, vms: &[&str]) -> Watched {
    start_with(topology, config, vms, &[])
}

/// As [`start`], with options for the dataplane.
fn start_with(topology: &str, config: &str, vms: &[&str], options: &[&str]) -> Watched {
    let lab = Lab::build(Topology::parse(topology).expect("a good topology")).expect("a lab");
    let weft = Watched::start_with(lab, options).expect("the product runs");
    weft.apply_text(config).expect("the configuration is applied");
    for vm in vms {
        weft.attach(vm).expect("the VM is attached");
        weft.wait_port_up(HOST, vm).expect("its port comes up");
    }
    weft
}

/// Namespace of a node.
fn ns<'a>(weft: &'a Watched, node: &str) -> &'a Namespace {
    weft.lab().ns(node).expect("a node of the lab")
}

/// Sends raw frames out of a VM's `eth0`.
fn injector(weft: &Watched, vm: &str) -> Injector {
    Injector::open(ns(weft, vm), "eth0").expect("an injector")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an IP address")
}

const fn mac(last: u8) -> MacAddr {
    MacAddr::new([2, 0, 0, 0, 0, last])
}
