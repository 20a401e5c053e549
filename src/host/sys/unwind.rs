//! The functions of the library for unwinding that std refers to, for a program that aborts at a panic
//! and prints no backtrace. With the real library the program would be 280 KB larger: with it comes std's
//! reader of debug information, and the C library's stdio.
//!
//! Like start.rs this is a module of the program: its tests unwind.

use core::ffi::{c_int, c_void};

/// The end of the stack (Itanium C++ ABI: Exception Handling, 1.2, `_URC_END_OF_STACK`): there is nothing
/// to print.
// SAFETY: this is the function's type in the ABI that gcc and LLVM share, and it reads nothing.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_: *const c_void, _: *mut c_void) -> c_int {
    5
}

/// Functions that are called only while a panic unwinds the stack, which none does here.
macro_rules! never_called {
    ($($name:ident)*) => {$(
        // SAFETY: nothing calls it.
        #[unsafe(no_mangle)]
        extern "C" fn $name() -> ! {
            std::process::abort()
        }
    )*};
}

never_called! {
    _Unwind_Resume
    _Unwind_GetLanguageSpecificData
    _Unwind_GetIPInfo
    _Unwind_GetRegionStart
    _Unwind_GetTextRelBase
    _Unwind_GetDataRelBase
    _Unwind_SetGR
    _Unwind_SetIP
}
