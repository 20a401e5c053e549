//! The program's allocator. It never frees a small block.
//!
//! A run reads a few small files and ends. All small blocks together stay far below 512 KiB,
//! whatever size the images have, so freeing them would save nothing. Without it the program needs
//! neither the C library's allocator nor the code that drops strings (docs/measurements.md). A
//! large block, such as a decoder's window, is a mapping of its own: it is unmapped when it is
//! freed, and grows with mremap(2).
//!
//! It is for this program alone: a library's user has another allocator.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering};

/// A piece has at least so many bytes.
const PIECE: usize = 64 * 1024;

/// A block of so many bytes, or more, is a mapping of its own.
const LARGE: usize = 256 * 1024;

/// The memory that small blocks come from: the address of its next free byte, and its end.
struct Piece {
    next: usize,
    end: usize,
}

/// An allocator that only moves forward.
pub struct BumpAllocator {
    piece: UnsafeCell<Piece>,
    taken: AtomicBool,
}

// SAFETY: `piece` is read and written only by the thread that has set `taken`.
unsafe impl Sync for BumpAllocator {}

impl BumpAllocator {
    /// An allocator that has no memory yet.
    pub const fn new() -> BumpAllocator {
        BumpAllocator { piece: UnsafeCell::new(Piece { next: 0, end: 0 }), taken: AtomicBool::new(false) }
    }

    /// Runs `with` on the piece, one thread at a time.
    fn locked<T>(&self, with: impl FnOnce(&mut Piece) -> T) -> T {
        while self.taken.swap(true, Ordering::Acquire) {
            core::hint::spin_loop();
        }
        // SAFETY: `taken` was false and is ours until the store below.
        let result = with(unsafe { &mut *self.piece.get() });
        self.taken.store(false, Ordering::Release);
        result
    }
}

impl Default for BumpAllocator {
    fn default() -> BumpAllocator {
        BumpAllocator::new()
    }
}

/// `size` bytes of a piece at a multiple of `align`; `None` when the piece has no room for them.
fn take(piece: &mut Piece, size: usize, align: usize) -> Option<usize> {
    let start = piece.next.checked_next_multiple_of(align)?;
    let end = start.checked_add(size)?;
    if piece.next == 0 || end > piece.end {
        return None;
    }
    piece.next = end;
    Some(start)
}

/// A new piece with room for `size` bytes.
fn new_piece(size: usize) -> Option<Piece> {
    let length = size.checked_add(PIECE)?.checked_next_multiple_of(4096)?;
    let next = map(length)?;
    Some(Piece { next, end: next.checked_add(length)? })
}

const NO_MEMORY: &str = "rc-kexec: unable to go on: there is not enough free memory\n";

/// `block`, or the end of the program with a message: the standard library would abort with none.
fn or_end(block: Option<usize>) -> *mut u8 {
    match block {
        Some(start) => start as *mut u8,
        None => super::process::end_with(NO_MEMORY),
    }
}

/// `length` bytes of zeros (mmap(2)); `None` when the kernel has no memory for them.
fn map(length: usize) -> Option<usize> {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping at an address of the kernel's choice: nothing that
    // exists is changed by it.
    let address = unsafe { libc::mmap(null_mut(), length, protection, flags, -1, 0) };
    (address != libc::MAP_FAILED).then_some(address as usize)
}

// SAFETY: every block lies inside a fresh private mapping of ours, at the asked
// alignment (at most 4096, a page's; more is refused), and is handed out once.
unsafe impl GlobalAlloc for BumpAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        if align > 4096 {
            return null_mut();
        }
        if size >= LARGE {
            return or_end(map(size));
        }
        or_end(self.locked(|piece| {
            take(piece, size, align).or_else(|| {
                *piece = new_piece(size)?;
                take(piece, size, align)
            })
        }))
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // No memory is handed out twice, so every block still has the kernel's zeros.
        // SAFETY: the caller promises a size that is not 0.
        unsafe { self.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if layout.size() >= LARGE {
            // SAFETY: a large block is a mapping of its own, and the caller's last use of
            // it is over.
            unsafe { libc::munmap(block.cast(), layout.size()) };
        }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.size() >= LARGE && size >= LARGE {
            // SAFETY: the mapping is one block, ours, which may move (mremap(2)).
            let moved = unsafe { libc::mremap(old.cast(), layout.size(), size, libc::MREMAP_MAYMOVE) };
            return or_end((moved != libc::MAP_FAILED).then_some(moved as usize));
        }
        // A small block that shrinks keeps its room: alloc_zeroed relies on fresh memory.
        if layout.size() < LARGE && size <= layout.size() {
            return old;
        }
        // The last block grows in place, as long as it stays small.
        let grown = self.locked(|piece| {
            let last = (old as usize).checked_add(layout.size()) == Some(piece.next);
            let end =
                (old as usize).checked_add(size).filter(|&end| last && end <= piece.end && size < LARGE);
            end.map(|end| piece.next = end).is_some()
        });
        if grown {
            return old;
        }
        let Ok(layout_of_new) = Layout::from_size_align(size, layout.align()) else { return null_mut() };
        // SAFETY: the caller promises a size that is not 0.
        let new = unsafe { self.alloc(layout_of_new) };
        if !new.is_null() {
            // SAFETY: both blocks are ours, apart, and hold the smaller of the sizes; the
            // old one is not used again.
            unsafe {
                core::ptr::copy_nonoverlapping(old, new, layout.size().min(size));
                self.dealloc(old, layout);
            }
        }
        new
    }
}
