//! Panics of third-party code on bad input, turned into errors.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `call`; if it panics, returns the error that `explain` makes of the panic's message. What
/// `call` was changing when it panicked must not be used again.
pub fn guard<T, E>(
    call: impl FnOnce() -> Result<T, E>,
    explain: impl FnOnce(String) -> E,
) -> Result<T, E> {
    silence_guarded_panics();
    let outer = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    GUARDED.set(outer);
    result.unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
        Err(explain(message.unwrap_or_default()))
    })
}

/// A panic that becomes an error is not announced as a crash besides.
fn silence_guarded_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let announce = take_hook();
        set_hook(Box::new(move |panic| {
            if !GUARDED.get() {
                announce(panic);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_become_errors() {
        let result: Result<(), String> = guard(|| panic!("{}", 7), |message| message);
        assert_eq!(result, Err("7".to_owned()));
        assert!(!GUARDED.get());
        assert_eq!(
            guard(|| Err::<(), _>("own".to_owned()), |m| m),
            Err("own".to_owned())
        );
    }
}
