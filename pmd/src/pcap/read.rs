//! Reads pcap (four magics: both byte orders, micro- and nanoseconds) and pcapng.
//!
//! Everything comes from a stranger: lengths are checked before anything is allocated or skipped.

use std::io::{self, Read};

use super::{LINKTYPE_ETHERNET, PACKET_MAX_BYTES, PcapError, ng};

/// Magic of a classic file with microseconds, in its own byte order (pcap-savefile(5)).
const MAGIC_MICROS: u32 = 0xa1b2_c3d4;
/// The same with nanoseconds.
const MAGIC_NANOS: u32 = 0xa1b2_3c4d;
/// Blocks above this are taken for a wrong length (as long as the longest packet and its options).
const BLOCK_MAX_BYTES: u32 = PACKET_MAX_BYTES + 65_536;
/// Microseconds: the resolution of an interface that does not say.
const DEFAULT_TSRESOL: u8 = 6;

/// A packet of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// When it was captured, in nanoseconds since 1970; 0 in a block that has no time.
    pub time_ns: u64,
    /// Length on the wire; above that of `bytes` when the capture cut it.
    pub original_len: u32,
    /// Its bytes, as far as captured.
    pub bytes: &'a [u8],
}

/// Reads the packets of a capture one by one.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    /// Bytes read so far.
    offset: u64,
    swapped: bool,
    format: Format,
    /// The block or record last read.
    body: Vec<u8>,
}

#[derive(Debug)]
enum Format {
    Classic { fraction_ns: u64 },
    Ng { interfaces: Vec<Interface> },
}

/// What a packet block needs to know of its interface.
#[derive(Clone, Copy, Debug)]
struct Interface {
    tsresol: u8,
    snap_len: u32,
}

/// Where in `body` the packet stands.
struct Found {
    time_ns: u64,
    original_len: u32,
    start: usize,
    len: usize,
}

impl<R: Read> Reader<R> {
    /// Reads the file's header.
    ///
    /// # Errors
    /// [`PcapError`]: not a capture file, not of Ethernet, or cut off.
    pub fn new(input: R) -> Result<Self, PcapError> {
        let format = Format::Ng { interfaces: Vec::new() };
        let mut reader = Self { input, offset: 0, swapped: false, format, body: Vec::new() };
        let magic = u32::from_ne_bytes(reader.array("the file header")?);
        if magic == ng::SECTION_HEADER {
            reader.section_header(0)?;
            return Ok(reader);
        }
        let (fraction_ns, swapped) = match (magic, magic.swap_bytes()) {
            (MAGIC_MICROS, _) => (1000, false),
            (MAGIC_NANOS, _) => (1, false),
            (_, MAGIC_MICROS) => (1000, true),
            (_, MAGIC_NANOS) => (1, true),
            _ => return Err(PcapError::NotACapture(u32::from_be_bytes(magic.to_ne_bytes()))),
        };
        reader.swapped = swapped;
        reader.format = Format::Classic { fraction_ns };
        // Version, two unused fields and the snapshot length say nothing that we need.
        let _: [u8; 16] = reader.array("the file header")?;
        let link = u32::from_ne_bytes(reader.array("the file header")?);
        // The upper half holds the length of a frame check sequence.
        reader.check_link_type(reader.u32(link) as u16, 0)?;
        Ok(reader)
    }

    /// The next packet; `None` at the end of the file.
    ///
    /// # Errors
    /// [`PcapError`]; nothing more can be read then.
    pub fn next_packet(&mut self) -> Result<Option<Packet<'_>>, PcapError> {
        let found = match self.format {
            Format::Classic { fraction_ns } => self.next_record(fraction_ns)?,
            Format::Ng { .. } => self.next_block_with_packet()?,
        };
        Ok(found.map(|found| Packet {
            time_ns: found.time_ns,
            original_len: found.original_len,
            bytes: self.body.get(found.start..found.start + found.len).unwrap_or_default(),
        }))
    }

    fn next_record(&mut self, fraction_ns: u64) -> Result<Option<Found>, PcapError> {
        let offset = self.offset;
        let Some(seconds) = self.start("a packet header")? else { return Ok(None) };
        let fraction = u32::from_ne_bytes(self.array("a packet header")?);
        let captured = u32::from_ne_bytes(self.array("a packet header")?);
        let original = u32::from_ne_bytes(self.array("a packet header")?);
        let (seconds, fraction) = (self.u32(seconds), self.u32(fraction));
        let captured = self.u32(captured);
        if captured > PACKET_MAX_BYTES {
            return Err(PcapError::Length { what: "a packet", offset, len: captured });
        }
        self.read_body(captured, "a packet", offset)?;
        let time_ns = u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * fraction_ns;
        let original_len = self.u32(original);
        Ok(Some(Found { time_ns, original_len, start: 0, len: captured as usize }))
    }

    fn next_block_with_packet(&mut self) -> Result<Option<Found>, PcapError> {
        loop {
            let offset = self.offset;
            let Some(kind) = self.start("a block")? else { return Ok(None) };
            // The type of a section header reads the same in both byte orders.
            if kind == ng::SECTION_HEADER {
                self.section_header(offset)?;
                continue;
            }
            let kind = self.u32(kind);
            let length = u32::from_ne_bytes(self.array("a block")?);
            self.block_body(self.u32(length), offset)?;
            let found = match kind {
                ng::INTERFACE_DESCRIPTION => self.interface(offset).map(|()| None)?,
                ng::ENHANCED_PACKET => Some(self.enhanced_packet(offset)?),
                ng::SIMPLE_PACKET => Some(self.simple_packet(offset)?),
                _ => None,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    /// A new section: its byte order, and no interfaces yet. Its type has been read.
    fn section_header(&mut self, offset: u64) -> Result<(), PcapError> {
        let length = u32::from_ne_bytes(self.array("a section header")?);
        let magic = u32::from_ne_bytes(self.array("a section header")?);
        self.swapped = match (magic, magic.swap_bytes()) {
            (ng::BYTE_ORDER_MAGIC, _) => false,
            (_, ng::BYTE_ORDER_MAGIC) => true,
            _ => return Err(PcapError::ByteOrder { offset, magic }),
        };
        self.format = Format::Ng { interfaces: Vec::new() };
        let length = self.u32(length);
        // The byte-order mark has been read already.
        let Some(rest) = length.checked_sub(4) else {
            return Err(PcapError::Length { what: "a section header", offset, len: length });
        };
        self.block_body(rest, offset)
    }

    /// Reads what follows the length of a block: its body, and the length once more.
    fn block_body(&mut self, length: u32, offset: u64) -> Result<(), PcapError> {
        let body = length.checked_sub(ng::BLOCK_OVERHEAD_BYTES);
        let Some(body) = body.filter(|body| body % 4 == 0 && *body <= BLOCK_MAX_BYTES) else {
            return Err(PcapError::Length { what: "a block", offset, len: length });
        };
        self.read_body(body, "a block", offset)?;
        let _: [u8; 4] = self.array("a block")?;
        Ok(())
    }

    fn interface(&mut self, offset: u64) -> Result<(), PcapError> {
        let short = PcapError::Truncated { what: "an interface description", offset };
        let (Some(link_type), Some(snap_len)) = (self.body_u16(0), self.body_u32(4)) else {
            return Err(short);
        };
        self.check_link_type(link_type, offset)?;
        let mut at = 8;
        let mut tsresol = DEFAULT_TSRESOL;
        while let (Some(code), Some(len)) = (self.body_u16(at), self.body_u16(at + 2)) {
            if code == ng::OPTION_END {
                break;
            }
            if code == ng::OPTION_IF_TSRESOL {
                tsresol = self.body.get(at + 4).copied().unwrap_or(DEFAULT_TSRESOL);
            }
            at += 4 + usize::from(len).next_multiple_of(4);
        }
        if let Format::Ng { interfaces } = &mut self.format {
            interfaces.push(Interface { tsresol, snap_len });
        }
        Ok(())
    }

    fn enhanced_packet(&self, offset: u64) -> Result<Found, PcapError> {
        let word = |at| self.body_u32(at).ok_or(PcapError::Truncated { what: "a packet", offset });
        let (id, high, low) = (word(0)?, word(4)?, word(8)?);
        let (captured, original_len) = (word(12)?, word(16)?);
        let interface = self.described(id, offset)?;
        let time_ns = to_ns(u64::from(high) << 32 | u64::from(low), interface.tsresol);
        self.found(20, captured, original_len, time_ns, offset)
    }

    fn simple_packet(&self, offset: u64) -> Result<Found, PcapError> {
        let what = "a packet";
        let original_len = self.body_u32(0).ok_or(PcapError::Truncated { what, offset })?;
        let interface = self.described(0, offset)?;
        // A snapshot length of 0 says that there is no limit.
        let limit = if interface.snap_len == 0 { u32::MAX } else { interface.snap_len };
        self.found(4, original_len.min(limit), original_len, 0, offset)
    }

    fn found(
        &self,
        start: usize,
        captured: u32,
        original_len: u32,
        time_ns: u64,
        offset: u64,
    ) -> Result<Found, PcapError> {
        let len = captured as usize;
        if captured > PACKET_MAX_BYTES || self.body.len() - start < len {
            return Err(PcapError::Length { what: "a packet", offset, len: captured });
        }
        Ok(Found { time_ns, original_len, start, len })
    }

    fn described(&self, id: u32, offset: u64) -> Result<Interface, PcapError> {
        let Format::Ng { interfaces } = &self.format else {
            return Err(PcapError::Interface { offset, interface: id });
        };
        let found = interfaces.get(id as usize).copied();
        found.ok_or(PcapError::Interface { offset, interface: id })
    }

    fn check_link_type(&self, link_type: u16, offset: u64) -> Result<(), PcapError> {
        if link_type == LINKTYPE_ETHERNET {
            Ok(())
        } else {
            Err(PcapError::LinkType { link_type, offset })
        }
    }

    /// The first word of a record or block, as it stands; `None` exactly at the end of the file.
    fn start(&mut self, what: &'static str) -> Result<Option<u32>, PcapError> {
        let mut word = [0; 4];
        loop {
            match self.input.read(&mut word[..1]) {
                Ok(0) => return Ok(None),
                Ok(_) => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
        let offset = self.offset;
        self.offset += 1;
        self.fill(&mut word[1..], what, offset)?;
        Ok(Some(u32::from_ne_bytes(word)))
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], PcapError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, what, self.offset)?;
        Ok(bytes)
    }

    fn fill(&mut self, out: &mut [u8], what: &'static str, at: u64) -> Result<(), PcapError> {
        self.input.read_exact(out).map_err(|e| truncated(e, what, at))?;
        self.offset += out.len() as u64;
        Ok(())
    }

    /// Reads `len` bytes, which the caller has bounded, into the body.
    fn read_body(&mut self, len: u32, what: &'static str, at: u64) -> Result<(), PcapError> {
        self.body.resize(len as usize, 0);
        self.input.read_exact(&mut self.body).map_err(|e| truncated(e, what, at))?;
        self.offset += u64::from(len);
        Ok(())
    }

    const fn u32(&self, word: u32) -> u32 {
        if self.swapped { word.swap_bytes() } else { word }
    }

    fn body_u32(&self, at: usize) -> Option<u32> {
        let bytes = self.body.get(at..)?.first_chunk::<4>()?;
        Some(self.u32(u32::from_ne_bytes(*bytes)))
    }

    fn body_u16(&self, at: usize) -> Option<u16> {
        let bytes = self.body.get(at..)?.first_chunk::<2>()?;
        let word = u16::from_ne_bytes(*bytes);
        Some(if self.swapped { word.swap_bytes() } else { word })
    }
}

fn truncated(error: io::Error, what: &'static str, offset: u64) -> PcapError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => PcapError::Truncated { what, offset },
        _ => PcapError::Io(error),
    }
}

/// A time stamp in units of `if_tsresol` as nanoseconds; the highest value for one that is too far
/// ahead.
fn to_ns(units: u64, tsresol: u8) -> u64 {
    let exponent = u32::from(tsresol & 0x7f);
    let units = u128::from(units);
    let nanos = if tsresol & 0x80 != 0 {
        // Powers of two; the product of 2^64 and 10^9 is below 2^94.
        (units * 1_000_000_000) >> exponent
    } else {
        match 9u32.checked_sub(exponent) {
            Some(more) => units * 10u128.pow(more),
            // Beyond 10^38 a unit is less than any time.
            None => 10u128.checked_pow(exponent - 9).map_or(0, |divisor| units / divisor),
        }
    };
    u64::try_from(nanos).unwrap_or(u64::MAX)
}
