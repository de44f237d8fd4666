//! What a socket that speaks gRPC must survive: bytes that are no HTTP/2 (RFC 9113), HTTP/2 that
//! breaks its rules or wears out its peer, and gRPC messages that promise too much.

use tests::mutate::SplitMix64;

/// What a client says first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Frame types (RFC 9113 section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_HEADERS: u8 = 4;

/// How often a frame that costs nothing is repeated.
const FLOOD: u32 = 3_000;

/// What a client has said when it has begun, and wants nothing yet.
pub(crate) fn greeting() -> Vec<u8> {
    after_preface(&[])
}

/// One frame.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Header fields as literals that are not indexed (RFC 7541 section 6.2.2).
fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("a short text"));
            block.extend(text.as_bytes());
        }
    }
    block
}

/// The header of a call of a method.
fn call(path: &str) -> Vec<u8> {
    fields(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "weft"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ])
}

/// Preface, empty settings, and then this.
fn after_preface(frames: &[Vec<u8>]) -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[]), &frames.concat()].concat()
}

/// A call whose message is said to be so long, with only its beginning.
fn promise(path: &str, len: u32, compressed: u8) -> Vec<u8> {
    let message = [&[compressed][..], &len.to_be_bytes(), &[0x0a; 8_000]].concat();
    after_preface(&[frame(HEADERS, END_HEADERS, 1, &call(path)), frame(DATA, 0, 1, &message)])
}

/// All of it, with what it is called.
pub(crate) fn all(path: &str, random: &mut SplitMix64) -> Vec<(&'static str, Vec<u8>)> {
    let noise: Vec<u8> = (0..60_000).map(|_| random.byte()).collect();
    let call = call(path);
    let many = |of: &dyn Fn(u32) -> Vec<u8>| after_preface(&(0..FLOOD).map(of).collect::<Vec<_>>());
    let ids = |n: u32| 2 * n + 1;
    vec![
        ("nothing", Vec::new()),
        ("noise", noise.clone()),
        ("zeros", vec![0; 60_000]),
        ("a browser", b"GET / HTTP/1.1\r\nHost: weft\r\n\r\n".to_vec()),
        ("a TLS client", [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &noise[..500]].concat()),
        ("half a preface", PREFACE[..12].to_vec()),
        ("noise after the preface", [PREFACE, &noise].concat()),
        ("a frame of 16 MiB", [PREFACE, &[0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, 1]].concat()),
        ("a setting out of range", {
            after_preface(&[frame(SETTINGS, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff])])
        }),
        ("half a setting", after_preface(&[frame(SETTINGS, 0, 0, &[0, 4, 0])])),
        ("a window beyond its end", {
            after_preface(&[frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes())])
        }),
        ("an index that is none", after_preface(&[frame(HEADERS, END_HEADERS, 1, &[0x80])])),
        ("a number without end", after_preface(&[frame(HEADERS, END_HEADERS, 1, &[0xff; 40])])),
        ("noise for a header", after_preface(&[frame(HEADERS, END_HEADERS, 1, &noise[..9_000])])),
        ("data of no stream", after_preface(&[frame(DATA, 0, 7, &noise[..1_000])])),
        ("an even stream", after_preface(&[frame(HEADERS, END_HEADERS, 2, &call)])),
        ("no such method", after_preface(&[frame(HEADERS, END_HEADERS, 1, &self::call("/x/y"))])),
        ("a message of 4 GiB", promise(path, u32::MAX, 0)),
        ("a message of 63 MiB", promise(path, 63 << 20, 0)),
        ("a compressed message", promise(path, 8_000, 1)),
        ("a flag that is none", promise(path, 8_000, 0xee)),
        ("noise for a message", {
            let message = [&[0, 0, 0, 0x1f, 0x40][..], &noise[..8_000]].concat();
            after_preface(&[frame(HEADERS, END_HEADERS, 1, &call), frame(DATA, 1, 1, &message)])
        }),
        ("headers without end", {
            let start = frame(HEADERS, 0, 1, &call);
            let more = |_| frame(CONTINUATION, 0, 1, &fields(&[("x-more", "and more")]));
            let more: Vec<u8> = (0..FLOOD).flat_map(more).collect();
            after_preface(&[start, more])
        }),
        ("calls taken back at once", {
            many(&|n| {
                let reset = frame(RST_STREAM, 0, ids(n), &8_u32.to_be_bytes());
                [frame(HEADERS, END_HEADERS, ids(n), &call), reset].concat()
            })
        }),
        ("calls that say nothing", many(&|n| frame(HEADERS, END_HEADERS, ids(n), &call))),
        ("pings", many(&|n| frame(PING, 0, 0, &u64::from(n).to_be_bytes()))),
        ("settings", many(&|_| frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9]))),
    ]
}
