//! The kernels for each type of values, compiled here: what is generic is compiled again in every crate that calls it.

use half::f16;

use super::conv::Conv;
use super::depthwise::Job;
use super::elementwise::{Pass, PerChannel, Sum, Unary};
use super::excite::{Excite, Squeeze};
use super::interleave::Interleave;
use super::normalize::Normalize;
use super::peak::Peak;
use super::pointwise::Pointwise;
use super::pool::{Means, Windows};
use super::simd::Isa;

macro_rules! kernels {
    ($($name:ident($kernel:ty) -> $output:ty, $run:ident;)*) => {
        /// Runs the kernels, with their arguments checked.
        pub trait Compiled: Sized {
            $(fn $name(isa: Isa, kernel: $kernel) -> $output;)*
            fn depthwise(isa: Isa, job: Job<Self>);
        }

        kernels!(@ f32, $($name $kernel, $output, $run;)*);
        kernels!(@ f16, $($name $kernel, $output, $run;)*);
    };
    (@ $element:ty, $($name:ident $kernel:ty, $output:ty, $run:ident;)*) => {
        impl Compiled for $element {
            $(fn $name(isa: Isa, kernel: $kernel) -> $output {
                isa.$run::<Self, _>(kernel)
            })*
            fn depthwise(isa: Isa, job: Job<Self>) {
                job.run(isa);
            }
        }
    };
}

kernels! {
    activate(Pass<Self, Unary<Self>>) -> (), run;
    add(Pass<Self, Sum<Self>>) -> (), run;
    conv(Conv<Self>) -> (), run;
    excite(Excite<Self>) -> (), run_wide;
    interleave(Interleave<Self>) -> (), run;
    means(Means<Self>) -> (), run;
    multiply_adds(Peak) -> f32, run;
    normalize(Normalize<Self>) -> (), run;
    per_channel(PerChannel<Self>) -> (), run;
    pointwise(Pointwise<Self>) -> (), run;
    pool(Windows<Self>) -> (), run;
    squeeze(Squeeze<Self>) -> (), run_wide;
}
