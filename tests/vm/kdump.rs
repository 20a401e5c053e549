//! The service kdump: a machine with OpenRC is set up for dumps by the lines of docs/kdump.md, crashes,
//! comes back by itself, and has the dump.

use crate::machine::Kernel;
use crate::openrc::{End, Init, Installed};
use crate::script::replaced;
use crate::services::commands;

/// The boot option that reserves what the doctor says is needed.
fn reserves() -> String {
    let doctor =
        "rc-kexec doctor --crash\nkexec -p /boot/vmlinuz-virt --initrd /boot/initramfs-virt\npoweroff";
    let boots = Installed::new(Init::BusyBox, Kernel::Alpine).boot(doctor, End::PowerOff).run();
    boots[0]
        .has("A panic now would save nothing: 2 findings stand in the way.")
        .has("kexec: unable to load a crash kernel: no memory is reserved for one; this kernel and its initrds need ");
    // Both say how much.
    let option = boots[0].rest_of_line("  add ");
    let option = option.split(' ').next().unwrap();
    assert_eq!(
        boots[0].count(&format!("add {option} to the boot loader's options")),
        2,
        "{}",
        boots[0].whole()
    );
    option.to_string()
}

fn machine(init: Init) -> Installed {
    Installed::new(init, Kernel::Alpine).memory("1G").append(&reserves())
}

/// What docs/kdump.md tells an administrator to type, with the yes that the test wants.
fn documented() -> String {
    let typed = commands(include_str!("../../docs/kdump.md"), "# Crash kernels");
    replaced(&typed, "rc-service kdump test", "echo yes | rc-service kdump test")
}

const CRASH: &str = "sync\necho c >/proc/sysrq-trigger";

#[test]
fn a_crash_is_saved_and_told() {
    // A program of the administrator's.
    let told = "mkdir -p /etc/rc-kexec/crash.d\nprintf '#!/bin/sh\\necho \"TOLD of $1\"\\n' >/etc/rc-kexec/crash.d/tell\nchmod 755 /etc/rc-kexec/crash.d/tell\n";
    let boots = machine(Init::BusyBox)
        .boot(&format!("{told}/usr/lib/rc-kexec/kdump test\n{}", documented()), End::Firmware)
        .boot(
            "rc-kexec vmcore info /var/crash/*/vmcore\nrc-kexec vmcore dmesg /var/crash/*/vmcore >/tmp/log\n\
             cmp /tmp/log /var/crash/*/dmesg.txt\nls -1 /var/crash/*\nrc-service kdump notice\npoweroff",
            End::PowerOff,
        )
        .run();
    let [first, second] = &boots[..] else { panic!("{}", boots[0].whole()) };
    first
        .has("unable to test: no crash kernel is loaded")
        .has("A panic now would start the crash kernel.")
        .has("service kdump added to runlevel default")
        .has(" MiB are reserved for it; after a crash it saves to /dev/vda:/var/crash")
        .has("This crashes the machine now; what is not saved is lost. Type yes to go on: ")
        .has("rc-kexec-init: saved the log as /var/crash/")
        .has("rc-kexec-init: saved the memory as /var/crash/")
        .has("rc-kexec-init: restarting")
        .has(": Kernel panic - not syncing: sysrq triggered crash\n")
        .has("TOLD of /var/crash/20")
        .has("kdump test: passed")
        .has_not("incomplete")
        .has_not("FAILED");
    assert_eq!(first.count("crash: 20"), 1, "{}", first.whole());
    second
        .has("EXIT 0 of rc-kexec vmcore info")
        .has("EXIT 0 of cmp")
        .has("\nvmcore\n")
        .has_not("crash: 20")
        .has_not("vmcore-incomplete");
}

/// A full disk keeps the log, a missing one sends it to the console, a place beside it is taken, and the
/// machine comes back each time.
#[test]
fn whatever_fails_the_machine_comes_back() {
    let start = |settings: &str| {
        format!("printf '{settings}\\n' >/etc/conf.d/kdump\nrc-service kdump restart\n{CRASH}")
    };
    let boots = machine(Init::BusyBox)
        // Both file systems are 64 MiB. What is full is the place with 2 MiB left.
        .boot(
            &format!("rc-update add kdump default\ndd if=/dev/zero of=/fill bs=1M count=$(($(df -Pm / | awk 'NR==2 {{print $4}}') - 2)) 2>/dev/null\n{}", start("")),
            End::Firmware,
        )
        .boot(
            &format!("rm /fill\nls -1 /var/crash/*\nrc-kexec vmcore info /var/crash/*/vmcore-incomplete\n{}", start("kdump_places=LABEL=NONE:/crash")),
            End::Firmware,
        )
        .boot(
            &start("kdump_places=\"/dev/vdz:/crash /dev/vdb:/crash/deep\"\\nkdump_memory=no\\nkdump_append=rckexec.wait=1"),
            End::Firmware,
        )
        // A word that is none is no reason to stay away either.
        .boot(&format!("find /boot/crash\n{}", start("kdump_append=rckexec.dumb=1")), End::Firmware)
        // Nor is a panic of the crash kernel.
        .boot(&start("kdump_append=\"rdinit=/none panic=1\""), End::Firmware)
        .boot(&start("kdump_append=\"rckexec.dump-limit=1 rckexec.wait=600\"\nkdump_places=LABEL=NONE:/"), End::Firmware)
        .boot("poweroff", End::PowerOff)
        .run();
    boots[0]
        .has("rc-kexec-init: saved the log as /var/crash/")
        .has("unable to save the dump as /rckexec.dev/var/crash/")
        .has("No space left on device")
        .has("rc-kexec-init: unable to save everything in /dev/vda:/var/crash")
        .has(", without all of the memory: Kernel panic - not syncing: sysrq triggered crash\n");
    boots[1]
        .has("\ndmesg.txt\nvmcore-incomplete\n")
        .has("incomplete: the saving was interrupted, and what had been saved can be read")
        .has("rc-kexec-init: unable to find LABEL=NONE: there was no such device in 30 s")
        .has("rc-kexec-init: the log of the crashed kernel:")
        .has("] Linux version ")
        .has("] Kernel panic - not syncing: sysrq triggered crash");
    boots[2]
        .has("rc-kexec-init: unable to find /dev/vdz")
        .has("rc-kexec-init: saved the log as /crash/deep/")
        .has_not("vmcore");
    boots[3].has("/dmesg.txt\n").has("rckexec.dumb").has("rc-kexec-init: the log of the crashed kernel:");
    boots[4].has("Kernel panic - not syncing: No working init found").has("Rebooting in 1 seconds");
    boots[5].has("rc-kexec-init: restarting: the dump was to take at most 1 s");
    for boot in &boots[..4] {
        boot.has("rc-kexec-init: restarting");
    }
}
