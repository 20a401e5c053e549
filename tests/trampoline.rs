//! The trampoline is kept as bytes; these are the instructions it stands for.

#![cfg(target_arch = "x86_64")]
#![allow(unsafe_code, clippy::arithmetic_side_effects)]

use rc_kexec::layout::trampoline::{X86_64_CODE, X86_64_SIZE};

core::arch::global_asm!(
    ".pushsection .rodata.trampoline, \"a\"",
    ".globl trampoline_begin, trampoline_end",
    "trampoline_begin:",
    "cli",
    "cld",
    "lea rsp, [rip + trampoline_begin + {size}]",
    "lgdt [rip + trampoline_begin + 80]",
    "mov eax, 0x18",
    "mov ds, eax",
    "mov es, eax",
    "mov ss, eax",
    "push 0x10",
    "lea rax, [rip + 2f]",
    "push rax",
    "rex64 retf",
    "2:",
    "mov rsi, [rip + trampoline_begin + 64]",
    "mov rax, [rip + trampoline_begin + 72]",
    "jmp rax",
    "ud2",
    "trampoline_end:",
    ".popsection",
    size = const X86_64_SIZE,
);

#[test]
fn the_bytes_are_what_the_assembler_makes_of_the_instructions() {
    unsafe extern "C" {
        static trampoline_begin: [u8; X86_64_CODE.len()];
        static trampoline_end: u8;
    }
    // SAFETY: the two symbols are the ends of the code above, in one section.
    let (assembled, length) = unsafe {
        let length = (&raw const trampoline_end) as usize - (&raw const trampoline_begin) as usize;
        (trampoline_begin, length)
    };
    assert_eq!(length, X86_64_CODE.len());
    assert_eq!(assembled, X86_64_CODE);
}
