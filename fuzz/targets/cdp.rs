//! CDP advertisements, as they come and with the lengths and the checksum put right: no fuzzer
//! finds its way through a checksum to the fields behind it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::frame::cdp::{self, CdpError};
use proto::frame::checksum::Sum;

/// Addresses, a place for the length, LLC/SNAP header.
const HEAD: [u8; 22] = [
    0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcc, 2, 0, 0, 0, 0, 1, 0, 0, 0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0,
];

fuzz_target!(|input: &[u8]| {
    show(input);
    let mut frame = [&HEAD, input].concat();
    let Ok(length @ ..0x600) = u16::try_from(input.len() + 8) else { return };
    frame[12..14].copy_from_slice(&length.to_be_bytes());
    let Some(message @ [1 | 2, _, _, _, ..]) = frame.get_mut(HEAD.len()..) else { return };
    message[2..4].fill(0);
    let sum = Sum::of(message).complement().to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    assert!(!matches!(show(&frame), Some(CdpError::Checksum(_))));
});

/// Reads and shows; returns why it cannot be believed.
fn show(frame: &[u8]) -> Option<CdpError> {
    match cdp::parse(frame) {
        Ok(read) => {
            let texts = [read.port_id, read.software, read.platform, read.system_name];
            for text in texts.into_iter().flatten().chain([read.device_id]) {
                assert!(!text.to_string().contains(char::is_control));
            }
            assert!(!read.device_id.octets().is_empty());
            None
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            Some(error)
        }
    }
}
