//! Frames gone wrong, repeatably: seeded mutation for the tests that throw rubbish at a port.
//!
//! *Invariant:* the same seed gives the same frames on every machine; a failing test prints its
//! seed and is run again with it.

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014): enough
/// randomness for a test, and eight lines.
#[derive(Debug, Clone)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// A generator that always gives the same numbers for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        // The high half of a product: unbiased enough for any bound that fits a frame.
        let wide = u128::from(self.next_u64()) * (bound as u128);
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// One of the values.
    pub fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// The low byte of the next number.
    pub fn byte(&mut self) -> u8 {
        self.next_u64().to_le_bytes()[0]
    }
}

/// Values of a 16-bit field at which parsers go wrong: limits, off-by-one, EtherTypes of tags.
const EDGES: [u16; 14] =
    [0, 1, 19, 20, 39, 40, 0x7fff, 0x8000, 0xfffe, 0xffff, 0x8100, 0x88a8, 0x86dd, 0x0800];

/// Where headers live; most mutations aim here.
const HEADERS_LEN: usize = 80;

/// Shortest frame that a packet socket sends: an Ethernet header.
const LEN_MIN: usize = 14;

/// A copy of `frame` with one to four faults, 14 to `len_max` bytes long.
pub fn mutate(frame: &[u8], random: &mut SplitMix64, len_max: usize) -> Vec<u8> {
    let mut mutant = frame.to_vec();
    for _ in 0..=random.below(4) {
        fault(&mut mutant, random);
    }
    let filler = random.byte();
    mutant.resize(mutant.len().clamp(LEN_MIN, len_max.max(LEN_MIN)), filler);
    mutant
}

fn fault(frame: &mut Vec<u8>, random: &mut SplitMix64) {
    let at = random.below(frame.len().min(HEADERS_LEN));
    let anywhere = random.below(frame.len());
    match random.below(8) {
        0 => {
            if let Some(byte) = frame.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            if let Some(byte) = frame.get_mut(anywhere) {
                *byte = random.byte();
            }
        }
        2 => {
            let edge = random.pick(&EDGES).to_be_bytes();
            if let Some(field) = frame.get_mut(at..at + 2) {
                field.copy_from_slice(&edge);
            }
        }
        3 => frame.truncate(anywhere),
        4 => frame.extend((0..random.below(200)).map(|index| index.to_le_bytes()[0])),
        5 if frame.len() >= 12 => {
            // One to sixteen tags, VID 0 and 4095 among them.
            for _ in 0..=random.below(16) {
                let tpid = random.pick(&[0x8100_u16, 0x88a8]).to_be_bytes();
                let tci = random.pick(&[0_u16, 1, 10, 0x0fff, 0xffff, 0xe00a]).to_be_bytes();
                frame.splice(12..12, tpid.into_iter().chain(tci));
            }
        }
        6 => {
            // Part of the frame once more in its middle: headers inside headers.
            let part = frame[..anywhere].to_vec();
            frame.splice(at..at, part);
        }
        _ => {
            let end = (anywhere + random.below(20)).min(frame.len());
            frame[anywhere..end].fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First outputs of the reference implementation for seed 1234567.
    #[test]
    fn the_generator_is_splitmix64() {
        let mut random = SplitMix64::new(1_234_567);
        let first: Vec<_> = (0..3).map(|_| random.next_u64()).collect();
        let expected =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(first, expected);
    }

    #[test]
    fn mutants_repeat_by_seed_differ_and_keep_their_bounds() {
        let frame: Vec<u8> = (0..60).collect();
        let run = |seed| {
            let mut random = SplitMix64::new(seed);
            (0..2_000).map(|_| mutate(&frame, &mut random, 1514)).collect::<Vec<_>>()
        };
        let mutants = run(7);
        assert_eq!(mutants, run(7));
        assert_ne!(mutants, run(8));
        assert!(mutants.iter().all(|mutant| (LEN_MIN..=1514).contains(&mutant.len())));
        let changed = mutants.iter().filter(|mutant| **mutant != frame).count();
        assert!(changed > 1_900, "only {changed} of 2000 differ");
    }
}
