//! The head of any frame: the key's offsets lie inside the bytes given, and a tag that is pushed
//! moves them and changes nothing else that the key says.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::VlanId;
use proto::frame::{FlowHash, FrameKey, Tag, edit, ethernet, parse, vlan};

fuzz_target!(|frame: &[u8]| {
    let Some(key) = parse(frame) else {
        let needed = ethernet::HEADER_LEN + vlan::TAG_LEN;
        assert!(frame.len() < needed, "a key is missing only to a frame cut in its header");
        return;
    };
    assert!(usize::from(key.l3_offset) <= frame.len());
    assert!(usize::from(key.l4_offset) <= frame.len());
    if !key.has_l4 {
        assert_eq!((key.l4_src, key.l4_dst, key.tcp_flags, key.l4_offset), (0, 0, 0, 0));
    }
    if key.tag.is_none() {
        let tag = Tag { tci: 0x6007 };
        let mut tagged = [&[0; edit::HEADROOM][..], frame].concat();
        edit::push(&mut tagged, tag).expect("a frame with a key has both addresses");
        let read = parse(&tagged).expect("a frame that was long enough is longer now");
        assert_eq!((read.tag, edit::tag_of(&tagged)), (Some(tag), Some(tag)));
        let (l3_offset, l4_offset) = (read.l3_offset - 4, read.l4_offset.saturating_sub(4));
        assert_eq!(FrameKey { tag: None, l3_offset, l4_offset, ..read }, key);
        assert_eq!(read.control_kind(&tagged), key.control_kind(frame));
        for fields in FlowHash::ALL {
            let of = |key: &FrameKey| key.flow_hash(fields, VlanId::DEFAULT);
            assert_eq!(of(&read), of(&key));
        }
    }
});
