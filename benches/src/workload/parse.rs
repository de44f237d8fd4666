//! Reading headers alone: `proto::frame::parse`.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proto::MacAddr;
use proto::frame::build::FrameBuilder;
use proto::frame::l4::tcp_flags;
use proto::frame::{Tag, arp, parse};

use super::Workload;
use super::random::Random;

/// Frames of a round.
pub const FRAMES: usize = 1024;

/// Which frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UDP over IPv4.
    Udp4,
    /// The same with an 802.1Q tag.
    Udp4Tagged,
    /// TCP over IPv4.
    Tcp4,
    /// UDP over IPv6.
    Udp6,
    /// TCP over IPv6.
    Tcp6,
    /// ARP announcements.
    Arp,
    /// All of these in an order without a pattern: half of them TCP over IPv4, one in 64 ARP.
    Mix,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Udp4, Self::Udp4Tagged, Self::Tcp4, Self::Udp6, Self::Tcp6, Self::Arp, Self::Mix];

    /// A name for the tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp4 => "udp4",
            Self::Udp4Tagged => "udp4-tagged",
            Self::Tcp4 => "tcp4",
            Self::Udp6 => "udp6",
            Self::Tcp6 => "tcp6",
            Self::Arp => "arp",
            Self::Mix => "mix",
        }
    }
}

/// Frames of one kind.
#[derive(Debug)]
pub struct Parse {
    frames: Vec<Vec<u8>>,
}

impl Parse {
    /// Frames of this kind, each of another flow.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        let mut random = Random::new(11);
        let one = |_| match kind {
            Kind::Mix => match random.below(64) {
                0 => frame(Kind::Arp, &mut random),
                1..8 => frame(Kind::Udp4, &mut random),
                8..16 => frame(Kind::Udp4Tagged, &mut random),
                16..24 => frame(Kind::Udp6, &mut random),
                24..32 => frame(Kind::Tcp6, &mut random),
                _ => frame(Kind::Tcp4, &mut random),
            },
            _ => frame(kind, &mut random),
        };
        Self { frames: (0..FRAMES).map(one).collect() }
    }
}

impl Workload for Parse {
    fn frames(&self) -> u64 {
        self.frames.len() as u64
    }

    fn round(&mut self) -> u64 {
        let mut l4 = 0;
        for frame in &self.frames {
            // The whole key is asked for, as the core keeps the whole of it.
            let key = parse(black_box(frame));
            l4 += u64::from(black_box(&key).is_some_and(|key| key.has_l4));
        }
        l4
    }
}

/// A frame between two random stations.
fn frame(kind: Kind, random: &mut Random) -> Vec<u8> {
    let mut mac = || MacAddr::from_u64(0x0200_0000_0000 | random.below(1 << 32));
    let (src_mac, dst_mac) = (mac(), mac());
    let v4 = Ipv4Addr::from(random.next() as u32);
    let v6 = Ipv6Addr::from(u128::from(random.next()) << 64 | u128::from(random.next()));
    let builder = FrameBuilder::new(src_mac, dst_mac);
    let udp = |builder: FrameBuilder, ip: IpAddr| {
        builder.udp(SocketAddr::new(ip, 40_000), SocketAddr::new(ip, 53), &[0; 18])
    };
    let tcp = |builder: FrameBuilder, ip: IpAddr| {
        let (src, dst) = (SocketAddr::new(ip, 40_000), SocketAddr::new(ip, 443));
        builder.tcp(src, dst, tcp_flags::ACK, &[])
    };
    match kind {
        Kind::Udp4 => udp(builder, v4.into()),
        Kind::Udp4Tagged => udp(builder.tag(Tag { tci: 10 }), v4.into()),
        Kind::Tcp4 => tcp(builder, v4.into()),
        Kind::Udp6 => udp(builder, v6.into()),
        Kind::Tcp6 => tcp(builder, v6.into()),
        Kind::Arp | Kind::Mix => arp::build_gratuitous(src_mac, v4).to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_frames_but_arp_have_ports() {
        for kind in Kind::ALL {
            let l4 = Parse::new(kind).round();
            match kind {
                Kind::Arp => assert_eq!(l4, 0),
                Kind::Mix => assert!((900..1024).contains(&l4), "{l4}"),
                _ => assert_eq!(l4, FRAMES as u64),
            }
        }
    }
}
