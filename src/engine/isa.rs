//! Which of the processor's instruction sets the kernels use.

use edge_classify_kernels::Isa;

use super::EngineError;

/// Names one of those that `doctor` lists, for tests and measurements.
pub const ISA_VARIABLE: &str = "EDGE_CLASSIFY_ISA";

/// The best that this processor has, or what [`ISA_VARIABLE`] asks for.
pub fn chosen_isa() -> Result<Isa, EngineError> {
    match std::env::var_os(ISA_VARIABLE) {
        None => Ok(Isa::best()),
        Some(name) => named(&name.to_string_lossy()),
    }
}

/// Whether it was [`ISA_VARIABLE`] that chose.
pub(super) fn is_asked_for() -> bool {
    std::env::var_os(ISA_VARIABLE).is_some()
}

fn named(name: &str) -> Result<Isa, EngineError> {
    let mut available = Isa::available().into_iter();
    available.find(|isa| isa.name() == name).ok_or_else(|| {
        let names: Vec<_> = Isa::available().iter().map(|isa| isa.name()).collect();
        EngineError::Prepare(format!(
            "{ISA_VARIABLE} is '{name}'; this processor has {}",
            names.join(", ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_this_processor_are_found_by_name() {
        for isa in Isa::available() {
            assert_eq!(named(isa.name()).unwrap().name(), isa.name());
        }
        let error = named("sse9").unwrap_err().to_string();
        assert!(
            error.contains("sse9") && error.contains("portable"),
            "{error}"
        );
    }
}
