//! A report that a person reads while it grows: one line a check, a mark before it, what was
//! measured behind it. No wider than [`WIDTH`].

use std::env;
use std::io::{IsTerminal, Write, stdout};
use std::time::Instant;

use crate::error::{LabError, Result};
use crate::wait::check_interrupt;

/// Columns of a terminal that the report fits into.
pub const WIDTH: usize = 100;

/// Columns of a check's name; what was measured stands behind.
const NAME_WIDTH: usize = 62;

/// Before the lines of a program's output.
const MARGIN: &str = "      ";

/// Checks made so far.
#[derive(Debug)]
pub struct Report {
    passed: u32,
    failed: u32,
    start: Instant,
    is_terminal: bool,
    has_colour: bool,
    /// The last lines were a program's output: a blank line is due.
    is_after_output: bool,
}

/// How a line looks.
#[derive(Debug, Clone, Copy)]
enum Style {
    Title,
    Good,
    Bad,
    Faint,
}

impl Report {
    /// An empty report.
    pub fn new() -> Self {
        let is_terminal = stdout().is_terminal();
        Self {
            passed: 0,
            failed: 0,
            start: Instant::now(),
            is_terminal,
            // https://no-color.org
            has_colour: is_terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            is_after_output: false,
        }
    }

    /// Begins a part.
    pub fn section(&mut self, title: &str) {
        self.is_after_output = false;
        println!("\n{}", self.styled(Style::Title, title));
    }

    /// Shows what a user would type and see: a command, and its output cut to the width.
    pub fn show(&mut self, command: &str, output: &str) {
        println!("\n{MARGIN}{}", self.styled(Style::Title, &format!("$ {command}")));
        for line in output.trim_end().lines() {
            let line = format!("{MARGIN}{}", cut(line, WIDTH - MARGIN.len()));
            println!("{}", self.styled(Style::Faint, line.trim_end()));
        }
        self.is_after_output = true;
    }

    /// Makes one check and prints its line; the text that it gives stands behind it.
    ///
    /// # Errors
    /// Only [`LabError::Interrupted`]; a failure is counted, and the report goes on.
    pub fn check(&mut self, what: &str, check: impl FnOnce() -> Result<String>) -> Result<bool> {
        check_interrupt()?;
        if std::mem::take(&mut self.is_after_output) {
            println!();
        }
        self.announce(what);
        let result = check();
        self.forget_announcement();
        match result {
            Err(LabError::Interrupted) => Err(LabError::Interrupted),
            // A program that Ctrl-C ended is no failed check.
            Err(_) if check_interrupt().is_err() => Err(LabError::Interrupted),
            Ok(detail) => {
                self.passed += 1;
                let mark = self.styled(Style::Good, "\u{2713}");
                println!("  {mark} {}", format!("{what:<NAME_WIDTH$} {detail}").trim_end());
                Ok(true)
            }
            Err(error) => {
                self.failed += 1;
                println!("  {} {what}", self.styled(Style::Bad, "\u{2717}"));
                error.to_string().lines().for_each(|line| println!("{MARGIN}{line}"));
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

    /// Whether a check has failed.
    pub fn has_failed(&self) -> bool {
        self.failed > 0
    }

    /// Prints the sum and says whether all checks passed (and there was one).
    pub fn finish(&self) -> bool {
        let is_good = self.failed == 0 && self.passed > 0;
        let (passed, failed) = (self.passed, self.failed);
        let seconds = self.start.elapsed().as_secs_f64();
        let sum = format!("{passed} checks passed, {failed} failed, in {seconds:.0} s");
        println!("\n{}", self.styled(if is_good { Style::Good } else { Style::Bad }, &sum));
        is_good
    }

    /// On a terminal, says what is going on until there is a result.
    fn announce(&self, what: &str) {
        if self.is_terminal {
            print!("  {}", self.styled(Style::Faint, &format!("\u{b7} {what}")));
            stdout().flush().ok();
        }
    }

    fn forget_announcement(&self) {
        if self.is_terminal {
            // ECMA-48 EL 2: erase in line.
            print!("\r\x1b[2K");
        }
    }

    fn styled(&self, style: Style, text: &str) -> String {
        // ECMA-48 SGR.
        let code = match style {
            Style::Title => 1,
            Style::Good => 32,
            Style::Bad => 31,
            Style::Faint => 2,
        };
        if self.has_colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

impl Default for Report {
    fn default() -> Self {
        Self::new()
    }
}

/// The line, its end replaced by an ellipsis when it is too wide.
fn cut(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    line.chars().take(width - 1).chain(['\u{2026}']).collect()
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
    fn a_wide_line_is_cut() {
        assert_eq!((cut("abc", 3), cut("abcd", 3)), ("abc".to_owned(), "ab\u{2026}".to_owned()));
    }

    #[test]
    fn one_failed_check_fails_the_report() {
        let mut report = Report::new();
        assert!(!report.finish());
        assert!(report.check("good", || Ok(String::new())).unwrap());
        assert!(report.finish() && !report.has_failed());
        assert!(!report.check("bad", || Err(LabError::Unexpected("why".into()))).unwrap());
        assert!(!report.finish() && report.has_failed());
        let error = report.must("bad", || Err(LabError::Unexpected("why".into()))).unwrap_err();
        assert_eq!(error.to_string(), "cannot go on: bad");
    }
}
