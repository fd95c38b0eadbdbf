//! One loaded network and the state it needs to run: the engine's, or tract's for what no layers cover.

#[cfg(feature = "host")]
mod delegate;
#[cfg_attr(not(feature = "host"), path = "no_graph.rs")]
mod graph;

use std::sync::Arc;
use std::time::Duration;

use edge_classify_kernels::Element;
use half::f16;

use crate::engine::net::{Layer, Net};
use crate::engine::{EngineError, Executor, Options, Packed, Picture, Precision, Team, Threads};
#[cfg(feature = "host")]
pub use delegate::{Border, TractPart};
pub use graph::Graph;
use graph::GraphRunner;

/// A network as it was compiled.
pub enum Program {
    /// In layers of ours, which may have parts that tract runs among them.
    Net(Net),
    /// In tract's, all of it.
    Graph(Graph),
}

impl Program {
    /// Tells what of it tract runs, which takes longer than layers would.
    fn log(&self) {
        match self {
            Program::Net(net) => {
                for part in net.layers().iter().filter_map(Layer::part) {
                    let (what, reason) = (part.nodes.join(", "), &part.reason);
                    log::info!("{what}: run in tract, because of {reason}");
                }
            }
            Program::Graph(graph) => log::info!(
                "all of the network runs in tract, because of {}",
                graph.reason()
            ),
        }
    }
}

/// A network ready to run, one inference at a time.
pub struct Session {
    runner: Runner,
    height: usize,
    width: usize,
    classes: usize,
    precision: Precision,
}

enum Runner {
    Net(Executor),
    Half(Executor<f16>),
    Graph(Box<GraphRunner>),
}

impl Session {
    /// Prepares a network for this processor.
    pub fn new(program: Program, threads: Threads) -> Result<Self, EngineError> {
        Session::with(program, &Options::new(threads)?)
    }

    /// Prepares a network to be run as the options say.
    pub fn with(program: Program, options: &Options) -> Result<Self, EngineError> {
        let threads = options.threads;
        program.log();
        match program {
            Program::Net(net) => {
                let shape = net.input();
                if shape.channels != 3 {
                    return Err(EngineError::Prepare(format!("its input is {shape:?}")));
                }
                let classes = net.output().channels;
                let precision = options.precision_of(&net)?;
                let runner = match precision {
                    Precision::F32 | Precision::Int8 => Runner::Net(executor(net, options)?),
                    Precision::Fp16 => Runner::Half(executor(net, options)?),
                };
                Ok(Session {
                    height: shape.height,
                    width: shape.width,
                    classes,
                    precision,
                    runner,
                })
            }
            Program::Graph(_) if options.precision == Some(Precision::Fp16) => {
                Err(EngineError::Prepare(
                    "tract runs all of it, in f32 alone; leave out --precision fp16".to_owned(),
                ))
            }
            Program::Graph(graph) => {
                let graph = GraphRunner::new(graph, threads)?;
                let (height, width) = graph.input_size();
                Ok(Session {
                    height,
                    width,
                    classes: graph.classes(),
                    precision: Precision::F32,
                    runner: Runner::Graph(Box::new(graph)),
                })
            }
        }
    }

    /// Another session of the same network, which shares its weights.
    pub fn another(&self) -> Result<Self, EngineError> {
        let runner = match &self.runner {
            Runner::Net(executor) => Runner::Net(executor.another()?),
            Runner::Half(executor) => Runner::Half(executor.another()?),
            Runner::Graph(graph) => Runner::Graph(Box::new(graph.another()?)),
        };
        Ok(Session { runner, ..*self })
    }

    /// Height and width of the input in pixels.
    pub fn input_size(&self) -> (usize, usize) {
        (self.height, self.width)
    }

    /// In which the layers are computed.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Length of the input tensor: 3 x height x width.
    pub fn input_len(&self) -> usize {
        3 * self.height * self.width
    }

    /// Number of classes: the length of the output.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Runs the network on `input` (f32, NCHW, one picture) and returns its logits.
    pub fn run(&mut self, input: &[f32]) -> Result<Vec<f32>, EngineError> {
        let mut logits = vec![0.0; self.classes];
        self.run_into(input, &mut logits)?;
        Ok(logits)
    }

    /// As [`Session::run`], with the logits written to where they are wanted. A network in our layers allocates
    /// nothing; parts of it that tract runs do.
    pub fn run_into(&mut self, input: &[f32], logits: &mut [f32]) -> Result<(), EngineError> {
        if input.len() != self.input_len() {
            return Err(EngineError::InputLength {
                expected: self.input_len(),
                found: input.len(),
            });
        }
        if logits.len() != self.classes {
            return Err(EngineError::OutputLength {
                expected: self.classes,
                found: logits.len(),
            });
        }
        match &mut self.runner {
            Runner::Net(executor) => logits.copy_from_slice(executor.run(input)?),
            Runner::Half(executor) => f16::widen(executor.run(input)?, logits),
            Runner::Graph(graph) => graph.run(input, logits)?,
        }
        Ok(())
    }

    /// Whether [`Session::run_picture`] can be called: where the first layer is a convolution of ours.
    pub fn takes_pictures(&self) -> bool {
        match &self.runner {
            Runner::Net(executor) => executor.takes_pictures(),
            Runner::Half(executor) => executor.takes_pictures(),
            Runner::Graph(_) => false,
        }
    }

    /// Runs the network on a picture that the first layer normalises as it goes, and returns its logits: those that
    /// [`Session::run`] returns for the normalised picture, but for its rounding.
    ///
    /// # Errors
    /// If the picture has not the input's size, or the first layer [takes none](Session::takes_pictures).
    pub fn run_picture(&mut self, picture: Picture) -> Result<Vec<f32>, EngineError> {
        let (row, rows) = (3 * self.width, self.height);
        let fits =
            picture.stride >= row && picture.pixels.len() >= (rows - 1) * picture.stride + row;
        if !fits {
            return Err(EngineError::InputLength {
                expected: self.input_len(),
                found: picture.pixels.len(),
            });
        }
        let mut logits = vec![0.0; self.classes];
        match &mut self.runner {
            Runner::Net(executor) if executor.takes_pictures() => {
                logits.copy_from_slice(executor.run_picture(picture)?);
            }
            Runner::Half(executor) if executor.takes_pictures() => {
                f16::widen(executor.run_picture(picture)?, &mut logits);
            }
            _ => {
                let problem = "its first layer takes no 8-bit picture";
                return Err(EngineError::Run(problem.to_owned()));
            }
        }
        Ok(logits)
    }

    /// Runs the network and tells what layers took that are computed together, by their indices; a layer that another
    /// computes on the way is not among them. False, and nothing told, for a network that tract runs.
    pub fn run_timed(
        &mut self,
        input: &[f32],
        took: &mut (dyn FnMut(&[usize], Duration) + Send),
    ) -> Result<bool, EngineError> {
        if input.len() != 3 * self.height * self.width {
            return Err(EngineError::InputLength {
                expected: 3 * self.height * self.width,
                found: input.len(),
            });
        }
        match &mut self.runner {
            Runner::Net(executor) => executor.run_timed(input, took).map(|_| true),
            Runner::Half(executor) => executor.run_timed(input, took).map(|_| true),
            Runner::Graph(_) => Ok(false),
        }
    }
}

fn executor<E: Element>(net: Net, options: &Options) -> Result<Executor<E>, EngineError> {
    let packed = Packed::new(net, options.isa, options.cache)?;
    let team = Team::new(options.threads)?;
    Executor::new(Arc::new(packed), Arc::new(team))
}
