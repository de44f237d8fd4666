//! What the parts without I/O cost in instructions, which are the same on a busy machine.
//!
//! *Where it sits:* the program `instructions` runs itself under valgrind's callgrind, once a case
//! of [`workload::cases`](crate::workload::cases), and compares with `benches/ceilings.toml`.
//!
//! | module | what |
//! |---|---|
//! | [`inside`] | the run that is counted |
//! | [`measure`] | starts it under callgrind and reads what was counted |
//! | [`callgrind`] | the format of callgrind's profiles |
//! | [`ceilings`] | the file of ceilings, and what to say when a figure is not near its own |
//! | [`stages`] | instructions by stage of a frame's way |
//! | [`symbols`] | which source an instruction comes from |
//!
//! *What is counted:* user instructions between the start and the end of a round, and nothing of
//! the set-up. Rounds are counted twice, N and then 2 N of them, and the difference divided by the
//! frames of N. Calls of the allocator are counted too; there must be none.
//!
//! *What figures depend on:* the compiler and its flags, so the build is that of a release. Hardly
//! on the machine: callgrind shows the program a CPU of its own making (Haswell without AVX-512),
//! by which libc selects its routines, and with those of a CPU without AVX the worker's figure is
//! 0.3 % another. Not on chance: seeds of hash tables are chosen at random, of which the best of
//! three counts.

pub mod callgrind;
pub mod ceilings;
pub mod inside;
pub mod measure;
pub mod stages;
pub mod symbols;
