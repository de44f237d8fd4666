//! `show access-lists`.

use std::fmt::Write as _;

use proto::rpc::operator as rpc;

/// Each list with its entries and their matches.
#[must_use]
pub fn render(reply: &rpc::AccessListsReply) -> String {
    let lists: Vec<String> = reply.lists.iter().map(list).collect();
    lists.join("\n")
}

fn list(of: &rpc::AccessList) -> String {
    let mut text = format!("{} access-list {}\n", of.kind, of.name);
    for entry in &of.entries {
        let number = match entry.sequence {
            0 => String::new(),
            sequence => format!("{sequence} "),
        };
        // Writing to a String cannot fail.
        match entry.text.starts_with("remark") {
            true => writeln!(text, "  {number}{}", entry.text),
            false => writeln!(text, "  {number}{} [match={}]", entry.text, entry.matches),
        }
        .unwrap_or_default();
    }
    let bound = match of.bound.as_slice() {
        [] => "nowhere".to_owned(),
        places => places.join(", "),
    };
    text.push_str(&format!("  Configured on: {bound}\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden() {
        let entry = |sequence, text: &str, matches| rpc::AccessListEntry {
            sequence,
            text: text.to_owned(),
            matches,
        };
        let web = rpc::AccessList {
            name: "WEB".to_owned(),
            kind: "ip".to_owned(),
            entries: vec![
                entry(5, "remark from everywhere", 0),
                entry(10, "permit tcp any any eq 80", 1234),
                entry(20, "deny ip any any log", 0),
                entry(0, "implicit deny", 7),
            ],
            bound: vec!["port-profile WEB in".to_owned(), "Vethernet3 out".to_owned()],
        };
        let empty = rpc::AccessList {
            name: "EMPTY".to_owned(),
            kind: "mac".to_owned(),
            entries: vec![entry(0, "implicit deny", 0)],
            bound: Vec::new(),
        };
        insta::assert_snapshot!(render(&rpc::AccessListsReply { lists: vec![web, empty] }));
    }
}
