//! Machines that kexec from inside of an initramfs: rc-kexec-init by rdinit=, in images made
//! by a step like mkinitfs's and by the real dracut and initramfs-tools, with kernels on
//! ext4 and vfat disks. Where it fails, the ordinary /init says what it found.

use crate::cpio::Cpio;
use crate::initrds::marked_archive;
use crate::machine::{Console, Kernel, folder, note_time, parts, program, qemu, watch};
use crate::openrc::{End, Init, Installed};
use crate::progress::PATIENCE;
use crate::script::replaced;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where rc-kexec-init is in an image of mkinitfs's.
const RDINIT: &str = "rdinit=/usr/sbin/rc-kexec-init";

/// The ordinary /init, as far as it is asked: what it was given and what it found.
const ORDINARY: &str = r#"#!/bin/sh
box() { /bin/busybox "$@"; }
echo "INIT BEGINS"
echo "ARGUMENTS $*"
for dir in / /proc /sys /dev; do echo "FOUND $dir: $(box ls $dir | box tr '\n' ' ')"; done
box env | box sort | box sed 's/^/ENV /'
echo "INIT ENDS"
box mount -t proc proc /proc
echo "LOADED $(box mount -t sysfs sys /sys; box cat /sys/kernel/kexec_loaded)"
box reboot -f
"#;

/// The init of the kernel on the disk.
const SECOND: &str = r#"#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
echo "STAGE 2"
echo "CMDLINE $(/bin/busybox cat /proc/cmdline)"
echo "RELEASE $(/bin/busybox uname -r)"
echo "MICROCODE $(/bin/busybox wc -c </kernel/x86/microcode/AuthenticAMD.bin)"
/bin/busybox cat /from-* 2>/dev/null
/bin/busybox reboot -f
"#;

/// A folder that is gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        Folder(folder())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, data: &[u8], mode: u32) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, data).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a program of the host's, or fails with what it said.
#[track_caller]
fn run(command: &mut Command) -> Output {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = command.env("PATH", path).env_remove("MAKEFLAGS").output();
    let output = output
        .unwrap_or_else(|error| panic!("{command:?}: {error}\n  run: sh tests/vm/setup.sh (make test does)"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}

/// rc-kexec as `make install` puts it into a folder.
fn install(folder: &Folder, name: &str, initramfs: &str) -> PathBuf {
    let dir = folder.path(name);
    run(Command::new("make")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["install", &format!("INITRAMFS={initramfs}"), &format!("DESTDIR={}", dir.display())])
        .arg(format!("BINARY={}", program().display())));
    dir
}

/// A tree as an archive.
fn pack(top: &Path) -> Vec<u8> {
    let mut cpio = Cpio::default();
    let list = run(Command::new("find").current_dir(top).args([".", "-mindepth", "1"]));
    let mut names: Vec<String> =
        String::from_utf8(list.stdout).unwrap().lines().map(str::to_string).collect();
    names.sort();
    for name in names.iter().map(|name| name.trim_start_matches("./")) {
        let path = top.join(name);
        let kind = path.symlink_metadata().unwrap();
        cpio = if kind.is_symlink() {
            cpio.link(name, std::fs::read_link(&path).unwrap().to_str().unwrap())
        } else if kind.is_dir() {
            cpio.dir(name)
        } else {
            cpio.file(name, kind.permissions().mode() & 0o7777, &std::fs::read(&path).unwrap())
        };
    }
    cpio.finish()
}

/// The globs of a feature over a tree: a folder stands for the files in it, and a glob without a
/// match for none.
const EXPAND: &str = r#"
cd "$1"
sed -e '/^$/d' -e '/^#/d' -e 's|^/*||' "$2" | while read -r glob; do
    for file in $glob; do
        if [ -d "$file" ]; then find "$file" -type f; elif [ -e "$file" ] || [ -L "$file" ]; then echo "$file"; fi
    done
done
"#;

/// Copies what a feature names from one tree to another.
fn add_feature(from: &Path, list: &Path, to: &Path) -> Vec<String> {
    let found = run(Command::new("sh").args(["-c", EXPAND, "expand"]).arg(from).arg(list));
    let names: Vec<String> = String::from_utf8(found.stdout).unwrap().lines().map(str::to_string).collect();
    for name in &names {
        let target = to.join(name);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        run(Command::new("cp").arg("-a").arg(from.join(name)).arg(target));
    }
    names
}

/// An initramfs like those of mkinitfs with the features base, virtio and rc-kexec: one
/// BusyBox of which nothing is a link but the shell, until its /init has run.
fn mkinitfs(kernel: Kernel) -> Folder {
    let folder = Folder::new();
    let host = install(&folder, "host", "mkinitfs");
    let image = folder.path("image");
    for dir in ["dev", "proc", "sys", "sbin", "bin", "run", "lib/modules", "newroot"] {
        std::fs::create_dir_all(image.join(dir)).unwrap();
    }
    folder.write("host/bin/busybox", &kernel.busybox(), 0o755);
    symlink("/bin/busybox", host.join("bin/sh")).unwrap();
    folder.write("host/base.files", b"/bin/busybox\n/bin/sh\n/etc/modprobe.d/*.conf\n", 0o644);
    let features = host.join("etc/mkinitfs/features.d");
    add_feature(&host, &host.join("base.files"), &image);
    let files = add_feature(&host, &features.join("rc-kexec.files"), &image);
    assert_eq!(files.len(), 4, "{files:?}");
    folder.write("image/init", ORDINARY.as_bytes(), 0o755);
    if kernel == Kernel::Debian {
        let all = parts().join("debian/usr/lib/modules");
        let releases = std::fs::read_dir(&all).unwrap();
        let release = releases.map(|entry| entry.unwrap().file_name().into_string().unwrap()).next().unwrap();
        let modules = image.join("lib/modules").join(&release);
        folder.write("host/virtio.modules", b"kernel/drivers/block/virtio*\n", 0o644);
        for list in [host.join("virtio.modules"), features.join("rc-kexec.modules")] {
            let names = add_feature(&all.join(&release), &list, &modules);
            assert!(!names.is_empty(), "{}: none of them is there", list.display());
        }
        for name in ["modules.order", "modules.builtin", "modules.builtin.modinfo"] {
            std::fs::copy(all.join(&release).join(name), modules.join(name)).unwrap();
        }
        run(Command::new("depmod").arg("-b").arg(&image).arg(&release));
    }
    folder
}

/// A machine's kernel, initramfs, boot options and disks.
fn boot(kernel: Kernel, initramfs: &[u8], options: &str, disks: &[&Path]) -> Console {
    let folder = Folder::new();
    folder.write("initramfs", initramfs, 0o644);
    // Otherwise the kernel's lines would cut ours in two.
    let line = format!("console=ttyS0 panic=-1 loglevel=1 {options}");
    let mut qemu = qemu(kernel, &folder.path("initramfs"), &line, "tcg");
    qemu.args(["-m", "512M", "-smp", "1", "-no-reboot"]);
    for disk in disks {
        qemu.arg("-drive").arg(format!("if=virtio,format=raw,cache=unsafe,file={}", disk.display()));
    }
    let console = watch(qemu, PATIENCE, &mut |_| false);
    note_time(&console);
    console.has_ended().has_not("Kernel panic");
    console
}

/// What is on the disks: Alpine's names, and a microcode archive.
fn fill(folder: &Folder, name: &str, kernel: Kernel) -> PathBuf {
    let initramfs = ["bin", "proc", "sys", "dev"]
        .iter()
        .fold(Cpio::default(), |cpio, name| cpio.dir(name))
        .char_device("dev/console", (5, 1))
        .file("bin/busybox", 0o755, &kernel.busybox())
        .file("init", 0o755, SECOND.as_bytes())
        .finish();
    let microcode = Cpio::default()
        .dir("kernel")
        .dir("kernel/x86")
        .dir("kernel/x86/microcode")
        .file("kernel/x86/microcode/AuthenticAMD.bin", 0o644, &[0xa5; 3001])
        .finish();
    let image = kernel.image();
    folder.write(&format!("{name}/boot/vmlinuz-virt"), &image, 0o644);
    folder.write(&format!("{name}/boot/initramfs-virt"), &initramfs, 0o644);
    folder.write(&format!("{name}/boot/amd-ucode.img"), &microcode, 0o644);
    folder.write(&format!("{name}/extra.img"), &marked_archive(3), 0o644);
    folder.write(&format!("{name}/vmlinuz-cut"), &image[..image.len() / 2], 0o644);
    folder.write(&format!("{name}/alone"), &image, 0o644);
    folder.path(name)
}

/// An ext4 disk as a system leaves it that lost its power: its journal is not replayed yet.
fn ext4(folder: &Folder, label: &str, uuid: &str) -> PathBuf {
    let files = fill(folder, "ext4", Kernel::Alpine);
    // As its own system means it, whose root is the disk.
    symlink("/boot", files.join("kernels")).unwrap();
    let disk = folder.path("ext4.disk");
    run(Command::new("mke2fs")
        .args(["-q", "-t", "ext4", "-L", label, "-U", uuid, "-d"])
        .arg(files)
        .arg(&disk)
        .arg("48M"));
    run(Command::new("debugfs").args(["-w", "-R", "feature needs_recovery"]).arg(&disk));
    disk
}

fn vfat(folder: &Folder, label: &str, number: &str) -> PathBuf {
    let files = fill(folder, "vfat", Kernel::Alpine);
    let disk = folder.path("vfat.disk");
    run(Command::new("mkfs.vfat")
        .args(["-F", "32", "-n", label, "-i", number, "-C"])
        .arg(&disk)
        .arg("49152"));
    for name in ["boot", "extra.img", "vmlinuz-cut", "alone"] {
        run(Command::new("mcopy").args(["-s", "-i"]).arg(&disk).arg(files.join(name)).arg("::"));
    }
    disk
}

#[track_caller]
fn assert_second(console: &Console, command_line: &str) {
    console.has("loaded with kexec_").has_not("INIT BEGINS");
    assert_eq!(console.only("CMDLINE"), command_line, "{}", console.shown());
}

#[test]
fn from_an_ext4_disk_by_its_label_with_the_initrds_beside_the_kernel() {
    let folder = Folder::new();
    let disk = ext4(&folder, "MY BOOT", "f2a1c4de-98e8-4f7a-9d40-6c3f3c6f2b11");
    let before = std::fs::read(&disk).unwrap();
    let console = boot(
        Kernel::Alpine,
        &pack(&mkinitfs(Kernel::Alpine).path("image")),
        &format!(
            "kexec_load_disabled=0 {RDINIT} \"rckexec.dev=LABEL=MY BOOT\" rckexec.kernel=/kernels/vmlinuz-virt \
             rckexec.append=\"stage=2 mark=x\" note=\"two  words\" -- for init"
        ),
        &[&disk],
    );
    assert_second(
        &console,
        "console=ttyS0 panic=-1 loglevel=1 kexec_load_disabled=0 note=\"two  words\" stage=2 mark=x -- for init",
    );
    assert_eq!(console.only("MICROCODE"), "3001", "{}", console.shown());
    // Its journal waits to be replayed, and nothing else was written.
    assert!(before == std::fs::read(&disk).unwrap(), "the disk was written\n{}", console.shown());
}

#[test]
fn from_a_vfat_disk_by_its_number_with_initrds_that_are_named() {
    let folder = Folder::new();
    let disk = vfat(&folder, "STICK", "1234ABCD");
    let console = boot(
        Kernel::Alpine,
        &pack(&mkinitfs(Kernel::Alpine).path("image")),
        &format!(
            "kexec_load_disabled=0 {RDINIT} rckexec.dev=UUID=1234-ABCD rckexec.kernel=alone \
             rckexec.initrd=boot/initramfs-virt,/extra.img"
        ),
        &[&disk],
    );
    assert_second(&console, "console=ttyS0 panic=-1 loglevel=1 kexec_load_disabled=0");
    assert_eq!(console.marked("INITRD"), ["3"], "{}", console.shown());
    assert_ne!(console.only("MICROCODE"), "3001", "{}", console.shown());
}

#[test]
fn the_installed_kernel_of_a_folder_on_the_second_disk() {
    let folder = Folder::new();
    let stick = vfat(&folder, "STICK", "1234ABCD");
    let disk = ext4(&folder, "BOOT", "f2a1c4de-98e8-4f7a-9d40-6c3f3c6f2b11");
    let image = pack(&mkinitfs(Kernel::Alpine).path("image"));
    for dev in ["UUID=f2a1c4de-98e8-4f7a-9d40-6c3f3c6f2b11", "LABEL=STICK", "/dev/vdb"] {
        let options = format!("kexec_load_disabled=0 {RDINIT} rckexec.dev={dev} rckexec.dir=/boot");
        let console = boot(Kernel::Alpine, &image, &options, &[&stick, &disk]);
        assert_second(&console, "console=ttyS0 panic=-1 loglevel=1 kexec_load_disabled=0");
        console.has("kernel: /rckexec.dev/boot/vmlinuz-virt");
        assert_eq!(console.only("MICROCODE"), "3001", "{}", console.shown());
    }
}

#[test]
fn drivers_that_are_modules_are_loaded_for_a_vfat_disk() {
    let folder = Folder::new();
    let disk = vfat(&folder, "STICK", "1234ABCD");
    let console = boot(
        Kernel::Debian,
        &pack(&mkinitfs(Kernel::Debian).path("image")),
        &format!("{RDINIT} rckexec.dev=LABEL=STICK rckexec.kernel=/boot/vmlinuz-virt"),
        &[&disk],
    );
    assert_second(&console, "console=ttyS0 panic=-1 loglevel=1");
    assert!(console.only("RELEASE").ends_with("-0-virt"), "{}", console.shown());
}

#[test]
fn a_kernel_in_the_initramfs_itself() {
    let folder = mkinitfs(Kernel::Alpine);
    let files = fill(&folder, "files", Kernel::Alpine);
    std::fs::rename(files, folder.path("image/fetched")).unwrap();
    let options = format!("kexec_load_disabled=0 {RDINIT} rckexec.kernel=/fetched/boot/vmlinuz-virt");
    let console = boot(Kernel::Alpine, &pack(&folder.path("image")), &options, &[]);
    assert_second(&console, "console=ttyS0 panic=-1 loglevel=1 kexec_load_disabled=0");
    console.has("starting /fetched/boot/vmlinuz-virt of the initramfs");
}

/// Where the kernel can open no console, it gives process 1 no standard streams.
#[test]
fn without_a_console_the_kernel_is_started_as_well() {
    let folder = mkinitfs(Kernel::Alpine);
    symlink("/nowhere", folder.path("image/dev/console")).unwrap();
    let disk = ext4(&folder, "BOOT", "f2a1c4de-98e8-4f7a-9d40-6c3f3c6f2b11");
    let options = format!("kexec_load_disabled=0 {RDINIT} rckexec.dev=LABEL=BOOT rckexec.dir=/boot");
    let console = boot(Kernel::Alpine, &pack(&folder.path("image")), &options, &[&disk]);
    console.has_not("rc-kexec-init:");
    assert_eq!(
        console.only("CMDLINE"),
        "console=ttyS0 panic=-1 loglevel=1 kexec_load_disabled=0",
        "{}",
        console.shown()
    );
}

/// What the ordinary /init found.
fn found(console: &Console) -> Vec<&str> {
    let mut found = console.marked("FOUND");
    found.extend(console.marked("ENV"));
    found.extend(console.marked("ARGUMENTS"));
    found
}

#[test]
fn without_words_of_ours_init_runs_at_once_and_nothing_is_said() {
    let image = pack(&mkinitfs(Kernel::Alpine).path("image"));
    let ordinary = boot(Kernel::Alpine, &image, "word A=b single -- for init", &[]);
    assert_eq!(ordinary.only("ARGUMENTS"), "word single for init", "{}", ordinary.shown());
    let console = boot(Kernel::Alpine, &image, &format!("{RDINIT} word A=b single -- for init"), &[]);
    console.has("INIT ENDS").has_not("rc-kexec-init:").has_not("not found").has_not("unable");
    assert_eq!(found(&console), found(&ordinary), "{}\n{}", console.shown(), ordinary.shown());
}

#[test]
fn whatever_fails_is_said_and_the_ordinary_init_runs() {
    let folder = Folder::new();
    let disk = ext4(&folder, "BOOT", "f2a1c4de-98e8-4f7a-9d40-6c3f3c6f2b11");
    let image = pack(&mkinitfs(Kernel::Alpine).path("image"));
    let ordinary = boot(Kernel::Alpine, &image, "-- for init", &[]);
    // The boot options, and the message about them.
    let table: &[(&str, &[&str])] = &[
        (
            "rckexec.dev=LABEL=NOWHERE rckexec.wait=2 rckexec.dir=/",
            &["waiting for LABEL=NOWHERE", "unable to find LABEL=NOWHERE: there was no such device in 2 s"],
        ),
        (
            "rckexec.dev=LABEL=BOOT rckexec.fstype=vfat rckexec.dir=/",
            &["unable to mount /dev/vda read-only as vfat: mount: "],
        ),
        (
            "rckexec.dev=LABEL=BOOT rckexec.kernel=/boot/vmlinuz-none",
            &[
                "/rckexec.dev/boot/vmlinuz-none",
                "unable to load /boot/vmlinuz-none of LABEL=BOOT: kexec-load said why",
            ],
        ),
        (
            "rckexec.dev=LABEL=BOOT rckexec.dir=/",
            &["kexec-load: unable to find a kernel: none of these files exists: /rckexec.dev//vmlinuz-virt"],
        ),
        (
            "rckexec.dev=LABEL=BOOT rckexec.kernel=/alone",
            &[
                "kexec-load: unable to find the initrd of /rckexec.dev/alone: its name does not begin with vmlinuz-",
            ],
        ),
        (
            "rckexec.dev=LABEL=BOOT rckexec.kernel=/vmlinuz-cut rckexec.initrd=none",
            &["kexec-load: unable to load /rckexec.dev/vmlinuz-cut: "],
        ),
        (
            "locked rckexec.dev=LABEL=BOOT rckexec.kernel=/boot/vmlinuz-virt",
            &["kernel.kexec_load_disabled is 1, and it cannot be set back while this kernel runs"],
        ),
        (
            "rckexec.dev=vda rckexec.kernal=/boot/vmlinuz-virt rckexec.wait=soon",
            &[
                "unable to use rckexec.dev=vda: it is LABEL=",
                "unable to use rckexec.kernal: it is none of ",
                "unable to use rckexec.wait=soon: ",
            ],
        ),
    ];
    for (options, wanted) in table {
        let unlocked = options.strip_prefix("locked ");
        let options = unlocked.map_or_else(|| format!("kexec_load_disabled=0 {options}"), str::to_string);
        let console = boot(Kernel::Alpine, &image, &format!("{RDINIT} {options} -- for init"), &[&disk]);
        wanted.iter().for_each(|wanted| {
            console.has(wanted);
        });
        console.has("rc-kexec-init: going on with /init").has("INIT ENDS").has("LOADED 0");
        assert_eq!(found(&console), found(&ordinary), "{}\n{}", console.shown(), ordinary.shown());
    }
}

#[test]
fn without_an_init_what_the_kernel_would_run_is_run() {
    let folder = mkinitfs(Kernel::Alpine);
    std::fs::rename(folder.path("image/init"), folder.path("image/sbin/init")).unwrap();
    let console =
        boot(Kernel::Alpine, &pack(&folder.path("image")), &format!("{RDINIT} rckexec.kernel=/x"), &[]);
    console.has("rc-kexec-init: going on with /init").has("INIT ENDS");
}

/// The hook of a generator, in a tree that is not the host's root: its files are looked
/// for there.
fn relocated(host: &Path, hook: &str) -> String {
    let text = std::fs::read_to_string(host.join(hook)).unwrap();
    replaced(&text, "/usr/sbin/", &format!("{}/usr/sbin/", host.display()))
}

/// Debian's dracut with the one module that the hook depends on, and with nothing for
/// udev, which this machine may not have.
#[test]
fn an_image_of_dracuts() {
    let folder = Folder::new();
    let host = install(&folder, "host", "dracut");
    let base = folder.path("dracut");
    run(Command::new("cp").arg("-a").arg(parts().join("dracut/usr/lib/dracut")).arg(&base));
    std::fs::rename(base.join("modules.d"), folder.path("modules.all")).unwrap();
    std::fs::create_dir(base.join("modules.d")).unwrap();
    std::fs::rename(folder.path("modules.all/99base"), base.join("modules.d/99base")).unwrap();
    let hook = relocated(&host, "usr/lib/dracut/modules.d/90rc-kexec/module-setup.sh");
    folder.write("dracut/modules.d/90rc-kexec/module-setup.sh", hook.as_bytes(), 0o755);
    let nothing = "#!/bin/bash\ncheck() { return 0; }\ndepends() { return 0; }\ninstall() { :; }\n";
    folder.write("dracut/modules.d/95udev-rules/module-setup.sh", nothing.as_bytes(), 0o755);
    std::fs::create_dir(folder.path("none")).unwrap();
    let image = |name: &str, add: &[&str]| {
        let image = folder.path(name);
        let output = run(Command::new("bash")
            .arg(parts().join("dracut/usr/bin/dracut"))
            .args(["--no-kernel", "--no-hostonly", "--nostrip", "--no-compress", "--stdlog", "4"])
            .args(["--conf", "/dev/null", "--confdir"])
            .arg(folder.path("none"))
            .arg("--tmpdir")
            .arg(folder.path("none"))
            .args(add)
            .arg(&image)
            .env("dracutbasedir", &base));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (std::fs::read(image).unwrap(), said)
    };
    // Not before it is asked for.
    let (_, said) = image("without", &[]);
    assert!(said.contains("Including module: base") && !said.contains("rc-kexec ***"), "{said}");
    let (initramfs, said) = image("with", &["--add", "rc-kexec"]);
    assert!(said.contains("Including module: rc-kexec"), "{said}");
    boots_from(&folder, &host, &initramfs);
    // It has no program that reboots.
    saves_a_dump_with(&initramfs, End::Reset);
}

/// Debian's initramfs-tools: what their functions copy for the hook, with klibc's shell
/// and tools, which are all that is there without BusyBox.
#[test]
fn an_image_of_initramfs_tools_with_klibc_alone() {
    let folder = Folder::new();
    let host = install(&folder, "host", "initramfs-tools");
    let functions = parts().join("initramfs-tools/usr/share/initramfs-tools/hook-functions");
    let hook = relocated(&host, "usr/share/initramfs-tools/hooks/rc-kexec");
    let hook = replaced(&hook, "/usr/share/initramfs-tools/hook-functions", functions.to_str().unwrap());
    folder.write("hook", hook.as_bytes(), 0o755);
    let image = folder.path("image");
    for dir in ["usr/bin", "usr/sbin", "usr/lib", "usr/lib64"] {
        std::fs::create_dir_all(image.join(dir)).unwrap();
    }
    for dir in ["bin", "sbin", "lib", "lib64"] {
        symlink(format!("usr/{dir}"), image.join(dir)).unwrap();
    }
    // A release without modules.
    run(Command::new(folder.path("hook"))
        .env("DESTDIR", &image)
        .env("version", "0-none")
        .env("MODULESDIR", "/lib/modules/0-none")
        .env("verbose", "n"));
    assert!(image.join("usr/sbin/findfs").exists() || image.join("sbin/findfs").exists());
    let klibc = parts().join("initramfs-tools/usr/lib/klibc/bin");
    run(Command::new("cp").arg("-a").arg(klibc.join(".")).arg(image.join("usr/bin")));
    let copy = "cp -a \"$1\"/klibc-*.so \"$2\"";
    run(Command::new("sh")
        .args(["-c", copy, "copy"])
        .arg(parts().join("initramfs-tools/lib"))
        .arg(image.join("usr/lib")));
    assert!(!image.join("usr/bin/busybox").exists());
    // Globs that nothing is found for stay what they are.
    folder.write("image/init", b"#!/bin/sh\necho FOUND /proc/* /sys/* /dev/*\nreboot\n", 0o755);
    let options =
        format!("rdinit={}/usr/sbin/rc-kexec-init rckexec.dev=LABEL=NONE rckexec.wait=1", host.display());
    let console = boot(Kernel::Alpine, &pack(&image), &format!("{options} rckexec.dir=/"), &[]);
    console.has("unable to find LABEL=NONE: there was no such device in 1 s").has_not("bad trap");
    assert_eq!(console.only("FOUND"), "/proc/* /sys/* /dev/console", "{}", console.shown());
    boots_from(&folder, &host, &pack(&image));
    saves_a_dump_with(&pack(&image), End::Firmware);
}

/// A crash kernel with that image, to which the service kdump adds what it needs, saves a dump.
#[track_caller]
fn saves_a_dump_with(initramfs: &[u8], end: End) {
    let settings = "kdump_kernel=\"/boot/vmlinuz-virt --initrd /boot/other\"";
    let boots = Installed::new(Init::BusyBox, Kernel::Alpine)
        .memory("1G")
        .append("crashkernel=128M")
        .boot_file("other", initramfs)
        .boot(
            &format!("echo '{settings}' >/etc/conf.d/kdump\nrc-service kdump start\nsync\necho c >/proc/sysrq-trigger"),
            end,
        )
        .boot("rc-service kdump notice\npoweroff", End::PowerOff)
        .run();
    boots[0]
        .has("rc-kexec-init: saved the log as /var/crash/")
        .has("rc-kexec-init: saved the memory as /var/crash/")
        .has("rc-kexec-init: restarting");
    boots[1]
        .has(": Kernel panic - not syncing: sysrq triggered crash\n")
        .has_not("without all of the memory");
}

/// That image starts the kernel on a disk.
#[track_caller]
fn boots_from(folder: &Folder, host: &Path, initramfs: &[u8]) {
    let disk = ext4(folder, "BOOT", "f2a1c4de-98e8-4f7a-9d40-6c3f3c6f2b11");
    let options = format!(
        "kexec_load_disabled=0 rdinit={}/usr/sbin/rc-kexec-init rckexec.dev=LABEL=BOOT rckexec.dir=/boot \
         rckexec.append=stage=2",
        host.display()
    );
    let console = boot(Kernel::Alpine, initramfs, &options, &[&disk]);
    assert_second(&console, "console=ttyS0 panic=-1 loglevel=1 kexec_load_disabled=0 stage=2");
    assert_eq!(console.only("MICROCODE"), "3001", "{}", console.shown());
}
