//! `make demo`: a real kernel starts another one, and both consoles are shown.

#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod cpio;
mod machine;
mod progress;

use machine::{Kernel, Vm};

fn main() {
    let first = r##"
pack
echo; echo "== the first kernel: $(uname -r), up $(cut -d' ' -f1 /proc/uptime) s, started with: $(cat /proc/cmdline)"
echo; echo "# kexec-load /boot/vmlinuz --initrd /tmp/next.cpio --reuse-cmdline --append 'stage=2 hello=second' --dry-run"
kexec-load /boot/vmlinuz --initrd /tmp/next.cpio --reuse-cmdline --append 'stage=2 hello=second' --dry-run
echo; echo "# kexec-load /boot/vmlinuz --initrd /tmp/next.cpio --reuse-cmdline --append 'stage=2 hello=second' --syscall load"
kexec-load /boot/vmlinuz --initrd /tmp/next.cpio --reuse-cmdline --append 'stage=2 hello=second' --syscall load
echo; echo "# kexec-exec --now"
dmesg -n 8
kexec-exec --now
"##;
    let second = r#"
echo; echo "== the second kernel: $(uname -r), up $(cut -d' ' -f1 /proc/uptime) s, started with: $(cat /proc/cmdline)"
echo "== it was started by rc-kexec, with the initrd that the first one packed: $(ls / | tr '\n' ' ')"
"#;
    // The option is for Alpine's own kernel, which is locked without it.
    let console =
        Vm::new(Kernel::Debian).append("kexec_load_disabled=0").stage(1, first).stage(2, second).run();
    for (time, line) in &console.lines {
        println!("{time:7.2} {line}");
    }
    let came_up = console.marked("STAGE").contains(&"2 ENDS");
    println!(
        "\n{}",
        if came_up { "demo: the second kernel came up" } else { "demo: the second kernel did NOT come up" }
    );
    std::process::exit(i32::from(!came_up));
}
