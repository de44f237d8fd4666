//! The page about teaming names what the language has.

use std::path::Path;

use policy::lang::parse;
use policy::teaming::{ChannelMode, LoadBalance};

/// The code spans of docs/teaming.md.
fn spans(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_page_of_teaming_names_every_mode_and_method() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/teaming.md");
    let text = std::fs::read_to_string(path).unwrap();
    let spans = spans(&text);
    let names = ChannelMode::ALL.map(ChannelMode::name).into_iter();
    for name in names.chain(LoadBalance::ALL.map(LoadBalance::name)) {
        assert!(spans.contains(&name), "`{name}` is not in docs/teaming.md");
    }
}

/// The values that stand for what a table leaves open.
fn filled(line: &str) -> String {
    let line = line.trim_start_matches("[no] ");
    let line = line.split(" [").next().unwrap_or(line);
    [("\\|normal", ""), ("MODE", "active"), ("METHOD", "source-mac"), ("SECONDS", "7")]
        .into_iter()
        .fold(line.to_owned(), |line, (open, value)| line.replace(open, value))
        .replace(" N", " 7")
}

#[test]
fn every_line_of_its_tables_is_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/teaming.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mut heading = None;
    let mut read = 0;
    for line in text.lines() {
        heading = match line {
            l if l.starts_with("In ethernet") => Some("interface Ethernet3/1\n"),
            l if l.starts_with("In vethernet") => Some("interface Vethernet1\n"),
            l if l.starts_with("For the whole switch") => Some(""),
            _ => heading,
        };
        let cell = line.strip_prefix("| `").and_then(|rest| rest.split("` |").next());
        let Some((heading, command)) = heading.zip(cell) else { continue };
        let text = format!("{heading}{}", filled(command));
        assert!(parse(&text).is_ok(), "{text}");
        read += 1;
    }
    assert_eq!(read, 12, "the tables have other lines");
}
