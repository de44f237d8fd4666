//! LACPDUs and Marker PDUs: what is read is written and read back as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::MacAddr;
use proto::frame::lacp::{SlowPdu, parse};

const SRC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);

fuzz_target!(|frame: &[u8]| match parse(frame) {
    Ok(SlowPdu::Lacp(lacpdu)) => {
        assert_eq!(parse(&lacpdu.to_frame(SRC)), Ok(SlowPdu::Lacp(lacpdu)));
    }
    Ok(SlowPdu::Marker(marker)) => {
        for marker in [marker, marker.response()] {
            assert_eq!(parse(&marker.to_frame(SRC)), Ok(SlowPdu::Marker(marker)));
        }
    }
    Err(error) => assert!(!error.to_string().is_empty()),
});
