//! The first instructions that run once the old kernel is gone.
//!
//! On entry (linux arch/x86/kernel/relocate_kernel_64.S, identity_mapped): long
//! mode, paging on with all of RAM and every segment mapped one to one,
//! interrupts off, all general registers zero but rsp, the descriptor tables
//! invalid. The kernel that follows wants its boot parameters in rsi and flat
//! segments by its own selectors.
//!
//! The code is position independent and kept as bytes, so that it can be laid
//! out and tested on any host; tests/trampoline.rs assembles the same
//! instructions and compares.

use crate::bytes;

/// How many bytes the trampoline takes, its descriptor table and stack included.
pub const X86_64_SIZE: usize = 512;

/// lgdt, segment registers, rsi, rax, jump: see the comments at the right.
#[rustfmt::skip]
pub const X86_64_CODE: [u8; 57] = [
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

/// Where the address of boot_params is patched in.
const BOOT_PARAMS: usize = 64;
/// Where the address of the kernel's entry is patched in.
const ENTRY: usize = 72;
/// Where lgdt finds limit and base.
const GDT_POINTER: usize = 80;
/// The descriptor table, aligned to 16.
const GDT: usize = 96;

/// boot.rst, 64-bit Boot Protocol: "a GDT must be loaded with the descriptors
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

/// Writes the trampoline that will run at physical address `at` to the front of
/// `target`: it enters `entry` with rsi = `boot_params`. `None` when there are
/// fewer than [`X86_64_SIZE`] bytes.
pub fn write_x86_64(target: &mut [u8], at: u64, boot_params: u64, entry: u64) -> Option<()> {
    let target = target.get_mut(..X86_64_SIZE)?;
    target.fill(0);
    bytes::put(target, 0, &X86_64_CODE)?;
    bytes::put(target, BOOT_PARAMS, &boot_params.to_le_bytes())?;
    bytes::put(target, ENTRY, &entry.to_le_bytes())?;
    let limit = u16::try_from(size_of_val(&DESCRIPTORS)).ok()?.checked_sub(1)?;
    bytes::put(target, GDT_POINTER, &limit.to_le_bytes())?;
    let base = at.checked_add(GDT as u64)?;
    bytes::put(target, GDT_POINTER.checked_add(2)?, &base.to_le_bytes())?;
    for (descriptor, slot) in DESCRIPTORS.iter().zip(target.get_mut(GDT..)?.chunks_exact_mut(8)) {
        slot.copy_from_slice(&descriptor.to_le_bytes());
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_patched_where_the_code_reads_them() {
        let mut page = [0xffu8; X86_64_SIZE];
        write_x86_64(&mut page, 0x1_0000, 0x1234_5678_9abc, 0x10_0000_0200).unwrap();
        // Each rip-relative operand: end of its instruction plus displacement.
        let target = |operand: usize| operand + 4 + bytes::u32_at(&page, operand).unwrap() as usize;
        assert_eq!(bytes::u64_at(&page, target(42)), Some(0x1234_5678_9abc));
        assert_eq!(bytes::u64_at(&page, target(49)), Some(0x10_0000_0200));
        let gdtr = target(12);
        assert_eq!(bytes::u16_at(&page, gdtr), Some(31));
        let base = bytes::u64_at(&page, gdtr + 2).unwrap();
        assert_eq!(bytes::u64_at(&page, (base - 0x1_0000) as usize + 0x10), Some(0x00af_9b00_0000_ffff));
        assert_eq!(bytes::u64_at(&page, (base - 0x1_0000) as usize + 0x18), Some(0x00cf_9300_0000_ffff));
        assert_eq!(target(5), X86_64_SIZE);
        assert_eq!(write_x86_64(&mut page[..X86_64_SIZE - 1], 0, 0, 0), None);
    }
}
