//! `weft apply` and `weft diff`.
//!
//! On a terminal, `apply` shows what changes and asks before it commits; the commit is refused when
//! the configuration has changed since. Elsewhere (scripts, pipes) it does not ask.

use std::fmt::Write as _;
use std::io::{self, BufRead, IsTerminal, Read, Write};

use policy::lang;
use policy::problem::{Problem, Span};
use proto::rpc::operator as rpc;
use proto::rpc::operator::operator_client::OperatorClient;
use tonic::transport::Channel;

use super::grammar::{Apply, Diff};
use super::{Exit, ShellError};

/// Configuration text and what to call it.
struct Source {
    name: String,
    text: String,
}

impl Source {
    fn read(file: &str) -> Result<Self, ShellError> {
        let failed = |source| ShellError::File { file: file.to_owned(), source };
        if file == "-" {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map_err(failed)?;
            return Ok(Self { name: "<stdin>".to_owned(), text });
        }
        let text = std::fs::read_to_string(file).map_err(failed)?;
        Ok(Self { name: file.to_owned(), text })
    }
}

/// `weft apply`.
pub(super) async fn apply(
    client: &mut OperatorClient<Channel>,
    arguments: Apply,
    out: &mut impl Write,
) -> Result<Exit, ShellError> {
    let source = Source::read(&arguments.file)?;
    let mut request = rpc::ApplyRequest {
        text: source.text.clone(),
        dry_run: arguments.dry_run,
        replace: arguments.replace,
        comment: arguments.comment,
        expected_revision: 0,
    };
    let asks = !arguments.yes
        && !arguments.json
        && !arguments.dry_run
        && arguments.file != "-"
        && io::stdin().is_terminal()
        && io::stdout().is_terminal();
    if asks {
        let running = client.running_config(rpc::RunningConfigRequest::default()).await?;
        request.expected_revision = running.into_inner().revision;
        let preview = rpc::ApplyRequest { dry_run: true, ..request.clone() };
        let preview = client.apply(preview).await?.into_inner();
        let changes = !preview.diff.is_empty() && preview.problems.is_empty();
        if changes {
            write!(out, "{}Apply? [y/N] ", changes_text(&preview))?;
            out.flush()?;
            let mut answer = String::new();
            io::stdin().lock().read_line(&mut answer)?;
            if !matches!(answer.trim(), "y" | "Y" | "yes") {
                writeln!(out, "Nothing was changed.")?;
                return Ok(Exit::Refused);
            }
        }
        let mut reply = client.apply(request).await?.into_inner();
        if changes && reply.problems.is_empty() {
            // Shown before.
            reply.diff.clear();
            reply.ports.clear();
            write!(out, "{}", outcome_text(&reply))?;
            return Ok(exit(&reply));
        }
        return finish(&source, &reply, arguments.dry_run, out);
    }
    let reply = client.apply(request).await?.into_inner();
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&reply)?)?;
        return Ok(exit(&reply));
    }
    finish(&source, &reply, arguments.dry_run, out)
}

/// `weft diff`.
pub(super) async fn diff(
    client: &mut OperatorClient<Channel>,
    arguments: Diff,
    out: &mut impl Write,
) -> Result<Exit, ShellError> {
    let apply = Apply {
        file: arguments.file,
        dry_run: true,
        replace: arguments.replace,
        comment: String::new(),
        yes: true,
        json: arguments.json,
    };
    self::apply(client, apply, out).await
}

fn finish(
    source: &Source,
    reply: &rpc::ApplyReply,
    is_dry_run: bool,
    out: &mut impl Write,
) -> Result<Exit, ShellError> {
    if !reply.problems.is_empty() {
        return Err(ShellError::Refused(problems_text(&source.name, &source.text, reply)));
    }
    if reply.diff.is_empty() {
        writeln!(out, "No changes.")?;
        return Ok(Exit::Done);
    }
    write!(out, "{}", changes_text(reply))?;
    if !is_dry_run {
        write!(out, "{}", outcome_text(reply))?;
    }
    Ok(exit(reply))
}

/// Refused when there are problems, or when a host did not take what was committed.
fn exit(reply: &rpc::ApplyReply) -> Exit {
    let is_rejected = reply.modules.iter().any(|m| m.outcome == "rejected");
    if reply.problems.is_empty() && !is_rejected { Exit::Done } else { Exit::Refused }
}

/// The problems as a compiler would print them, and their number.
fn problems_text(source: &str, text: &str, reply: &rpc::ApplyReply) -> String {
    let problem = |p: &rpc::Problem| Problem {
        span: match p.line {
            0 => None,
            line => Some(Span { line, column: p.column, length: p.length }),
        },
        path: String::new(),
        message: p.message.clone(),
        hint: p.hint.clone(),
    };
    let problems: Vec<Problem> = reply.problems.iter().map(problem).collect();
    let count = match problems.len() {
        1 => "1 problem".to_owned(),
        n => format!("{n} problems"),
    };
    format!("{}\n{count}; nothing was changed.", lang::render(source, text, &problems))
}

/// The lines and the ports that change.
fn changes_text(reply: &rpc::ApplyReply) -> String {
    let mut text = String::new();
    for line in &reply.diff {
        // Writing to a String cannot fail.
        writeln!(text, "{} {}", line.op, line.text).unwrap_or_default();
    }
    if !reply.ports.is_empty() {
        let noun = if reply.ports.len() == 1 { "port changes" } else { "ports change" };
        writeln!(text, "\n{} {noun}:", reply.ports.len()).unwrap_or_default();
    }
    for port in &reply.ports {
        let changes = port.changes.join(", ");
        writeln!(text, "  {} (module {}): {changes}", port.name, port.module).unwrap_or_default();
    }
    text
}

/// What was committed, and what each host made of it.
fn outcome_text(reply: &rpc::ApplyReply) -> String {
    let mut text = format!("\nCommitted as revision {}.\n", reply.revision);
    for module in reply.modules.iter().filter(|m| m.outcome != "unchanged") {
        writeln!(text, "  module {} ({}): {}", module.module, module.name, module.outcome)
            .unwrap_or_default();
        for problem in &module.problems {
            writeln!(text, "    {problem}").unwrap_or_default();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply() -> rpc::ApplyReply {
        let line =
            |op: &str, text: &str| rpc::DiffLine { op: op.to_owned(), text: text.to_owned() };
        let module = |module, name: &str, outcome: &str, problems: &[&str]| rpc::ModuleResult {
            module,
            name: name.to_owned(),
            outcome: outcome.to_owned(),
            problems: problems.iter().map(|p| (*p).to_owned()).collect(),
        };
        rpc::ApplyReply {
            revision: 12,
            diff: vec![
                line(" ", "port-profile type vethernet WEB"),
                line("-", "  switchport access vlan 10"),
                line("+", "  switchport access vlan 20"),
            ],
            ports: vec![rpc::PortChange {
                name: "Vethernet1".to_owned(),
                module: 3,
                changes: vec!["access vlan 10 -> 20".to_owned(), "mtu 1500 -> 9000".to_owned()],
            }],
            modules: vec![
                module(3, "h1", "applied", &[]),
                module(4, "h2", "rejected", &["Vethernet2: no such list"]),
                module(5, "h3", "unchanged", &[]),
            ],
            problems: Vec::new(),
        }
    }

    #[test]
    fn what_changed_and_what_became_of_it() {
        let mut out = Vec::new();
        let source = Source { name: "a.cfg".to_owned(), text: String::new() };
        let exit = finish(&source, &reply(), false, &mut out).unwrap();
        assert_eq!(exit, Exit::Refused);
        insta::assert_snapshot!(String::from_utf8(out).unwrap());
    }

    #[test]
    fn problems_point_at_the_words() {
        let problem = rpc::Problem {
            line: 2,
            column: 14,
            length: 5,
            message: "unexpected `acess`".to_owned(),
            hint: "did you mean `access`?".to_owned(),
            source_line: String::new(),
        };
        let reply = rpc::ApplyReply { problems: vec![problem], ..rpc::ApplyReply::default() };
        let text = "port-profile type vethernet WEB\n  switchport acess vlan 10\n".to_owned();
        let source = Source { name: "a.cfg".to_owned(), text };
        let error = finish(&source, &reply, false, &mut Vec::new()).unwrap_err();
        assert_eq!(error.exit(), Exit::Refused);
        insta::assert_snapshot!(error.to_string());
    }

    #[test]
    fn nothing_to_do_is_done() {
        let mut out = Vec::new();
        let source = Source { name: "a.cfg".to_owned(), text: String::new() };
        let exit = finish(&source, &rpc::ApplyReply::default(), false, &mut out).unwrap();
        assert_eq!((exit, String::from_utf8(out).unwrap().as_str()), (Exit::Done, "No changes.\n"));
    }
}
