//! Time and memory of exporting efficientnet_b5 from files of weights. Fails above 3 s, or three times the weights in
//! memory.

#[path = "../tests/support/checkpoint.rs"]
#[allow(dead_code)]
mod checkpoint;

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use edge_classify::zoo::{self, Registry};
use nix::sys::resource::{UsageWho, getrusage};

const NETWORK: &str = "efficientnet_b5";
const RUNS: usize = 5;

const MOST_TIME: Duration = Duration::from_secs(3);
/// In sizes of the weights.
const MOST_MEMORY: f64 = 3.0;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        Some(argument) if argument == "write" => {
            write(Path::new(&arguments.next().expect("a path")));
            ExitCode::SUCCESS
        }
        Some(argument) if argument == "measure" => measure(arguments.collect()),
        _ => compare(),
    }
}

/// Makes a file of weights. In a process of its own: a process that starts another hands its peak of memory on.
fn write(path: &Path) {
    let network = Registry::bundled();
    let network = network.get(NETWORK).expect("the network is in the zoo");
    let graph = zoo::graph(network, network.size as usize, 1000).expect("it can be built");
    let tensors = graph.tensors();
    let contents = match path.extension() {
        Some(extension) if extension == "pth" => checkpoint::checkpoint(&tensors),
        _ => checkpoint::safetensors(&tensors),
    };
    std::fs::write(path, contents).expect("the weights can be written");
}

/// Runs one command, and prints its time in ms and its largest resident memory in KiB.
fn measure(command: Vec<OsString>) -> ExitCode {
    let start = Instant::now();
    let status = Command::new(&command[0])
        .args(&command[1..])
        .stderr(Stdio::null())
        .status()
        .expect("the program starts");
    let elapsed = start.elapsed();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the system counts");
    println!("{} {}", elapsed.as_millis(), usage.max_rss());
    ExitCode::from(u8::from(!status.success()))
}

fn compare() -> ExitCode {
    println!("{}", processor());
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut fine = true;
    for name in ["weights.safetensors", "weights.pth"] {
        let weights = directory.path().join(name);
        let written = this_program().arg("write").arg(&weights).status();
        assert!(written.expect("this program starts").success());
        let size = std::fs::metadata(&weights).expect("it was written").len();

        let mut runs: Vec<(u64, u64)> = (0..RUNS)
            .map(|_| run(&weights, &directory.path().join("model.onnx")))
            .collect();
        let memory = 1024 * runs.iter().map(|(_, kib)| *kib).max().unwrap_or(0);
        runs.sort_unstable();
        let [fastest, median, slowest] = [0, RUNS / 2, RUNS - 1].map(|run| runs[run].0);
        let ratio = memory as f64 / size as f64;
        println!(
            "{NETWORK} from {name}: {fastest} to {slowest} ms, median {median} ms; at most {:.1} MB of memory, {ratio:.2} \
             times the weights of {:.1} MB",
            memory as f64 / 1e6,
            size as f64 / 1e6,
        );
        fine &= u128::from(median) < MOST_TIME.as_millis() && ratio < MOST_MEMORY;
    }
    ExitCode::from(u8::from(!fine))
}

/// Exports once: time in ms and memory in KiB.
fn run(weights: &Path, model: &Path) -> (u64, u64) {
    let output = this_program()
        .arg("measure")
        .arg(env!("CARGO_BIN_EXE_edge-classify"))
        .args(["export", NETWORK, "--weights"])
        .arg(weights)
        .arg("-o")
        .arg(model)
        .output()
        .expect("this program starts");
    assert!(output.status.success(), "the export failed");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.split_whitespace().map(|number| {
        number
            .parse()
            .expect("the measuring process prints numbers")
    });
    let mut next = || numbers.next().expect("it prints two");
    (next(), next())
}

fn this_program() -> Command {
    Command::new(std::env::current_exe().expect("this program has a path"))
}

/// What the kernel calls the processor, or the board.
fn processor() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let board = std::fs::read_to_string("/proc/device-tree/model");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let name = match (name, board) {
        (Some((_, name)), _) => name.to_owned(),
        (None, Ok(board)) => board.trim_end_matches('\0').to_owned(),
        (None, Err(_)) => std::env::consts::ARCH.to_owned(),
    };
    format!("{name}, {cores} cores")
}
