//! An inference takes no memory beyond what the session has from the start.
//!
//! Alone in its file: the allocator that counts is that of the whole process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use edge_classify::compile;
use edge_classify::engine::{Session, Threads};

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: the system's allocator does it all.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: by this function's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: by this function's contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn an_inference_allocates_nothing() {
    let onnx = std::fs::read("models/tf_efficientnet_lite0.onnx").unwrap();
    let program = compile::load(&onnx, None).unwrap();
    let mut session = Session::new(program, Threads::new(1).unwrap()).unwrap();
    let input = vec![0.5; session.input_len()];
    let mut logits = vec![0.0; session.classes()];
    session.run_into(&input, &mut logits).unwrap();
    let before = COUNT.get();
    assert!(before > 0, "nothing is counted");
    for _ in 0..3 {
        session.run_into(&input, &mut logits).unwrap();
    }
    assert_eq!(COUNT.get(), before);
}
