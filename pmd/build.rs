//! Compiles the XDP program, `bpf/xdp.bpf.c`.

#[path = "bpf/compile.rs"]
mod bpf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    bpf::compile_all()
}
