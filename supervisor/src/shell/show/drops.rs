//! `show drops`.

use proto::rpc::operator as rpc;

use super::{module_number, number};
use crate::shell::table::{Align, Table};

/// Dropped frames by reason; by port when the reply names ports.
#[must_use]
pub fn render(reply: &rpc::DropsReply) -> String {
    if reply.drops.is_empty() {
        return "No frame was dropped.\n".to_owned();
    }
    let has_ports = reply.drops.iter().any(|drop| !drop.interface.is_empty());
    let place = [("Interface", Align::Left), ("Mod", Align::Left)];
    let rest = [
        ("Dir", Align::Left),
        ("Reason", Align::Left),
        ("Frames", Align::Right),
        ("Meaning", Align::Left),
    ];
    let columns: Vec<_> = place.into_iter().filter(|_| has_ports).chain(rest).collect();
    let mut table = Table::new(&columns);
    for drop in &reply.drops {
        let place = [drop.interface.clone(), module_number(drop.module)];
        let rest =
            [drop.direction.clone(), drop.reason.clone(), number(drop.frames), drop.help.clone()];
        table.row(place.into_iter().filter(|_| has_ports).chain(rest));
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drop(interface: &str, module: u32, reason: &str, frames: u64, direction: &str) -> rpc::Drop {
        rpc::Drop {
            reason: reason.to_owned(),
            help: "Why.".to_owned(),
            interface: interface.to_owned(),
            module,
            frames,
            direction: direction.to_owned(),
        }
    }

    #[test]
    fn golden() {
        let drops =
            vec![drop("", 0, "acl-ingress", 12, "rx"), drop("", 0, "tx-queue-full", 100_000, "tx")];
        insta::assert_snapshot!(render(&rpc::DropsReply { drops }));
    }

    #[test]
    fn golden_by_interface() {
        let drops = vec![drop("Vethernet1", 3, "acl-ingress", 12, "rx")];
        insta::assert_snapshot!(render(&rpc::DropsReply { drops }));
    }
}
