//! redb panics on some damaged pages, where it took the file's word for what a clean stop had left there. A
//! request, the writer's thread or a start must survive that: every call into redb goes through here.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// What `work` gives, or what it panicked with, which is then the caller's to tell: nothing is printed.
///
/// Nobody looks at what a panic has left half done: after one, the database is dropped and opened anew, and the
/// file is as its last commit left it.
pub(super) fn contain<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            if !CONTAINED.get() {
                before(panic);
            }
        }));
    });
    let outer = CONTAINED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    CONTAINED.set(outer);
    result.map_err(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given").to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_panics_is_told_and_the_thread_goes_on() {
        assert_eq!(contain(|| -> u8 { panic!("page {}", 7) }), Err(String::from("page 7")));
        assert_eq!(contain(|| -> u8 { contain(|| panic!("inner")).unwrap_or(3) }), Ok(3));
        assert!(!CONTAINED.get());
    }
}
