//! Frames as a port receives them: flows in turn, in bursts.

use std::net::{Ipv4Addr, SocketAddr};

use dataplane::core::{BURST_MAX, Frame};
use proto::frame::build::FrameBuilder;

use super::host::{Host, mac, remote_mac};
use crate::plan;

/// Fewest bursts of a stream, so that a round is long enough to be timed.
const BURSTS_MIN: usize = 16;
/// Bytes from one frame to the next: a frame of 64 bytes without its check sequence has 60.
const STRIDE_BYTES: usize = 64;
/// Payload that makes a UDP frame 60 bytes long.
const PAYLOAD_BYTES: usize = 18;

/// UDP frames of 64 bytes from vEthernet 1, three of four to other vEthernets of its VLAN, the
/// fourth to the wire; all to the wire when there is no other. Frame by frame another flow, until
/// all have had their turn.
///
/// The frames stand one behind the other, so that many flows cost no more cache misses than few: a
/// receive ring would have them in chunks that were used just before.
#[derive(Debug)]
pub struct Stream {
    bytes: Vec<u8>,
    frame_bytes: usize,
}

impl Stream {
    /// A stream of `flows` flows (at least 1) to `neighbours`, filled up to whole bursts by
    /// starting over.
    #[must_use]
    pub fn new(flows: u32, neighbours: &[u32]) -> Self {
        let bursts = (flows as usize).div_ceil(BURST_MAX).max(BURSTS_MIN);
        let mut bytes = Vec::with_capacity(bursts * BURST_MAX * STRIDE_BYTES);
        let mut frame_bytes = 0;
        for turn in 0..bursts * BURST_MAX {
            let frame = frame(turn as u32 % flows, neighbours);
            frame_bytes = frame.len();
            bytes.extend(frame);
            bytes.resize((turn + 1) * STRIDE_BYTES, 0);
        }
        Self { bytes, frame_bytes }
    }

    /// The stream that a host is measured with.
    #[must_use]
    pub fn on(host: &Host, flows: u32) -> Self {
        let neighbours: Vec<u32> = host.neighbours().collect();
        Self::new(flows, &neighbours)
    }

    /// How many frames there are: a multiple of [`BURST_MAX`].
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len() / STRIDE_BYTES
    }

    /// Never: there is a flow.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Every frame in order.
    pub fn frames(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks_exact(STRIDE_BYTES).map(|frame| &frame[..self.frame_bytes])
    }

    /// Every frame as the core takes it, for as long as the program runs. What measures forwarding
    /// owns frames that borrow their bytes, and there are few streams in a run.
    #[must_use]
    pub fn leak(self) -> Vec<Frame<'static>> {
        Box::leak(Box::new(self)).frames().map(Frame::whole).collect()
    }
}

fn frame(flow: u32, neighbours: &[u32]) -> Vec<u8> {
    let local = neighbours.get(flow as usize % neighbours.len().max(1));
    let dst = local.filter(|_| flow % 4 != 3).map_or(remote_mac(), |number| mac(*number));
    let [network_a, network_b] = plan::NETWORKS.map(u32::from);
    let src = Ipv4Addr::from(network_a | (flow & 0xff_ffff));
    let src = SocketAddr::from((src, 1024 + (flow % 60_000) as u16));
    let dst_ip = SocketAddr::from((Ipv4Addr::from(network_b | 1), plan::UDP_DST));
    FrameBuilder::new(mac(1), dst).udp(src, dst_ip, &[0; PAYLOAD_BYTES])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proto::frame::parse;

    use super::*;

    #[test]
    fn a_stream_has_its_flows_in_whole_bursts() {
        for flows in [1, 1000, 5000] {
            let stream = Stream::new(flows, &[65, 129, 193]);
            assert!(stream.len() >= flows as usize && stream.len().is_multiple_of(BURST_MAX));
            let keys = stream.frames().map(|frame| parse(frame).expect("a frame"));
            let sources: BTreeSet<_> = keys.map(|key| key.ip_src).collect();
            assert_eq!(sources.len(), flows as usize);
            assert!(stream.frames().all(|frame| frame.len() == 60));
        }
    }

    #[test]
    fn one_frame_of_four_goes_to_the_wire() {
        let stream = Stream::new(1000, &[65, 129, 193]);
        let dst = |frame| parse(frame).expect("a frame").dst;
        let remote = stream.frames().filter(|frame| dst(frame) == remote_mac()).count();
        assert_eq!(remote, stream.len() / 4);
        assert!(Stream::new(10, &[]).frames().all(|frame| dst(frame) == remote_mac()));
    }
}
