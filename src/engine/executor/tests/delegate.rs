//! A delegate to try the executor with.

use edge_classify_kernels::{Rows, RowsMut};

use super::*;
use crate::EngineError;
use crate::net::{Delegate, Part};

/// Adds a vector to every pixel; of an infinite one, it says that it cannot.
#[derive(Debug)]
struct Added {
    pixels: usize,
    channels: usize,
}

impl Delegate for Added {
    fn run(&self, inputs: &[Rows], output: RowsMut) -> Result<(), String> {
        let [x, term] = inputs else {
            return Err("not two inputs".to_owned());
        };
        if term.data[0].is_infinite() {
            return Err("too much".to_owned());
        }
        for pixel in 0..self.pixels {
            for c in 0..self.channels {
                let sum = x.data[pixel * x.stride + c] + term.data[c];
                output.data[pixel * output.stride + c] = sum;
            }
        }
        Ok(())
    }
}

pub fn added(inputs: Vec<Shape>) -> Arc<Part> {
    Arc::new(Part {
        output: inputs[0],
        nodes: Vec::new(),
        reason: String::new(),
        parameters: 0,
        multiply_adds: 0,
        delegate: Box::new(Added {
            pixels: inputs[0].pixels(),
            channels: inputs[0].channels,
        }),
        inputs,
    })
}

#[test]
fn what_a_delegate_cannot_do_is_an_error() {
    let vector = Shape {
        height: 1,
        width: 1,
        channels: 3,
    };
    let mut maker = Maker::new(1);
    let picture = maker.value(vector);
    let mean = maker.value(vector);
    maker.layer(Kind::Mean, picture, mean, Activation::Identity);
    let sum = maker.value(vector);
    let kind = Kind::Part {
        part: added(vec![vector; 2]),
        more: vec![mean],
    };
    maker.layer(kind, picture, sum, Activation::Identity);
    let net = Net::new(maker.values, maker.layers, 0, sum).unwrap();
    let packed = Arc::new(Packed::<f32>::new(net, Isa::available()[0], None).unwrap());
    let team = Arc::new(Team::new(Threads::new(1).unwrap()).unwrap());
    let mut executor = Executor::new(packed, team).unwrap();
    assert_eq!(executor.run(&[1.0, 2.0, 3.0]).unwrap(), [2.0, 4.0, 6.0]);
    match executor.run(&[f32::INFINITY, 2.0, 3.0]) {
        Err(EngineError::Run(message)) => assert_eq!(message, "too much"),
        other => panic!("{other:?}"),
    }
    assert_eq!(executor.run(&[1.0, 2.0, 3.0]).unwrap(), [2.0, 4.0, 6.0]);
}
