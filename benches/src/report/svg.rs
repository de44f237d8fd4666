//! The little of SVG that the plots need: shapes, text, and colours for light and for dark.
//!
//! Text is text, so that it can be read aloud and searched; fonts are those of whoever looks. Every
//! plot has a ground of its own, so that it is readable on a page whose theme is not the system's.

use std::fmt::Write;

/// What something is: it has a colour in each theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The product.
    Ours,
    /// Open vSwitch.
    First,
    /// The Linux bridge.
    Second,
    /// What nobody can go beyond.
    Limit,
    /// Text and marks.
    Ink,
    /// Text that stands back.
    Muted,
    /// Lines behind everything.
    Grid,
    /// The ground.
    Ground,
}

impl Role {
    const ALL: [Self; 8] = [
        Self::Ours,
        Self::First,
        Self::Second,
        Self::Limit,
        Self::Ink,
        Self::Muted,
        Self::Grid,
        Self::Ground,
    ];

    const fn class(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::First => "first",
            Self::Second => "second",
            Self::Limit => "limit",
            Self::Ink => "ink",
            Self::Muted => "muted",
            Self::Grid => "grid",
            Self::Ground => "ground",
        }
    }

    /// On light and on dark. Lines and areas have a contrast of 3 to the ground, text of 4.5 (WCAG
    /// 2.1, 1.4.3 and 1.4.11).
    const fn colours(self) -> [&'static str; 2] {
        match self {
            Self::Ours => ["#0969da", "#58a6ff"],
            Self::First => ["#bc4c00", "#f0883e"],
            Self::Second => ["#1a7f37", "#3fb950"],
            Self::Limit => ["#818b98", "#7d8590"],
            Self::Ink => ["#1f2328", "#e6edf3"],
            Self::Muted => ["#59636e", "#9198a1"],
            Self::Grid => ["#d1d9e0", "#30363d"],
            Self::Ground => ["#ffffff", "#0d1117"],
        }
    }
}

/// Where a text begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// At its point.
    Start,
    /// Its middle is at its point.
    Middle,
    /// It ends at its point.
    End,
}

/// A picture; lengths are in pixels, from the top left corner.
#[derive(Debug)]
pub struct Svg {
    width: f64,
    height: f64,
    title: String,
    body: String,
}

impl Svg {
    /// An empty one. Its title is read aloud, and stands at its top.
    #[must_use]
    pub fn new(width: f64, height: f64, title: &str) -> Self {
        let mut svg = Self { width, height, title: title.to_owned(), body: String::new() };
        svg.rect((0.0, 0.0), (width, height), Role::Ground);
        svg.push(format_args!(
            r#"<text class="ink" x="16" y="26" font-size="15" font-weight="600">{}</text>"#,
            escape(title)
        ));
        svg
    }

    /// A filled rectangle.
    pub fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), role: Role) {
        self.push(format_args!(
            r#"<rect class="{}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"/>"#,
            role.class()
        ));
    }

    /// A disc.
    pub fn disc(&mut self, (x, y): (f64, f64), radius: f64, role: Role) {
        self.push(format_args!(
            r#"<circle class="{}" cx="{x:.1}" cy="{y:.1}" r="{radius:.1}"/>"#,
            role.class()
        ));
    }

    /// A line through points.
    pub fn line(&mut self, points: &[(f64, f64)], width: f64, role: Role) {
        let mut list = String::new();
        for (x, y) in points {
            // Writing into a string cannot fail.
            write!(list, "{x:.1},{y:.1} ").ok();
        }
        self.push(format_args!(
            r#"<polyline class="{}-line" points="{}" stroke-width="{width}"/>"#,
            role.class(),
            list.trim_end()
        ));
    }

    /// A text on a base line.
    pub fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, role: Role, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.push(format_args!(
            r#"<text class="{}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{}</text>"#,
            role.class(),
            escape(text)
        ));
    }

    /// The file.
    #[must_use]
    pub fn finish(self) -> String {
        let Self { width, height, title, body } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" font-size=\"13\" \
             font-family=\"system-ui, sans-serif\">\n<title>{}</title>\n<style>\n{}\
             @media (prefers-color-scheme: dark) {{\n{}}}\n</style>\n{body}</svg>\n",
            escape(&title),
            style(0),
            style(1)
        )
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        writeln!(self.body, "{element}").ok();
    }
}

/// The rules of a theme: 0 light, 1 dark.
fn style(theme: usize) -> String {
    let rule = |role: Role| {
        let (class, colour) = (role.class(), role.colours()[theme]);
        format!(".{class} {{ fill: {colour} }} .{class}-line {{ stroke: {colour}; fill: none }}\n")
    };
    Role::ALL.into_iter().map(rule).collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Marks on an axis from 0 to `max` at least: about `count` of them, at round figures.
#[must_use]
pub fn ticks(max: f64, count: u32) -> Vec<f64> {
    let max = if max > 0.0 && max.is_finite() { max } else { 1.0 };
    let rough = max / f64::from(count.max(1));
    let magnitude = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * magnitude)
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(rough);
    let steps = (max / step - 1e-9).ceil().max(1.0) as u32;
    (0..=steps).map(|n| f64::from(n) * step).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Fails unless every element is closed in its order, attributes have quotes, and text has no
    /// bare `&` or `<`.
    pub(crate) fn check_well_formed(text: &str) {
        let mut open = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('<') {
            assert!(!before.contains('>'), "{before}");
            check_entities(before);
            let (tag, next) = after.split_once('>').expect("an end of the tag");
            assert!(!tag.contains('<'), "{tag}");
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            rest = next;
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name));
            } else if !tag.ends_with('/') {
                open.push(tag.split_whitespace().next().expect("a name"));
            }
        }
        assert_eq!(open, Vec::<&str>::new());
        assert_eq!(rest.trim(), "");
    }

    fn check_entities(text: &str) {
        for part in text.split('&').skip(1) {
            let known = ["amp;", "lt;", "gt;"].iter().any(|entity| part.starts_with(entity));
            assert!(known, "&{part}");
        }
    }

    #[test]
    fn a_picture_is_well_formed_whatever_its_text() {
        let mut svg = Svg::new(300.0, 200.0, "a < b & c");
        svg.rect((1.0, 2.0), (3.0, 4.0), Role::Ours);
        svg.disc((1.0, 2.0), 3.0, Role::First);
        svg.line(&[(0.0, 0.0), (1.0, 1.0)], 1.5, Role::Grid);
        svg.text((5.0, 6.0), Anchor::End, Role::Muted, "<script> & </text>");
        let text = svg.finish();
        check_well_formed(&text);
        assert!(text.contains("&lt;script&gt; &amp; &lt;/text&gt;"));
        assert!(text.contains("prefers-color-scheme: dark"));
    }

    #[test]
    #[should_panic(expected = "left")]
    fn what_is_not_closed_is_found() {
        check_well_formed("<svg><g></svg>");
    }

    #[test]
    fn ticks_are_round_and_reach_the_maximum() {
        assert_eq!(ticks(1.9, 5), [0.0, 0.5, 1.0, 1.5, 2.0]);
        assert_eq!(ticks(2.0, 5), [0.0, 0.5, 1.0, 1.5, 2.0]);
        assert_eq!(ticks(0.0, 5).first(), Some(&0.0));
        for max in [0.013, 0.7, 3.3, 42.0, 9_500.0] {
            let ticks = ticks(max, 5);
            assert!(*ticks.last().unwrap() >= max * 0.999, "{max}: {ticks:?}");
            assert!((2..=8).contains(&ticks.len()), "{max}: {ticks:?}");
        }
    }
}
