//! Reading one line word by word: keywords with their abbreviations, values, and what would have
//! been legal when neither comes.
//!
//! Invariant: every read that does not succeed leaves the position alone and adds what it looked
//! for to `expected`; so an error at a position lists everything that was tried there. Reading on
//! clears the list.

use super::lex::{Line, Word};
use super::nearest::nearest;
use crate::problem::{Problem, Span};

/// Something that could stand at a position of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// This word, or an abbreviation.
    Keyword(&'static str),
    /// A value, described: `a VLAN (1..4094)`.
    Value(&'static str),
}

/// A position in a line.
#[derive(Debug)]
pub(super) struct Cursor<'l, 't> {
    line: &'l Line<'t>,
    at: usize,
    expected: Vec<Expected>,
}

impl<'l, 't> Cursor<'l, 't> {
    /// The start of the line.
    pub(super) const fn new(line: &'l Line<'t>) -> Self {
        Self { line, at: 0, expected: Vec::new() }
    }

    /// The line that is read.
    pub(super) const fn line(&self) -> &'l Line<'t> {
        self.line
    }

    /// The index of the next word.
    pub(super) const fn position(&self) -> usize {
        self.at
    }

    /// The next word, without reading it.
    pub(super) fn peek(&self) -> Option<&'l Word<'t>> {
        self.line.words.get(self.at)
    }

    /// How many words are left.
    pub(super) fn left(&self) -> usize {
        self.line.words.len().saturating_sub(self.at)
    }

    /// Where the words from here to the end of the line stand.
    pub(super) fn span_to_end(&self) -> Span {
        self.line.span_from(self.at)
    }

    /// Where the word that was read last stands.
    pub(super) fn span_before(&self) -> Span {
        match self.at.checked_sub(1).and_then(|i| self.line.words.get(i)) {
            Some(word) => self.line.span(word),
            None => self.line.span_from(0),
        }
    }

    /// Reads one of the keywords, when one is there.
    ///
    /// # Errors
    /// The word abbreviates several of them.
    pub(super) fn option<T: Copy>(
        &mut self,
        choices: &[(&'static str, T)],
    ) -> Result<Option<T>, Problem> {
        let Some(word) = self.peek() else {
            self.expect_keywords(choices);
            return Ok(None);
        };
        match match_keyword(word.text, choices) {
            Matched::One(value) => {
                self.step();
                Ok(Some(value))
            }
            Matched::None => {
                self.expect_keywords(choices);
                Ok(None)
            }
            Matched::Several(names) => Err(self.problem(
                format!("`{}` is ambiguous: {}", word.text, list(&names, "or")),
                "write more letters of the word you mean",
            )),
        }
    }

    /// Reads one of the keywords.
    ///
    /// # Errors
    /// Another word is there, or none, or one that abbreviates several of them.
    pub(super) fn choose<T: Copy>(&mut self, choices: &[(&'static str, T)]) -> Result<T, Problem> {
        match self.option(choices)? {
            Some(value) => Ok(value),
            None => Err(self.unexpected()),
        }
    }

    /// Reads one keyword.
    ///
    /// # Errors
    /// Another word is there, or none.
    pub(super) fn keyword(&mut self, word: &'static str) -> Result<(), Problem> {
        self.choose(&[(word, ())])
    }

    /// Reads a value, when the next word is one: `parse` says `None` when it is not meant as one.
    ///
    /// # Errors
    /// `parse` says that the word is meant as a value, but is a bad one.
    pub(super) fn option_value<T>(
        &mut self,
        what: &'static str,
        parse: impl FnOnce(&'t str) -> Option<Result<T, String>>,
    ) -> Result<Option<T>, Problem> {
        match self.peek().and_then(|word| parse(word.text)) {
            Some(Ok(value)) => {
                self.step();
                Ok(Some(value))
            }
            Some(Err(message)) => Err(self.problem(message, "")),
            None => {
                self.expected.push(Expected::Value(what));
                Ok(None)
            }
        }
    }

    /// Reads a value; see [`Cursor::option_value`].
    ///
    /// # Errors
    /// Something else is there, or nothing, or a bad value.
    pub(super) fn value<T>(
        &mut self,
        what: &'static str,
        parse: impl FnOnce(&'t str) -> Option<Result<T, String>>,
    ) -> Result<T, Problem> {
        match self.option_value(what, parse)? {
            Some(value) => Ok(value),
            None => Err(self.unexpected()),
        }
    }

    /// Reads the raw rest of the line, comment signs included.
    ///
    /// # Errors
    /// Nothing is left.
    pub(super) fn free_text(&mut self, what: &'static str) -> Result<Word<'t>, Problem> {
        let Some(text) = self.line.free_text(self.at) else {
            self.expected.push(Expected::Value(what));
            return Err(self.unexpected());
        };
        self.at = self.line.words.len();
        self.expected.clear();
        Ok(text)
    }

    /// Reads over the rest of the line.
    pub(super) fn skip_rest(&mut self) {
        self.at = self.line.words.len();
        self.expected.clear();
    }

    /// Goes back to an earlier position.
    pub(super) fn rewind(&mut self, position: usize) {
        self.at = position;
        self.expected.clear();
    }

    /// Makes sure that nothing is left.
    ///
    /// # Errors
    /// Something is left.
    pub(super) fn finish(&mut self) -> Result<(), Problem> {
        if self.peek().is_none() {
            return Ok(());
        }
        self.expected.push(Expected::Value("the end of the line"));
        Err(self.unexpected())
    }

    /// Notes a keyword that could stand here.
    pub(super) fn expect(&mut self, keyword: &'static str) {
        self.expected.push(Expected::Keyword(keyword));
    }

    /// What could stand here and was looked for.
    pub(super) fn expected(&self) -> &[Expected] {
        &self.expected
    }

    /// The problem that the next word is none of what was looked for here.
    pub(super) fn unexpected(&self) -> Problem {
        let keywords = self.expected.iter().filter_map(|e| match e {
            Expected::Keyword(word) => Some(*word),
            Expected::Value(_) => None,
        });
        let expected = list_expected(&self.expected);
        match self.peek() {
            None => self.problem(format!("the line ends too early, expected {expected}"), ""),
            Some(word) => {
                let hint = match nearest(word.text, keywords) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => String::new(),
                };
                let found = shorten(word.text);
                self.problem(format!("unexpected `{found}`, expected {expected}"), hint)
            }
        }
    }

    /// A problem at the next word.
    pub(super) fn problem(&self, message: impl Into<String>, hint: impl Into<String>) -> Problem {
        let span = match self.peek() {
            Some(word) => self.line.span(word),
            None => self.line.span_from(self.at),
        };
        problem_at(span, message, hint)
    }

    /// A problem at the word that was read last.
    pub(super) fn problem_before(
        &self,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Problem {
        problem_at(self.span_before(), message, hint)
    }

    fn step(&mut self) {
        self.at += 1;
        self.expected.clear();
    }

    fn expect_keywords<T>(&mut self, choices: &[(&'static str, T)]) {
        self.expected.extend(choices.iter().map(|(word, _)| Expected::Keyword(word)));
    }
}

/// A problem at a place; the reader adds the path.
pub(super) fn problem_at(
    span: Span,
    message: impl Into<String>,
    hint: impl Into<String>,
) -> Problem {
    Problem { span: Some(span), path: String::new(), message: message.into(), hint: hint.into() }
}

/// What a word is among keywords.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Matched<T> {
    /// The only keyword that it is, or abbreviates.
    One(T),
    /// An abbreviation of several.
    Several(Vec<&'static str>),
    /// None of them.
    None,
}

/// Matches a word against keywords, in any case: the whole word first, then a unique beginning.
pub(super) fn match_keyword<T: Copy>(text: &str, choices: &[(&'static str, T)]) -> Matched<T> {
    if let Some((_, value)) = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)) {
        return Matched::One(*value);
    }
    let begins = |word: &str| {
        word.as_bytes().get(..text.len()).is_some_and(|b| b.eq_ignore_ascii_case(text.as_bytes()))
    };
    let mut found = choices.iter().filter(|(word, _)| begins(word));
    match (found.next(), found.next()) {
        (None, _) => Matched::None,
        (Some((_, value)), None) => Matched::One(*value),
        _ => Matched::Several(choices.iter().map(|(w, _)| *w).filter(|w| begins(w)).collect()),
    }
}

/// Words in backticks, with commas and a conjunction: `` `a`, `b` or `c` ``.
pub(crate) fn list(words: &[&str], conjunction: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    join(&quoted, conjunction)
}

fn list_expected(expected: &[Expected]) -> String {
    let mut texts: Vec<String> = Vec::with_capacity(expected.len());
    for item in expected {
        let text = match item {
            Expected::Keyword(word) => format!("`{word}`"),
            Expected::Value(what) => (*what).to_owned(),
        };
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    join(&texts, "or")
}

fn join(texts: &[String], conjunction: &str) -> String {
    match texts {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} {conjunction} {last}", most.join(", ")),
    }
}

/// The beginning of a word that is too long for a message.
pub(super) fn shorten(text: &str) -> String {
    const LEN_MAX: usize = 64;
    match text.char_indices().nth(LEN_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHOICES: [(&str, u8); 4] = [("ip", 1), ("ipv6", 2), ("inherit", 3), ("mac", 4)];

    #[test]
    fn keywords_match_whole_or_by_a_unique_beginning() {
        assert_eq!(match_keyword("ip", &CHOICES), Matched::One(1));
        assert_eq!(match_keyword("IPV", &CHOICES), Matched::One(2));
        assert_eq!(match_keyword("in", &CHOICES), Matched::One(3));
        assert_eq!(match_keyword("i", &CHOICES), Matched::Several(vec!["ip", "ipv6", "inherit"]));
        assert_eq!(match_keyword("ipv66", &CHOICES), Matched::None);
        assert_eq!(match_keyword("é", &CHOICES), Matched::None);
    }

    #[test]
    fn an_error_lists_everything_that_was_tried_at_its_place() {
        let line = Line::new(2, "ip nothing");
        let mut cursor = Cursor::new(&line);
        assert_eq!(cursor.choose(&CHOICES), Ok(1));
        assert_eq!(cursor.option(&[("log", ())]), Ok(None));
        let never = |_: &str| -> Option<Result<(), String>> { None };
        assert_eq!(cursor.option_value("a port", never), Ok(None));
        let problem = cursor.finish().map_err(|p| p.to_string());
        assert_eq!(
            problem,
            Err("2:4: unexpected `nothing`, expected `log`, a port or the end of the line".into())
        );
    }

    #[test]
    fn a_short_line_is_pointed_at_behind_its_end() {
        let line = Line::new(1, " mac");
        let mut cursor = Cursor::new(&line);
        assert_eq!(cursor.choose(&CHOICES), Ok(4));
        let problem = cursor.choose(&CHOICES).map_err(|p| p.to_string());
        assert_eq!(
            problem,
            Err("1:6: the line ends too early, expected `ip`, `ipv6`, `inherit` or `mac`".into())
        );
    }

    #[test]
    fn long_words_are_cut() {
        assert_eq!(shorten("abc"), "abc");
        assert_eq!(shorten(&"é".repeat(100)).chars().count(), 67);
    }
}
