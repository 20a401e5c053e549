//! A machine with real OpenRC under one of three inits: its root on one disk, /boot a
//! file system of its own on another, as an installed Alpine has them. What it does at
//! each of its boots is written down beforehand; it goes on through reboots, whether
//! they are kexecs or go through the firmware.

use crate::cpio::Cpio;
use crate::machine::{Console, Kernel, folder, note_time, part, parts, program, qemu, watch, watch_typing};
use crate::progress::{PATIENCE, Patience};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Who process 1 is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Init {
    BusyBox,
    OpenRc,
    SysVinit,
}

/// How a boot of the machine ends: the kernel's last words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Kexec,
    Firmware,
    PowerOff,
    Halt,
    /// A panic of a kernel with panic=1.
    Panic,
    /// At the word of somebody who has no program for it.
    Reset,
}

impl End {
    fn last_words(self) -> &'static str {
        match self {
            End::Kexec => "kexec_core: Starting new kernel",
            End::Firmware => "reboot: Restarting system",
            End::PowerOff => "reboot: Power down",
            End::Halt => "reboot: System halted",
            End::Panic => "Rebooting in 1 seconds",
            End::Reset => "sysrq: Resetting",
        }
    }
}

const ENDS: [End; 6] = [End::Kexec, End::Firmware, End::PowerOff, End::Halt, End::Panic, End::Reset];

/// A machine to be started.
pub struct Installed {
    kernel: Kernel,
    init: Init,
    appended: String,
    memory: String,
    boots: Vec<(String, End)>,
    boot_files: Vec<(String, Vec<u8>)>,
    root_files: Vec<(String, Vec<u8>)>,
    encrypted: Option<Encrypted>,
}

/// An encrypted root.
#[derive(Clone, Copy)]
pub struct Encrypted {
    /// What is typed when the initramfs asks for a passphrase.
    pub passphrase: &'static str,
    /// A key to it, in [`KEY_FILE`] on it.
    pub key: &'static str,
}

/// Where the key to the encrypted root is, on it.
pub const KEY_FILE: &str = "/etc/keys/root.key";

/// What the machine said at one of its boots, from the user's first word to its end.
pub struct Boot {
    text: String,
    /// The whole console, for failures.
    whole: String,
}

/// With QEMU's own cache of translated code, which holds more of it than this machine
/// has memory, a page that once held a program is written to many times slower: a boot
/// takes half as long again.
pub const ACCELERATOR: &str = "tcg,tb-size=96";

/// What the initramfs does: Alpine's, in short. The root's driver is a module in
/// Debian's kernel and built in where there is none.
pub const INITRAMFS: &str = r#"#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t securityfs security /sys/kernel/security 2>/dev/null
[ ! -e /virtio_blk.ko ] || insmod /virtio_blk.ko
while [ ! -e /dev/vda ] || [ ! -e /dev/vdb ]; do sleep 0.1; done
# The kernel's own lines would fall into the middle of others; emergencies alone may.
dmesg -n 1
root=/dev/vda
[ ! -e /unlock ] || . /unlock
mount -t ext4 $root /root
for dir in proc sys dev; do mount --move /$dir /root/$dir; done
exec switch_root /root /sbin/init
"#;

/// As Alpine's nlplug-findfs: unlocks cryptroot= as cryptdm=, with the key that cryptkey
/// names where it fits, else with what is typed. Where the key's file is not there, it asks
/// for none: it waits for it.
const UNLOCK: &str = r#"
for word in $(cat /proc/cmdline); do
    case $word in
    cryptroot=*) from=${word#*=} ;;
    cryptdm=*) root=/dev/mapper/${word#*=} ;;
    cryptkey) key=/crypto_keyfile.bin ;;
    esac
done
open() { cryptsetup open --disable-keyring "$@" $from ${root##*/}; }
if [ -n "$key" ] && [ ! -e $key ]; then
    echo "WAITING FOR $key"
    poweroff -f
elif [ -n "$key" ] && open --key-file $key; then
    echo "UNLOCKED BY A KEY of $(wc -c <$key) bytes, $(stat -c '%a %u %g' $key)"
else
    echo "Enter passphrase for $from:"
    read -r -t 60 typed </dev/console
    echo -n "$typed" | open --key-file - && echo "UNLOCKED BY A PASSPHRASE"
fi
"#;

/// Makes the encrypted root of a plain one.
const ENCRYPT: &str = r#"#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
dmesg -n 1
while [ ! -e /dev/vda ] || [ ! -e /dev/vdb ]; do sleep 0.1; done
cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /passphrase /dev/vda &&
cryptsetup luksAddKey -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /passphrase /dev/vda /key &&
cryptsetup open --disable-keyring --key-file /passphrase /dev/vda root &&
dd if=/dev/vdb of=/dev/mapper/root bs=1M 2>/dev/null &&
sync && cryptsetup close root && echo ENCRYPTED
poweroff -f
"#;

/// The user, who types the commands of this boot once the machine is up.
const USER: &str = r##"#!/bin/sh
boot=$(($(cat /boots 2>/dev/null || echo 0) + 1))
echo $boot >/boots
sync
while [ -e /run/openrc/rc.starting ]; do sleep 0.1; done
echo "BOOT $boot BEGINS"
exec 3</typed/$boot
while read -r line <&3; do
    echo "# $line"
    eval "$line"
    echo "EXIT $? of $line"
done
"##;

/// The user as a service: nothing else starts under every init when all is up.
const USER_SERVICE: &str = "#!/sbin/openrc-run
depend() { after *; }
start() {
    [ ! -e /run/user-is-there ] || return 0
    : >/run/user-is-there
    setsid sh /user </dev/null >/dev/console 2>&1 &
}
";

/// Debian's OpenRC lacks these three; as Alpine's do, in short.
const LOCALMOUNT: &str = r#"#!/sbin/openrc-run
start() {
    ebegin "Mounting local filesystems"
    mount -a
    eend $?
}
stop() {
    [ "$RC_GOINGDOWN" = YES ] || return 0
    ebegin "Unmounting /boot"
    ! mountinfo -q /boot || umount /boot
    eend $?
}
"#;
const KILLPROCS: &str = r#"#!/sbin/openrc-run
start() {
    # From here on nobody else speaks: the kernel's last words are wanted.
    dmesg -n 8
    ebegin "Terminating remaining processes"
    kill_all 15
    sleep 0.2
    kill_all 9
    eend 0
}
"#;
const MOUNT_RO: &str = r#"#!/sbin/openrc-run
depend() { need killprocs savecache; }
start() {
    ebegin "Remounting the root read-only"
    sync
    mount -o remount,ro /
    eend $?
}
"#;

/// As Alpine installs it.
const INITTAB_BUSYBOX: &str = "::sysinit:/sbin/openrc sysinit
::sysinit:/sbin/openrc boot
::wait:/sbin/openrc default
::ctrlaltdel:/sbin/reboot
::shutdown:/sbin/openrc shutdown
";

/// As OpenRC's own documentation has it for sysvinit.
const INITTAB_SYSVINIT: &str = "id:3:initdefault:
si::sysinit:/sbin/openrc sysinit
rc::bootwait:/sbin/openrc boot
l0:0:wait:/sbin/openrc shutdown
h0:0:wait:/sbin/off
l1:S1:wait:/sbin/openrc single
l3:3:wait:/sbin/openrc default
l6:6:wait:/sbin/openrc reboot
r6:6:wait:/sbin/reboot -dfn
ca:12345:ctrlaltdel:/sbin/shutdown -r now
";

/// What ends runlevel 0 under sysvinit: `shutdown` says in INIT_HALT which of the two.
const OFF: &str = "#!/bin/sh\n[ \"$INIT_HALT\" != HALT ] || exec /sbin/halt -dfn\nexec /sbin/poweroff -dfn\n";

impl Installed {
    /// A machine whose /boot holds its kernel and initramfs by the names of its
    /// distribution, with rc-kexec installed by `make install`.
    pub fn new(init: Init, kernel: Kernel) -> Installed {
        Installed {
            kernel,
            init,
            appended: String::new(),
            memory: "512M".into(),
            boots: Vec::new(),
            boot_files: Vec::new(),
            root_files: Vec::new(),
            encrypted: None,
        }
    }

    /// With an encrypted root, and swap space in use on a third disk.
    pub fn encrypted(mut self, with: Encrypted) -> Installed {
        self.encrypted = Some(with);
        self.append("cryptroot=/dev/vda cryptdm=root")
    }

    /// What the user types at the next boot, a line each, and how it ends.
    pub fn boot(mut self, typed: &str, end: End) -> Installed {
        self.boots.push((typed.to_string(), end));
        self
    }

    /// A file on the root, by its path without the first slash.
    pub fn file(mut self, path: &str, data: &[u8]) -> Installed {
        self.root_files.push((path.to_string(), data.to_vec()));
        self
    }

    /// A file in /boot.
    pub fn boot_file(mut self, name: &str, data: &[u8]) -> Installed {
        self.boot_files.push((name.to_string(), data.to_vec()));
        self
    }

    /// With so much memory, instead of 512 MiB.
    pub fn memory(mut self, memory: &str) -> Installed {
        self.memory = memory.into();
        self
    }

    /// Words on the command line.
    pub fn append(mut self, words: &str) -> Installed {
        self.appended = format!("{} {words}", self.appended);
        self
    }

    /// Runs the machine through all of its boots. Fails unless each ends as written.
    #[track_caller]
    pub fn run(self) -> Vec<Boot> {
        let wanted: Vec<End> = self.boots.iter().map(|(_, end)| *end).collect();
        boots(&self.console(), &wanted)
    }

    /// All that it says at all of its boots.
    #[track_caller]
    pub fn console(self) -> Console {
        let wanted: Vec<End> = self.boots.iter().map(|(_, end)| *end).collect();
        // That a second kernel was started is proved by what it does.
        assert_ne!(wanted.last(), Some(&End::Kexec), "a boot after the last kexec is missing");
        let dir = folder();
        let initramfs = self.initramfs();
        let image = dir.join("initramfs");
        std::fs::write(&image, &initramfs).unwrap();
        self.fill_root(&dir.join("root"));
        self.fill_boot(&dir.join("boot"), &initramfs);
        let root = if self.encrypted.is_some() { "mapper/root" } else { "vda" };
        let line =
            format!("console=ttyS0 panic=-1 quiet root=/dev/{root} kexec_load_disabled=0{}", self.appended);
        let mut qemu = qemu(self.kernel, &image, &line, ACCELERATOR);
        qemu.args(["-m", &self.memory, "-smp", "1"]);
        let mut disks = vec![file_system(&dir.join("root"), "64M"), file_system(&dir.join("boot"), "64M")];
        if let Some(encrypted) = &self.encrypted {
            // What is looked for afterwards would be found.
            assert!(holds(&disks[0], encrypted.key), "the key is not on the plain disk");
            disks[0] = self.encrypt(&dir, encrypted, &disks[0]);
            disks.push(dir.join("swap.disk"));
            std::fs::write(&disks[2], vec![0; 16 << 20]).unwrap();
        }
        for disk in &disks {
            attach(&mut qemu, disk);
        }
        let mut is_last = is_last(wanted.len());
        // What is said at every boot is said as often.
        let patience = Patience { same: PATIENCE.same + 5 * wanted.len(), ..PATIENCE };
        let passphrase = self.encrypted.map_or("", |encrypted| encrypted.passphrase);
        let asked = [("Enter passphrase for /dev/vda:", passphrase); 8];
        let answers = if self.encrypted.is_some() { &asked[..] } else { &[] };
        let console = watch_typing(qemu, patience, &mut is_last, answers);
        if let Some(encrypted) = &self.encrypted {
            for disk in &disks {
                let found = holds(disk, encrypted.key);
                assert!(!found, "the key is on {}\n{}", disk.display(), console.shown());
            }
        }
        let _ = std::fs::remove_dir_all(&dir);
        note_time(&console);
        console
    }

    /// A machine of its own copies the plain root to an encrypted disk.
    #[track_caller]
    fn encrypt(&self, dir: &Path, with: &Encrypted, plain: &Path) -> PathBuf {
        let (image, disk) = (dir.join("encrypting"), dir.join("encrypted.disk"));
        let cpio = with_cryptsetup(initramfs_with(ENCRYPT))
            .file("passphrase", 0o400, with.passphrase.as_bytes())
            .file("key", 0o400, with.key.as_bytes());
        std::fs::write(&image, cpio.finish()).unwrap();
        // As long as the plain one, with room for LUKS2's header before it.
        let length = std::fs::metadata(plain).unwrap().len() + (32 << 20);
        std::fs::File::create(&disk).unwrap().set_len(length).unwrap();
        let mut qemu = qemu(Kernel::Alpine, &image, "console=ttyS0 panic=-1 quiet", ACCELERATOR);
        qemu.args(["-m", "512M", "-smp", "1", "-no-reboot"]);
        attach(&mut qemu, &disk);
        attach(&mut qemu, plain);
        let console = watch(qemu, PATIENCE, &mut |_| false);
        console.has("ENCRYPTED").has_ended();
        disk
    }

    fn initramfs(&self) -> Vec<u8> {
        let mut cpio = initramfs_with(INITRAMFS);
        if self.encrypted.is_some() {
            cpio = with_cryptsetup(cpio).file("unlock", 0o644, UNLOCK.as_bytes());
        }
        if self.kernel == Kernel::Debian {
            cpio = with_disk_driver(cpio);
        }
        gzip(&cpio.finish())
    }

    fn fill_root(&self, root: &Path) {
        for dir in ["usr/bin", "usr/lib", "etc", "proc", "sys", "dev", "run", "tmp", "boot", "root", "typed"]
        {
            std::fs::create_dir_all(root.join(dir)).unwrap();
        }
        for dir in ["bin", "sbin", "lib", "lib64"] {
            symlink(format!("usr/{dir}"), root.join(dir)).unwrap();
        }
        let copy = |from: &str, to: &str| {
            let from = parts().join(from);
            let copied = Command::new("cp").arg("-a").arg(&from).arg(root.join(to)).output().unwrap();
            assert!(copied.status.success(), "cp -a {}: {copied:?}", from.display());
        };
        for name in ["conf.d", "init.d", "runlevels", "rc.conf"] {
            copy(&format!("openrc/etc/{name}"), "etc/");
        }
        for name in ["bin", "sbin", "lib64", "lib/rc", "lib/x86_64-linux-gnu"] {
            let to = if name.starts_with("lib/") { "usr/lib/" } else { "usr/" };
            copy(&format!("openrc/usr/{name}"), to);
        }
        std::fs::remove_dir_all(root.join("usr/lib/x86_64-linux-gnu/gconv")).unwrap();
        std::fs::create_dir_all(root.join("usr/sbin")).unwrap();
        if self.init == Init::SysVinit {
            copy("sysvinit/usr/sbin", "usr/");
        }
        add_busybox(root, self.init == Init::BusyBox);
        match self.init {
            Init::BusyBox => symlink("/bin/busybox", root.join("usr/sbin/init")).unwrap(),
            Init::OpenRc => symlink("openrc-init", root.join("usr/sbin/init")).unwrap(),
            Init::SysVinit => {}
        }
        self.write_files(root);
        let binary = program();
        let installed = Command::new("make")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["install", &format!("DESTDIR={}", root.display())])
            .arg(format!("BINARY={}", binary.display()))
            .env_remove("MAKEFLAGS")
            .output()
            .unwrap();
        assert!(installed.status.success(), "{installed:?}");
    }

    fn write_files(&self, root: &Path) {
        let write = |path: &str, data: &[u8]| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, data).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(path, mode).unwrap();
        };
        let services = [
            ("localmount", LOCALMOUNT),
            ("killprocs", KILLPROCS),
            ("mount-ro", MOUNT_RO),
            ("user", USER_SERVICE),
        ];
        for (name, script) in services {
            write(&format!("etc/init.d/{name}"), script.as_bytes());
        }
        for (runlevel, names) in [
            ("boot", "localmount"),
            ("default", "user"),
            ("shutdown", "killprocs savecache mount-ro"),
            ("single", ""),
        ] {
            let dir = root.join("etc/runlevels").join(runlevel);
            let _ = std::fs::remove_dir_all(&dir);
            std::fs::create_dir_all(&dir).unwrap();
            for name in names.split_whitespace() {
                symlink(format!("/etc/init.d/{name}"), dir.join(name)).unwrap();
            }
        }
        write("etc/rc.conf", b"rc_nocolor=YES\nrc_logger=NO\nunicode=NO\n");
        // Debian's OpenRC asks for them.
        write("etc/insserv.conf", b"");
        for dir in ["etc/insserv/overrides", "etc/insserv.conf.d"] {
            std::fs::create_dir_all(root.join(dir)).unwrap();
        }
        write("etc/fstab", b"/dev/vdb /boot ext4 defaults 0 0\n");
        write("etc/passwd", b"root::0:0:root:/root:/bin/sh\n");
        write("etc/group", b"root:x:0:\ntty:x:5:\nuucp:x:14:\n");
        match self.init {
            Init::BusyBox => write("etc/inittab", INITTAB_BUSYBOX.as_bytes()),
            Init::SysVinit => {
                write("etc/inittab", INITTAB_SYSVINIT.as_bytes());
                write("usr/sbin/off", OFF.as_bytes());
            }
            Init::OpenRc => {}
        }
        write("user", USER.as_bytes());
        for (index, (typed, _)) in self.boots.iter().enumerate() {
            write(&format!("typed/{}", index + 1), format!("{typed}\n").as_bytes());
        }
        for (path, data) in &self.root_files {
            write(path, data);
        }
        if let Some(encrypted) = &self.encrypted {
            let path = &KEY_FILE[1..];
            write(path, encrypted.key.as_bytes());
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o400);
            std::fs::set_permissions(root.join(path), mode).unwrap();
        }
    }

    fn fill_boot(&self, boot: &Path, initramfs: &[u8]) {
        std::fs::create_dir_all(boot).unwrap();
        let (kernel, initrd) = self.kernel.names();
        std::fs::write(boot.join(kernel), self.kernel.image()).unwrap();
        std::fs::write(boot.join(initrd), initramfs).unwrap();
        for (name, data) in &self.boot_files {
            std::fs::write(boot.join(name), data).unwrap();
        }
    }
}

/// An initramfs with BusyBox and this as its first process.
pub fn initramfs_with(init: &str) -> Cpio {
    ["bin", "proc", "sys", "dev", "run", "root", "lib", "lib64"]
        .iter()
        .fold(Cpio::default(), |cpio, name| cpio.dir(name))
        .char_device("dev/console", (5, 1))
        .file("bin/busybox", 0o755, &part("busybox/usr/bin/busybox"))
        .link("bin/sh", "busybox")
        .file("init", 0o755, init.as_bytes())
}

/// The driver of the disks, which is a module in Debian's kernel: for [`INITRAMFS`], and as the generators
/// of initramfs images have it, for modprobe.
pub fn with_disk_driver(cpio: Cpio) -> Cpio {
    let (kernel, _) = Kernel::Debian.names();
    let dir = format!("lib/modules/{}", kernel.trim_start_matches("vmlinuz-"));
    cpio.file("virtio_blk.ko", 0o644, &part("debian/virtio_blk.ko"))
        .dir("lib/modules")
        .dir(&dir)
        .link(&format!("{dir}/virtio_blk.ko"), "/virtio_blk.ko")
        .file(&format!("{dir}/modules.dep"), 0o644, b"virtio_blk.ko:\n")
        .file(&format!("{dir}/modules.alias"), 0o644, b"alias virtio:d00000002v* virtio_blk\n")
}

/// Debian's cryptsetup, with the libraries that it needs.
fn with_cryptsetup(cpio: Cpio) -> Cpio {
    let libraries = "blkid.so.1 c.so.6 cap.so.2 crypto.so.3 cryptsetup.so.12 devmapper.so.1.02.1 json-c.so.5 \
        m.so.6 pcre2-8.so.0 popt.so.0 resolv.so.2 selinux.so.1 udev.so.1 uuid.so.1 z.so.1 zstd.so.1";
    let cpio = cpio
        .file("bin/cryptsetup", 0o755, &part("luks/usr/sbin/cryptsetup"))
        .file("lib64/ld-linux-x86-64.so.2", 0o755, &part("luks/usr/lib64/ld-linux-x86-64.so.2"))
        .dir("lib/x86_64-linux-gnu");
    libraries.split_whitespace().fold(cpio, |cpio, name| {
        let path = format!("lib/x86_64-linux-gnu/lib{name}");
        cpio.file(&path, 0o755, &part(&format!("luks/usr/{path}")))
    })
}

pub fn attach(qemu: &mut Command, disk: &Path) {
    qemu.arg("-drive").arg(format!("if=virtio,format=raw,cache=unsafe,file={}", disk.display()));
}

/// Whether a disk has these bytes anywhere.
fn holds(disk: &Path, wanted: &str) -> bool {
    let bytes = std::fs::read(disk).unwrap();
    bytes.windows(wanted.len()).any(|part| part == wanted.as_bytes())
}

/// Every applet is a link in /bin, where nothing else has its name; those in /sbin are
/// the init's own.
pub fn add_busybox(root: &Path, is_init: bool) {
    let busybox = parts().join("busybox/usr/bin/busybox");
    std::fs::copy(&busybox, root.join("usr/bin/busybox")).unwrap();
    let list = Command::new(&busybox).arg("--list").output().unwrap();
    for name in String::from_utf8(list.stdout).unwrap().lines().filter(|&name| name != "busybox") {
        if !["init", "reboot", "poweroff", "halt"].contains(&name) {
            let _ = symlink("busybox", root.join("usr/bin").join(name));
        } else if is_init && name != "init" {
            symlink("/bin/busybox", root.join("usr/sbin").join(name)).unwrap();
        }
    }
}

/// Compressed, as an initramfs is.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut child =
        Command::new("gzip").arg("-9n").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// An ext4 file system that holds a folder's files, as a disk.
pub fn file_system(folder: &Path, size: &str) -> PathBuf {
    let disk = folder.with_extension("disk");
    let made = Command::new("mke2fs")
        .args(["-q", "-t", "ext4", "-E", "root_owner=0:0", "-d"])
        .arg(folder)
        .arg(&disk)
        .arg(size)
        .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()))
        .output();
    let made = made.unwrap_or_else(|error| {
        panic!("mke2fs: {error}\n  install it: apt-get install e2fsprogs (make test does, as root)")
    });
    assert!(made.status.success(), "{made:?}");
    disk
}

/// Whether a line of the console is the last of the last boot.
pub fn is_last(boots: usize) -> impl FnMut(&str) -> bool {
    // A machine that powers off ends by itself. One that stands still does not,
    // and one that goes through the firmware would begin again, as would one that is reset
    // without a word.
    let mut ends = 0;
    let one_too_many = format!("BOOT {} BEGINS", boots + 1);
    move |line: &str| match ENDS.into_iter().find(|end| line.contains(end.last_words())) {
        Some(end) => {
            ends += 1;
            ends == boots && end != End::PowerOff
        }
        None => line.contains(&one_too_many),
    }
}

/// Cuts the console at the user's first words, and compares each end with the expected one.
#[track_caller]
pub fn boots(console: &Console, wanted: &[End]) -> Vec<Boot> {
    let mut boots = Vec::new();
    let mut rest = console.text.as_str();
    for (index, &end) in wanted.iter().enumerate() {
        let begins = format!("BOOT {} BEGINS", index + 1);
        let at = rest.find(&begins);
        let at = at.unwrap_or_else(|| panic!("not on the console: {begins:?}\n{}", console.shown()));
        let next =
            rest[at..].find(&format!("BOOT {} BEGINS", index + 2)).map_or(rest.len(), |next| at + next);
        let text = &rest[at..next];
        let found: Vec<End> = ENDS.into_iter().filter(|end| text.contains(end.last_words())).collect();
        assert_eq!(found, [end], "boot {}\n{}", index + 1, console.shown());
        boots.push(Boot { text: text.to_string(), whole: console.shown() });
        rest = &rest[next..];
    }
    assert!(!rest.contains("BOOT "), "one boot too many\n{}", console.shown());
    console.has_ended();
    boots
}

impl Boot {
    /// Fails with the whole console unless this boot said it.
    #[track_caller]
    pub fn has(&self, wanted: &str) -> &Boot {
        assert!(self.text.contains(wanted), "not said: {wanted:?}\n{}", self.whole);
        self
    }

    /// Fails with the whole console when this boot said it.
    #[track_caller]
    pub fn has_not(&self, unwanted: &str) -> &Boot {
        assert!(!self.text.contains(unwanted), "said: {unwanted:?}\n{}", self.whole);
        self
    }

    pub fn whole(&self) -> &str {
        &self.whole
    }

    /// What this boot said after a mark, to the end of that line.
    #[track_caller]
    pub fn rest_of_line(&self, mark: &str) -> &str {
        self.has(mark);
        self.text.split(mark).nth(1).and_then(|rest| rest.lines().next()).unwrap_or_default()
    }

    /// How often this boot said it.
    pub fn count(&self, wanted: &str) -> usize {
        self.text.matches(wanted).count()
    }
}
