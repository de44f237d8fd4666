use super::*;
use etherparse::checksum::Sum16BitWords;
use proptest::prelude::*;

/// The checksum as RFC 1071 section 1 describes it, word by word.
fn reference(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[test]
fn the_example_of_rfc_1071() {
    let sum = Sum::of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
    assert_eq!(sum.folded(), 0xddf2);
    assert_eq!(sum.complement(), 0x220d);
}

#[test]
fn a_real_ipv4_header_is_valid_and_a_bent_one_is_not() {
    let mut header = [
        0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0x00,
        0x01, 0xc0, 0xa8, 0x00, 0xc7,
    ];
    assert!(Sum::of(&header).is_valid());
    header[8] -= 1;
    assert!(!Sum::of(&header).is_valid());
}

#[test]
fn long_runs_of_ones_do_not_overflow() {
    let bytes = vec![0xff; 70_001];
    assert_eq!(Sum::of(&bytes).complement(), reference(&bytes));
    let mut sum = Sum::ZERO;
    for _ in 0..1000 {
        sum.add_bytes(&bytes);
    }
    assert_eq!(sum.complement(), reference(&[0xff; 16]));
}

#[test]
fn an_example_of_rfc_1624() {
    // Section 4: the header's word changes from 0x5555 to 0x3285, the checksum from 0xdd2f to 0.
    assert_eq!(update(0xdd2f, 0x5555, 0x3285), 0x0000);
}

#[test]
fn a_field_outside_the_frame_is_refused_and_nothing_changes() {
    let (start, offset) = (10, 9);
    let mut frame = [7; 20];
    let error = complete_contiguous(&mut frame, PartialChecksum { start, offset }).unwrap_err();
    assert_eq!(error, ChecksumOutside { start, offset, frame_len: 20 });
    assert_eq!(
        error.to_string(),
        "a partial checksum at 10+9 lies outside its frame of 20 bytes; \
         the sender's offload header is wrong"
    );
    assert_eq!(frame, [7; 20]);
    assert!(complete_contiguous(&mut frame, PartialChecksum { start, offset: 8 }).is_ok());
    assert!(
        complete_contiguous(&mut frame, PartialChecksum { start: 65535, offset: 65535 }).is_err()
    );
    assert!(complete(&mut [], PartialChecksum { start: 0, offset: 0 }).is_err());
}

#[test]
fn zero_becomes_all_ones_in_udp_alone() {
    for (offset, expected) in [(6, [0xff; 2]), (16, [0; 2]), (2, [0; 2])] {
        // Words that sum to 0xffff give a checksum of 0.
        let mut frame = [0; 20];
        frame[10..14].copy_from_slice(&[0xff, 0xfe, 0x00, 0x01]);
        let field = usize::from(offset);
        complete_contiguous(&mut frame, PartialChecksum { start: 0, offset }).unwrap();
        assert_eq!(frame[field..field + 2], expected, "{offset}");
        assert!(Sum::of(&frame).is_valid());
    }
}

/// Cuts `bytes` at the given places.
fn cut<'a>(mut bytes: &'a mut [u8], cuts: &[prop::sample::Index]) -> Vec<&'a mut [u8]> {
    let mut parts = Vec::new();
    for at in cuts {
        let (part, rest) = bytes.split_at_mut(at.index(bytes.len() + 1));
        parts.push(part);
        bytes = rest;
    }
    parts.push(bytes);
    parts
}

fn any_cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    proptest::collection::vec(any::<prop::sample::Index>(), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn equal_to_word_by_word_and_to_etherparse(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        prop_assert_eq!(Sum::of(&bytes).complement(), reference(&bytes));
        let oracle = Sum16BitWords::new().add_slice(&bytes).ones_complement();
        prop_assert_eq!(Sum::of(&bytes).complement(), u16::from_be(oracle));
    }

    #[test]
    fn any_split_gives_the_same_sum(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..600),
        cuts in any_cuts(),
    ) {
        let whole = Sum::of(&bytes);
        let mut sum = Sum::ZERO;
        for part in cut(&mut bytes, &cuts) {
            sum.add_bytes(part);
        }
        prop_assert_eq!(sum.folded(), whole.folded());
    }

    #[test]
    fn pseudo_headers_are_those_of_etherparse(
        v4 in any::<(u32, u32)>(),
        v6 in any::<(u128, u128)>(),
        payload in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let len = 8 + payload.len() as u32;
        let udp = etherparse::UdpHeader { length: len as u16, ..Default::default() };
        let l4 = [&udp.to_bytes()[..], &payload].concat();

        let mut sum = Sum::pseudo_v4(v4.0, v4.1, IpProto::UDP, len);
        sum.add_bytes(&l4);
        let (src, dst) = (v4.0.to_be_bytes(), v4.1.to_be_bytes());
        let oracle = udp.calc_checksum_ipv4_raw(src, dst, &payload).unwrap();
        prop_assert_eq!(sum.complement_nonzero(), oracle);

        let mut sum = Sum::pseudo_v6(v6.0, v6.1, IpProto::UDP, len);
        sum.add_bytes(&l4);
        let (src, dst) = (v6.0.to_be_bytes(), v6.1.to_be_bytes());
        let oracle = udp.calc_checksum_ipv6_raw(src, dst, &payload).unwrap();
        prop_assert_eq!(sum.complement_nonzero(), oracle);
    }

    #[test]
    fn completion_makes_the_sum_valid_however_the_frame_is_cut(
        frame in proptest::collection::vec(any::<u8>(), 2..300),
        cuts in any_cuts(),
        start in any::<prop::sample::Index>(),
        offset in any::<prop::sample::Index>(),
        seed: u16,
    ) {
        let start = start.index(frame.len() - 1);
        // The field stands at an even place of the summed area, as it does in TCP and UDP.
        let offset = offset.index(frame.len() - 1 - start) & !1;
        let field = start + offset..start + offset + 2;
        let mut frame = frame;
        frame[field.clone()].copy_from_slice(&seed.to_be_bytes());
        let mut whole = frame.clone();
        let partial = PartialChecksum { start: start as u16, offset: offset as u16 };
        complete(&mut cut(&mut frame, &cuts), partial).unwrap();
        complete_contiguous(&mut whole, partial).unwrap();
        prop_assert_eq!(&frame, &whole);
        // What the receiver sees: its own pseudo-header, which was the seed, and the bytes.
        let mut sum = Sum::of(&frame[start..]);
        sum.add_word(seed);
        prop_assert!(sum.is_valid());
    }

    #[test]
    fn incremental_update_equals_summing_again(
        mut words in proptest::collection::vec(any::<u16>(), 2..20),
        at in any::<prop::sample::Index>(),
        new: u16,
    ) {
        let bytes = |words: &[u16]| words.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<_>>();
        // All zeros is the one sum that has two complements, and no header is all zeros.
        words[0] |= 1;
        let at = 1 + at.index(words.len() - 1);
        let (before, old) = (Sum::of(&bytes(&words)).complement(), words[at]);
        words[at] = new;
        prop_assert_eq!(update(before, old, new), Sum::of(&bytes(&words)).complement());
    }
}
