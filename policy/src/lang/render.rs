//! Problems as text for people, in the manner of a compiler: place, message, the line with a mark
//! under the words that are meant, and what to do.

use std::fmt::Write as _;

use crate::config::is_printable;
use crate::problem::{Problem, Span};

/// The widest piece of a source line that is shown, in characters.
const WIDTH_MAX: usize = 120;

/// Renders problems of a text; `source` names it (`site.cfg`, `<stdin>`).
///
/// ```text
/// error: port-profile WEB: unexpected `acess`, expected `access`, `mode` or `trunk`
///   --> site.cfg:12:14
///    |
/// 12 |   switchport acess vlan 10
///    |              ^^^^^
///    = help: did you mean `access`?
/// ```
#[must_use]
pub fn render(source: &str, text: &str, problems: &[Problem]) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut out = String::new();
    for (i, problem) in problems.iter().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        render_one(&mut out, source, &lines, problem);
    }
    out
}

fn render_one(out: &mut String, source: &str, lines: &[&str], problem: &Problem) {
    out.push_str("error: ");
    if !problem.path.is_empty() {
        out.push_str(&problem.path);
        out.push_str(": ");
    }
    out.push_str(&problem.message);
    out.push('\n');
    let mut margin = 1;
    if let Some(span) = problem.span {
        let number = span.line.to_string();
        margin = number.len();
        let pad = " ".repeat(margin);
        push_line(out, format_args!("{pad}--> {source}:{}:{}", span.line, span.column));
        let index = usize::try_from(span.line).unwrap_or(usize::MAX).wrapping_sub(1);
        if let Some(line) = lines.get(index) {
            let (shown, mark) = excerpt(line, span);
            push_line(out, format_args!("{pad} |"));
            push_line(out, format_args!("{number} | {shown}"));
            push_line(out, format_args!("{pad} | {mark}"));
        }
    }
    if !problem.hint.is_empty() {
        push_line(out, format_args!("{} = help: {}", " ".repeat(margin), problem.hint));
    }
}

/// Adds one line, without blanks at its end.
fn push_line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    if out.write_fmt(text).is_ok() {
        out.truncate(out.trim_end_matches(' ').len());
        out.push('\n');
    }
}

/// The piece of a line around a span, and the line of carets that goes under it. Tabs become one
/// blank and characters that cannot be seen `?`, so that the carets stand where they should and a
/// text cannot play with the terminal.
fn excerpt(line: &str, span: Span) -> (String, String) {
    let size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    let column = size(span.column).saturating_sub(1);
    let skip = if column > WIDTH_MAX / 2 { column - WIDTH_MAX / 4 } else { 0 };
    let visible = |c: char| match c {
        '\t' => ' ',
        c if !is_printable(c) => '?',
        c => c,
    };
    let shown: String = line.chars().skip(skip).take(WIDTH_MAX).map(visible).collect();
    let room = (WIDTH_MAX + 1).saturating_sub(column - skip).max(1);
    let carets = size(span.length).clamp(1, room);
    (shown, format!("{}{}", " ".repeat(column - skip), "^".repeat(carets)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(span: Option<Span>, hint: &str) -> Problem {
        Problem {
            span,
            path: "vlan 10".to_owned(),
            message: "is wrong".to_owned(),
            hint: hint.to_owned(),
        }
    }

    #[test]
    fn points_at_the_words() {
        let span = Span { line: 2, column: 3, length: 4 };
        let text = render("a.cfg", "x\n\tyabcd z\n", &[problem(Some(span), "do this")]);
        assert_eq!(
            text,
            "error: vlan 10: is wrong\n --> a.cfg:2:3\n  |\n2 |  yabcd z\n  |   ^^^^\n  \
             = help: do this\n"
        );
    }

    #[test]
    fn without_a_place_there_is_no_source_line() {
        assert_eq!(render("a", "x", &[problem(None, "")]), "error: vlan 10: is wrong\n");
        let outside = Span { line: 9, column: 1, length: 1 };
        let text = render("a", "x", &[problem(Some(outside), "")]);
        assert_eq!(text, "error: vlan 10: is wrong\n --> a:9:1\n");
    }

    #[test]
    fn a_long_line_is_cut_around_the_mark() {
        let line = format!("{}HERE{}", "a".repeat(5000), "b".repeat(5000));
        let span = Span { line: 1, column: 5001, length: 4 };
        let text = render("a", &line, &[problem(Some(span), "")]);
        let rows: Vec<&str> = text.lines().collect();
        let at = rows[4].find('^').unwrap();
        assert_eq!(&rows[3][at..at + 4], "HERE");
        assert!(rows.iter().all(|row| row.len() < 140));
    }
}
