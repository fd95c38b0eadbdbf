//! PyTorch checkpoints that are hostile or contradict themselves: each export fails with a clear error, runs nothing,
//! takes little memory, and writes nothing.

mod support;

use std::fs;

use support::checkpoint::{self, Described, text};
use support::stderr;
use support::workshop::{Workshop, tiny};
use zip::CompressionMethod;

#[test]
fn one_network_from_every_format_is_one_model() {
    let workshop = Workshop::new();
    let tensors = tiny(&workshop);
    // Names as long as each other: the name is in the model, and so are the lengths of what is around it.
    let nested = checkpoint::with_pickle(
        &[
            b"\x80\x02}",
            &text("state_dict")[..],
            &checkpoint::state_dict(&checkpoint::described(&tensors), b"")[2..],
        ]
        .concat()
        .strip_suffix(b".")
        .map(|pickle| [pickle, b"s."].concat())
        .unwrap(),
        &tensors,
    );
    let files = [
        ("w.safetensors", checkpoint::safetensors(&tensors)),
        ("weights-2.pth", checkpoint::checkpoint(&tensors)),
        ("weights-3.pth", checkpoint::legacy(&tensors)),
        ("weights-4.pth", nested),
    ];
    let mut first: Option<Vec<u8>> = None;
    for (name, contents) in files {
        workshop.write(name, &contents);
        let output = workshop.export("tiny", name, &[]);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", stderr(&output));
        let onnx = fs::read(workshop.at("out/tiny.onnx")).unwrap();
        let at = onnx.windows(name.len()).position(|w| w == name.as_bytes());
        let mut onnx = onnx;
        let at = at.expect("the model says where its weights are from");
        onnx.drain(at..at + name.len());
        match &first {
            None => first = Some(onnx),
            Some(first) => assert!(*first == onnx, "{name}"),
        }
    }
}

#[test]
fn a_call_in_a_pickle_is_refused_and_never_made() {
    let workshop = Workshop::new();
    let tensors = tiny(&workshop);
    let touch = &text("touch executed")[..];
    let short = b"\x8c\x0etouch executed";
    struct Case {
        what: &'static str,
        /// Leaves one value on the stack.
        opcodes: Vec<u8>,
        says: &'static str,
    }
    let case = |what, opcodes: &[&[u8]], says| Case {
        what,
        opcodes: opcodes.concat(),
        says,
    };
    let cases = [
        case(
            "GLOBAL, REDUCE",
            &[b"cos\nsystem\n", touch, b"\x85R"],
            "os.system",
        ),
        case(
            "posix",
            &[b"cposix\nsystem\n", touch, b"\x85R"],
            "posix.system",
        ),
        case(
            "eval",
            &[
                b"cbuiltins\neval\n",
                &text("open('executed', 'w')"),
                b"\x85R",
            ],
            "builtins.eval",
        ),
        case(
            "STACK_GLOBAL",
            &[b"\x8c\x02os\x8c\x06system\x93", short, b"\x85R"],
            "os.system",
        ),
        case(
            "STACK_GLOBAL through the memo",
            &[
                b"\x8c\x06system\x940\x8c\x02os\x940h\x01h\x00\x93",
                short,
                b"\x85R",
            ],
            "os.system",
        ),
        case(
            "NEWOBJ",
            &[b"csubprocess\nPopen\n", touch, b"\x85\x81"],
            "subprocess.Popen",
        ),
        case(
            "NEWOBJ_EX",
            &[b"csubprocess\nPopen\n", touch, b"\x85}\x92"],
            "subprocess.Popen",
        ),
        case("INST", &[b"(", touch, b"ios\nsystem\n"], "os.system"),
        case("OBJ", &[b"(cos\nsystem\n", touch, b"o"], "os.system"),
        case(
            "BUILD",
            &[
                b"c__main__\nEvil\n)\x81}",
                &text("__setstate__"),
                b"cos\nsystem\nsb",
                touch,
                b"b",
            ],
            "__main__.Evil, os.system",
        ),
        case(
            "a result thrown away",
            &[b"cos\nsystem\n", touch, b"\x85R0N"],
            "os.system",
        ),
        case(
            "in a tensor's arguments",
            &[
                b"ctorch._utils\n_rebuild_parameter\ncos\nsystem\n",
                touch,
                b"\x85R\x85R",
            ],
            "os.system",
        ),
        case(
            "a function of the trusted module",
            &[b"ctorch\nload\n", touch, b"\x85R"],
            "torch.load",
        ),
        case("an extension", &[b"\x82\x01", touch, b"\x85R"], "Ext1"),
        case(
            "an extension of 4 bytes",
            &[b"\x84\x01\x00\x00\x00)R"],
            "Ext4",
        ),
        case("a buffer from outside", &[b"\x97"], "NextBuffer"),
    ];
    for Case {
        what,
        opcodes,
        says,
    } in &cases
    {
        let alone = [b"\x80\x04", &opcodes[..], b"."].concat();
        let within = [&text("hook")[..], opcodes].concat();
        let within = checkpoint::state_dict(&checkpoint::described(&tensors), &within);
        for (place, pickle) in [("alone", &alone), ("within weights", &within)] {
            workshop.write("evil.pth", &checkpoint::with_pickle(pickle, &tensors));
            workshop.refused("evil.pth", &format!("{what}, {place}"), &[says]);
        }
        let mut legacy = checkpoint::legacy(&tensors);
        let magic = legacy.iter().position(|byte| *byte == b'.').unwrap() + 1;
        legacy.splice(magic..magic, alone);
        workshop.write("evil.pth", &legacy);
        workshop.refused("evil.pth", &format!("{what}, legacy"), &[says]);
    }
    assert!(!workshop.at("executed").exists());
    let hostile = std::env::current_dir()
        .unwrap()
        .join("tests/data/hostile.pth");
    let hostile = hostile.to_str().unwrap();
    workshop.refused(hostile, "as Python writes it", &["posix.system"]);
    assert!(!workshop.at("executed").exists());
}

#[test]
fn pickles_that_would_take_all_memory_are_refused() {
    let workshop = Workshop::new();
    let tensors = tiny(&workshop);
    let doubled = |n| [b"N", &b"2\x86"[..].repeat(n)[..]].concat();
    let memoized = |n| [b"\x89q\x00", &b"h\x00h\x00\x86q\x00"[..].repeat(n)[..]].concat();
    let fetched = [
        &text(&"x".repeat(1 << 20))[..],
        b"q\x00(",
        &b"h\x00".repeat(100_000),
        b"t",
    ]
    .concat();
    let cases: [(&str, Vec<u8>); 15] = [
        ("LONG1 cut off", b"\x8a\xff\x01".to_vec()),
        ("LONG4 of 2 GB", b"\x8b\xff\xff\xff\x7f\x01".to_vec()),
        ("BINUNICODE of 4 GB", b"X\xff\xff\xff\xffx".to_vec()),
        (
            "BINUNICODE8 of exabytes",
            b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7fx".to_vec(),
        ),
        (
            "BINUNICODE8 of 8 GB",
            b"\x8d\x00\x00\x00\x00\x02\x00\x00\x00x".to_vec(),
        ),
        (
            "BINBYTES8 of 8 GB",
            b"\x8e\x00\x00\x00\x00\x02\x00\x00\x00x".to_vec(),
        ),
        (
            "BYTEARRAY8",
            b"\x96\xff\xff\xff\xff\xff\xff\xff\xffx".to_vec(),
        ),
        (
            "deep tuples",
            [b"]", &b"\x85"[..].repeat(500_000)[..]].concat(),
        ),
        (
            "deep lists",
            [b"]".repeat(500_000), b"a".repeat(499_999)].concat(),
        ),
        ("doubled by DUP", doubled(64)),
        ("doubled by the memo", memoized(64)),
        ("a long string again and again", fetched),
        ("ever more values", b"N".repeat(8_000_000)),
        ("ever more marks", b"(".repeat(8_000_000)),
        (
            "ever more of the memo",
            (0..3_000_000u32)
                .flat_map(|index| [&b"r"[..], &index.to_le_bytes()].concat())
                .collect(),
        ),
    ];
    for (what, opcodes) in &cases {
        let alone = [b"\x80\x04N", &opcodes[..], b"."].concat();
        let within = [&text("hook")[..], opcodes].concat();
        let within = checkpoint::state_dict(&checkpoint::described(&tensors), &within);
        for (place, pickle) in [("alone", alone), ("within weights", within)] {
            workshop.write("bomb.pth", &checkpoint::with_pickle(&pickle, &tensors));
            workshop.refused("bomb.pth", &format!("{what}, {place}"), &["bomb.pth"]);
        }
    }
}

#[test]
fn archives_that_contradict_themselves_are_refused() {
    let workshop = Workshop::new();
    let tensors = tiny(&workshop);
    let good = checkpoint::checkpoint(&tensors);
    let pickle = checkpoint::state_dict(&checkpoint::described(&tensors), b"");
    let stem = checkpoint::values(&tensors[0]);
    let mut flipped = good.clone();
    let at = flipped
        .windows(stem.len())
        .position(|window| window == stem)
        .unwrap();
    flipped[at] ^= 1;

    // The first tensor, described otherwise.
    let described = |change: &dyn Fn(&mut Described)| {
        let mut all = checkpoint::described(&tensors);
        change(&mut all[0]);
        checkpoint::with_pickle(&checkpoint::state_dict(&all, b""), &tensors)
    };
    let name = tensors[0].name.as_str();
    let zeros = vec![0; 64 << 20];
    let bomb = |entries: [(&str, &[u8]); 2]| {
        checkpoint::archive_with(CompressionMethod::Deflated, entries)
    };
    let short: Vec<u8> = checkpoint::archive([
        ("w/data.pkl", &pickle[..]),
        ("w/data/0", &stem[..stem.len() - 4]),
    ]);
    let cases: [(&str, Vec<u8>, &[&str]); 21] = [
        ("a flipped bit", flipped, &[name, "checksum"]),
        (
            "no pickle",
            checkpoint::archive([("w/data/0", &stem[..])]),
            &["0 data.pkl"],
        ),
        (
            "two pickles",
            checkpoint::archive([("w/data.pkl", &pickle[..]), ("v/data.pkl", &pickle)]),
            &["2 data.pkl"],
        ),
        (
            "no storage",
            checkpoint::archive([("w/data.pkl", &pickle[..])]),
            &[name, "not found"],
        ),
        ("a short storage", short, &[name]),
        (
            "an offset past the end",
            described(&|t| t.offset = 1),
            &["storage '0'"],
        ),
        (
            "an offset before the start",
            described(&|t| t.offset = -1),
            &["negative"],
        ),
        (
            "a huge offset",
            described(&|t| t.offset = i64::MAX),
            &["cannot be read"],
        ),
        (
            "a stride past the end",
            described(&|t| t.strides[0] = 1000),
            &["storage '0'"],
        ),
        (
            "a huge stride",
            described(&|t| t.strides[0] = i64::MAX),
            &["overflows"],
        ),
        (
            "a negative stride",
            described(&|t| t.strides[0] = -1),
            &["negative"],
        ),
        (
            "too few strides",
            described(&|t| t.strides.truncate(1)),
            &["stride rank"],
        ),
        (
            "a huge shape",
            described(&|t| t.shape = vec![i64::MAX; 4]),
            &["overflows"],
        ),
        (
            "a negative shape",
            described(&|t| t.shape[0] = -8),
            &["negative"],
        ),
        (
            "a tensor of 1 TB in no storage",
            described(&|t| (t.shape, t.strides) = (vec![1 << 38], vec![0])),
            &["byte limit"],
        ),
        (
            "a tensor of 8 GB in no storage",
            described(&|t| (t.shape, t.strides) = (vec![1 << 31], vec![0])),
            &[name, "found [2147483648]"],
        ),
        (
            "too many elements",
            described(&|t| t.elements = i64::MAX),
            &["overflows"],
        ),
        (
            "another class",
            described(&|t| t.class = "QInt8Storage"),
            &["QInt8Storage"],
        ),
        (
            "whole numbers",
            described(&|t| t.class = "IntStorage"),
            &[name, "I32"],
        ),
        (
            "a compressed pickle",
            bomb([("w/data.pkl", &zeros), ("w/data/0", &stem)]),
            &["w/data.pkl is compressed"],
        ),
        (
            "a compressed storage",
            bomb([("w/data/0", &zeros), ("w/data.pkl", &pickle)]),
            &["w/data/0 is compressed"],
        ),
    ];
    for (what, contents, says) in &cases {
        workshop.write("broken.pth", contents);
        workshop.refused("broken.pth", what, says);
    }
}
