//! Pieces of work that do not depend on each other, on all processors.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::Result;

/// Does `work` for each number below `count`, as many at a time as there are processors;
/// the answers come in order. After a failure nothing more is begun.
///
/// # Errors
/// Those of `work`.
pub(crate) fn each<T: Send>(
    count: usize,
    work: impl Fn(usize) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let results = Mutex::new(Vec::with_capacity(count));
    let work = || {
        while !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            let result = work(index).map(|made| (index, made));
            if result.is_err() {
                failed.store(true, Ordering::Relaxed);
            }
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            results.push(result);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(count) {
            // Fewer are only slower.
            let thread = std::thread::Builder::new().name("layers".to_owned());
            if thread.spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut made = results.into_iter().collect::<Result<Vec<_>>>()?;
    gantry_types::sort::by_key(&mut made, |(index, _)| *index);
    Ok(made.into_iter().map(|(_, made)| made).collect())
}
