//! The connection to a supervisor: the one place of `weft` that builds a transport.

use std::time::Duration;

use proto::rpc::operator::operator_client::OperatorClient;
use tonic::transport::{Channel, Endpoint};

use super::ShellError;
use crate::listen::MESSAGE_LEN_MAX;

/// How long a supervisor may take to accept.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// How long an answer may take: an apply waits up to 3 s for hosts.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// How often a connection is probed, and how long the answer may take: whoever follows events would
/// not notice that the other end is gone.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// Connects to `unix:PATH`, `http://HOST:PORT` or `tcp:HOST:PORT`.
///
/// # Errors
/// Not an address, or nobody answers there.
pub(super) async fn connect(server: &str) -> Result<OperatorClient<Channel>, ShellError> {
    let uri = match server.split_once(':') {
        Some(("unix", path)) if !path.is_empty() => server.to_owned(),
        Some(("http", rest)) if rest.starts_with("//") => server.to_owned(),
        Some(("tcp", address)) if !address.is_empty() => format!("http://{address}"),
        _ => return Err(ShellError::Server(server.to_owned())),
    };
    let endpoint = Endpoint::from_shared(uri).map_err(|_| ShellError::Server(server.to_owned()))?;
    let endpoint = endpoint.connect_timeout(CONNECT_MAX).timeout(ANSWER_MAX).tcp_nodelay(true);
    let endpoint = endpoint.http2_keep_alive_interval(KEEPALIVE).keep_alive_timeout(KEEPALIVE);
    let channel = endpoint
        .connect()
        .await
        .map_err(|e| ShellError::Connect { server: server.to_owned(), reason: root_cause(&e) })?;
    Ok(OperatorClient::new(channel)
        .max_decoding_message_size(MESSAGE_LEN_MAX)
        .max_encoding_message_size(MESSAGE_LEN_MAX))
}

/// The innermost error says what the system said; the outer ones say "transport error".
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
