//! Memory for a binary that may be a gateway or something larger.
//!
//! A gateway lives for milliseconds and forks twice: what it touches is mapped, copied and given back again, so that it should be little and
//! close together, as the system's allocator has it. A node lives long and has many threads, for which others are faster. One binary is both, and
//! knows which only when it has read its arguments.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// What a process may take before it is known what it is: the start of the runtime, and a look at the arguments.
const EARLY_BYTES: usize = 64 * 1024;
/// The strictest alignment that early memory has.
const EARLY_ALIGN: usize = 4096;

const UNDECIDED: u8 = 0;
const SMALL: u8 = 1;
const LARGE: u8 = 2;

/// Takes memory from the system's allocator, or from `A` if it was told so in time.
pub struct Memory<A> {
    decided: AtomicU8,
    early: Early,
    large: A,
}

/// Memory that is handed out once and never taken back, so that its addresses tell whose it is.
#[repr(C, align(4096))]
struct Early {
    bytes: UnsafeCell<[u8; EARLY_BYTES]>,
    used: AtomicUsize,
}

// SAFETY: each byte is handed out at most once, by an atomic counter, and is not touched here afterwards.
unsafe impl Sync for Early {}

impl<A: GlobalAlloc> Memory<A> {
    /// Undecided. What is large comes from `large`.
    pub const fn new(large: A) -> Self {
        let early = Early { bytes: UnsafeCell::new([0; EARLY_BYTES]), used: AtomicUsize::new(0) };
        Self { decided: AtomicU8::new(UNDECIDED), early, large }
    }

    /// From now on this process is a small one. Returns whether it is.
    pub fn stay_small(&self) -> bool {
        self.decide(SMALL) == SMALL
    }

    /// From now on this process is a large one, unless it has taken more already than belongs to its start. Returns whether it is.
    pub fn grow_large(&self) -> bool {
        self.decide(LARGE) == LARGE
    }

    /// Decided once: memory must go back to where it came from. Returns what was decided.
    fn decide(&self, wanted: u8) -> u8 {
        match self.decided.compare_exchange(UNDECIDED, wanted, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => wanted,
            Err(before) => before,
        }
    }

    fn decided(&self) -> u8 {
        self.decided.load(Ordering::Relaxed)
    }

    /// Early memory, while nothing is decided and there is some; it was never touched, so it is zero.
    fn take_early(&self, layout: Layout) -> Option<*mut u8> {
        if self.decided() != UNDECIDED {
            return None;
        }
        let taken = self.early.take(layout);
        if taken.is_none() {
            self.decide(SMALL);
        }
        taken
    }
}

impl Early {
    fn take(&self, layout: Layout) -> Option<*mut u8> {
        if layout.align() > EARLY_ALIGN {
            return None;
        }
        let place = |used: usize| used.checked_next_multiple_of(layout.align());
        let end = |used| place(used)?.checked_add(layout.size()).filter(|end| *end <= EARLY_BYTES);
        let before = self.used.try_update(Ordering::Relaxed, Ordering::Relaxed, end).ok()?;
        // SAFETY: place and size were found to lie inside when the counter moved past them.
        Some(unsafe { self.bytes.get().cast::<u8>().add(place(before)?) })
    }

    fn has(&self, pointer: *mut u8) -> bool {
        pointer.addr().wrapping_sub(self.bytes.get().addr()) < EARLY_BYTES
    }
}

// SAFETY: what is handed out is either early memory, which is aligned, inside, and handed out once; or it comes from one of two allocators, always
// the same one from the decision on. Early memory does not go back, and the rest goes back to that allocator.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Memory<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if let Some(early) = self.take_early(layout) {
            return early;
        }
        // SAFETY: the caller's promises are those of the callee.
        unsafe { if self.decided() == LARGE { self.large.alloc(layout) } else { System.alloc(layout) } }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if let Some(early) = self.take_early(layout) {
            return early;
        }
        // SAFETY: the caller's promises are those of the callee.
        unsafe { if self.decided() == LARGE { self.large.alloc_zeroed(layout) } else { System.alloc_zeroed(layout) } }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if self.early.has(pointer) {
            return;
        }
        // SAFETY: it is not early, so it comes from the allocator that was decided for.
        unsafe {
            if self.decided() == LARGE { self.large.dealloc(pointer, layout) } else { System.dealloc(pointer, layout) }
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !self.early.has(pointer) {
            // SAFETY: as for `dealloc`.
            return unsafe {
                if self.decided() == LARGE {
                    self.large.realloc(pointer, layout, size)
                } else {
                    System.realloc(pointer, layout, size)
                }
            };
        }
        // SAFETY: the caller promises that the size is not zero and does not overflow with this alignment.
        let grown = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !grown.is_null() {
            // SAFETY: both are as large as is copied, and new memory does not overlap old.
            unsafe { std::ptr::copy_nonoverlapping(pointer, grown, layout.size().min(size)) };
        }
        grown
    }
}

#[cfg(test)]
mod tests {
    use super::{EARLY_BYTES, Memory};
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::sync::atomic::{AtomicIsize, Ordering};

    /// Counts what it has given and not got back.
    struct Counting(AtomicIsize);

    // SAFETY: the system's allocator does everything.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            self.0.fetch_add(1, Ordering::Relaxed);
            // SAFETY: the caller's promises are those of the callee.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            self.0.fetch_sub(1, Ordering::Relaxed);
            // SAFETY: the caller's promises are those of the callee.
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    fn memory() -> Box<Memory<Counting>> {
        Box::new(Memory::new(Counting(AtomicIsize::new(0))))
    }

    fn taken(memory: &Memory<Counting>) -> isize {
        memory.large.0.load(Ordering::Relaxed)
    }

    /// Takes so much, filled with a number; early memory is zero before.
    fn take(memory: &Memory<Counting>, layout: Layout, fill: u8) -> *mut u8 {
        // SAFETY: the layout is not of size zero, and what is written and read is inside.
        unsafe {
            let pointer = memory.alloc_zeroed(layout);
            assert!(pointer.addr().is_multiple_of(layout.align()));
            assert!((0..layout.size()).all(|at| *pointer.add(at) == 0));
            pointer.write_bytes(fill, layout.size());
            pointer
        }
    }

    #[test]
    fn memory_goes_back_to_where_it_came_from() {
        let memory = memory();
        let layout = Layout::from_size_align(100, 64).unwrap();
        let early = take(&memory, layout, 7);
        assert_eq!(taken(&memory), 0);
        assert!(memory.grow_large());
        let late = take(&memory, layout, 8);
        assert_eq!(taken(&memory), 1);
        // SAFETY: both come from there, with this layout.
        unsafe {
            let grown = memory.realloc(early, layout, 300);
            assert!((0..100).all(|at| *grown.add(at) == 7));
            assert_eq!(taken(&memory), 2);
            memory.dealloc(early, layout);
            assert_eq!(taken(&memory), 2);
            memory.dealloc(grown, Layout::from_size_align(300, 64).unwrap());
            memory.dealloc(late, layout);
        }
        assert_eq!(taken(&memory), 0);
    }

    #[test]
    fn who_takes_more_than_belongs_to_a_start_stays_small() {
        let memory = memory();
        let layout = Layout::from_size_align(EARLY_BYTES / 2, 8).unwrap();
        let early = [take(&memory, layout, 1), take(&memory, layout, 2)];
        let late = take(&memory, layout, 3);
        assert!(!memory.grow_large());
        let later = take(&memory, layout, 4);
        assert!(early.iter().all(|pointer| memory.early.has(*pointer)));
        assert!(![late, later].iter().any(|pointer| memory.early.has(*pointer)));
        assert_eq!(taken(&memory), 0);
        for pointer in [late, later] {
            // SAFETY: it comes from there, with this layout.
            unsafe { memory.dealloc(pointer, layout) };
        }
    }
}
