//! `show module`.

use proto::rpc::operator as rpc;

use super::number;
use crate::shell::table::{Align, Table};
use crate::shell::time::utc;

/// The modules, where they are, and why some refused.
#[must_use]
pub fn render(reply: &rpc::ModulesReply) -> String {
    let mut table = Table::new(&[
        ("Mod", Align::Left),
        ("Ports", Align::Right),
        ("Module-Type", Align::Left),
        ("Name", Align::Left),
        ("Sw", Align::Left),
        ("Status", Align::Left),
        ("Target-Rev", Align::Right),
        ("Running-Rev", Align::Right),
    ]);
    let mut hosts = Table::new(&[
        ("Mod", Align::Left),
        ("Server-IP", Align::Left),
        ("Server-UUID", Align::Left),
        ("Last-Seen", Align::Left),
    ]);
    let (mut problems, mut offline) = (String::new(), Vec::new());
    for module in &reply.modules {
        table.row([
            number(module.module),
            number(module.ports),
            module.kind.clone(),
            module.name.clone(),
            module.version.clone(),
            module.status.clone(),
            number(module.target_revision),
            match (module.running_revision, module.last_seen_ns) {
                // It has not come since the supervisor started: nobody knows.
                (0, 0) => String::new(),
                (revision, _) => number(revision),
            },
        ]);
        if !module.host_uuid.is_empty() {
            hosts.row([
                number(module.module),
                module.address.clone(),
                module.host_uuid.clone(),
                utc(module.last_seen_ns),
            ]);
        }
        if module.status == "offline" {
            offline.push(number(module.module));
        }
        if !module.problems.is_empty() {
            let number = module.module;
            problems.push_str(&format!("\nModule {number} refused its target revision:\n"));
        }
        for problem in &module.problems {
            problems.push_str(&format!("  {problem}\n"));
        }
    }
    if !offline.is_empty() {
        let hosts = offline.join(", ");
        problems.push_str(&format!(
            "\nOffline: {hosts}. A host without its supervisor goes on forwarding by the last \
             revision it applied.\n"
        ));
    }
    let newest = format!("Revision {}, term {}\n", reply.revision, reply.term);
    format!("{}\n{}{problems}\n{newest}", table.render(), hosts.render())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden() {
        let module = |module, name: &str, status: &str, target, running| rpc::Module {
            module,
            name: name.to_owned(),
            host_uuid: format!("01234567-89ab-cdef-0123-4567{module:08}"),
            kind: "Dataplane".to_owned(),
            version: "0.1.0".to_owned(),
            status: status.to_owned(),
            ports: 4,
            target_revision: target,
            running_revision: running,
            address: format!("10.0.0.{module}"),
            last_seen_ns: 1_700_000_000_000_000_000,
            ..rpc::Module::default()
        };
        let supervisor = rpc::Module {
            module: 1,
            name: "dc1".to_owned(),
            kind: "Supervisor".to_owned(),
            version: "0.1.0".to_owned(),
            status: "active".to_owned(),
            target_revision: 12,
            running_revision: 12,
            ..rpc::Module::default()
        };
        let rejected = rpc::Module {
            problems: vec!["Vethernet2: access list WEB has no entry 10".to_owned()],
            ..module(4, "h2", "rejected", 12, 11)
        };
        let never = rpc::Module { last_seen_ns: 0, ..module(5, "h3", "offline", 9, 0) };
        let modules = vec![supervisor, module(3, "h1", "ok", 12, 12), rejected, never];
        insta::assert_snapshot!(render(&rpc::ModulesReply { revision: 12, term: 2, modules }));
    }
}
