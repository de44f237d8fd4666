//! The lab: networks of namespaces on one machine, in which Weft is shown, tested and measured.

#![forbid(unsafe_code)]

pub mod error;
pub mod frames;
pub mod inject;
pub mod lab;
pub mod link;
pub mod mutate;
pub mod netns;
pub mod packet;
pub mod process;
pub mod sniff;
pub mod switch;
pub mod topology;
pub mod traffic;
pub mod wait;
