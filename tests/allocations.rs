//! An inference takes no memory beyond what the session has from the start.

use edge_classify::compile;
use edge_classify::engine::{Options, Threads};
use edge_classify::quantize::{QuantizeOptions, quantize};
use edge_classify::session::{Program, Session};

#[test]
fn an_inference_allocates_nothing() {
    let onnx = std::fs::read("tests/models/tf_efficientnet_lite0.onnx").unwrap();
    for threads in [1, 3].map(|threads| Threads::new(threads).unwrap()) {
        allocates_nothing(compile::load(&onnx, None).unwrap(), threads);
        let Program::Net(net) = compile::load(&onnx, None).unwrap() else {
            panic!("layers cover all of it");
        };
        let options = Options::new(threads).unwrap();
        let picture = vec![0.5; net.input().pixels() * net.input().channels];
        let quantized = quantize(
            &net,
            &[picture],
            &QuantizeOptions::plain(),
            &options,
            &mut |_| (),
        )
        .unwrap();
        allocates_nothing(Program::Net(quantized.net), threads);
    }
}

fn allocates_nothing(program: Program, threads: Threads) {
    let mut session = Session::new(program, threads).unwrap();
    let input = vec![0.5; session.input_len()];
    let mut logits = vec![0.0; session.classes()];
    let mut run = || session.run_into(&input, &mut logits).unwrap();
    run();
    // Of the thread that asks; it does parts of every layer, as the others do.
    let counted = allocation_counter::measure(|| {
        for _ in 0..3 {
            run();
        }
    });
    assert_eq!(counted.count_total, 0);
    // It does count.
    let counted = allocation_counter::measure(|| drop(session.run(&input).unwrap()));
    assert_eq!(counted.count_total, 1);
}
