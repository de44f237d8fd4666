//! What goes to the dataplanes and what comes back: one [`fleet::Module`] a host, the stream of
//! its session, and the one file that knows both policy values and rpc messages.

pub mod encode;
pub mod fleet;
pub mod stream;
