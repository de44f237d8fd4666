//! Text to lines of words, each word with its place.
//!
//! Words are separated by blanks and tabs. A word that starts with `!` begins a comment, which
//! ends with the line; lines of free text (`description`, `remark`) take the raw rest instead.

use crate::problem::Span;

/// A word of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<'t> {
    /// Its characters.
    pub(super) text: &'t str,
    /// Column of its first character, from 1, in characters.
    pub(super) column: u32,
    /// Where it starts in the line, in bytes.
    start: usize,
}

/// One line of the text.
#[derive(Clone, Debug)]
pub(super) struct Line<'t> {
    /// Its number, from 1.
    pub(super) number: u32,
    /// The words before a comment.
    pub(super) words: Vec<Word<'t>>,
    /// The line without its end.
    raw: &'t str,
    /// Where the comment starts, when there is one.
    comment: Option<Word<'t>>,
}

impl<'t> Line<'t> {
    /// Splits a line.
    pub(super) fn new(number: u32, raw: &'t str) -> Self {
        let mut line = Self { number, words: Vec::new(), raw, comment: None };
        let mut open: Option<(usize, u32)> = None;
        for (column, (at, c)) in (1..).zip(raw.char_indices().chain([(raw.len(), ' ')])) {
            match (is_blank(c), open) {
                (false, None) => {
                    let word = Word { text: &raw[at..], column, start: at };
                    if c == '!' {
                        line.comment = Some(word);
                        break;
                    }
                    open = Some((at, column));
                }
                (true, Some((start, column))) => {
                    line.words.push(Word { text: &raw[start..at], column, start });
                    open = None;
                }
                _ => {}
            }
        }
        line
    }

    /// The raw text from word `index` to the end of the line, trimmed, comment signs included;
    /// `None` when nothing is there.
    pub(super) fn free_text(&self, index: usize) -> Option<Word<'t>> {
        let first = self.words.get(index).or(self.comment.as_ref())?;
        let text = self.raw[first.start..].trim_end_matches(is_blank);
        Some(Word { text, ..*first })
    }

    /// The raw text from word `index` to the last word before a comment.
    pub(super) fn words_from(&self, index: usize) -> Option<Word<'t>> {
        let (first, last) = (self.words.get(index)?, self.words.last()?);
        Some(Word { text: &self.raw[first.start..last.start + last.text.len()], ..*first })
    }

    /// Where a word stands.
    pub(super) fn span(&self, word: &Word<'_>) -> Span {
        Span { line: self.number, column: word.column, length: count(word.text) }
    }

    /// From word `index` to the last word; the place behind the last word when there is none.
    pub(super) fn span_from(&self, index: usize) -> Span {
        match self.words_from(index) {
            Some(words) => self.span(&words),
            None => {
                let column = self.words.last().map_or(1, |w| w.column + count(w.text) + 1);
                Span { line: self.number, column, length: 1 }
            }
        }
    }

    /// The first character that can be in no line: a control character but the tab.
    pub(super) fn control_character(&self) -> Option<(char, Span)> {
        let mut columns = (1..).zip(self.raw.chars());
        let (column, c) = columns.find(|(_, c)| c.is_control() && *c != '\t')?;
        Some((c, Span { line: self.number, column, length: 1 }))
    }
}

/// The lines of a text; `\n` and `\r\n` end a line.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    (1..).zip(text.lines()).map(|(number, raw)| Line::new(number, raw))
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

/// The number of characters, saturating: a line is far shorter than `u32::MAX`.
pub(super) fn count(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(raw: &str) -> Vec<(&str, u32)> {
        Line::new(1, raw).words.iter().map(|w| (w.text, w.column)).collect()
    }

    #[test]
    fn words_know_their_column_in_characters() {
        assert_eq!(words("  vlan\t10"), [("vlan", 3), ("10", 8)]);
        assert_eq!(words("é ü"), [("é", 1), ("ü", 3)]);
        assert_eq!(words(""), []);
        assert_eq!(words(" \t "), []);
    }

    #[test]
    fn a_comment_ends_the_words_and_free_text_keeps_it() {
        assert_eq!(words("! all"), []);
        assert_eq!(words("vlan 10 !x y"), [("vlan", 1), ("10", 6)]);
        assert_eq!(words("a!b"), [("a!b", 1)]);
        let line = Line::new(1, "description  hot!  !stuff  ");
        assert_eq!(line.free_text(1).map(|w| (w.text, w.column)), Some(("hot!  !stuff", 14)));
        assert_eq!(Line::new(1, "description !").free_text(1).map(|w| w.text), Some("!"));
        assert!(Line::new(1, "description ").free_text(1).is_none());
        assert_eq!(Line::new(1, "a b c !d").words_from(1).map(|w| w.text), Some("b c"));
    }

    #[test]
    fn spans() {
        let line = Line::new(4, "  vlan 10 20");
        assert_eq!(line.span_from(1), Span { line: 4, column: 8, length: 5 });
        assert_eq!(line.span_from(3), Span { line: 4, column: 14, length: 1 });
        assert_eq!(
            Line::new(1, "a\u{7}").control_character().map(|(c, s)| (c, s.column)),
            Some(('\u{7}', 2))
        );
    }
}
