//! Panics of third-party code on bad input, turned into errors.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `call`; if it panics, returns the error that `explain` makes of the panic's message.
pub fn guard<T, E>(
    call: impl FnOnce() -> Result<T, E>,
    explain: impl FnOnce(String) -> E,
) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
        Err(explain(message.unwrap_or_default()))
    })
}
