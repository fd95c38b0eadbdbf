//! Accuracy of a model on labelled pictures, and agreement of two models.

mod classes;
mod comparison;
mod dataset;
mod folders;
mod interval;
mod labels_list;
mod merge;
mod report;
mod results;
mod runner;

pub use classes::Classes;
pub use comparison::{Comparison, Disagreement};
pub use dataset::{Dataset, DatasetError, Sample, digest};
pub use interval::{Proportion, wilson};
pub use labels_list::ListError;
pub use merge::{MergeError, merge};
pub use report::Report;
pub use results::{Header, Results, ResultsError, Row, Shard};
pub use runner::{RunnerError, Workers, run};
