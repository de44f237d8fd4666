//! The marker responder (IEEE 802.1AX-2020 clause 6.5): answers the questions of a partner that
//! wants to know whether the frames it sent have arrived. This side asks none, so answers are
//! ignored.
//!
//! The caller hands over slow protocol frames apart from data frames, so an answer may leave while
//! data frames that came just before the question still wait in a receive queue of the host.

use proto::frame::lacp::{FRAME_LEN, Marker, MarkerKind};

use super::port::Port;

impl Port {
    /// The answer; `None` when the marker asks nothing, or asks too often.
    pub(super) fn respond(&mut self, now_ns: u64, marker: Marker) -> Option<[u8; FRAME_LEN]> {
        if marker.kind == MarkerKind::Response {
            return None;
        }
        self.counters.markers_received += 1;
        if !self.responses.pass(now_ns) {
            return None;
        }
        self.counters.marker_responses_sent += 1;
        Some(marker.response().to_frame(self.config.mac))
    }
}
