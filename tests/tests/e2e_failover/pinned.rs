//! Pinned vEthernets across a physical switch.

use std::net::SocketAddr;
use std::time::Instant;

use tests::link;
use tests::site::{Site, ip};
use tests::stream::Stream;

use crate::{OUTAGE_MAX, STEADY, alone, check, load, tcp_survives};

const TCP_PORT: u16 = 7000;

#[test]
fn a_pinned_vm_loses_its_link_under_load() {
    let _alone = alone();
    let mut site = Site::start();
    let first = site.uplink_of("a");
    let down = |port: &str| {
        let event = Instant::now();
        link::down(site.ns("tor"), port).expect("down");
        event
    };
    let ends = [(site.ns("a"), ip("a")), (site.ns("c"), ip("c"))];
    let stream = Stream::start(ends, &load()).expect("a stream");
    stream.run(STEADY).expect("it runs");
    let event = down(&first.switch_port);
    stream.run(STEADY).expect("it runs on");
    check("pinned, carrier lost", &stream.finish().expect("reports"), event, OUTAGE_MAX);
    let second = site.wait_moved("a", &first);

    // And the other one, while the first is back.
    link::up(site.ns("tor"), &first.switch_port).expect("up");
    site.wait_link("h1", &first.nic, true);
    let to = (site.ns("a"), SocketAddr::new(ip("a"), TCP_PORT));
    tcp_survives(site.ns("c"), to, || down(&second.switch_port));
    assert_eq!(site.wait_moved("a", &second), first);
    site.assert_healthy();
}
