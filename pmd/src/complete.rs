//! Completing what a sender left open, for an egress that cannot: checksums and segmentation.
//!
//! *Where it sits*: the worker calls [`complete`] for a frame that the egress port does not
//! [`admit`](crate::Capabilities::admit); drivers never do. *Invariants*: only a partial checksum
//! is completed, so one that was wrong on arrival leaves wrong; segments leave in order; what cannot be
//! completed is refused with a reason, and nothing here panics on any frame.
//! *Not here*: the headers of a segment ([`proto::frame::segment`]).

use proto::DropReason;
use proto::frame::checksum::Sum;
use proto::frame::segment::SegmentPlan;
use proto::frame::{GsoKind, PartialChecksum};

use crate::memory::{Frame, Pool, Segments};
use crate::port::Capabilities;

/// Makes of `frame` what a port with these capabilities can transmit, and gives it to `out`: the frame
/// itself, or its segments, one after another.
///
/// # Errors
/// The reason to drop the frame for. When the memory runs out in the middle
/// ([`DropReason::NoMemory`]), the first segments have been given out already; TCP sends the rest again.
pub fn complete(
    mut frame: Frame,
    capabilities: &Capabilities,
    pool: &Pool,
    mut out: impl FnMut(Frame),
) -> Result<(), DropReason> {
    let offload = frame.offload();
    let takes_super = match offload.gso.map(|gso| gso.kind) {
        None => true,
        Some(GsoKind::TcpV4 | GsoKind::TcpV6) => capabilities.tso && capabilities.checksum,
        Some(GsoKind::UdpL4) => capabilities.uso && capabilities.checksum,
    };
    if !takes_super {
        return segment(&frame, pool, out);
    }
    if let Some(partial) = offload.checksum
        && !capabilities.checksum
    {
        complete_checksum(&mut frame, partial)?;
    }
    capabilities.admit(&frame)?;
    out(frame);
    Ok(())
}

/// Completes a partial checksum in place, over all chunks of the frame.
fn complete_checksum(frame: &mut Frame, partial: PartialChecksum) -> Result<(), DropReason> {
    let mut sum = Sum::default();
    let mut skip = usize::from(partial.start);
    for segment in frame.segments() {
        sum.add_bytes(segment.get(skip..).unwrap_or_default());
        skip = skip.saturating_sub(segment.len());
    }
    let field = usize::from(partial.start) + usize::from(partial.offset);
    if !frame.write_at(field, &sum.complement_for(partial.offset).to_be_bytes()) {
        return Err(DropReason::Malformed);
    }
    let mut offload = frame.offload();
    offload.checksum = None;
    frame.set_offload(offload);
    Ok(())
}

/// Cuts a super-frame into frames that are complete.
fn segment(frame: &Frame, pool: &Pool, mut out: impl FnMut(Frame)) -> Result<(), DropReason> {
    let template = frame.head();
    let plan = SegmentPlan::new(template, frame.len_bytes(), &frame.offload())
        .map_err(|_| DropReason::OffloadUnsupported)?;
    let header = template.get(..plan.header_len()).ok_or(DropReason::OffloadUnsupported)?;
    let mut payload = Payload::after(frame, plan.header_len());
    for index in 0..plan.count() {
        let mut part = Frame::new(pool).ok_or(DropReason::NoMemory)?;
        if !part.append(header) {
            return Err(DropReason::NoMemory);
        }
        let mut sum = Sum::default();
        let mut left = plan.payload(index).len();
        while left > 0 {
            let bytes = payload.next(left);
            if bytes.is_empty() {
                return Err(DropReason::Malformed);
            }
            // Summed right after it was copied, while it is in the cache.
            if !part.append(bytes) {
                return Err(DropReason::NoMemory);
            }
            sum.add_bytes(bytes);
            left -= bytes.len();
        }
        plan.write_header(template, part.head_mut(), index, sum)
            .map_err(|_| DropReason::OffloadUnsupported)?;
        out(part);
    }
    Ok(())
}

/// The payload of a frame, in order, in pieces that lie in one chunk.
struct Payload<'a> {
    segments: Segments<'a>,
    current: &'a [u8],
}

impl<'a> Payload<'a> {
    fn after(frame: &'a Frame, header_len: usize) -> Self {
        let mut segments = frame.segments();
        let head = segments.next().unwrap_or_default();
        Self { segments, current: head.get(header_len..).unwrap_or_default() }
    }

    /// At most `len` further bytes; empty at the end of the frame.
    fn next(&mut self, len: usize) -> &'a [u8] {
        while self.current.is_empty() {
            match self.segments.next() {
                Some(segment) => self.current = segment,
                None => return &[],
            }
        }
        let (now, later) = self.current.split_at(len.min(self.current.len()));
        self.current = later;
        now
    }
}

#[cfg(test)]
mod tests;
