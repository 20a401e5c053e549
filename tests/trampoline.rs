//! The trampoline is kept as bytes; these are the instructions it stands for.

#![cfg(target_arch = "x86_64")]
#![allow(unsafe_code, clippy::arithmetic_side_effects)]

use rc_kexec::plan::x86::trampoline::{CHECK, CHECK_AT};
use rc_kexec::plan::x86::trampoline::{ENTER_32, ENTER_64, LONG_TO_PROTECTED, PROTECTED, SIZE};

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
    size = const SIZE,
);

core::arch::global_asm!(
    ".pushsection .rodata.trampoline32, \"a\"",
    ".globl long_to_protected, protected, enter_32, end_32",
    "long_to_protected:",
    "cli",
    "cld",
    "lea rsp, [rip + long_to_protected + {size}]",
    "lgdt [rip + long_to_protected + 256]",
    "push 0x10",
    "lea rax, [rip + 2f]",
    "push rax",
    "rex64 retf",
    "2:",
    ".code32",
    "mov eax, cr0",
    "and eax, 0x7fffffff",
    "mov cr0, eax",
    "mov ecx, 0xc0000080",
    "rdmsr",
    "and eax, 0xfffffeff",
    "wrmsr",
    "xor eax, eax",
    "mov cr4, eax",
    "protected:",
    "cli",
    "cld",
    ".byte 0x0f, 0x01, 0x15", // lgdt [address]
    ".long 0",
    ".byte 0xea", // jmp 0x10:address
    ".long 0",
    ".short 0x10",
    "enter_32:",
    "mov eax, 0x18",
    "mov ds, eax",
    "mov es, eax",
    "mov fs, eax",
    "mov gs, eax",
    "mov ss, eax",
    "mov esp, 0",
    "mov esi, 0",
    "xor ebx, ebx",
    "xor ebp, ebp",
    "xor edi, edi",
    "mov eax, 0",
    "jmp eax",
    "end_32:",
    ".code64",
    ".popsection",
    size = const SIZE,
);

core::arch::global_asm!(
    ".pushsection .rodata.check, \"a\"",
    ".globl check_begin, check_end",
    "before_check:",
    ".skip {at}",
    "check_begin:",
    "cli",
    "cld",
    "mov ecx, 0",
    "movabs rdi, 0",
    "2:",
    "mov rsi, [rdi]",
    "mov rdx, [rdi + 8]",
    "xor ebx, ebx",
    "xor ebp, ebp",
    "3:",
    "lodsd",
    "add rbx, rax",
    "add rbp, rbx",
    "dec rdx",
    "jnz 3b",
    "cmp rbx, [rdi + 16]",
    "jne 4f",
    "cmp rbp, [rdi + 24]",
    "jne 4f",
    "add rdi, 32",
    "dec ecx",
    "jnz 2b",
    "jmp before_check",
    "4:",
    "mov al, 0xfe",
    "out 0x64, al",
    "lidt [rip + before_check + 240]",
    "int3",
    "5:",
    "jmp 5b",
    "check_end:",
    ".popsection",
    at = const CHECK_AT,
);

#[test]
fn so_are_the_bytes_of_the_check_of_a_crash_kernel() {
    unsafe extern "C" {
        static check_begin: [u8; CHECK.len()];
        static check_end: u8;
    }
    // SAFETY: the two symbols are the ends of the code above, in one section.
    let (assembled, length) = unsafe {
        let length = (&raw const check_end) as usize - (&raw const check_begin) as usize;
        (check_begin, length)
    };
    assert_eq!((length, assembled), (CHECK.len(), CHECK));
}

#[test]
fn so_are_the_bytes_of_the_ways_into_32_bit_kernels() {
    unsafe extern "C" {
        static long_to_protected: [u8; LONG_TO_PROTECTED.len()];
        static protected: [u8; PROTECTED.len()];
        static enter_32: [u8; ENTER_32.len()];
        static end_32: u8;
    }
    let ends = [
        (&raw const long_to_protected) as usize,
        (&raw const protected) as usize,
        (&raw const enter_32) as usize,
        (&raw const end_32) as usize,
    ];
    let lengths: Vec<usize> = ends.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(lengths, [LONG_TO_PROTECTED.len(), PROTECTED.len(), ENTER_32.len()]);
    // SAFETY: the symbols are the beginnings of the pieces above, whose lengths are
    // what the arrays have.
    unsafe {
        assert_eq!(long_to_protected, LONG_TO_PROTECTED);
        assert_eq!(protected, PROTECTED);
        assert_eq!(enter_32, ENTER_32);
    }
}

#[test]
fn the_bytes_are_what_the_assembler_makes_of_the_instructions() {
    unsafe extern "C" {
        static trampoline_begin: [u8; ENTER_64.len()];
        static trampoline_end: u8;
    }
    // SAFETY: the two symbols are the ends of the code above, in one section.
    let (assembled, length) = unsafe {
        let length = (&raw const trampoline_end) as usize - (&raw const trampoline_begin) as usize;
        (trampoline_begin, length)
    };
    assert_eq!(length, ENTER_64.len());
    assert_eq!(assembled, ENTER_64);
}
