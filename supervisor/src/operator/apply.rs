//! `Apply`: the request as an event's content, and its outcome as a reply.

use proto::Revision;
use proto::rpc::operator as rpc;

use crate::event::{ApplyOutcome, ApplyRequest, ModuleResult, Refusal};

/// The longest comment that is kept, in characters.
const COMMENT_LEN_MAX: usize = 500;

/// What an operator asks for.
pub(super) fn request(request: rpc::ApplyRequest) -> ApplyRequest {
    let comment = request.comment.chars().filter(|c| !c.is_control()).take(COMMENT_LEN_MAX);
    ApplyRequest {
        comment: comment.collect(),
        text: request.text,
        dry_run: request.dry_run,
        replace: request.replace,
        expected: match request.expected_revision {
            0 => None,
            revision => Some(Revision::new(revision)),
        },
    }
}

/// What became of it; `text` is what was applied.
pub(super) fn reply(text: &str, outcome: ApplyOutcome) -> rpc::ApplyReply {
    let port = |(name, module, changes): (proto::InterfaceName, proto::ModuleId, Vec<String>)| {
        rpc::PortChange { name: name.to_string(), module: u32::from(module.get()), changes }
    };
    rpc::ApplyReply {
        revision: outcome.revision.map_or(0, Revision::get),
        diff: outcome
            .diff
            .into_iter()
            .map(|(op, text)| rpc::DiffLine { op: op.to_string(), text })
            .collect(),
        problems: outcome.problems.into_iter().map(|p| problem(text, p)).collect(),
        ports: outcome.ports.into_iter().map(port).collect(),
        modules: outcome.modules.into_iter().map(module).collect(),
    }
}

fn problem(text: &str, problem: policy::Problem) -> rpc::Problem {
    let message = match problem.path.as_str() {
        "" => problem.message,
        path => format!("{path}: {}", problem.message),
    };
    let mut reply = rpc::Problem { message, hint: problem.hint, ..rpc::Problem::default() };
    if let Some(span) = problem.span {
        let above = usize::try_from(span.line).unwrap_or(usize::MAX).saturating_sub(1);
        reply.line = span.line;
        reply.column = span.column;
        reply.length = span.length;
        reply.source_line = text.lines().nth(above).unwrap_or_default().to_owned();
    }
    reply
}

fn module(result: ModuleResult) -> rpc::ModuleResult {
    rpc::ModuleResult {
        module: u32::from(result.module.get()),
        name: result.name,
        outcome: result.outcome.name().to_owned(),
        problems: result.problems.iter().map(sentence).collect(),
    }
}

/// A host's reason as one sentence.
pub(super) fn sentence(problem: &Refusal) -> String {
    match problem.path.as_str() {
        "" => problem.message.clone(),
        path => format!("{path}: {}", problem.message),
    }
}
