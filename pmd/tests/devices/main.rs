//! Ports on real devices, in network namespaces of their own. Needs root.

mod conformance;
mod support;
mod tap;
mod xsk;
