//! The gRPC schema and its generated code (`api/*.proto`).
//!
//! Messages hold plain strings and integers; they become policy values in exactly one file on each
//! side (`supervisor/src/push/encode.rs`, `dataplane/src/agent/decode.rs`).

#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]

/// The session between dataplane and supervisor.
pub mod switch {
    tonic::include_proto!("weft.switch.v1");
}

/// The operator's API of a supervisor.
pub mod operator {
    tonic::include_proto!("weft.operator.v1");
}

/// The local API of a dataplane.
pub mod local {
    tonic::include_proto!("weft.local.v1");
}

/// Longest message to a dataplane, in bytes; tonic's own limit of 4 MiB is less than the state of a
/// host with large access lists. The longest there can be: 16 MiB of access lists, and 4,096 ports
/// with VLAN and address lists of 32 KiB each.
pub const TO_DATAPLANE_LEN_MAX: usize = 256 << 20;

/// Longest message from a dataplane, in bytes: the counters of half a million entries of access lists.
pub const FROM_DATAPLANE_LEN_MAX: usize = 64 << 20;

/// The version of the dataplane protocol that this tree speaks.
pub const PROTOCOL_VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use super::operator::{ApplyReply, DiffLine, Problem};

    #[test]
    fn operator_replies_print_as_json() {
        let reply = ApplyReply {
            revision: 7,
            diff: vec![DiffLine { op: "+".to_owned(), text: "vlan 10".to_owned() }],
            problems: vec![Problem { line: 2, column: 5, ..Problem::default() }],
            ..ApplyReply::default()
        };
        let json = serde_json::to_value(&reply).unwrap();
        assert_eq!(json["revision"], 7);
        assert_eq!(json["diff"], serde_json::json!([{ "op": "+", "text": "vlan 10" }]));
        assert_eq!(json["problems"][0]["column"], 5);
        assert_eq!(json["ports"], serde_json::json!([]));
    }
}
