//! Kernels that refuse a load by a setting, an option or a lockdown: which of them it is, and
//! what to do.

use crate::machine::{Kernel, Vm};

#[test]
fn a_locked_kernel_names_the_boot_option_and_where_it_goes() {
    let first = "echo 'default_kernel_opts=\"quiet\"' >/etc/update-extlinux.conf\n\
                 run kexec-load /boot/vmlinuz --append stage=2\n\
                 echo LOADED $(cat /sys/kernel/kexec_loaded)\n";
    let console =
        Vm::new(Kernel::Alpine).locked().file("etc/alpine-release", b"3.22.0\n").stage(1, first).run();
    console
        .has("EXIT 1 of kexec-load")
        .has("unable to load /boot/vmlinuz with kexec_load: kernel.kexec_load_disabled is 1")
        .has("the boot option kexec_load_disabled=0 is not on this kernel's command line")
        .has("sed -i 's/^default_kernel_opts=\"/&kexec_load_disabled=0 /' /etc/update-extlinux.conf && update-extlinux")
        .has("then reboot once in the ordinary way")
        .has("LOADED 0");
    // The remedy is a command, and it does what it says.
    let remedy = "printf 'a=1\\ndefault_kernel_opts=\"quiet\"\\n' >/etc/update-extlinux.conf\n\
                  sed -i 's/^default_kernel_opts=\"/&kexec_load_disabled=0 /' /etc/update-extlinux.conf\n\
                  cat /etc/update-extlinux.conf\n";
    let console = Vm::new(Kernel::Alpine).stage(1, remedy).run();
    console.has("default_kernel_opts=\"kexec_load_disabled=0 quiet\"");
}

#[test]
fn an_option_without_effect_is_told_from_one_that_is_absent() {
    let first = "echo 1 >/proc/sys/kernel/kexec_load_disabled\n\
                 run kexec-load /boot/vmlinuz --append stage=2\n\
                 mkdir -p /etc/sysctl.d; echo 'kernel.kexec_load_disabled = 1' >/etc/sysctl.d/hard.conf\n\
                 run kexec -l /boot/vmlinuz --append stage=2\n";
    let console = Vm::new(Kernel::Alpine).stage(1, first).run();
    console
        .has("EXIT 1 of kexec-load")
        .has("the boot option kexec_load_disabled=0 is on this kernel's command line but had no effect")
        .has("/etc/sysctl.d/hard.conf sets it: remove the line");
}

/// What contrib/alpine-kernel says of Alpine's boot option.
#[test]
fn the_kernel_takes_an_option_that_begins_with_kexec_as_an_early_one_alone() {
    // the options -> what the sysctl says
    let table = [
        ("", "1"),
        ("kexec_load_disabled_setup=0", "1"),
        ("kexec_load_disabled=0", "0"),
        ("kexec_load_disabled=1", "1"),
    ];
    for (options, wanted) in table {
        let first = "echo LOCK $(cat /proc/sys/kernel/kexec_load_disabled)\n\
                     dmesg | sed -n 's/.*\\(Malformed early option.*\\)/WARNED \\1/p'\n";
        let console = Vm::new(Kernel::Alpine).locked().append(options).stage(1, first).run();
        assert_eq!(console.marked("WARNED"), [""; 0], "{options}\n{}", console.shown());
        assert_eq!(console.only("LOCK"), wanted, "{options}\n{}", console.shown());
    }
}

#[test]
fn lockdown_is_named() {
    let first = "echo LOCKDOWN $(cat /sys/kernel/security/lockdown)\n\
                 run kexec -c -l /boot/vmlinuz --append stage=2\n\
                 run kexec-load --syscall file /boot/vmlinuz --append stage=2\n\
                 echo LOADED $(cat /sys/kernel/kexec_loaded)\n";
    let console = Vm::new(Kernel::Debian).append("lockdown=integrity").stage(1, first).run();
    console
        .has("LOCKDOWN none [integrity] confidentiality")
        .has("with kexec_load: the kernel is locked down (integrity), which forbids this call")
        .has("the lockdown comes from the lockdown= option on the running kernel's command line")
        .has("LOADED 0");
    // Which of the two it is depends on the keys that the firmware holds: none here.
    let file_call = console.text.split("with kexec_file_load: ").nth(1).unwrap_or_default();
    let known = [
        "the kernel is locked down (integrity), and the image has no signature",
        "the image is signed with a key",
    ];
    assert!(known.iter().any(|reason| file_call.starts_with(reason)), "{}", console.shown());
}
