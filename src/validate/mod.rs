//! Accuracy of a model on labelled pictures, and agreement of two models.

mod comparison;
mod dataset;
mod interval;
mod labels_list;
mod report;
mod results;
mod runner;

pub use comparison::{Comparison, Disagreement};
pub use dataset::{Classes, Dataset, DatasetError, Sample};
pub use interval::{Proportion, wilson};
pub use labels_list::ListError;
pub use report::Report;
pub use results::{Header, MergeError, Results, ResultsError, Row, Shard, merge};
pub use runner::{RunnerError, Workers, run};
