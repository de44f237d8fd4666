//! Nothing but a place for the benchmarks in `benches/`, one file a question.
