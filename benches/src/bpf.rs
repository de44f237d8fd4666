//! The BPF programs of the tester, compiled by the build script, and how they are loaded. They are in
//! `bpf/`; what they share with Rust is mirrored beside its user.

use aya::maps::{Map, MapError};
use aya::programs::{Program, ProgramError};
use aya::{Ebpf, EbpfError, EbpfLoader, include_bytes_aligned};
use thiserror::Error;

/// `generator.bpf.c`: see [`crate::tester::Generator`].
pub static GENERATOR: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/generator.bpf.o"));
/// `sink.bpf.c`: see [`crate::tester::Sink`].
pub static SINK: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sink.bpf.o"));

/// Why a BPF program does not do its work.
#[derive(Debug, Error)]
pub enum BpfError {
    /// The object could not be read, or the kernel refused a map or a program of it.
    #[error("cannot load BPF: {0}")]
    Load(#[from] EbpfError),
    /// The kernel refused to load, attach or run a program.
    #[error("BPF program `{0}`: {1}")]
    Program(&'static str, #[source] ProgramError),
    /// A map could not be read or written.
    #[error("BPF map `{0}`: {1}")]
    Map(&'static str, #[source] MapError),
    /// The object has no such program or map: it does not belong to this build.
    #[error("the BPF object of this build lacks `{0}`")]
    Missing(&'static str),
}

/// Reads an object, makes its maps, and sets some of its globals.
///
/// # Errors
/// When the kernel refuses a map, or the object has no such global.
pub fn load(object: &[u8], globals: &[(&str, &[u8])]) -> Result<Ebpf, BpfError> {
    let mut loader = EbpfLoader::new();
    for (name, value) in globals {
        loader.override_global(name, *value, true);
    }
    Ok(loader.load(object)?)
}

/// Takes a map out of an object.
///
/// # Errors
/// When the object has none of this name and type.
pub fn take_map<M: TryFrom<Map>>(bpf: &mut Ebpf, name: &'static str) -> Result<M, BpfError> {
    let map = bpf.take_map(name).ok_or(BpfError::Missing(name))?;
    M::try_from(map).map_err(|_| BpfError::Missing(name))
}

/// A program of an object.
///
/// # Errors
/// When the object has none of this name and type.
pub fn program_mut<'a, P>(bpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut P, BpfError>
where
    &'a mut P: TryFrom<&'a mut Program>,
{
    let program = bpf.program_mut(name).ok_or(BpfError::Missing(name))?;
    program.try_into().map_err(|_| BpfError::Missing(name))
}
