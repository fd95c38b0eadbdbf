use std::process::ExitCode;

fn main() -> ExitCode {
    edge_classify::cli::main()
}
