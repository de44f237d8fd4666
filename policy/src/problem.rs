//! What is wrong with a configuration: collected, never only the first.

use std::fmt;

/// Where in the text something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Line, from 1.
    pub line: u32,
    /// Column of the first character, from 1.
    pub column: u32,
    /// How many characters.
    pub length: u32,
}

/// One mistake, with the place, what is wrong and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where in the text; `None` when the mistake is in the outcome, not in one line.
    pub span: Option<Span>,
    /// The part of the configuration, as a user names it: `port-profile WEB`, `Ethernet3/1`.
    pub path: String,
    /// What is wrong, with the value.
    pub message: String,
    /// What was expected or what to do; may be empty.
    pub hint: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(span) = self.span {
            write!(f, "{}:{}: ", span.line, span.column)?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if !self.hint.is_empty() {
            write!(f, " ({})", self.hint)?;
        }
        Ok(())
    }
}
