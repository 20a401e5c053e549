//! The services under real OpenRC and three inits, on two kernels: what a reboot, a
//! poweroff and a halt come to, and that whatever is in the way of a kexec ends in an
//! ordinary reboot, with a reason on the console.

use crate::initrds::marked_archive;
use crate::machine::{Kernel, part};
use crate::openrc::{Boot, Encrypted, End, Init, Installed, KEY_FILE};

/// The README's lines for users, under the heading, as they stand.
pub fn readme(heading: &str) -> String {
    commands(include_str!("../../README.md"), heading)
}

/// The lines for users that a document has under a heading, as they stand.
pub fn commands(document: &str, heading: &str) -> String {
    let document = format!("\n{document}");
    let section = document.split(&format!("\n{heading}\n")).nth(1).unwrap_or_else(|| panic!("no {heading}"));
    let lines = section.lines().skip_while(|line| !line.starts_with("    "));
    let lines = lines.take_while(|line| line.starts_with("    ") || line.is_empty());
    let typed = lines.map(|line| line.trim().split(" # ").next().unwrap_or_default().trim_end());
    typed.filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect()
}

/// What a user types for each end.
fn typed(init: Init, end: End) -> &'static str {
    match (init, end) {
        (Init::BusyBox, End::PowerOff) => "poweroff",
        (Init::BusyBox, End::Halt) => "halt",
        (Init::BusyBox, _) => "reboot",
        (Init::OpenRc, End::PowerOff) => "openrc-shutdown -p now",
        (Init::OpenRc, End::Halt) => "openrc-shutdown -H now",
        (Init::OpenRc, _) => "openrc-shutdown -r now",
        (Init::SysVinit, End::PowerOff) => "/sbin/shutdown -hP now",
        (Init::SysVinit, End::Halt) => "/sbin/shutdown -hH now",
        (Init::SysVinit, _) => "/sbin/shutdown -r now",
    }
}

/// Ready, as the README says, and rebooting; the first boot is the firmware's.
fn enabled(init: Init, kernel: Kernel) -> Installed {
    let first = format!("{}{}", readme("## Reboots by kexec"), typed(init, End::Kexec));
    Installed::new(init, kernel).boot(&first, End::Kexec)
}

#[track_caller]
fn assert_enabled(boot: &Boot) {
    boot.has("service kexec-load added to runlevel default")
        .has("service kexec-exec added to runlevel shutdown")
        .has("A reboot now would be a kexec.")
        .has("EXIT 0 of rc-kexec doctor")
        .has("Loading a kernel for the reboot ... [ ok ]");
}

/// A life: every way to go down that there is, one after the other.
fn life(init: Init, kernel: Kernel) {
    let reboot = typed(init, End::Kexec);
    let boots = enabled(init, kernel)
        // The kernel's ctrl_alt_del() sends process 1 this (kernel/reboot.c).
        .boot("rc-kexec doctor >/dev/null\nkill -INT 1", End::Kexec)
        // To single-user mode and back nothing is loaded.
        .boot(
            &format!("openrc single\nkexec-load --status\nopenrc default\nkexec-load --status\n{reboot}"),
            End::Kexec,
        )
        // Once in the ordinary way, with a kernel loaded; the next reboot is a kexec again.
        .boot(
            &format!("kexec-load >/dev/null\nrc-service kexec-load skip\nrc-kexec doctor --porcelain\n{reboot}"),
            End::Firmware,
        )
        .boot(&format!("rc-service kexec-load reload\nrc-service kexec-load skip\nrc-service kexec-load restart\n{reboot}"), End::Kexec)
        // Disabled: nothing is left, and reboots are the firmware's.
        .boot(
            &format!(
                "ls /sys/kernel/tracing/instances\nkexec-load >/dev/null\nrc-service kexec-load stop\n\
                 kexec-load --status\nls -d /run/rc-kexec /sys/kernel/tracing/instances\nrc-kexec doctor\n{reboot}"
            ),
            End::Firmware,
        )
        .boot(typed(init, End::PowerOff), End::PowerOff)
        .run();
    assert_enabled(&boots[0]);
    boots[1].has("EXIT 0 of rc-kexec doctor").has("Loading a kernel for the reboot ... [ ok ]");
    assert_eq!(boots[2].count("no kernel is loaded"), 2);
    assert_eq!(boots[2].count("Loading a kernel"), 1);
    boots[3].has("skip\tbad\t").has("reboot\tbad\tordinary").has_not("Starting the loaded kernel");
    boots[4]
        .has("No kernel is loaded, so there is none to replace")
        .has("EXIT 0 of rc-service kexec-load reload");
    boots[4].has("Making reboots ordinary ones ... [ ok ]").has("Loading a kernel");
    boots[5]
        .has("no kernel is loaded")
        .has("ls: /run/rc-kexec: No such file or directory")
        .has("EXIT 1 of rc-kexec doctor")
        .has("run: rc-service kexec-load start")
        .has_not("Loading a kernel")
        .has_not("Starting the loaded kernel");
    // The trace's instance is there for BusyBox alone, and gone after the stop; so is
    // tracefs, which no other program had mounted.
    let instance = boots[5].count("\nrc-kexec\n");
    assert_eq!(instance, usize::from(init == Init::BusyBox), "{}", boots[5].whole());
    boots[6].has_not("Loading a kernel").has_not("Starting the loaded kernel");
}

/// Whatever is in the way, the machine reboots in the ordinary way and says why; and
/// what only looks like trouble is none.
fn trouble(init: Init, kernel: Kernel) {
    let reboot = typed(init, End::Kexec);
    let (vmlinuz, initrd) = kernel.names();
    let boots = Installed::new(init, kernel)
        .boot(
            &format!(
                "{}cp /boot/{vmlinuz} /boot/kept\ntruncate -s 1000000 /boot/{vmlinuz}\n{reboot}",
                readme("## Reboots by kexec")
            ),
            End::Firmware,
        )
        .boot(&format!("rm /boot/{vmlinuz}\n{reboot}"), End::Firmware)
        .boot(&format!("mv /boot/kept /boot/{vmlinuz}\nmv /boot/{initrd} /boot/away\n{reboot}"), End::Firmware)
        .boot(
            &format!(
                "mv /boot/away /boot/{initrd}\necho kexec_mount_boot=no >>/etc/conf.d/kexec-load\numount /boot\n{reboot}"
            ),
            End::Firmware,
        )
        // As the settings have it unless told otherwise: mounted for as long as it takes.
        .boot(&format!("sed -i /mount_boot=no/d /etc/conf.d/kexec-load\numount /boot\nrc-kexec doctor\nrc-service kexec-load doctor\nmountinfo /boot\n{reboot}"), End::Kexec)
        // A kernel that was loaded by hand starts, not the one in /boot.
        .boot(
            &format!("kexec-load --reuse-cmdline --append by=hand >/dev/null\nmv /boot/{vmlinuz} /boot/kept\n{reboot}"),
            End::Kexec,
        )
        .boot(
            &format!("cat /proc/cmdline\nmv /boot/kept /boot/{vmlinuz}\necho 1 >/proc/sys/kernel/kexec_load_disabled\nrc-service kexec-load restart\n{reboot}"),
            End::Firmware,
        )
        .boot(typed(init, End::Halt), End::Halt)
        .run();
    let no_kexec = "No kernel is loaded: the reboot will be an ordinary one";
    let reason = "kexec-load: unable to load /boot/";
    boots[0].has(reason).has("the file is cut short: its header promises at least").has(no_kexec);
    // The next start of the service says it, too, before anybody needs it.
    boots[0].has("reboots will be ordinary ones: kernel: unable to load /boot/");
    boots[1]
        .has("kexec-load: unable to find a kernel: none of these files exists: /boot/vmlinuz-")
        .has(no_kexec);
    boots[2].has(&format!("kexec-load: unable to find the initrd of /boot/{vmlinuz}")).has(no_kexec);
    boots[3].has("; /boot is in /etc/fstab but not mounted").has("mount /boot").has(no_kexec);
    boots[4]
        .has("EXIT 1 of rc-kexec doctor")
        .has("EXIT 0 of rc-service kexec-load doctor")
        .has("EXIT 1 of mountinfo /boot")
        .has("Loading a kernel for the reboot ... [ ok ]");
    boots[5].has_not("Loading a kernel").has("Starting the loaded kernel");
    boots[6].has(" by=hand").has(no_kexec);
    // One warning where it can be read in peace, and the reason at the reboot.
    assert_eq!(
        boots[6].count("reboots will be ordinary ones: load-lock: kernel.kexec_load_disabled is 1"),
        1
    );
    assert_eq!(boots[6].count("kernel.kexec_load_disabled is 1"), 2, "{}", boots[6].whole());
    for boot in [&boots[0], &boots[1], &boots[2], &boots[3], &boots[6], &boots[7]] {
        boot.has_not("Starting the loaded kernel");
    }
}

/// What is typed first counts, whatever is typed while the machine goes down. Not so
/// under sysvinit, which drops what it does and goes to the last runlevel that it was
/// told: the services follow it.
fn second_thoughts(init: Init, kernel: Kernel) {
    let (reboot, poweroff) = (typed(init, End::Kexec), typed(init, End::PowerOff));
    let enable = readme("## Reboots by kexec");
    let changed = format!("{enable}{reboot}; sleep 0.2; {poweroff}");
    if init == Init::SysVinit {
        let boots = Installed::new(init, kernel).boot(&changed, End::PowerOff).run();
        boots[0].has_not("Starting the loaded kernel");
        return;
    }
    let boots = Installed::new(init, kernel)
        .boot(&changed, End::Kexec)
        .boot(&format!("{poweroff}; sleep 0.2; {reboot}"), End::PowerOff)
        .run();
    boots[1].has_not("Loading a kernel").has_not("Starting the loaded kernel");
}

/// Twenty reboots by kexec in a row.
fn twenty(init: Init, kernel: Kernel) {
    let mut machine = enabled(init, kernel);
    for _ in 1..20 {
        machine = machine.boot(typed(init, End::Kexec), End::Kexec);
    }
    let boots =
        machine.boot(&format!("cat /proc/cmdline\n{}", typed(init, End::PowerOff)), End::PowerOff).run();
    boots[20].has("console=ttyS0 panic=-1 quiet root=/dev/vda kexec_load_disabled=0\n");
}

/// A module of tests for each init and each kernel. `make vm-test-long` runs what is ignored otherwise:
/// twenty reboots take three minutes, the kernel hardly matters to an init, and what goes wrong is tried with the
/// init that Alpine has by default.
macro_rules! on_every_machine {
    ($($name:ident: $init:expr, $kernel:expr, [$(#[$ways:meta])?], [$(#[$trouble:meta])?];)*) => {$(
        mod $name {
            use super::*;

            #[test]
            $(#[$ways])?
            fn every_way_to_go_down() {
                life($init, $kernel);
            }

            #[test]
            $(#[$trouble])?
            fn whatever_fails_ends_in_an_ordinary_reboot() {
                trouble($init, $kernel);
            }

            #[test]
            fn what_is_typed_first_counts() {
                second_thoughts($init, $kernel);
            }

            #[test]
            #[ignore = "long"]
            fn twenty_reboots_in_a_row() {
                twenty($init, $kernel);
            }
        }
    )*};
}

on_every_machine! {
    busybox_alpine: Init::BusyBox, Kernel::Alpine, [], [];
    busybox_debian: Init::BusyBox, Kernel::Debian, [#[ignore = "long"]], [#[ignore = "long"]];
    openrc_init_alpine: Init::OpenRc, Kernel::Alpine, [], [#[ignore = "long"]];
    openrc_init_debian: Init::OpenRc, Kernel::Debian, [#[ignore = "long"]], [#[ignore = "long"]];
    sysvinit_alpine: Init::SysVinit, Kernel::Alpine, [], [#[ignore = "long"]];
    sysvinit_debian: Init::SysVinit, Kernel::Debian, [#[ignore = "long"]], [#[ignore = "long"]];
}

/// openrc-init jumps by itself, too. Where nothing is loaded it would stand still, with
/// everything else dead: kexec-exec reboots in its place.
#[test]
fn openrc_shutdown_kexec() {
    let kexec = "openrc-shutdown -K now";
    let enable = readme("## Reboots by kexec");
    for kernel in [Kernel::Alpine, Kernel::Debian] {
        let boots = Installed::new(Init::OpenRc, kernel)
            .boot(&format!("{enable}{kexec}"), End::Kexec)
            .boot(&format!("rc-update del kexec-exec shutdown\n{kexec}"), End::Kexec)
            .boot(
                &format!("rc-update add kexec-exec shutdown\nrc-service kexec-load stop\n{kexec}"),
                End::Firmware,
            )
            .boot(&format!("rm /boot/vmlinuz*\n{kexec}"), End::Firmware)
            .run();
        boots[0].has("Starting the loaded kernel");
        boots[1].has("Loading a kernel for the reboot ... [ ok ]").has_not("Starting the loaded kernel");
        for boot in &boots[2..] {
            boot.has("rebooting in the ordinary way: no kernel was started");
        }
        boots[3].has("unable to find a kernel");
    }
}

/// The one who looks at the console learns why there was no kexec, where a shell had the terminal as
/// well. The line is kexec-exec's own, to /dev/console: what OpenRC prints can end with that shell.
#[test]
fn the_reason_for_an_ordinary_reboot_is_said_to_the_console_itself() {
    let enable = readme("## Reboots by kexec");
    let shell = "echo 'ttyS0::respawn:/bin/sh' >>/etc/inittab\nkill -HUP 1\nsleep 1";
    let fails = "rm /sbin/kexec-exec\nprintf '#!/bin/sh\\necho made up\\nexit 1\\n' >/sbin/kexec-exec\nchmod 755 /sbin/kexec-exec";
    let boots = Installed::new(Init::BusyBox, Kernel::Alpine)
        .boot(&format!("{enable}{fails}\n{shell}\nreboot"), End::Firmware)
        .run();
    boots[0]
        .has("kexec-exec: Starting the loaded kernel")
        .has("kexec-exec: made up")
        .has("kexec-exec: The loaded kernel was not started: an ordinary reboot follows");
}

/// A service such as the one that Alpine's wiki once showed: it starts what is loaded, whatever the
/// shutdown is for.
#[test]
fn a_service_that_asks_nothing_turns_no_poweroff_into_a_kexec() {
    let service = "printf '#!/sbin/openrc-run\\ndepend() { after *; }\\nstart() { kexec -e; }\\n' >/etc/init.d/others\n\
                   chmod 755 /etc/init.d/others\nln -sf rc-kexec /sbin/kexec\nrc-update add others shutdown";
    let load = "kexec-load >/dev/null";
    let boots = Installed::new(Init::OpenRc, Kernel::Alpine)
        .boot(&format!("{service}\n{load}\nopenrc-shutdown -r now"), End::Kexec)
        .boot(&format!("{load}\nopenrc-shutdown -p now"), End::PowerOff)
        .run();
    boots[1].has("kexec: unable to start the loaded kernel: this is a poweroff");
}

/// No kexec happens where a reboot cannot be told from a poweroff, unless the settings ask for it.
#[test]
fn what_is_unknown_is_no_kexec_unless_the_settings_say_so() {
    let blind = "echo 0 >/sys/kernel/tracing/instances/rc-kexec/events/signal/signal_generate/enable";
    let boots = Installed::new(Init::BusyBox, Kernel::Alpine)
        .boot(&format!("{}{blind}\nrc-kexec doctor\nreboot", readme("## Reboots by kexec")), End::Firmware)
        .boot(
            &format!(
                "{blind}\nsed -i 's/^#kexec_when_unknown=.*/kexec_when_unknown=kexec/' /etc/conf.d/kexec-load\nrc-kexec doctor\nreboot"
            ),
            End::Kexec,
        )
        // Without a trace and with a kernel loaded by hand.
        .boot(
            "sed -i 's/^kexec_when_unknown=.*//' /etc/conf.d/kexec-load\nrc-service kexec-load stop\nkexec-load >/dev/null\nreboot",
            End::Firmware,
        )
        .run();
    boots[0]
        .has("and nothing watches its signals")
        .has("EXIT 1 of rc-kexec doctor")
        .has("No kernel is loaded, because this may be a poweroff: BusyBox's init does not say");
    boots[1].has("EXIT 0 of rc-kexec doctor");
    boots[2]
        .has("The loaded kernel is not started, because this may be a poweroff: BusyBox's init does not say");
}

/// Each setting does what its comment says.
#[test]
fn settings() {
    let (vmlinuz, initrd) = Kernel::Alpine.names();
    let first = format!(
        "{}cat >>/etc/conf.d/kexec-load </settings/1\nmkdir -p /boot/x\ncp /boot/{vmlinuz} /boot/x/k\ncp /boot/{initrd} /boot/x/i\n\
         rc-kexec doctor\nrc-service kexec-load restart\nkexec-load --status\nreboot",
        readme("## Reboots by kexec")
    );
    let settings = "kexec_kernel=/boot/x/k\nkexec_initrds=\"/boot/x/i /boot/second\"\nkexec_append=\"a=1 b=2\"\nkexec_load_at=\"start\"\n";
    let second = "echo 'kexec_append=\"\"; kexec_load_at=' >>/etc/conf.d/kexec-load";
    let boots = Installed::new(Init::BusyBox, Kernel::Alpine)
        .file("settings/1", settings.as_bytes())
        .boot_file("second", &marked_archive(7))
        .boot(&first, End::Kexec)
        .boot(
            &format!("cat /proc/cmdline\n{second}\necho 'kexec_command_line=\"$(sed s/a=1/c=3/ /proc/cmdline)\"' >>/etc/conf.d/kexec-load\nrc-service kexec-load restart\nrc-kexec doctor\nrc-service kexec-load doctor\nreboot"),
            End::Kexec,
        )
        .boot("cat /proc/cmdline\nkexec-load --status\npoweroff", End::PowerOff)
        .run();
    boots[0]
        .has("/boot/x/k, a bzImage")
        .has("/boot/x/i, gzip, ")
        .has("; /boot/second, 1 cpio, ")
        .has("a kernel is loaded\n");
    // At the restart, not again at the shutdown, and at the next start.
    assert_eq!(boots[0].count("Loading a kernel"), 2, "{}", boots[0].whole());
    boots[1].has("kexec_load_disabled=0 a=1 b=2\n");
    // The first line after those of the file that is installed and the four above.
    let odd = include_str!("../../openrc/kexec-load.confd").lines().count() + 4 + 1;
    boots[1].has(&format!("only a shell can read line {odd} of /etc/conf.d/kexec-load"));
    boots[1].has("EXIT 1 of rc-kexec doctor");
    boots[1].has("EXIT 0 of rc-service kexec-load doctor");
    boots[2].has("kexec_load_disabled=0 c=3 b=2\n").has("no kernel is loaded");
}

/// What Alpine's package rc-kexec-kernel-hook installs, as kernel-hooks runs it after an
/// upgrade: the settings that it is loaded by again show that it was.
#[test]
fn the_kernel_hook_loads_again_after_an_upgrade() {
    let hook = "/etc/kernel-hooks.d/90-rc-kexec.hook virt 6.12.1-0 6.12.0-0";
    let (vmlinuz, initrd) = Kernel::Alpine.names();
    let by = |what: &str| {
        format!(
            "sed -i '/^kexec_append/d' /etc/conf.d/kexec-load\necho 'kexec_append=\"by={what}\"' >>/etc/conf.d/kexec-load\n"
        )
    };
    let release = "usr/share/kernel/virt/kernel.release";
    let boots = Installed::new(Init::BusyBox, Kernel::Alpine)
        .file(&hook[1..hook.find(' ').unwrap()], include_bytes!("../../alpine/kernel-hook"))
        .file(release, b"6.12.1-0-virt")
        .boot(
            &format!(
                "{}echo kexec_load_at=start >>/etc/conf.d/kexec-load\nrc-service kexec-load restart\n{}{hook}\nreboot",
                readme("## Reboots by kexec"),
                by("hook")
            ),
            End::Kexec,
        )
        // The kernel is there, the initramfs not yet.
        .boot(
            &format!(
                "cat /proc/cmdline\nkexec-load --status\n{}echo 6.12.2-0-virt >/{release}\n{hook}\nkexec-load --status\n\
                 rc-kexec doctor\ntouch /boot/{initrd}\nreboot",
                by("reboot")
            ),
            End::Kexec,
        )
        // It never comes: with the old one the new kernel would not find its root.
        .boot(
            &format!("cat /proc/cmdline\necho 6.12.3-0-virt >/{release}\nrc-service kexec-load restart\nreboot"),
            End::Firmware,
        )
        // What cannot be loaded again leaves nothing loaded.
        .boot(
            &format!("touch /boot/{initrd}\nrc-service kexec-load restart\ntruncate -s 1000000 /boot/{vmlinuz}\n{hook}\nkexec-load --status\nreboot"),
            End::Firmware,
        )
        .run();
    // At the restart, by the hook, and at the next start.
    assert_eq!(boots[0].count("Loading a kernel for the reboot ... [ ok ]"), 3, "{}", boots[0].whole());
    boots[1].has(" by=hook\n").has("\na kernel is loaded\n").has("loading waits for the reboot");
    boots[1].has("\nno kernel is loaded\n").has("Loading a kernel for the reboot ... [ ok ]");
    let old = "is older than the kernel /boot/";
    boots[1].has(old).has("EXIT 1 of rc-kexec doctor");
    boots[2].has(" by=reboot\n").has(old).has("No kernel is loaded: the reboot will be an ordinary one");
    boots[2].has_not("Starting the loaded kernel");
    boots[3].has("the file is cut short").has("\nno kernel is loaded\n");
    boots[3].has(&format!("EXIT 0 of {hook}")).has_not("Starting the loaded kernel");
}

/// The line for BusyBox's own init is added once, where the init knows it. This init
/// is told from Alpine's by bytes at its end alone: it reads the line as a bad one.
#[test]
fn setup_edits_inittab_once_and_only_for_an_init_that_knows_the_action() {
    let mut knows = part("busybox/usr/bin/busybox");
    knows.extend_from_slice(b"\0shutdown\0reboot\0restart\0");
    let setup = "rc-service kexec-load setup";
    let line = "grep -c '^::reboot:/sbin/openrc reboot$' /etc/inittab";
    let boots = Installed::new(Init::BusyBox, Kernel::Alpine)
        .file("usr/bin/knows", &knows)
        .boot(
            &format!("{setup}\n{line}\nln -sf /bin/knows /sbin/init\nreboot"),
            End::Firmware,
        )
        .boot(
            &format!("printf 'x::once:true' >>/etc/inittab\n{setup}\n{line}\n{setup}\n{line}\n{}tail -n 2 /etc/inittab\nls /sys/kernel/tracing/instances\nreboot", readme("## Reboots by kexec")),
            End::Firmware,
        )
        .boot("poweroff", End::PowerOff)
        .run();
    boots[0].has("this init does not know the reboot action").has(&format!("EXIT 1 of {setup}"));
    boots[0].has(&format!("\n0\nEXIT 1 of {line}"));
    boots[1].has("added ::reboot:/sbin/openrc reboot to /etc/inittab").has("the line is in /etc/inittab");
    assert_eq!(boots[1].count(&format!("\n1\nEXIT 0 of {line}")), 2, "{}", boots[1].whole());
    boots[1].has("\nx::once:true\n::reboot:/sbin/openrc reboot\n");
    // With the line there nothing is watched; without RC_REBOOT it is taken for a poweroff.
    boots[1].has("BusyBox; the ::reboot: line of /etc/inittab sets RC_REBOOT").has_not("Loading a kernel");
}

/// A passphrase is asked for after a boot by the firmware, and not after a kexec that
/// brings the key; and the key is nowhere but on the encrypted root.
#[test]
fn an_encrypted_root_is_unlocked_without_a_passphrase_after_a_kexec() {
    let encrypted = Encrypted {
        passphrase: "correct horse battery staple",
        key: "0e5a2f8c71d94b06a3f7c2d8e1b45960KEY77c3a9d2f4b8e6051d9c3a7f2e8b4d60",
    };
    let looked_for = format!("grep -rqF \"$(cat {KEY_FILE})\" /run /tmp /boot");
    let first = format!(
        "{}mkswap /dev/vdc\nswapon /dev/vdc\n\
         echo 'kexec_crypt_key={KEY_FILE}' >>/etc/conf.d/kexec-load\nrc-service kexec-load restart\n\
         rc-kexec doctor\nreboot",
        readme("## Reboots by kexec")
    );
    let again = format!(
        "cat /proc/cmdline\n{looked_for}\n\
         grep -rqF \"$(cat {KEY_FILE})\" /etc\nswapon /dev/vdc\n"
    );
    // A plain file system is one that whoever has the disk can read.
    let bare = "cat /etc/keys/root.key | wc -c\n(umask 277; echo x >/boot/key)\n\
        kexec-load --crypt-key /boot/key\nrm -f /boot/key\n";
    let setting = |line: &str| format!("sed -i '/^kexec_/d' /etc/conf.d/kexec-load\n{line}\n");
    let at_start = format!(
        "printf 'kexec_crypt_key={KEY_FILE}\\nkexec_load_at=start\\n' >>/etc/conf.d/kexec-load\n\
         rc-service kexec-load restart\nkexec-load --status"
    );
    let back = format!("echo kexec_crypt_key={KEY_FILE} >>/etc/conf.d/kexec-load\nkexec-load --unload");
    let boots = Installed::new(Init::BusyBox, Kernel::Alpine)
        .encrypted(encrypted)
        .boot(&first, End::Kexec)
        .boot(&format!("{again}reboot"), End::Kexec)
        // Without the setting its word is gone, too: otherwise no passphrase would be asked for.
        .boot(&format!("{again}{bare}{}reboot", setting("")), End::Kexec)
        .boot(&format!("cat /proc/cmdline\n{}reboot", setting(&at_start)), End::Kexec)
        // The key must not go anywhere else: the machine reboots in the ordinary way.
        .boot(&format!("cat /proc/cmdline\n{}chmod 440 {KEY_FILE}\nreboot", setting(&back)), End::Firmware)
        .boot("cat /proc/cmdline\npoweroff", End::PowerOff)
        .run();
    let [first, second, third, fourth, fifth, last] = &boots[..] else { panic!("{} boots", boots.len()) };
    first
        .has("A reboot now would be a kexec.")
        .has("MiB; the added files, 1 cpio, ")
        .has("Loading a kernel for the reboot ... [ ok ]");
    let line = "root=/dev/mapper/root kexec_load_disabled=0 cryptroot=/dev/vda cryptdm=root";
    for boot in [second, third] {
        boot.has(&format!("{line} rc_kexec.key cryptkey\n")).has(&format!("EXIT 1 of {looked_for}"));
        // What is looked for is found where it is.
        boot.has("EXIT 0 of grep -rqF");
    }
    third
        .has("unable to pass on the key /boot/key: its file system is not known to be encrypted")
        .has("EXIT 1 of kexec-load --crypt-key /boot/key");
    for boot in [fourth, fifth, last] {
        boot.has(&format!("{line}\n"));
    }
    fourth
        .has("kexec_crypt_key is left out: it needs kexec_load_at=\"shutdown\"")
        .has("EXIT 0 of kexec-load --status");
    fifth
        .has(
            "unable to pass on the key /etc/keys/root.key: users other than root can read it (mode 0440, owner 0)",
        )
        .has("No kernel is loaded: the reboot will be an ordinary one");
    // Between the boots, from the end of one on, the initramfs spoke.
    let boots = [first, second, third, fourth, fifth];
    let unlocked = |boot: &Boot, by: &str| boot.count(&format!("UNLOCKED BY A {by}"));
    let by_key = boots.map(|boot| unlocked(boot, "KEY of 67 bytes, 400 0 0"));
    assert_eq!(by_key, [1, 1, 0, 0, 0], "{}", first.whole());
    assert_eq!(boots.map(|boot| unlocked(boot, "PASSPHRASE")), [0, 0, 1, 1, 1], "{}", first.whole());
    assert_eq!(boots.map(|boot| boot.count("Enter passphrase")), [0, 0, 1, 1, 1], "{}", first.whole());
}
