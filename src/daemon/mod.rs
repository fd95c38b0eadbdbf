//! The pipeline: frames from a source through a classifier to a sink.

mod classifier;
mod latency;
mod load;
mod pipeline;
mod stop;

pub use classifier::{Classification, Classifier, ClassifyError, Selection, softmax};
pub use latency::LatencyStats;
pub use load::{LoadError, LoadedModel, load, load_program, load_session};
pub use pipeline::{Limits, Outcome, RunError, run};
pub use stop::Stop;
