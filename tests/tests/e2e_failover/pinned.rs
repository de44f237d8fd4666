//! Pinned vEthernets across a physical switch.

use std::net::SocketAddr;
use std::thread;
use std::time::Instant;

use tests::link;
use tests::site::{Site, ip};
use tests::stream::Stream;
use tests::traffic::tcp_transfer;

use crate::{OUTAGE_MAX, STEADY, check, load};

/// Bytes of the TCP stream: more than pass before the failure.
const TCP_BYTES: usize = 100_000_000;
const TCP_PORT: u16 = 7000;

#[test]
fn a_pinned_vm_loses_its_link_under_load() {
    let mut site = Site::start();
    let first = site.uplink_of("a");
    let ends = [(site.ns("a"), ip("a")), (site.ns("c"), ip("c"))];
    let to = ("a", SocketAddr::new(ip("a"), TCP_PORT));
    let (reports, event) = thread::scope(|scope| {
        let tcp = scope.spawn(|| tcp_transfer(site.ns("c"), (site.ns(to.0), to.1), TCP_BYTES, 7));
        let stream = Stream::start(ends, &load()).expect("a stream");
        stream.run(STEADY).expect("it runs");
        let event = Instant::now();
        link::down(site.ns("tor"), &first.switch_port).expect("down");
        stream.run(STEADY).expect("it runs on");
        let reports = stream.finish().expect("reports");
        tcp.join().expect("no panic").expect("the TCP stream survives, its content whole");
        (reports, event)
    });
    check("pinned, carrier lost", &reports, event, OUTAGE_MAX);
    assert_ne!(site.uplink_of("a"), first);
    site.assert_healthy();
}
