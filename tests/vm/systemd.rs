//! The unit under Debian's systemd, with udev, D-Bus and logind as they are installed
//! there, and /boot a file system of its own: what `systemctl kexec`, `reboot` and
//! `poweroff` come to.

use crate::machine::{Kernel, folder, note_time, parts, program, qemu, watch};
use crate::openrc::{
    ACCELERATOR, Boot, End, INITRAMFS, add_busybox, attach, boots, file_system, gzip, initramfs_with,
    is_last, with_disk_driver,
};
use crate::progress::{PATIENCE, Patience};
use crate::script::replaced;
use crate::services::commands;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

/// What follows the version in the name of Debian's kernel.
const FLAVOUR: &str = "cloud-amd64";

/// The user, who types the commands of this boot once the machine is up.
const USER: &str = r##"exec >/dev/console 2>&1
boot=$(($(cat /boots 2>/dev/null || echo 0) + 1))
echo $boot >/boots
sync
echo "BOOT $boot BEGINS"
echo "CMDLINE $(cat /proc/cmdline)"
exec 3</typed/$boot
while read -r line <&3; do
    echo "# $line"
    eval "$line"
    echo "EXIT $? of $line"
done
"##;
const USER_SERVICE: &str = "[Unit]
After=multi-user.target
[Service]
ExecStart=/bin/sh /user
";

/// Right before the end, when only systemd-shutdown is left: the kernel's last words are
/// wanted, and /boot has to be a file system no more.
const LAST: &str = "#!/bin/sh
dmesg -n 8
echo \"LAST $1, /boot mounted: $(grep -c ' /boot ' /proc/mounts)\" >/dev/console
";

/// A machine with systemd, and what the user types at each boot.
struct Machine {
    boots: Vec<(String, End)>,
    boot_files: Vec<(String, Vec<u8>)>,
    kexec_link: &'static str,
    append: Option<&'static str>,
    reserves: bool,
}

impl Machine {
    fn new() -> Machine {
        Machine { boots: Vec::new(), boot_files: Vec::new(), kexec_link: "no", append: None, reserves: false }
    }

    /// With memory for a crash kernel.
    fn reserves(mut self) -> Machine {
        self.reserves = true;
        self
    }

    /// With /usr/sbin/kexec, which systemd asks to start the kernel when it is there.
    fn kexec_link(mut self) -> Machine {
        self.kexec_link = "yes";
        self
    }

    /// With this word for the command line among the unit's options.
    fn append(mut self, word: &'static str) -> Machine {
        self.append = Some(word);
        self
    }

    fn boot(mut self, typed: &str, end: End) -> Machine {
        self.boots.push((typed.into(), end));
        self
    }

    fn boot_file(mut self, name: &str, data: &[u8]) -> Machine {
        self.boot_files.push((name.into(), data.to_vec()));
        self
    }

    #[track_caller]
    fn run(self) -> Vec<Boot> {
        let wanted: Vec<End> = self.boots.iter().map(|(_, end)| *end).collect();
        let dir = folder();
        let initramfs = gzip(&with_disk_driver(initramfs_with(INITRAMFS)).finish());
        let image = dir.join("initramfs");
        std::fs::write(&image, &initramfs).unwrap();
        self.fill_root(&dir.join("root"));
        self.fill_boot(&dir.join("boot"), &initramfs);
        // No user logs in, and nothing needs an update at the first boot.
        let mut line = String::from(
            "console=ttyS0 panic=-1 quiet root=/dev/vda systemd.getty_auto=no systemd.condition_needs_update=no",
        );
        if self.reserves {
            line.push_str(" crashkernel=256M");
        }
        let mut qemu = qemu(Kernel::Debian, &image, &line, ACCELERATOR);
        qemu.args(["-m", if self.reserves { "1G" } else { "512M" }, "-smp", "1"]);
        attach(&mut qemu, &file_system(&dir.join("root"), "96M"));
        attach(&mut qemu, &file_system(&dir.join("boot"), "64M"));
        // It says nothing from the kernel's first word to the user's.
        let patience = Patience { silence: 300, ..PATIENCE };
        let console = watch(qemu, patience, &mut is_last(wanted.len()));
        let _ = std::fs::remove_dir_all(&dir);
        note_time(&console);
        boots(&console, &wanted)
    }

    fn fill_root(&self, root: &Path) {
        for dir in ["usr", "var", "etc", "proc", "sys", "dev", "run", "tmp", "boot", "root"] {
            std::fs::create_dir_all(root.join(dir)).unwrap();
        }
        for dir in ["bin", "sbin", "lib", "lib64"] {
            symlink(format!("usr/{dir}"), root.join(dir)).unwrap();
        }
        let systemd = parts().join("systemd");
        assert!(systemd.join(".systemd").exists(), "systemd is not there\n  run: sh tests/vm/setup.sh");
        for from in ["etc", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "usr/share/dbus-1"] {
            let to = root.join(from);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            let copied = Command::new("cp")
                .arg("-a")
                .arg(systemd.join(from))
                .arg(to.parent().unwrap())
                .output()
                .unwrap();
            assert!(copied.status.success(), "cp -a {from}: {copied:?}");
        }
        for large in ["usr/lib/x86_64-linux-gnu/gconv", "usr/lib/udev/hwdb.d"] {
            std::fs::remove_dir_all(root.join(large)).unwrap();
        }
        // The package with that program is not here.
        std::fs::remove_file(root.join("usr/lib/systemd/system/sysinit.target.wants/ldconfig.service"))
            .unwrap();
        symlink("../lib/systemd/systemd", root.join("usr/sbin/init")).unwrap();
        add_busybox(root, false);

        let write = |path: &str, data: &str, mode: u32| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, data).unwrap();
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        };
        write("etc/fstab", "/dev/vda / ext4 defaults 0 0\n/dev/vdb /boot ext4 defaults 0 0\n", 0o644);
        write("etc/machine-id", "0123456789abcdef0123456789abcdef\n", 0o444);
        // As systemd-sysusers makes them.
        let users = ["root:x:0", "messagebus:x:101", "nobody:x:65534"];
        write(
            "etc/passwd",
            &users
                .map(|user| format!("{user}:{}::/:/bin/sh\n", &user[user.rfind(':').unwrap() + 1..]))
                .concat(),
            0o644,
        );
        let groups = "root adm tty disk kmem input audio video render cdrom dialout lp tape kvm sgx clock shadow utmp users \
            messagebus systemd-journal nogroup";
        let groups = groups.split_whitespace().zip([0].into_iter().chain(100..));
        let groups: String = groups.map(|(name, id)| format!("{name}:x:{id}:\n")).collect();
        write("etc/group", &groups, 0o644);
        write("user", USER, 0o644);
        write("etc/systemd/system/user.service", USER_SERVICE, 0o644);
        std::fs::create_dir_all(root.join("etc/systemd/system/multi-user.target.wants")).unwrap();
        symlink("../user.service", root.join("etc/systemd/system/multi-user.target.wants/user.service"))
            .unwrap();
        write("usr/lib/systemd/system-shutdown/last", LAST, 0o755);
        for (index, (typed, _)) in self.boots.iter().enumerate() {
            write(&format!("typed/{}", index + 1), &format!("{typed}\n"), 0o644);
        }
        if let Some(word) = self.append {
            // As the unit says it in its comment.
            let unit = include_str!("../../contrib/systemd/kexec-load@.service");
            let lines = unit.lines().skip_while(|line| *line != "#   [Service]").take(2);
            let options: String =
                lines.map(|line| format!("{}\n", line.trim_start_matches(['#', ' ']))).collect();
            let options = replaced(&options, "--append quiet", &format!("--append {word}"));
            assert!(options.contains(word), "{options}");
            write("etc/systemd/system/kexec-load@.service.d/override.conf", &options, 0o644);
        }
        let installed = Command::new("make")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["install", "SYSTEMD=yes", &format!("DESTDIR={}", root.display())])
            .args([format!("BINARY={}", program().display()), format!("KEXEC_LINK={}", self.kexec_link)])
            .env_remove("MAKEFLAGS")
            .output()
            .unwrap();
        assert!(installed.status.success(), "{installed:?}");
    }

    fn fill_boot(&self, boot: &Path, initramfs: &[u8]) {
        std::fs::create_dir_all(boot).unwrap();
        let (kernel, initrd) = Kernel::Debian.names();
        std::fs::write(boot.join(kernel), Kernel::Debian.image()).unwrap();
        std::fs::write(boot.join(initrd), initramfs).unwrap();
        for (name, data) in &self.boot_files {
            std::fs::write(boot.join(name), data).unwrap();
        }
    }
}

/// The lines for users of docs/systemd.md, as they stand, for this machine's kernel.
fn as_documented() -> String {
    replaced(&commands(include_str!("../../docs/systemd.md"), "## Enable"), "FLAVOUR", FLAVOUR)
}

/// What the user types to see the unit's state, and what it said at this boot.
fn unit() -> String {
    format!(
        "systemctl show -P ActiveState kexec-load@{FLAVOUR}\njournalctl -b -o cat -u kexec-load@{FLAVOUR}"
    )
}

#[test]
fn under_systemd_a_kexec_starts_what_is_installed_by_then() {
    let documented = as_documented();
    let (enable, kexec) = documented.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(kexec, "systemctl kexec");
    // An upgrade while the machine runs, to a kernel that refuses loads, as Alpine's do.
    let (vmlinuz, initrd) = Kernel::Debian.names();
    let upgrade = format!(
        "mv /boot/upgrade /boot/vmlinuz-6.99.1-{FLAVOUR}\ncp /boot/{initrd} /boot/initrd.img-6.99.1-{FLAVOUR}"
    );
    let unit = unit();
    let boots = Machine::new()
        .append("by=unit")
        .boot_file("upgrade", &Kernel::Alpine.image())
        .boot_file(&format!("vmlinuz-6.9.0-50-{FLAVOUR}"), b"older")
        .boot_file(&format!("vmlinuz-99.1-rt-{FLAVOUR}"), b"of another flavour")
        // Nothing is loaded before the unit has been started.
        .boot(&format!("{kexec}\n{enable}\n{unit}\n{upgrade}\n{kexec}"), End::Kexec)
        .boot(&format!("uname -r\n{unit}\n{kexec}\nsystemctl reboot"), End::Firmware)
        .boot(&format!("uname -r\n{unit}\nsystemctl reboot"), End::Kexec)
        .boot(&format!("uname -r\nrm /boot/*-6.99.1-{FLAVOUR}\nsystemctl reboot"), End::Firmware)
        .boot(&format!("{unit}\nkexec-load --status\nsystemctl poweroff"), End::PowerOff)
        .run();
    boots[0]
        .has("EXIT 1 of systemctl kexec")
        .has(&format!("EXIT 0 of {enable}"))
        .has("\nactive\n")
        .has(&format!("kernel: /boot/{vmlinuz}, the newest of the flavour {FLAVOUR}\ninitrd: /boot/{initrd}\nloaded with kexec_file_load"))
        .has("EXIT 0 of systemctl kexec")
        .has("LAST kexec, /boot mounted: 0");
    // It was loaded anew while the machine went down. The unit says why it cannot load.
    boots[1]
        .has(" by=unit\n")
        .has("-0-virt\nEXIT 0 of uname -r")
        .has("\nfailed\n")
        .has(&format!(
            "kexec-load: unable to load /boot/vmlinuz-6.99.1-{FLAVOUR} with kexec_load: kernel.kexec_load_disabled is 1"
        ))
        .has("EXIT 1 of systemctl kexec")
        .has("LAST reboot, /boot mounted: 0");
    // Loaded at the boot; a reboot is a kexec then.
    boots[2]
        .has(&format!("-{FLAVOUR}\nEXIT 0 of uname -r"))
        .has("\nactive\n")
        .has(&format!("kernel: /boot/vmlinuz-6.99.1-{FLAVOUR}, the newest of the flavour {FLAVOUR}\ninitrd: /boot/initrd.img-6.99.1-{FLAVOUR}\nloaded with"))
        .has("LAST kexec, /boot mounted: 0");
    boots[3].has("-0-virt\nEXIT 0 of uname -r");
    boots[4]
        .has(&format!("kernel: /boot/{vmlinuz}, the newest of the flavour {FLAVOUR}\ninitrd: /boot/{initrd}\nloaded with"))
        .has("a kernel is loaded")
        .has("LAST poweroff, /boot mounted: 0");
}

#[test]
#[ignore = "long"]
fn under_systemd_trouble_ends_in_an_ordinary_reboot() {
    let (vmlinuz, initrd) = Kernel::Debian.names();
    let cut = format!("cp /boot/{vmlinuz} /boot/kept\ntruncate -s 1000000 /boot/{vmlinuz}\nsystemctl kexec");
    let unit = unit();
    let boots = Machine::new()
        .kexec_link()
        .boot(&replaced(&as_documented(), "systemctl kexec\n", &cut), End::Firmware)
        // The unit fails at a boot, too. Mended, an ordinary reboot can be had.
        .boot(
            &format!(
                "{unit}\nmv /boot/kept /boot/{vmlinuz}\nsystemctl restart kexec-load@{FLAVOUR}\nkexec-load --status\n\
                 SYSTEMCTL_SKIP_AUTO_KEXEC=1 systemctl reboot"
            ),
            End::Firmware,
        )
        // Another kernel by hand.
        .boot(
            &format!(
                "systemctl stop kexec-load@{FLAVOUR}\nkexec-load --status\n\
                 kexec-load /boot/{vmlinuz} --initrd /boot/{initrd} --reuse-cmdline --append by=hand\nsystemctl kexec"
            ),
            End::Kexec,
        )
        .boot(
            &format!("systemctl disable --now kexec-load@{FLAVOUR}\nkexec-load --status\nsystemctl reboot"),
            End::Firmware,
        )
        .run();
    boots[0]
        .has("the file is cut short")
        .has("No kernel is loaded: the reboot will be an ordinary one")
        .has("LAST kexec, /boot mounted: 0");
    boots[1].has("\nfailed\n").has("the file is cut short").has("a kernel is loaded").has("LAST reboot");
    boots[2].has("no kernel is loaded").has("loaded with kexec_file_load").has("LAST kexec");
    boots[3].has(" by=hand\n").has("no kernel is loaded").has("LAST reboot");
}

#[test]
fn under_systemd_a_crash_is_saved_and_told() {
    let boots = Machine::new()
        .reserves()
        .boot(
            "systemctl enable --now kdump\njournalctl -b -o cat -u kdump\necho yes | /usr/lib/rc-kexec/kdump test",
            End::Firmware,
        )
        .boot("journalctl -b -o cat -u kdump\nls -1 /var/crash/*\nsystemctl poweroff", End::PowerOff)
        .run();
    boots[0]
        .has("EXIT 0 of systemctl enable --now kdump")
        .has("256 MiB are reserved for it; after a crash it saves to UUID=")
        .has("rc-kexec-init: saved the log as /var/crash/")
        .has("rc-kexec-init: saved the memory as /var/crash/");
    boots[1]
        .has(": Kernel panic - not syncing: sysrq triggered crash\n")
        .has("kdump test: passed\n")
        .has("\ndmesg.txt\nvmcore\n");
}
