//! The first instructions that run once the old kernel is gone.
//!
//! On entry on x86_64 (linux arch/x86/kernel/relocate_kernel_64.S, identity_mapped): long
//! mode, paging on with all of RAM and every segment mapped one to one,
//! interrupts off, all general registers zero but rsp, the descriptor tables
//! invalid. The kernel that follows wants its boot parameters in rsi and flat
//! segments by its own selectors.
//!
//! The code is position independent and kept as bytes, so that it can be laid
//! out and tested on any host; tests/trampoline.rs assembles the same
//! instructions and compares.

use crate::base::bytes;

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
    put_descriptors(target, DESCRIPTORS, GDT_POINTER, GDT, at)
}

/// From long mode to 32-bit protected mode without paging, for kernels that are
/// entered so: a far return into a 32-bit code segment, then paging, long mode and
/// all extensions off.
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

/// From the flat protected mode in which a 32-bit kernel's kexec ends (linux
/// arch/x86/kernel/relocate_kernel_32.S, identity_mapped: paging off, the general
/// registers zero) to the same with a descriptor table of our own.
#[rustfmt::skip]
pub const PROTECTED: [u8; 16] = [
    0xfa,                                                       // cli
    0xfc,                                                       // cld
    0x0f, 0x01, 0x15, 0x00, 0x00, 0x00, 0x00,                   // lgdt [GDT_POINTER_32]
    0xea, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00,                   // jmp 0x10:next
];

/// Where [`PROTECTED`] has its two addresses.
const PROTECTED_GDT_POINTER: usize = 5;
const PROTECTED_NEXT: usize = 10;

/// boot.rst, 32-bit Boot Protocol: "CS must be __BOOT_CS and DS, ES, SS must be
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

/// Where [`ENTER_32`] has its three addresses.
const ENTER_STACK: usize = 16;
const ENTER_BOOT_PARAMS: usize = 21;
const ENTER_ENTRY: usize = 32;

/// Where the descriptor table of a 32-bit entry lies, and what lgdt reads of it.
const GDT_POINTER_32: usize = 256;
const GDT_32: usize = 272;

/// As [`DESCRIPTORS`], with the code segment a 32-bit one.
const CODE_32: u64 = 0x00cf_9b00_0000_ffff;

/// As [`write_x86_64`], for a kernel that is entered in 32-bit protected mode: from
/// long mode, or (`protected`) from the mode in which a 32-bit kernel's kexec ends.
/// `None` also when an address is not below 4 GiB.
pub fn write_x86_32(target: &mut [u8], at: u64, boot_params: u64, entry: u64, protected: bool) -> Option<()> {
    let target = target.get_mut(..X86_64_SIZE)?;
    target.fill(0);
    let address = |offset: usize| u32::try_from(at.checked_add(offset as u64)?).ok().map(u32::to_le_bytes);
    let before: &[u8] = if protected { &PROTECTED } else { &LONG_TO_PROTECTED };
    let next = before.len();
    bytes::put(target, 0, before)?;
    if protected {
        bytes::put(target, PROTECTED_GDT_POINTER, &address(GDT_POINTER_32)?)?;
        bytes::put(target, PROTECTED_NEXT, &address(next)?)?;
    }
    let enter = target.get_mut(next..)?;
    bytes::put(enter, 0, &ENTER_32)?;
    bytes::put(enter, ENTER_STACK, &address(X86_64_SIZE)?)?;
    bytes::put(enter, ENTER_BOOT_PARAMS, &u32::try_from(boot_params).ok()?.to_le_bytes())?;
    bytes::put(enter, ENTER_ENTRY, &u32::try_from(entry).ok()?.to_le_bytes())?;
    let [null, unused, _, data] = DESCRIPTORS;
    put_descriptors(target, [null, unused, CODE_32, data], GDT_POINTER_32, GDT_32, at)
}

/// Writes a descriptor table, and at `pointer` the limit and base that lgdt reads.
fn put_descriptors(target: &mut [u8], table: [u64; 4], pointer: usize, gdt: usize, at: u64) -> Option<()> {
    let limit = u16::try_from(size_of_val(&table)).ok()?.checked_sub(1)?;
    bytes::put(target, pointer, &limit.to_le_bytes())?;
    bytes::put(target, pointer.checked_add(2)?, &at.checked_add(gdt as u64)?.to_le_bytes())?;
    for (descriptor, slot) in table.iter().zip(target.get_mut(gdt..)?.chunks_exact_mut(8)) {
        slot.copy_from_slice(&descriptor.to_le_bytes());
    }
    Some(())
}

/// How many bytes arm64's trampoline takes: a device tree behind it is aligned to 8.
pub const ARM64_SIZE: usize = 64;

/// On entry (linux arch/arm64/kernel/relocate_kernel.S, "Start new image"): EL2 or
/// EL1, the MMU off, interrupts masked, the kernel's memory clean. All that is left
/// to do is what booting.rst asks of the registers: "x0 = physical address of device
/// tree blob (dtb) in system RAM", x1 to x3 zero.
pub const ARM64_CODE: [u32; 6] = [
    0x5800_0100, // ldr x0, . + 32
    0x5800_0124, // ldr x4, . + 36
    0xaa1f_03e1, // mov x1, xzr
    0xaa1f_03e2, // mov x2, xzr
    0xaa1f_03e3, // mov x3, xzr
    0xd61f_0080, // br x4
];

/// Where the address of the device tree is patched in.
const DEVICE_TREE: usize = 32;
/// Where the address of the kernel's first instruction is patched in.
const ARM64_ENTRY: usize = 40;

/// Writes arm64's trampoline to the front of `target`: it enters `entry` with x0 =
/// `device_tree`. `None` when there are fewer than [`ARM64_SIZE`] bytes.
pub fn write_arm64(target: &mut [u8], device_tree: u64, entry: u64) -> Option<()> {
    let target = target.get_mut(..ARM64_SIZE)?;
    target.fill(0);
    for (instruction, slot) in ARM64_CODE.iter().zip(target.chunks_exact_mut(4)) {
        slot.copy_from_slice(&instruction.to_le_bytes());
    }
    bytes::put(target, DEVICE_TREE, &device_tree.to_le_bytes())?;
    bytes::put(target, ARM64_ENTRY, &entry.to_le_bytes())
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
