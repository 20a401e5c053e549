//! The first instructions that run when the old kernel is gone, on arm64. They set the
//! registers that the kernel's entry point needs, and jump to it.
//!
//! The running kernel has done the rest (linux arch/arm64/kernel/relocate_kernel.S, "Start
//! new image"): EL2 or EL1, the MMU off, interrupts masked, the segments cleaned from the
//! caches.
//!
//! The code is kept as numbers, so that any host can lay it out and test it.

use crate::base::bytes;

/// The size of the trampoline in bytes: what follows it lies on an 8-byte boundary, as a
/// device tree must.
pub const SIZE: usize = 64;

/// booting.rst, "4. Call the kernel image": "x0 = physical address of device tree blob (dtb)
/// in system RAM.", and "x1 = 0 (reserved for future use)", as x2 and x3.
const CODE: [u32; 6] = [
    0x5800_0100, // ldr x0, . + 32
    0x5800_0124, // ldr x4, . + 36
    0xaa1f_03e1, // mov x1, xzr
    0xaa1f_03e2, // mov x2, xzr
    0xaa1f_03e3, // mov x3, xzr
    0xd61f_0080, // br x4
];

/// Where [`CODE`] reads the address of the device tree.
const DEVICE_TREE: usize = 32;
/// Where [`CODE`] reads the address of the kernel's first instruction.
const ENTRY: usize = 40;

/// Writes the trampoline to the front of `target`. It enters `entry` with x0 =
/// `device_tree`. `None` if `target` is shorter than [`SIZE`].
pub fn write(target: &mut [u8], device_tree: u64, entry: u64) -> Option<()> {
    let target = target.get_mut(..SIZE)?;
    target.fill(0);
    for (instruction, slot) in CODE.iter().zip(target.chunks_exact_mut(4)) {
        slot.copy_from_slice(&instruction.to_le_bytes());
    }
    bytes::put(target, DEVICE_TREE, &device_tree.to_le_bytes())?;
    bytes::put(target, ENTRY, &entry.to_le_bytes())
}
