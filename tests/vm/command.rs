//! What the commands answer, and what they find out by themselves: the installed kernel, the
//! length of a command line, the plan that a dry run draws.

use crate::machine::{Kernel, Vm};
use crate::{SAY, SECOND};

#[test]
fn unload_and_status_answer_by_exit_code() {
    let first = "run kexec-load --status\n\
                 kexec -Sl; echo PEER-EMPTY $?\n\
                 kexec -S; echo PEER-CRASH $?\n\
                 kexec -l /boot/vmlinuz --append x\n\
                 kexec -Sl; echo PEER-FULL $?\n\
                 kexec-load --status; echo OURS-FULL $?\n\
                 run kexec-load --unload\n\
                 kexec-load --status; echo OURS-EMPTY $?\n\
                 kexec -l /boot/vmlinuz --append x; kexec -u; echo LOADED $(cat /sys/kernel/kexec_loaded)\n\
                 run kexec -e\nrun kexec-exec --now\nrun kexec -p /boot/vmlinuz\n";
    let console = Vm::new(Kernel::Alpine).stage(1, first).run();
    console
        .has("no kernel is loaded\nEXIT 1 of kexec-load")
        .has("PEER-EMPTY 0")
        .has("PEER-CRASH 0")
        .has("PEER-FULL 1")
        .has("a kernel is loaded\nOURS-FULL 0")
        .has("EXIT 0 of kexec-load")
        .has("OURS-EMPTY 1")
        .has("LOADED 0")
        .has("kexec: unable to start a kernel: none is loaded")
        .has("kexec-exec: unable to start a kernel: none is loaded")
        .has("kexec: unable to load a crash kernel: no memory is reserved for one");
}

#[test]
fn with_no_kernel_named_the_installed_one_is_found() {
    let first = "pack\nmv /boot/vmlinuz /boot/vmlinuz-virt\nrun kexec-load\n\
                 cp /tmp/next.cpio /boot/initramfs-virt\nrun kexec-load\n\
                 sed -i 's/^stage=1/stage=2/' /init; pack; cp /tmp/next.cpio /boot/initramfs-virt\n\
                 run kexec-load; kexec -e\n";
    let console = Vm::new(Kernel::Alpine).append("BOOT_IMAGE=x").stage(1, first).stage(2, SAY).run();
    console
        .has("unable to find the initrd of /boot/vmlinuz-virt")
        .has("kernel: /boot/vmlinuz-virt\ninitrd: /boot/initramfs-virt\n")
        .has("STAGE 2 ENDS");
    assert_eq!(
        console.only("CMDLINE"),
        "console=ttyS0 panic=-1 kexec_load_disabled=0",
        "{}",
        console.shown()
    );
}

/// What follows `--` is init's: an option that was added there would not reach the kernel.
#[test]
fn added_words_reach_the_kernel_where_init_has_words_of_its_own() {
    let load = |stage: u32| {
        format!(
            "echo CMDLINE $(cat /proc/cmdline)\npack\n\
             run kexec-load /boot/vmlinuz --initrd /tmp/next.cpio --reuse-cmdline --append 'stage={stage} -- more{stage}'\nrun kexec -e\n"
        )
    };
    let vm = Vm::new(Kernel::Alpine).append("-- for init").stage(1, load(2)).stage(2, load(3));
    let console = vm.stage(3, SAY).run();
    console.has("STAGE 3 ENDS");
    let lines = console.marked("CMDLINE");
    let of_kernel = "console=ttyS0 panic=-1 kexec_load_disabled=0";
    assert_eq!(lines[0], format!("{of_kernel} -- for init"), "{}", console.shown());
    assert_eq!(
        lines[2],
        format!("{of_kernel} stage=2 stage=3 -- for init more2 more3"),
        "{}",
        console.shown()
    );
}

#[test]
fn a_command_line_of_2047_bytes_arrives_whole_and_2048_are_refused() {
    let first = format!(
        r#"
pack
line="{SECOND} pad="
while [ ${{#line}} -lt 2047 ]; do line="${{line}}x"; done
run kexec-load /boot/vmlinuz --initrd /tmp/next.cpio --syscall load --command-line "${{line}}y"
run kexec-load /boot/vmlinuz --initrd /tmp/next.cpio --syscall file --command-line "$line"
run kexec -c -l /boot/vmlinuz --initrd /tmp/next.cpio --command-line "$line"
echo "FIRST $(echo "$line" | md5sum)"
kexec -e
"#
    );
    let second = "echo \"LENGTH $(wc -c </proc/cmdline)\"\necho \"THEN $(md5sum </proc/cmdline)\"\n";
    let console = Vm::new(Kernel::Debian).stage(1, &first).stage(2, second).run();
    console.has("the command line is 2048 bytes long, and this kernel accepts only 2047");
    console.has("kexec_file_load reserves 31 of them");
    console.has("EXIT 0 of kexec");
    // With the newline.
    assert_eq!(console.only("LENGTH"), "2048", "{}", console.shown());
    assert_eq!(console.only("FIRST"), console.only("THEN"), "{}", console.shown());
}

#[test]
fn dry_run_draws_without_privilege_and_loads_nothing() {
    let first = "pack; chmod 644 /tmp/next.cpio\n\
                 echo 'nobody:x:65534:65534::/:/bin/sh' >/etc/passwd\n\
                 su nobody -c '/sbin/kexec-load /boot/vmlinuz --initrd /tmp/next.cpio --dry-run; echo NOBODY $?'\n\
                 cp /tmp/next.cpio /tmp/own.cpio; chmod 600 /tmp/own.cpio\n\
                 su nobody -c '/sbin/kexec-load /boot/vmlinuz --initrd /tmp/own.cpio --dry-run'\n\
                 run kexec-load /boot/vmlinuz --initrd /tmp/next.cpio --dry-run\n\
                 su nobody -c '/sbin/kexec-load /boot/vmlinuz --initrd /tmp/next.cpio; echo NOBODY-LOADS $?'\n\
                 echo LOADED $(cat /sys/kernel/kexec_loaded)\n";
    for (kernel, call) in [
        (Kernel::Alpine, "system call: kexec_load; this kernel has no kexec_file_load"),
        (Kernel::Debian, "system call: kexec_file_load, which this kernel has"),
    ] {
        let console = Vm::new(kernel).stage(1, first).run();
        console
            .has("NOBODY 0")
            .has("unable to read /tmp/own.cpio: Permission denied\n  run it as root")
            .has("/proc/iomem hides its addresses from this user")
            .has("EXIT 0 of kexec-load")
            .has("K kernel")
            .has("1 initrd 1")
            .has("entry: 0x")
            .has("nothing was loaded (--dry-run)")
            .has(call)
            .has("NOBODY-LOADS 1")
            .has("it needs root, with CAP_SYS_BOOT\n  run it as root")
            .has("LOADED 0");
    }
}
