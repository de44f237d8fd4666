//! A report that a person reads while it grows: one line a check, a mark before it.

use std::time::Instant;

use crate::error::{LabError, Result};
use crate::wait::check_interrupt;

/// Checks made so far.
#[derive(Debug, Default)]
pub struct Report {
    passed: u32,
    failed: u32,
}

impl Report {
    /// An empty report.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a part.
    pub fn section(&self, title: &str) {
        println!("\n{title}");
    }

    /// Makes one check and prints its line; the text that it gives stands behind it.
    ///
    /// # Errors
    /// Only [`LabError::Interrupted`]; a failure is counted, and the report goes on.
    pub fn check(&mut self, what: &str, check: impl FnOnce() -> Result<String>) -> Result<bool> {
        check_interrupt()?;
        let start = Instant::now();
        let result = check();
        let seconds = start.elapsed().as_secs_f64();
        match result {
            Err(LabError::Interrupted) => Err(LabError::Interrupted),
            // A program that Ctrl-C ended is no failed check.
            Err(_) if check_interrupt().is_err() => Err(LabError::Interrupted),
            Ok(detail) => {
                self.passed += 1;
                let detail = if detail.is_empty() { detail } else { format!(": {detail}") };
                println!("  \u{2713} {what}{detail}  [{seconds:.1} s]");
                Ok(true)
            }
            Err(error) => {
                self.failed += 1;
                println!("  \u{2717} {what}  [{seconds:.1} s]");
                error.to_string().lines().for_each(|line| println!("      {line}"));
                Ok(false)
            }
        }
    }

    /// As [`Report::check`], for what everything behind it needs.
    ///
    /// # Errors
    /// When the check failed; its reason is in the report.
    pub fn must(&mut self, what: &str, check: impl FnOnce() -> Result<String>) -> Result<()> {
        if self.check(what, check)? {
            return Ok(());
        }
        Err(LabError::Unexpected(format!("cannot go on: {what}")))
    }

    /// Prints the sum and says whether all checks passed (and there was one).
    pub fn finish(&self) -> bool {
        println!("\n{} checks passed, {} failed", self.passed, self.failed);
        self.failed == 0 && self.passed > 0
    }
}

/// For a check whose condition is already known.
///
/// # Errors
/// [`LabError::Unexpected`] with `problem` when it does not hold.
pub fn expect(condition: bool, problem: impl Into<String>) -> Result<()> {
    if condition { Ok(()) } else { Err(LabError::Unexpected(problem.into())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_check_fails_the_report() {
        let mut report = Report::new();
        assert!(!report.finish());
        assert!(report.check("good", || Ok(String::new())).unwrap());
        assert!(report.finish());
        assert!(!report.check("bad", || Err(LabError::Unexpected("why".into()))).unwrap());
        assert!(!report.finish());
        let error = report.must("bad", || Err(LabError::Unexpected("why".into()))).unwrap_err();
        assert_eq!(error.to_string(), "cannot go on: bad");
    }
}
