//! Stack for compiling and running what nests deeply.
//!
//! The interpreter recurses on the thread's stack, which it cannot check itself. Small programs run
//! where they are called, within a budget that fits threads of 2 MiB; what nests more, or turns out
//! to recurse more, gets a thread of its own, of which only the pages that are touched cost memory.

use std::thread;

/// Stack that a run may use on its caller's thread. What happens between two looks at the stack
/// (a term of [`super::compile::INLINE_DEPTH`] levels, a value of the greatest depth) comes on top.
pub(super) const INLINE_BUDGET: usize = 512 << 10;
/// Stack that a run may use on a large one.
pub(super) const LARGE_BUDGET: usize = 24 << 20;
/// The size of a large stack. The rest over the budget is for what happens between two looks, and
/// for freeing chains of closures.
const LARGE: usize = 64 << 20;

/// Runs `work` on a large stack and waits for it; `None` if no thread could be started, or if it
/// panicked.
pub(super) fn on_large<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    thread::scope(|scope| {
        let builder = thread::Builder::new()
            .name("expression".into())
            .stack_size(LARGE);
        builder.spawn_scoped(scope, work).ok()?.join().ok()
    })
}
