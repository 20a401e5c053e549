//! 32-bit x86: from a 32-bit kernel, and into one from a 64-bit kernel.

use crate::machine::{Console, Kernel, Vm};
use crate::script::LoadAndJump;

/// What the second kernel says of itself.
fn say() -> String {
    format!("{}echo MACHINE $(uname -m)\n", crate::SAY)
}

fn load_and_jump(kernel: &str) -> LoadAndJump {
    LoadAndJump::by("auto").kernel(kernel).asking_type()
}

#[track_caller]
fn assert_second(console: &Console, machine: &str) {
    crate::assert_second(console);
    console.has("loaded with kexec_load;");
    assert_eq!(console.only("MACHINE"), machine, "{}", console.shown());
}

#[test]
fn from_a_32_bit_kernel_to_itself() {
    let console = Vm::new(Kernel::I386).stage(1, load_and_jump("/boot/vmlinuz")).stage(2, say()).run();
    assert_second(&console, "i686");
    console.has("a bzImage, Linux 6.1.").has("for x86, boot protocol 2.15");
}

#[test]
fn from_a_64_bit_kernel_to_a_32_bit_one() {
    // The root file system of the second is the first's: its programs are 64-bit, so
    // the archive holds a BusyBox that runs there.
    let first = load_and_jump("/boot/kernel32")
        .before("cp /busybox32 /bin/busybox.new && mv /bin/busybox.new /bin/busybox");
    for kernel in [Kernel::Debian, Kernel::Alpine] {
        let console = Vm::new(kernel)
            .file("boot/kernel32", &Kernel::I386.image())
            .file("busybox32", &Kernel::I386.busybox())
            .stage(1, &first)
            .stage(2, say())
            .run();
        assert_second(&console, "i686");
    }
}

#[test]
fn from_a_32_bit_kernel_to_a_64_bit_one_where_the_processor_can() {
    let vm = || {
        Vm::new(Kernel::I386)
            .file("boot/kernel64", &Kernel::Debian.image())
            .stage(1, load_and_jump("/boot/kernel64"))
            .stage(2, say())
    };
    assert_second(&vm().long_mode().run(), "x86_64");
    let console = vm().run();
    console
        .has("unable to load /boot/kernel64: this is a bzImage for x86_64; this machine is x86")
        .has("LOADED 0");
}
