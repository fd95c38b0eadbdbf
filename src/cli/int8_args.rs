//! Options of `compile --int8`.

use std::path::PathBuf;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use crate::quantize::{QuantizeOptions, Step};

#[derive(Debug, Args)]
pub struct Int8Args {
    /// Quantize the network to int8, with photographs to calibrate with
    #[arg(long, conflicts_with = "precision")]
    pub int8: bool,

    /// Directory of photographs like those that the network will see, 16 at least: for --int8. As a last resort,
    /// 'synthetic' for random pictures, which say nothing of accuracy (a directory of that name: ./synthetic)
    #[arg(long, value_name = "DIR|synthetic", requires = "int8")]
    pub calibration: Option<PathBuf>,

    /// How much is done for accuracy in int8
    #[arg(long, value_enum, default_value_t = Effort::Normal, requires = "int8")]
    pub effort: Effort,

    /// Leave out a step of quantization, to see what it is good for; may be repeated
    #[arg(long, value_enum, value_name = "STEP", requires = "int8")]
    pub without: Vec<Step>,

    /// Keep layers in float, by their names in `inspect MODEL`, or patterns of names (*, ?); several separated by commas
    #[arg(long, value_name = "NAME", value_delimiter = ',', requires = "int8")]
    pub float_layers: Vec<String>,

    /// Percentage of the photographs held back that may get another class than in float; where more do, the most
    /// sensitive layers are put in float, and where that is not enough, compiling fails
    #[arg(long, value_name = "PERCENT", value_parser = percentage, requires = "int8")]
    pub max_drop: Option<f64>,

    /// For which photographs are taken of more than 500, and for synthetic pictures
    #[arg(long, value_name = "N", default_value_t = 0, requires = "int8")]
    pub seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Effort {
    /// Ranges by a percentile, weights to the nearest levels
    Fast,
    /// Ranges by trying, weights rounded so that outputs change least
    Normal,
    /// The same with more pictures and sweeps, and the sensitivity of every layer for the report: several times as long
    High,
}

impl ValueEnum for Step {
    fn value_variants<'a>() -> &'a [Self] {
        &Step::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.help()))
    }
}

impl Int8Args {
    /// What is done, but for layers that are named.
    pub fn options(&self) -> QuantizeOptions {
        let options = match self.effort {
            Effort::Fast => QuantizeOptions::fast(),
            Effort::Normal => QuantizeOptions::normal(),
            Effort::High => QuantizeOptions::high(),
        };
        let without = self.without.iter().copied();
        without.fold(options, QuantizeOptions::without)
    }
}

fn percentage(text: &str) -> Result<f64, String> {
    let value = text.parse().ok();
    value
        .filter(|value| (0.0..=100.0).contains(value))
        .ok_or_else(|| "expected a number from 0 to 100".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::host_args::CompileArgs;

    #[derive(Debug, Parser)]
    struct Compile {
        #[command(flatten)]
        args: CompileArgs,
    }

    fn parse(options: &str) -> Result<Int8Args, clap::Error> {
        let line = format!("compile model -o model.plan {options}");
        let compile = Compile::try_parse_from(line.split_whitespace())?;
        Ok(compile.args.int8)
    }

    #[test]
    fn options_go_with_int8_and_are_checked() {
        let args = parse(
            "--int8 --effort high --without rounding --without ranges --float-layers a,b* --max-drop 2.5 --seed 3",
        );
        let args = args.unwrap();
        assert_eq!(args.float_layers, ["a", "b*"]);
        assert_eq!((args.max_drop, args.seed), (Some(2.5), 3));
        let options = args.options();
        assert!(options.sensitivity && options.equalize);
        assert!(!options.takes(Step::Rounding) && !options.takes(Step::Ranges));
        let plain = parse("").unwrap();
        assert!(!plain.int8);
        assert_eq!(plain.options(), QuantizeOptions::default());
        for bad in [
            "--effort fast",
            "--without rounding",
            "--float-layers a",
            "--max-drop 1",
            "--seed 1",
            "--int8 --precision fp16",
            "--int8 --without something",
            "--int8 --effort most",
            "--int8 --max-drop 101",
            "--int8 --max-drop nan",
            "--int8 --max-drop -1",
            "--int8 --seed x",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
