//! LLDPDUs: what is read is written and read back as the same, and is printed in bounds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::MacAddr;
use proto::frame::discovery::TEXT_CHARS_MAX;
use proto::frame::lldp::{Lldpdu, parse};

const SRC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);

fuzz_target!(|frame: &[u8]| match parse(frame) {
    Ok(lldpdu) => {
        let written = lldpdu.to_frame(SRC);
        assert_eq!(parse(&written), Ok(Lldpdu { tlvs_discarded: 0, ..lldpdu }));
        let ids = [lldpdu.chassis_id.to_string(), lldpdu.port_id.to_string()];
        let texts = [lldpdu.port_description, lldpdu.system_name, lldpdu.system_description];
        for text in texts.into_iter().flatten().map(|text| text.to_string()).chain(ids) {
            // An identifier of 255 octets has 764 characters in hex.
            assert!(text.chars().count() <= TEXT_CHARS_MAX.max(764));
            assert!(!text.contains(char::is_control));
        }
    }
    Err(error) => assert!(!error.to_string().is_empty()),
});
