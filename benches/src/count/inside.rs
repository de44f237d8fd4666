//! The run that is counted, on the inside of callgrind.

use std::hint::black_box;

use crate::workload::Workload;

/// The function whose instructions count, with all that it calls, as a pattern of callgrind's.
pub const COUNTED: &str = "*counted_round*";
/// The function that ends a part.
pub const END_OF_PART: &str = "*end_of_part*";
/// Fewest frames of the first part.
const FRAMES_MIN: u64 = 20_000;

/// Does a workload's rounds in two parts, the second twice as long. Returns the frames of the
/// first.
pub fn run(work: &mut dyn Workload) -> u64 {
    // Warm: symbols of libc are bound, pools are filled.
    work.refill();
    black_box(work.round());
    let rounds = FRAMES_MIN.div_ceil(work.frames());
    for part in 1..=2 {
        for _ in 0..part * rounds {
            work.refill();
            black_box(counted_round(work));
        }
        end_of_part(part);
    }
    rounds * work.frames()
}

/// What callgrind counts. Not a tail call, which it would take for the caller's.
#[inline(never)]
fn counted_round(work: &mut dyn Workload) -> u64 {
    black_box(work.round())
}

/// Where callgrind writes down what it has counted, and starts anew.
#[inline(never)]
fn end_of_part(part: u64) {
    black_box(part);
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Rounds {
        refills: u64,
        rounds: u64,
    }

    impl Workload for Rounds {
        fn frames(&self) -> u64 {
            3000
        }
        fn refill(&mut self) {
            self.refills += 1;
        }
        fn round(&mut self) -> u64 {
            self.rounds += 1;
            assert_eq!(self.rounds, self.refills, "each round is made ready");
            0
        }
    }

    #[test]
    fn the_second_part_is_twice_as_long() {
        let mut work = Rounds { refills: 0, rounds: 0 };
        let frames = run(&mut work);
        assert_eq!(frames, 7 * 3000);
        assert_eq!(work.rounds, 1 + 7 + 2 * 7);
    }
}
