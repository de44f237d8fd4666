//! `show drops` and the counters of a port, from what the hosts reported last.

use std::collections::BTreeMap;

use proto::rpc::operator as rpc;
use proto::{DropReason, InterfaceName, ModuleId};

use crate::report::PortReport;
use crate::state::State;

/// The counters of one port.
pub(super) fn of_port(report: &PortReport) -> rpc::Counters {
    let counters = &report.counters;
    let total = |drops: &BTreeMap<String, u64>| drops.values().sum::<u64>();
    rpc::Counters {
        rx_frames: counters.rx_frames,
        rx_bytes: counters.rx_bytes,
        rx_multicast: counters.rx_multicast,
        rx_broadcast: counters.rx_broadcast,
        tx_frames: counters.tx_frames,
        tx_bytes: counters.tx_bytes,
        tx_multicast: counters.tx_multicast,
        tx_broadcast: counters.tx_broadcast,
        forwarded: counters.forwarded,
        consumed: counters.consumed,
        dropped: total(&report.drops),
        tx_dropped: total(&report.tx_drops),
    }
}

/// What drops are summed over.
type Key = (Option<(InterfaceName, ModuleId)>, &'static str, String);

/// Dropped frames by reason, of one port or all; with a line for each port, or summed.
pub(super) fn drops(
    state: &State,
    only: Option<InterfaceName>,
    by_interface: bool,
) -> rpc::DropsReply {
    let mut sums: BTreeMap<Key, u64> = BTreeMap::new();
    for module in state.modules().values() {
        let ports = module.report.ports.iter().filter(|(name, _)| only.is_none_or(|o| o == **name));
        for (name, report) in ports {
            let place = by_interface.then_some((*name, module.record.module));
            for (direction, drops) in [("rx", &report.drops), ("tx", &report.tx_drops)] {
                for (reason, frames) in drops {
                    let sum = sums.entry((place, direction, reason.clone())).or_default();
                    *sum = sum.saturating_add(*frames);
                }
            }
        }
    }
    let row = |((place, direction, reason), frames): (Key, u64)| rpc::Drop {
        help: DropReason::from_name(&reason).map(|r| r.help().to_owned()).unwrap_or_default(),
        reason,
        interface: place.map(|(name, _)| name.to_string()).unwrap_or_default(),
        module: place.map_or(0, |(_, module)| u32::from(module.get())),
        frames,
        direction: direction.to_owned(),
    };
    rpc::DropsReply { drops: sums.into_iter().filter(|(_, n)| *n > 0).map(row).collect() }
}
