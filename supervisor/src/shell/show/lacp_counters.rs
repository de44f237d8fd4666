//! `show lacp counters`: slow protocol frames sent and received.

use proto::rpc::operator as rpc;

use super::{NO_LACP, lacp_place, number};
use crate::shell::table::{Align, Table};

/// A line for each port.
#[must_use]
pub fn render(reply: &rpc::LacpReply) -> String {
    if reply.ports.is_empty() {
        return NO_LACP.to_owned();
    }
    let mut table = Table::new(&[
        ("Channel", Align::Left),
        ("Mod", Align::Left),
        ("Port", Align::Left),
        ("LACPDUs-Sent", Align::Right),
        ("LACPDUs-Recv", Align::Right),
        ("Markers-Recv", Align::Right),
        ("Marker-Responses-Sent", Align::Right),
        ("Pkts-Err", Align::Right),
        ("Pkts-Unknown", Align::Right),
    ]);
    for port in &reply.ports {
        let counters = [
            port.pdus_sent,
            port.pdus_received,
            port.markers_received,
            port.marker_responses_sent,
            port.illegal_received,
            port.unknown_received,
        ];
        table.row(lacp_place(port).into_iter().chain(counters.map(number)));
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn golden() {
        insta::assert_snapshot!(render(&sample::lacp()));
    }

    #[test]
    fn none() {
        assert_eq!(render(&rpc::LacpReply::default()), NO_LACP);
    }
}
