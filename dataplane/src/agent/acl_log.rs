//! Matches of access list entries with `log`, put into words for the operator.
//!
//! Invariant: at most [`LOGS_PER_SECOND`] events a second leave the host, whatever the traffic; what
//! is left out is counted and said with the next one. The counters of the entries are exact anyway.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use policy::acl::Action;
use proto::IpProto;
use proto::frame::{FrameKey, L3};

use super::chassis::Chassis;
use super::control::Control;
use super::event::AclMatch;

/// Events a second.
const LOGS_PER_SECOND: u32 = 10;

/// How many more events may leave in this second.
#[derive(Debug)]
pub(super) struct LogBudget {
    second: Instant,
    left: u32,
    left_out: u64,
}

impl LogBudget {
    pub(super) const fn new(now: Instant) -> Self {
        Self { second: now, left: LOGS_PER_SECOND, left_out: 0 }
    }

    /// Whether one more may leave now, and how many were left out since the last one.
    fn take(&mut self, now: Instant) -> Option<u64> {
        if now.duration_since(self.second) >= Duration::from_secs(1) {
            self.second = now;
            self.left = LOGS_PER_SECOND;
        }
        if self.left == 0 {
            self.left_out += 1;
            return None;
        }
        self.left -= 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

impl<C: Chassis> Control<C> {
    /// Reports a match.
    pub(super) fn acl_log(&mut self, matched: &AclMatch) {
        let Some(left_out) = self.log_budget.take(Instant::now()) else { return };
        let Some(acl) = self.snapshot.acl(matched.acl) else { return };
        let port = self.port_name(matched.port);
        let entry = match matched.sequence {
            0 => "implicit deny".to_owned(),
            sequence => format!("entry {sequence}"),
        };
        let action = match matched.action {
            Action::Permit => "permit",
            Action::Deny => "deny",
        };
        let mut message = format!(
            "access-list {} {} on {port}, {entry}: {action} {}",
            acl.name(),
            matched.direction,
            describe(&matched.key)
        );
        if left_out > 0 {
            message.push_str(&format!(" ({left_out} more were not reported)"));
        }
        self.event("notice", &port, "acl-log", message);
    }
}

/// A frame as an access list sees it.
fn describe(key: &FrameKey) -> String {
    let (src, dst) = match key.l3 {
        // IPv4 stands in the low 32 bits.
        L3::Ipv4 => {
            let v4 = |ip: u128| Ipv4Addr::from(ip as u32).to_string();
            (v4(key.ip_src), v4(key.ip_dst))
        }
        L3::Ipv6 => {
            (Ipv6Addr::from(key.ip_src).to_string(), Ipv6Addr::from(key.ip_dst).to_string())
        }
        L3::Other => {
            let ether_type = key.ether_type.get();
            return format!("{} to {}, EtherType {ether_type:#06x}", key.src, key.dst);
        }
    };
    match key.proto {
        IpProto::TCP if key.has_l4 => format!("tcp {src}:{} to {dst}:{}", key.l4_src, key.l4_dst),
        IpProto::UDP if key.has_l4 => format!("udp {src}:{} to {dst}:{}", key.l4_src, key.l4_dst),
        IpProto::ICMP | IpProto::ICMPV6 if key.has_l4 => {
            format!("icmp {src} to {dst} type {} code {}", key.l4_src, key.l4_dst)
        }
        other => format!("protocol {other} {src} to {dst}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_leave_in_a_second_and_the_rest_is_told() {
        let start = Instant::now();
        let mut budget = LogBudget::new(start);
        let taken = (0..25).filter(|_| budget.take(start).is_some()).count();
        assert_eq!(taken, LOGS_PER_SECOND as usize);
        assert_eq!(budget.take(start + Duration::from_secs(1)), Some(15));
        assert_eq!(budget.take(start + Duration::from_secs(1)), Some(0));
    }
}
