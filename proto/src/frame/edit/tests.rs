use super::*;
use crate::frame::{PartialChecksum, parse};
use crate::types::VlanId;
use proptest::prelude::*;

/// Headroom, then a frame of `len` bytes that are all different (up to 251 of them).
fn buffer(len: usize) -> Vec<u8> {
    (0..HEADROOM + len).map(|i| (i % 251) as u8).collect()
}

fn apply(edit: TagEdit, buf: &mut [u8]) -> Vec<u8> {
    let start = edit.apply(buf).unwrap();
    buf[start..].to_vec()
}

#[test]
fn a_push_writes_tpid_and_tci_behind_the_addresses() {
    let mut buf = buffer(60);
    let before = buf[HEADROOM..].to_vec();
    let after = apply(TagEdit::Push(Tag { tci: 0xa02a }), &mut buf);
    assert_eq!(after[..12], before[..12]);
    assert_eq!(after[12..16], [0x81, 0x00, 0xa0, 0x2a]);
    assert_eq!(after[16..], before[12..]);
}

#[test]
fn a_pop_takes_off_the_outer_tag_alone() {
    let mut buf = buffer(60);
    buf[HEADROOM + 12..HEADROOM + 20].copy_from_slice(&[0x81, 0, 0, 5, 0x81, 0, 0, 6]);
    let before = buf[HEADROOM..].to_vec();
    let after = apply(TagEdit::Pop, &mut buf);
    assert_eq!(after, [&before[..12], &before[16..]].concat());
    assert_eq!(tag_of(&after), Some(Tag { tci: 6 }));
}

#[test]
fn a_rewrite_changes_two_bytes() {
    let mut buf = buffer(60);
    buf[HEADROOM + 12..HEADROOM + 16].copy_from_slice(&[0x81, 0, 0xe0, 5]);
    let mut expected = buf[HEADROOM..].to_vec();
    expected[15] = 9;
    let vlan = VlanId::new(9u32).unwrap();
    let tag = tag_of(&buf[HEADROOM..]).unwrap().with_vlan(vlan);
    assert_eq!(apply(TagEdit::Rewrite(tag), &mut buf), expected);
    assert_eq!(tag.pcp_bits(), 7);
}

#[test]
fn edits_that_do_not_fit_change_nothing() {
    let tag = Tag { tci: 1 };
    for (edit, len) in [
        (TagEdit::Push(tag), 11),
        (TagEdit::Pop, 15),
        (TagEdit::Rewrite(tag), 15),
        // Long enough, but untagged.
        (TagEdit::Pop, 60),
        (TagEdit::Rewrite(tag), 60),
    ] {
        let mut buf = buffer(len);
        assert_eq!(edit.apply(&mut buf), None, "{edit:?} {len}");
        assert_eq!(buf, buffer(len), "{edit:?} {len}");
    }
    for edit in [TagEdit::Push(tag), TagEdit::Pop, TagEdit::Rewrite(tag)] {
        assert_eq!(edit.apply(&mut []), None);
    }
}

#[test]
fn offload_offsets_move_with_the_payload() {
    let partial = PartialChecksum { start: 34, offset: 16 };
    let offload = crate::frame::Offload { checksum: Some(partial), ..crate::frame::Offload::NONE };
    let tag = Tag { tci: 1 };
    let moved = offload.shifted(TagEdit::Push(tag).len_delta());
    assert_eq!(moved.checksum, Some(PartialChecksum { start: 38, offset: 16 }));
    assert_eq!(moved.shifted(TagEdit::Pop.len_delta()), offload);
    assert_eq!(offload.shifted(TagEdit::Keep.len_delta()), offload);
    assert_eq!(offload.shifted(TagEdit::Rewrite(tag).len_delta()), offload);
}

proptest! {
    #[test]
    fn push_then_pop_is_identity(
        frame in proptest::collection::vec(any::<u8>(), 14..200),
        tci: u16,
    ) {
        let mut buf = [&[0; HEADROOM][..], &frame].concat();
        prop_assert_eq!(TagEdit::Push(Tag { tci }).apply(&mut buf), Some(0));
        let key = parse(&buf).unwrap();
        prop_assert_eq!(key.tag, Some(Tag { tci }));
        prop_assert_eq!(key.ether_type.get(), u16::from_be_bytes([frame[12], frame[13]]));
        prop_assert_eq!(pop(&mut buf), Some(()));
        prop_assert_eq!(&buf[HEADROOM..], &frame[..]);
    }

    #[test]
    fn the_priority_survives_pop_and_push(
        tci: u16,
        vlan in 1..=4094u32,
        rest in any::<[u8; 44]>(),
    ) {
        let tagged = [&[2; 12][..], &[0x81, 0], &tci.to_be_bytes(), &rest].concat();
        let tag = tag_of(&tagged).unwrap();
        let mut buf = [&[0; HEADROOM][..], &tagged].concat();
        let start = TagEdit::Pop.apply(&mut buf).unwrap();
        let vlan = VlanId::new(vlan).unwrap();
        let edit = TagEdit::Push(tag.with_vlan(vlan));
        let pushed = apply(edit, &mut buf[start - HEADROOM..]);
        let out = tag_of(&pushed).unwrap();
        prop_assert_eq!((out.vlan(), out.tci >> 12), (Some(vlan), tci >> 12));
        prop_assert_eq!(&pushed[16..], &tagged[16..]);
    }

    #[test]
    fn the_length_changes_by_the_delta(
        frame in proptest::collection::vec(any::<u8>(), 0..40),
        tagged: bool,
        tci: u16,
    ) {
        let mut buf = [&[0; HEADROOM][..], &frame].concat();
        if let (true, Some(tpid)) = (tagged, buf.get_mut(16..18)) {
            tpid.copy_from_slice(&[0x81, 0]);
        }
        let tag = Tag { tci };
        for edit in [TagEdit::Keep, TagEdit::Push(tag), TagEdit::Pop, TagEdit::Rewrite(tag)] {
            let mut buf = buf.clone();
            if let Some(start) = edit.apply(&mut buf) {
                let grown = (buf.len() - start) as i64 - frame.len() as i64;
                prop_assert_eq!(grown, i64::from(edit.len_delta()));
            }
        }
    }
}
