//! The program's memory: taken from the kernel in pieces, never given back.
//!
//! A run of this program reads a few small files and ends, or the machine does.
//! Giving memory back would save nothing: all that is ever asked for stays far below
//! 512 KiB, whatever the images' size. Not doing so saves the C library's allocator
//! and the code that drops strings (see "Sizes" in README.md).

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering};

/// What is asked of the kernel at once, in bytes.
const PIECE: usize = 64 * 1024;

/// The piece that is handed out from: its next free byte and its end.
struct Piece {
    next: usize,
    end: usize,
}

/// An allocator that only moves forward.
pub struct Forward {
    piece: UnsafeCell<Piece>,
    taken: AtomicBool,
}

// SAFETY: `piece` is read and written only by the thread that has set `taken`.
unsafe impl Sync for Forward {}

impl Forward {
    /// With nothing to hand out yet.
    pub const fn new() -> Forward {
        Forward { piece: UnsafeCell::new(Piece { next: 0, end: 0 }), taken: AtomicBool::new(false) }
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

impl Default for Forward {
    fn default() -> Forward {
        Forward::new()
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

/// A new piece with room for `size` bytes (mmap(2)).
fn new_piece(size: usize) -> Option<Piece> {
    let length = size.checked_add(PIECE)?.checked_next_multiple_of(4096)?;
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping at an address of the kernel's choice: nothing that
    // exists is changed by it.
    let address = unsafe { libc::mmap(null_mut(), length, protection, flags, -1, 0) };
    if address == libc::MAP_FAILED {
        return None;
    }
    let next = address as usize;
    Some(Piece { next, end: next.checked_add(length)? })
}

// SAFETY: every block lies inside a fresh private mapping of ours, at the asked
// alignment (at most 4096, a page's; more is refused), and is handed out once.
unsafe impl GlobalAlloc for Forward {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        if align > 4096 {
            return null_mut();
        }
        self.locked(|piece| {
            if let Some(start) = take(piece, size, align) {
                return start as *mut u8;
            }
            match new_piece(size) {
                Some(new) => *piece = new,
                None => return null_mut(),
            }
            take(piece, size, align).map_or(null_mut(), |start| start as *mut u8)
        })
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // The last block grows where it is.
        let grown = self.locked(|piece| {
            let last = (old as usize).checked_add(layout.size()) == Some(piece.next);
            let end = (old as usize).checked_add(size).filter(|&end| last && end <= piece.end);
            end.map(|end| piece.next = end).is_some()
        });
        if grown {
            return old;
        }
        let Ok(layout_of_new) = Layout::from_size_align(size, layout.align()) else { return null_mut() };
        // SAFETY: the caller promises a size that is not 0.
        let new = unsafe { self.alloc(layout_of_new) };
        if !new.is_null() {
            // SAFETY: both blocks are ours, apart, and hold the smaller of the sizes.
            unsafe { core::ptr::copy_nonoverlapping(old, new, layout.size().min(size)) };
        }
        new
    }
}
