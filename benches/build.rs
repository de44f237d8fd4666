//! Compiles the BPF programs of `bpf/`.

#[path = "../pmd/bpf/compile.rs"]
mod bpf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=../pmd/bpf/compile.rs");
    bpf::compile_all()
}
