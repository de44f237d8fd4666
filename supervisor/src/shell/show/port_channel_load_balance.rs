//! `show port-channel load-balance`.

use proto::rpc::operator as rpc;

/// What makes a flow, which stays on one member.
#[must_use]
pub fn render(of: &rpc::LoadBalance) -> String {
    format!(
        "Port Channel Load-Balancing Configuration:\nSystem: {}\n\n\
         Port Channel Load-Balancing Addresses Used Per-Protocol:\n\
         Non-IP: {}\nIP: {}\nIP fragments: {}\n",
        of.method, of.non_ip, of.method, of.fragments
    )
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn golden() {
        let of = sample::port_channels().load_balance.unwrap();
        insta::assert_snapshot!(render(&of));
    }
}
