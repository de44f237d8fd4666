//! Writes pcapng: one section, one interface block for each named interface, enhanced packet
//! blocks with nanoseconds. In the byte order of the machine, as the format has it.

use std::io::{self, Write};

use super::{LINKTYPE_ETHERNET, PACKET_MAX_BYTES, ng};

/// Nanoseconds, as the power of ten of `if_tsresol`.
const TSRESOL_NS: u8 = 9;

/// Writes a capture. Dropping it flushes nothing: call [`Writer::flush`].
#[derive(Debug)]
pub struct Writer<W> {
    output: W,
    interfaces: u32,
    /// The block being put together.
    block: Vec<u8>,
}

/// The number of an interface in one capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceId(u32);

impl<W: Write> Writer<W> {
    /// Starts a capture with its section header.
    ///
    /// # Errors
    /// What the output says.
    pub fn new(output: W) -> io::Result<Self> {
        let mut writer = Self { output, interfaces: 0, block: Vec::new() };
        let body = &mut writer.block;
        body.extend(ng::BYTE_ORDER_MAGIC.to_ne_bytes());
        // Version 1.0, and a section whose length is not known in advance.
        body.extend(1u16.to_ne_bytes());
        body.extend(0u16.to_ne_bytes());
        body.extend(u64::MAX.to_ne_bytes());
        option(body, ng::OPTION_USER_APPLICATION, b"Weft");
        option(body, ng::OPTION_END, &[]);
        writer.finish(ng::SECTION_HEADER)?;
        Ok(writer)
    }

    /// Describes an interface; the packets that follow can be of it.
    ///
    /// # Errors
    /// What the output says.
    pub fn interface(&mut self, name: &str) -> io::Result<InterfaceId> {
        let body = &mut self.block;
        body.extend(LINKTYPE_ETHERNET.to_ne_bytes());
        body.extend(0u16.to_ne_bytes());
        body.extend(PACKET_MAX_BYTES.to_ne_bytes());
        // An option holds at most so many bytes; no interface name comes near.
        let name = name.as_bytes();
        option(body, ng::OPTION_IF_NAME, &name[..name.len().min(1024)]);
        option(body, ng::OPTION_IF_TSRESOL, &[TSRESOL_NS]);
        option(body, ng::OPTION_END, &[]);
        self.finish(ng::INTERFACE_DESCRIPTION)?;
        let id = InterfaceId(self.interfaces);
        self.interfaces += 1;
        Ok(id)
    }

    /// Writes a packet that lies in `parts` and was captured at `time_ns` (nanoseconds since 1970).
    /// It is cut at `snap_len` bytes and at [`PACKET_MAX_BYTES`].
    ///
    /// # Errors
    /// What the output says.
    pub fn packet<'a>(
        &mut self,
        interface: InterfaceId,
        time_ns: u64,
        parts: impl IntoIterator<Item = &'a [u8]>,
        snap_len: u32,
    ) -> io::Result<()> {
        let limit = snap_len.min(PACKET_MAX_BYTES) as usize;
        let body = &mut self.block;
        for word in [interface.0, (time_ns >> 32) as u32, time_ns as u32, 0, 0] {
            body.extend(word.to_ne_bytes());
        }
        let start = body.len();
        let mut original_len = 0;
        for part in parts {
            original_len += part.len();
            let room = limit - (body.len() - start);
            body.extend(&part[..part.len().min(room)]);
        }
        let captured = (body.len() - start) as u32;
        let original = u32::try_from(original_len).unwrap_or(u32::MAX);
        body[12..16].copy_from_slice(&captured.to_ne_bytes());
        body[16..20].copy_from_slice(&original.to_ne_bytes());
        pad(body);
        self.finish(ng::ENHANCED_PACKET)
    }

    /// Hands on what the output has buffered.
    ///
    /// # Errors
    /// What the output says.
    pub fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    /// The output, as it is.
    pub fn into_inner(self) -> W {
        self.output
    }

    /// Writes the block, whose body is put together, and starts the next.
    fn finish(&mut self, kind: u32) -> io::Result<()> {
        // A body is at most a packet of PACKET_MAX_BYTES and a few options, so it fits.
        let length = (self.block.len() as u32 + ng::BLOCK_OVERHEAD_BYTES).to_ne_bytes();
        let outcome = self
            .output
            .write_all(&kind.to_ne_bytes())
            .and_then(|()| self.output.write_all(&length))
            .and_then(|()| self.output.write_all(&self.block))
            .and_then(|()| self.output.write_all(&length));
        self.block.clear();
        outcome
    }
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend(code.to_ne_bytes());
    // The callers' values are short.
    body.extend((value.len() as u16).to_ne_bytes());
    body.extend(value);
    pad(body);
}

/// Everything in a block stands at multiples of four bytes.
fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}
