//! Giving back memory that this process has but does not need.
#![allow(
    unsafe_code,
    reason = "the linker's symbols, madvise, the allocator's knob"
)]

use std::ptr;

unsafe extern "C" {
    /// First byte of the program's image, by every ELF linker.
    static __executable_start: u8;
    /// End of its code; constants lie before it, variables behind it.
    static etext: u8;
}

/// Unmaps the pages of this program's code and constants; those that are needed
/// again come back from the page cache. The kernel maps sixteen pages around each
/// one that is touched: of a large program that does one thing after another,
/// most are never needed twice.
pub fn release_code_pages() {
    let page = rustix::param::page_size();
    let start = (&raw const __executable_start)
        .addr()
        .next_multiple_of(page);
    let end = (&raw const etext).addr() / page * page;
    if start >= end {
        return;
    }
    let first = ptr::with_exposed_provenance_mut::<libc::c_void>(start);
    // SAFETY: the range holds only pages of the executable that nothing writes to
    // (the image begins with its headers and constants, and variables lie behind
    // `etext`); they are read again from the file.
    let _ = unsafe { libc::madvise(first, end - start, libc::MADV_DONTNEED) };
}

/// Gives the allocator's free pages back to the kernel, of all threads' heaps.
pub fn release_unused_heap() {
    // SAFETY: no argument that could be wrong; it takes the allocator's own locks.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_program_goes_on() {
        let before = String::from("kept");
        super::release_code_pages();
        super::release_unused_heap();
        assert_eq!(before, "kept");
    }
}
