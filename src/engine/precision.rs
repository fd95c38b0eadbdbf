//! In which type a network is computed.

use std::fmt;

use edge_classify_kernels::Isa;
use half::f16;

use super::{EngineError, isa};

/// The type of weights, of values between the layers, and of arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    F32,
    /// IEEE 754 binary16; means are added up in f32.
    Fp16,
    /// Levels of 8 bits and sums of 32, with the same bits on every processor; squeeze-and-excitation, too, has these, in f32,
    /// but no other layer that stays in float. Only a network that has been quantized is of it.
    Int8,
}

impl Precision {
    /// Bytes of a value.
    pub fn size(self) -> usize {
        match self {
            Precision::F32 => size_of::<f32>(),
            Precision::Fp16 => size_of::<f16>(),
            Precision::Int8 => size_of::<i8>(),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Fp16 => "fp16",
            Precision::Int8 => "int8",
        }
    }

    /// Whether the processor has it.
    pub fn is_native(self, isa: Isa) -> bool {
        match self {
            Precision::F32 | Precision::Int8 => true,
            // The portable vectors only round like it.
            Precision::Fp16 => !matches!(isa, Isa::Portable(_)) && isa.computes::<f16>(),
        }
    }

    /// An error unless the processor has it, or the portable kernels are asked for, which are slow.
    pub(super) fn check(self, isa: Isa) -> Result<(), EngineError> {
        self.check_of(isa, isa::is_asked_for())
    }

    fn check_of(self, isa: Isa, is_asked_for: bool) -> Result<(), EngineError> {
        let slowly = |isa: &Isa| matches!(isa, Isa::Portable(_)) && isa.computes::<f16>();
        if self.is_native(isa) || (slowly(&isa) && is_asked_for) {
            return Ok(());
        }
        if is_asked_for && self.is_native(Isa::best()) {
            return Err(EngineError::Prepare(format!(
                "{} does not compute in fp16, which this processor does; unset {}, or leave out --precision fp16",
                isa.name(),
                isa::ISA_VARIABLE
            )));
        }
        let otherwise = match Isa::available().iter().any(slowly) {
            true => format!(", or set {}=portable to try it slowly", isa::ISA_VARIABLE),
            false => String::new(),
        };
        Err(EngineError::Prepare(format!(
            "this processor's {} does not compute in fp16, which ARM cores do from Cortex-A55 and A75 on; leave out \
             --precision fp16{otherwise}",
            isa.name(),
        )))
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_processor_computes_in_f32() {
        for (isa, is_asked_for) in Isa::available()
            .into_iter()
            .flat_map(|isa| [(isa, true), (isa, false)])
        {
            assert!(
                Precision::F32.check_of(isa, is_asked_for).is_ok(),
                "{}",
                isa.name()
            );
        }
    }

    #[test]
    fn fp16_is_refused_where_it_is_not() {
        for isa in Isa::available() {
            let by_itself = Precision::Fp16.check_of(isa, false);
            let asked_for = Precision::Fp16.check_of(isa, true);
            if Precision::Fp16.is_native(isa) {
                assert!(by_itself.is_ok() && asked_for.is_ok());
                continue;
            }
            let error = by_itself.unwrap_err().to_string();
            assert!(
                error.contains(isa.name()) && error.contains("Cortex"),
                "{error}"
            );
            match asked_for {
                Ok(()) => assert!(matches!(isa, Isa::Portable(_)) && isa.computes::<f16>()),
                Err(error) if Precision::Fp16.is_native(Isa::best()) => {
                    assert!(error.to_string().contains(isa::ISA_VARIABLE), "{error}");
                }
                Err(error) => assert!(error.to_string().contains("Cortex"), "{error}"),
            }
        }
    }
}
