//! `weft-dataplane status`, as text and as JSON.

use std::fmt::Write;

use proto::rpc::local::{Drop, PortStatus, StatusReply};
use serde_json::{Value, json};

/// The status as JSON, with stable names.
#[must_use]
pub fn json(status: &StatusReply) -> Value {
    let memory = status.memory.unwrap_or_default();
    json!({
        "host_uuid": status.host_uuid,
        "name": status.name,
        "module": status.module,
        "revision": status.revision,
        "term": status.term,
        "headless": status.headless,
        "supervisor": status.supervisor,
        "rx_frames": status.rx_frames,
        "forwarded": status.forwarded,
        "consumed": status.consumed,
        "dropped": status.dropped,
        "tx_frames": status.tx_frames,
        "tx_dropped": status.tx_dropped,
        "announcements": status.announcements,
        "memory": {
            "chunks": memory.chunks,
            "chunks_free": memory.chunks_free,
            "chunks_in_rings": memory.chunks_in_rings,
            "chunk_size_bytes": memory.chunk_size_bytes,
        },
        "ports": status.ports.iter().map(port_json).collect::<Vec<_>>(),
    })
}

fn port_json(port: &PortStatus) -> Value {
    json!({
        "name": port.name,
        "vm": port.vm,
        "adapter": port.adapter,
        "mac": port.mac,
        "kind": port.kind,
        "link_up": port.link_up,
        "reason": port.reason,
        "profile": port.profile,
        "pinned_to": port.pinned_to,
        "rx_frames": port.rx_frames,
        "tx_frames": port.tx_frames,
        "forwarded": port.forwarded,
        "consumed": port.consumed,
        "drops": drops_json(&port.drops),
        "tx_drops": drops_json(&port.tx_drops),
    })
}

fn drops_json(drops: &[Drop]) -> Value {
    drops.iter().map(|drop| (drop.reason.clone(), json!(drop.frames))).collect()
}

/// The status as a page of text.
#[must_use]
pub fn table(status: &StatusReply) -> String {
    let mut page = String::new();
    let module = match status.module {
        0 => "not numbered yet".to_owned(),
        module => module.to_string(),
    };
    let session = match status.headless {
        true => "not connected; headless, forwarding on",
        false => "connected, forwarding",
    };
    let memory = status.memory.unwrap_or_default();
    // Writing to a String cannot fail.
    writeln!(page, "Host {} ({}), module {module}", status.name, status.host_uuid).ok();
    writeln!(page, "Supervisor {}: {session} by revision {}", status.supervisor, status.revision)
        .ok();
    writeln!(
        page,
        "Memory {} chunks of {} bytes, {} free, {} in use",
        memory.chunks, memory.chunk_size_bytes, memory.chunks_free, memory.chunks_in_rings
    )
    .ok();
    writeln!(
        page,
        "\n{:<14} {:<16} {:<10} {:<5} {:<14} {:>12} {:>12} {:>10}  Reason",
        "Port", "Owner", "Adapter", "Link", "Pinned to", "Rx", "Tx", "Dropped"
    )
    .ok();
    for port in &status.ports {
        let link = if port.link_up { "up" } else { "down" };
        let dropped: u64 = port.drops.iter().map(|d| d.frames).sum();
        writeln!(
            page,
            "{:<14} {:<16} {:<10} {link:<5} {:<14} {:>12} {:>12} {dropped:>10}  {}",
            port.name,
            port.vm,
            port.adapter,
            port.pinned_to,
            port.rx_frames,
            port.tx_frames,
            port.reason
        )
        .ok();
    }
    page
}
