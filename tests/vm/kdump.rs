//! The service kdump: a machine with OpenRC is set up for dumps by the README's lines, crashes,
//! comes back by itself, and has the dump.

use crate::machine::Kernel;
use crate::openrc::{End, Init, Installed};
use crate::script::replaced;
use crate::services::readme;

/// The boot option that reserves what the doctor says is needed.
fn reserves() -> String {
    let doctor = "rc-kexec doctor --crash\nrc-kexec kexec -p /boot/vmlinuz-virt --initrd /boot/initramfs-virt\npoweroff";
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

/// What the README tells an administrator to type, with the yes that the test wants.
fn documented() -> String {
    let typed = readme("## Crash dumps");
    replaced(&typed, "rc-service kdump test", "echo yes | rc-service kdump test")
}

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
        .has(" MiB are reserved for it; after a crash it saves to UUID=")
        .has("This crashes the machine now; what is not saved is lost. Type yes to go on: ")
        .has("rc-kexec-init: saved the log as /var/crash/")
        .has("rc-kexec-init: saved the memory as /var/crash/")
        .has("rc-kexec-init: restarting")
        .has(": Kernel panic - not syncing: sysrq triggered crash\n")
        .has("TOLD of /var/crash/20")
        .has("kdump test: passed")
        .has_not("without all of the memory")
        .has_not("FAILED");
    assert_eq!(first.count("crash: 20"), 1, "{}", first.whole());
    second
        .has("EXIT 0 of rc-kexec vmcore info")
        .has("EXIT 0 of cmp")
        .has("\nvmcore\n")
        .has_not("crash: 20")
        .has_not("vmcore-incomplete");
}

/// Sets these settings, and crashes.
fn crash_with(settings: &str) -> String {
    format!(
        "printf '{settings}\\n' >/etc/conf.d/kdump\nrc-service kdump restart\nsync\necho c >/proc/sysrq-trigger"
    )
}

/// A full disk keeps the log, a missing one sends it to the console, a place beside it is taken, and the
/// machine comes back each time.
#[test]
fn what_cannot_be_saved_whole_is_saved_as_far_as_it_goes() {
    // Both file systems are 64 MiB. What is full is the place with 2 MiB left.
    let fill =
        "dd if=/dev/zero of=/fill bs=1M count=$(($(df -Pm / | awk 'NR==2 {print $4}') - 2)) 2>/dev/null";
    let look = "rm /fill\nls -1 /var/crash/*\nrc-kexec vmcore info /var/crash/*/vmcore-incomplete";
    let missing = crash_with("kdump_places=LABEL=NONE:/crash\\nkdump_append=rckexec.wait=1");
    let second = "kdump_places=\"/dev/vdz:/crash /dev/vdb:/crash/deep\"\\nkdump_memory=no\\nkdump_append=rckexec.wait=1";
    let boots = machine(Init::BusyBox)
        .boot(&format!("rc-update add kdump default\n{fill}\n{}", crash_with("")), End::Firmware)
        .boot(&format!("{look}\n{missing}"), End::Firmware)
        .boot(&crash_with(second), End::Firmware)
        .boot("find /boot/crash\npoweroff", End::PowerOff)
        .run();
    boots[0]
        .has("rc-kexec-init: saved the log as /var/crash/")
        .has("unable to save the dump as /rckexec.dev/var/crash/")
        .has("No space left on device")
        .has("rc-kexec-init: unable to save everything in UUID=")
        .has(", without all of the memory: Kernel panic - not syncing: sysrq triggered crash\n");
    boots[1]
        .has("\ndmesg.txt\nvmcore-incomplete\n")
        .has("incomplete: the saving was interrupted, and what had been saved can be read")
        .has("rc-kexec-init: unable to find LABEL=NONE: there was no such device in 1 s")
        .has("rc-kexec-init: the log of the crashed kernel:")
        .has("] Linux version ")
        .has("] Kernel panic - not syncing: sysrq triggered crash");
    boots[2]
        .has("rc-kexec-init: unable to find /dev/vdz")
        .has("rc-kexec-init: saved the log as /crash/deep/")
        .has_not("vmcore");
    boots[3].has("/dmesg.txt\n");
    for boot in &boots[..3] {
        boot.has("rc-kexec-init: restarting");
    }
}

/// Neither a wrong word, nor a panic of the crash kernel, nor a device that does not come keeps a machine down.
#[test]
#[ignore = "long"]
fn a_crash_kernel_that_saves_nothing_restarts_the_machine() {
    let late = "kdump_append=\"rckexec.dump-limit=1 rckexec.wait=600\"\\nkdump_places=LABEL=NONE:/";
    let boots = machine(Init::BusyBox)
        .boot(&crash_with("kdump_append=rckexec.dumb=1"), End::Firmware)
        .boot(&crash_with("kdump_append=\"rdinit=/none panic=1\""), End::Panic)
        .boot(&crash_with(late), End::Firmware)
        .boot("poweroff", End::PowerOff)
        .run();
    boots[0].has("rckexec.dumb").has("rc-kexec-init: the log of the crashed kernel:");
    boots[1].has("Kernel panic - not syncing: VFS: Unable to mount root fs");
    boots[2].has("rc-kexec-init: restarting: the dump was to take at most 1 s");
}
