//! `show revisions`.

use proto::rpc::operator as rpc;

use super::number;
use crate::shell::table::{Align, Table};
use crate::shell::time::utc;

/// The history of commits, the newest last.
#[must_use]
pub fn render(reply: &rpc::RevisionsReply) -> String {
    let mut table = Table::new(&[
        ("Revision", Align::Right),
        ("Time", Align::Left),
        ("Kind", Align::Left),
        ("Comment", Align::Left),
    ]);
    for revision in &reply.revisions {
        table.row([
            number(revision.revision),
            utc(revision.unix_time_ns),
            revision.kind.clone(),
            revision.comment.clone(),
        ]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden() {
        let revision = |revision, kind: &str, comment: &str| rpc::RevisionInfo {
            revision,
            unix_time_ns: 1_700_000_000_000_000_000,
            comment: comment.to_owned(),
            kind: kind.to_owned(),
        };
        let revisions = vec![
            revision(9, "module", "host h1 is module 3"),
            revision(10, "attach", "Vethernet1 is vm1 eth0 on module 3"),
            revision(11, "config", ""),
        ];
        insta::assert_snapshot!(render(&rpc::RevisionsReply { revisions }));
    }
}
