//! The first instructions that run when the old kernel is gone, on x86_64 and x86. They set
//! up what the kernel's entry point needs, and jump to it.
//!
//! A 64-bit kernel's kexec ends in long mode (linux arch/x86/kernel/relocate_kernel_64.S,
//! identity_mapped): paging is on and maps all RAM and every segment one to one, interrupts
//! are off, all general registers but rsp are zero, the descriptor tables are not to be
//! relied on. A 32-bit kernel's kexec ends in flat protected mode (relocate_kernel_32.S,
//! identity_mapped): paging and interrupts are off, the general registers are zero.
//!
//! The code is kept as bytes, so that any host can lay it out and test it.
//! tests/trampoline.rs assembles the same instructions and compares.

use crate::base::bytes;

/// The size of a trampoline in bytes, with its descriptor table and its stack.
pub const SIZE: usize = 512;

/// From long mode to the 64-bit entry point.
#[rustfmt::skip]
pub const ENTER_64: [u8; 57] = [
    0xfa,                                                       // cli
    0xfc,                                                       // cld
    0x48, 0x8d, 0x25, 0xf7, 0x01, 0x00, 0x00,                   // lea rsp, [rip + end of the 512 bytes]
    0x0f, 0x01, 0x15, 0x40, 0x00, 0x00, 0x00,                   // lgdt [rip + GDT_POINTER]
    0xb8, 0x18, 0x00, 0x00, 0x00,                               // mov eax, 0x18
    0x8e, 0xd8,                                                 // mov ds, eax
    0x8e, 0xc0,                                                 // mov es, eax
    0x8e, 0xd0,                                                 // mov ss, eax
    0x6a, 0x10,                                                 // push 0x10
    0x48, 0x8d, 0x05, 0x03, 0x00, 0x00, 0x00,                   // lea rax, [rip + the next but one]
    0x50,                                                       // push rax
    0x48, 0xcb,                                                 // retfq
    0x48, 0x8b, 0x35, 0x12, 0x00, 0x00, 0x00,                   // mov rsi, [rip + BOOT_PARAMS]
    0x48, 0x8b, 0x05, 0x13, 0x00, 0x00, 0x00,                   // mov rax, [rip + ENTRY]
    0xff, 0xe0,                                                 // jmp rax
    0x0f, 0x0b,                                                 // ud2, never reached
];

/// Where [`ENTER_64`] reads the address of boot_params.
const BOOT_PARAMS: usize = 64;
/// Where [`ENTER_64`] reads the address of the kernel's entry point.
const ENTRY: usize = 72;
/// Where lgdt reads limit and base.
const GDT_POINTER: usize = 80;
/// Where the descriptor table is, at a multiple of 16.
const GDT: usize = 96;

/// boot.rst, "64-bit Boot Protocol": "a GDT must be loaded with the descriptors
/// for selectors __BOOT_CS(0x10) and __BOOT_DS(0x18); both descriptors must be
/// 4G flat segment; __BOOT_CS must have execute/read permission, and __BOOT_DS
/// must have read/write permission".
const DESCRIPTORS: [u64; 4] = [
    0,
    0,
    // Limit 0xfffff pages, present, ring 0, code, execute and read, 64-bit.
    0x00af_9b00_0000_ffff,
    // Limit 0xfffff pages, present, ring 0, data, read and write, 32-bit.
    0x00cf_9300_0000_ffff,
];

/// Writes a trampoline from long mode to the front of `target`. It runs at the physical
/// address `at`, and enters `entry` in long mode with rsi = `boot_params`. `None` if
/// `target` is shorter than [`SIZE`].
pub fn write_64(target: &mut [u8], at: u64, boot_params: u64, entry: u64) -> Option<()> {
    let target = target.get_mut(..SIZE)?;
    target.fill(0);
    bytes::put(target, 0, &ENTER_64)?;
    bytes::put(target, BOOT_PARAMS, &boot_params.to_le_bytes())?;
    bytes::put(target, ENTRY, &entry.to_le_bytes())?;
    put_descriptors(target, DESCRIPTORS, GDT_POINTER, GDT, at)
}

/// Before a crash kernel: compares each piece of memory in a table with its two sums ([`crate::plan::crash::sums`]),
/// and goes on at the beginning of the trampoline. Where one differs, the machine resets: by the keyboard
/// controller, or else by an interrupt without a descriptor table.
#[rustfmt::skip]
pub const CHECK: [u8; 79] = [
    0xfa,                                                       // cli
    0xfc,                                                       // cld
    0xb9, 0x00, 0x00, 0x00, 0x00,                               // mov ecx, how many pieces
    0x48, 0xbf, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // mov rdi, the table
    0x48, 0x8b, 0x37,                                           // piece: mov rsi, [rdi]
    0x48, 0x8b, 0x57, 0x08,                                     // mov rdx, [rdi + 8]
    0x31, 0xdb,                                                 // xor ebx, ebx
    0x31, 0xed,                                                 // xor ebp, ebp
    0xad,                                                       // word: lodsd
    0x48, 0x01, 0xc3,                                           // add rbx, rax
    0x48, 0x01, 0xdd,                                           // add rbp, rbx
    0x48, 0xff, 0xca,                                           // dec rdx
    0x75, 0xf4,                                                 // jnz word
    0x48, 0x3b, 0x5f, 0x10,                                     // cmp rbx, [rdi + 16]
    0x75, 0x13,                                                 // jne reset
    0x48, 0x3b, 0x6f, 0x18,                                     // cmp rbp, [rdi + 24]
    0x75, 0x0d,                                                 // jne reset
    0x48, 0x83, 0xc7, 0x20,                                     // add rdi, 32
    0xff, 0xc9,                                                 // dec ecx
    0x75, 0xd5,                                                 // jnz piece
    0xe9, 0x3f, 0xff, 0xff, 0xff,                               // jmp the beginning of the trampoline
    0xb0, 0xfe,                                                 // reset: mov al, 0xfe
    0xe6, 0x64,                                                 // out 0x64, al
    0x0f, 0x01, 0x1d, 0x24, 0x00, 0x00, 0x00,                   // lidt [rip + zeros]
    0xcc,                                                       // int3
    0xeb, 0xfe,                                                 // jmp to itself, never reached
];

/// Where [`CHECK`] is in a trampoline, behind every way into a kernel and its descriptors' pointers.
pub const CHECK_AT: usize = 128;
/// Where the number of pieces and the address of the table are in [`CHECK`].
const CHECK_COUNT: usize = 3;
const CHECK_TABLE: usize = 9;

/// Adds the check to a trampoline: `count` pieces are in the table at the physical address `table`, each with
/// the address, the number of 32-bit words (not 0) and the two sums. `None` if `target` is too short.
pub fn put_check(target: &mut [u8], count: u32, table: u64) -> Option<()> {
    let check = target.get_mut(CHECK_AT..)?;
    bytes::put(check, 0, &CHECK)?;
    bytes::put(check, CHECK_COUNT, &count.to_le_bytes())?;
    bytes::put(check, CHECK_TABLE, &table.to_le_bytes())
}

/// From long mode to 32-bit protected mode without paging: a far return into a 32-bit code
/// segment, then paging, long mode and all extensions off. [`ENTER_32`] follows.
#[rustfmt::skip]
pub const LONG_TO_PROTECTED: [u8; 58] = [
    0xfa,                                                       // cli
    0xfc,                                                       // cld
    0x48, 0x8d, 0x25, 0xf7, 0x01, 0x00, 0x00,                   // lea rsp, [rip + end of the 512 bytes]
    0x0f, 0x01, 0x15, 0xf0, 0x00, 0x00, 0x00,                   // lgdt [rip + GDT_POINTER_32]
    0x6a, 0x10,                                                 // push 0x10
    0x48, 0x8d, 0x05, 0x03, 0x00, 0x00, 0x00,                   // lea rax, [rip + the next but one]
    0x50,                                                       // push rax
    0x48, 0xcb,                                                 // retfq: what follows is 32-bit code
    0x0f, 0x20, 0xc0,                                           // mov eax, cr0
    0x25, 0xff, 0xff, 0xff, 0x7f,                               // and eax, ~(1 << 31)    paging
    0x0f, 0x22, 0xc0,                                           // mov cr0, eax
    0xb9, 0x80, 0x00, 0x00, 0xc0,                               // mov ecx, 0xc0000080    EFER
    0x0f, 0x32,                                                 // rdmsr
    0x25, 0xff, 0xfe, 0xff, 0xff,                               // and eax, ~(1 << 8)     LME
    0x0f, 0x30,                                                 // wrmsr
    0x31, 0xc0,                                                 // xor eax, eax
    0x0f, 0x22, 0xe0,                                           // mov cr4, eax
];

/// From the protected mode in which a 32-bit kernel's kexec ends to the same with the
/// descriptor table below. [`ENTER_32`] follows.
#[rustfmt::skip]
pub const PROTECTED: [u8; 16] = [
    0xfa,                                                       // cli
    0xfc,                                                       // cld
    0x0f, 0x01, 0x15, 0x00, 0x00, 0x00, 0x00,                   // lgdt [GDT_POINTER_32]
    0xea, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00,                   // jmp 0x10:next
];

/// Where the two addresses in [`PROTECTED`] are.
const PROTECTED_GDT_POINTER: usize = 5;
const PROTECTED_NEXT: usize = 10;

/// boot.rst, "32-bit Boot Protocol": "CS must be __BOOT_CS and DS, ES, SS must be
/// __BOOT_DS; interrupt must be disabled; %esi must hold the base address of the
/// struct boot_params; %ebp, %edi and %ebx must be zero."
#[rustfmt::skip]
pub const ENTER_32: [u8; 38] = [
    0xb8, 0x18, 0x00, 0x00, 0x00,                               // mov eax, 0x18
    0x8e, 0xd8,                                                 // mov ds, eax
    0x8e, 0xc0,                                                 // mov es, eax
    0x8e, 0xe0,                                                 // mov fs, eax
    0x8e, 0xe8,                                                 // mov gs, eax
    0x8e, 0xd0,                                                 // mov ss, eax
    0xbc, 0x00, 0x00, 0x00, 0x00,                               // mov esp, the end of the 512 bytes
    0xbe, 0x00, 0x00, 0x00, 0x00,                               // mov esi, BOOT_PARAMS
    0x31, 0xdb,                                                 // xor ebx, ebx
    0x31, 0xed,                                                 // xor ebp, ebp
    0x31, 0xff,                                                 // xor edi, edi
    0xb8, 0x00, 0x00, 0x00, 0x00,                               // mov eax, ENTRY
    0xff, 0xe0,                                                 // jmp eax
];

/// Where the three addresses in [`ENTER_32`] are.
const ENTER_STACK: usize = 16;
const ENTER_BOOT_PARAMS: usize = 21;
const ENTER_ENTRY: usize = 32;

/// For a 32-bit entry: where lgdt reads limit and base, and where the descriptor table is.
const GDT_POINTER_32: usize = 256;
const GDT_32: usize = 272;

/// The code segment of a 32-bit entry, instead of the one in [`DESCRIPTORS`]: limit 0xfffff
/// pages, present, ring 0, code, execute and read, 32-bit.
const CODE_32: u64 = 0x00cf_9b00_0000_ffff;

/// Writes a trampoline to the front of `target` that enters `entry` in 32-bit protected
/// mode with esi = `boot_params`. It runs at the physical address `at`: from protected mode
/// if `from_protected`, otherwise from long mode. `None` if `target` is shorter than
/// [`SIZE`], or an address is not below 4 GiB.
pub fn write_32(
    target: &mut [u8],
    at: u64,
    boot_params: u64,
    entry: u64,
    from_protected: bool,
) -> Option<()> {
    let target = target.get_mut(..SIZE)?;
    target.fill(0);
    let address = |offset: usize| u32::try_from(at.checked_add(offset as u64)?).ok().map(u32::to_le_bytes);
    let before: &[u8] = if from_protected { &PROTECTED } else { &LONG_TO_PROTECTED };
    let next = before.len();
    bytes::put(target, 0, before)?;
    if from_protected {
        bytes::put(target, PROTECTED_GDT_POINTER, &address(GDT_POINTER_32)?)?;
        bytes::put(target, PROTECTED_NEXT, &address(next)?)?;
    }
    let enter = target.get_mut(next..)?;
    bytes::put(enter, 0, &ENTER_32)?;
    bytes::put(enter, ENTER_STACK, &address(SIZE)?)?;
    bytes::put(enter, ENTER_BOOT_PARAMS, &u32::try_from(boot_params).ok()?.to_le_bytes())?;
    bytes::put(enter, ENTER_ENTRY, &u32::try_from(entry).ok()?.to_le_bytes())?;
    let [null, unused, _, data] = DESCRIPTORS;
    put_descriptors(target, [null, unused, CODE_32, data], GDT_POINTER_32, GDT_32, at)
}

/// Writes a descriptor table at `gdt`, and at `pointer` the limit and base that lgdt reads.
/// `target` runs at the physical address `at`.
fn put_descriptors(target: &mut [u8], table: [u64; 4], pointer: usize, gdt: usize, at: u64) -> Option<()> {
    let limit = u16::try_from(size_of_val(&table)).ok()?.checked_sub(1)?;
    bytes::put(target, pointer, &limit.to_le_bytes())?;
    bytes::put(target, pointer.checked_add(2)?, &at.checked_add(gdt as u64)?.to_le_bytes())?;
    for (descriptor, slot) in table.iter().zip(target.get_mut(gdt..)?.chunks_exact_mut(8)) {
        slot.copy_from_slice(&descriptor.to_le_bytes());
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_patched_where_the_code_reads_them() {
        let mut page = [0xffu8; SIZE];
        write_64(&mut page, 0x1_0000, 0x1234_5678_9abc, 0x10_0000_0200).unwrap();
        // Each rip-relative operand: end of its instruction plus displacement.
        let target = |operand: usize| operand + 4 + bytes::u32_at(&page, operand).unwrap() as usize;
        assert_eq!(bytes::u64_at(&page, target(42)), Some(0x1234_5678_9abc));
        assert_eq!(bytes::u64_at(&page, target(49)), Some(0x10_0000_0200));
        let gdtr = target(12);
        assert_eq!(bytes::u16_at(&page, gdtr), Some(31));
        let base = bytes::u64_at(&page, gdtr + 2).unwrap();
        assert_eq!(bytes::u64_at(&page, (base - 0x1_0000) as usize + 0x10), Some(0x00af_9b00_0000_ffff));
        assert_eq!(bytes::u64_at(&page, (base - 0x1_0000) as usize + 0x18), Some(0x00cf_9300_0000_ffff));
        assert_eq!(target(5), SIZE);
        assert_eq!(write_64(&mut page[..SIZE - 1], 0, 0, 0), None);
    }
}
