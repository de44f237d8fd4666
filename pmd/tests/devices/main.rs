//! Ports on real devices, in network namespaces of their own. Needs root.

mod support;
mod tap;
mod xsk;
