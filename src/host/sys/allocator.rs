//! The program's memory: taken from the kernel in pieces, and only large blocks are
//! given back.
//!
//! A run of this program reads a few small files and ends, or the machine does.
//! Giving small blocks back would save nothing: all of them stay far below 512 KiB,
//! whatever the images' size. Not doing so saves the C library's allocator and the code
//! that drops strings (docs/measurements.md). A decoder's window is a large block, a
//! mapping of its own, which ends and grows as one.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering};

/// What is asked of the kernel at once, in bytes.
const PIECE: usize = 64 * 1024;

/// A block of so many bytes is a mapping of its own.
const LARGE: usize = 256 * 1024;

/// The piece that is handed out from: its next free byte and its end.
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
    /// With nothing to hand out yet.
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

/// `size` bytes of a piece at a multiple of `align`, or `None` when it is used up.
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

/// `block`, or the end of the program. What the standard library does with none is to
/// abort, without a word of what that means.
fn or_end(block: Option<usize>) -> *mut u8 {
    match block {
        Some(start) => start as *mut u8,
        None => super::process::end_with(NO_MEMORY),
    }
}

/// `length` bytes of zeros (mmap(2)).
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
        // What is handed out was never handed out before: the kernel's zeros are in it.
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
        // What is handed out again would no longer be zeros.
        if layout.size() < LARGE && size <= layout.size() {
            return old;
        }
        // The last block grows where it is, as long as it is none of the large.
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
