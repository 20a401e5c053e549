//! What only a kernel can say: machines that load and start a second kernel. The
//! proof is what the second one prints.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod cpio;
mod machine;

use machine::{Kernel, Vm};

/// Loads /boot/vmlinuz with this root file system as its initrd by kexec_load, and jumps.
const LOAD_AND_JUMP: &str = r#"
pack
run kexec-load /boot/vmlinuz --initrd /tmp/next.cpio --syscall load --command-line "console=ttyS0 panic=-1 stage=2 mark=second"
run kexec -e
"#;

/// What the second kernel says of itself.
const SAY: &str = r#"
echo "CMDLINE $(cat /proc/cmdline)"
echo "UPTIME $(cat /proc/uptime)"
"#;

#[test]
fn load_call_on_a_kernel_like_alpines() {
    let console = Vm::new(Kernel::Alpine).stage(1, LOAD_AND_JUMP).stage(2, SAY).run();
    console.has("EXIT 0 of kexec-load").has("STAGE 2 BEGINS");
    assert_eq!(console.only("CMDLINE"), "console=ttyS0 panic=-1 stage=2 mark=second", "{}", console.shown());
}

#[test]
fn load_call_on_debians_kernel() {
    let console = Vm::new(Kernel::Debian).stage(1, LOAD_AND_JUMP).stage(2, SAY).run();
    console.has("EXIT 0 of kexec-load").has("STAGE 2 BEGINS");
    assert_eq!(console.only("CMDLINE"), "console=ttyS0 panic=-1 stage=2 mark=second", "{}", console.shown());
}
