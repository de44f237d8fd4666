//! `show interface counters`.

use proto::rpc::operator as rpc;

use super::number;
use crate::shell::table::{Align, Table};

/// The counters of each port, received and sent.
#[must_use]
pub fn render(reply: &rpc::InterfacesReply) -> String {
    let columns = |titles: [&'static str; 7]| {
        let mut columns = titles.map(|title| (title, Align::Right));
        columns[0].1 = Align::Left;
        Table::new(&columns)
    };
    let mut rx =
        columns(["Port", "RxFrames", "RxBytes", "RxMcast", "RxBcast", "Forwarded", "RxDropped"]);
    let mut tx =
        columns(["Port", "TxFrames", "TxBytes", "TxMcast", "TxBcast", "Consumed", "TxDropped"]);
    for of in &reply.interfaces {
        let c = of.counters.unwrap_or_default();
        let received =
            [c.rx_frames, c.rx_bytes, c.rx_multicast, c.rx_broadcast, c.forwarded, c.dropped];
        let sent =
            [c.tx_frames, c.tx_bytes, c.tx_multicast, c.tx_broadcast, c.consumed, c.tx_dropped];
        rx.row([of.name.clone()].into_iter().chain(received.map(number)));
        tx.row([of.name.clone()].into_iter().chain(sent.map(number)));
    }
    format!("{}\n{}", rx.render(), tx.render())
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn golden() {
        insta::assert_snapshot!(render(&sample::interfaces()));
    }
}
