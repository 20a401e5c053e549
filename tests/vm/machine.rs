//! A virtual machine: its parts, its console, its end.

use crate::cpio::Cpio;
use crate::progress::{PATIENCE, Patience, Progress};
use std::fmt::Display;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Instant;

/// A kernel that the machine is started with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kernel {
    /// Debian's cloud kernel: both calls.
    Debian,
    /// Configured as Alpine's: kexec_load alone, disabled unless an option says otherwise.
    Alpine,
    /// Debian's cloud kernel for arm64: kexec_load alone.
    Arm64,
    /// Debian's kernel for 32-bit x86: kexec_load alone.
    I386,
}

/// Where `tests/vm/parts.sh` puts the parts.
pub fn parts() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"));
    target.join("vm")
}

/// A part, or a failure that says what to run.
pub fn part(name: &str) -> Vec<u8> {
    let path = parts().join(name);
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}\n  run: sh tests/vm/setup.sh (make test does)", path.display())
    })
}

/// The program under test: the one that is shipped, when `make` says which.
pub fn program() -> PathBuf {
    std::env::var_os("RC_KEXEC").map_or_else(|| env!("CARGO_BIN_EXE_rc-kexec").into(), PathBuf::from)
}

impl Kernel {
    /// Its files in the folder of parts.
    fn folder(self) -> &'static str {
        match self {
            Kernel::Debian => "debian",
            Kernel::Alpine => "alpine",
            Kernel::Arm64 => "arm64",
            Kernel::I386 => "i386",
        }
    }

    pub fn path(self) -> PathBuf {
        parts().join(self.folder()).join("vmlinuz")
    }

    pub fn image(self) -> Vec<u8> {
        part(&format!("{}/vmlinuz", self.folder()))
    }

    /// A static BusyBox that runs under it.
    pub fn busybox(self) -> Vec<u8> {
        match self {
            Kernel::Debian | Kernel::Alpine => part("busybox/usr/bin/busybox"),
            Kernel::Arm64 => part("arm64/busybox/usr/bin/busybox"),
            Kernel::I386 => part("i386/busybox/bin/busybox"),
        }
    }

    /// The program for its machine: RC_KEXEC, RC_KEXEC_AARCH64, RC_KEXEC_I686.
    fn program(self) -> PathBuf {
        let (variable, arch) = match self {
            Kernel::Debian | Kernel::Alpine => return program(),
            Kernel::Arm64 => ("RC_KEXEC_AARCH64", "aarch64"),
            Kernel::I386 => ("RC_KEXEC_I686", "i686"),
        };
        let built = || parts().with_file_name(format!("rc-kexec-{arch}")); // also where it is a link
        let path = std::env::var_os(variable).map_or_else(built, PathBuf::from);
        assert!(path.exists(), "{} is not there\n  run: make ARCH={arch}", path.display());
        path
    }

    pub fn console(self) -> &'static str {
        if self == Kernel::Arm64 { "ttyAMA0" } else { "ttyS0" }
    }

    /// What it and its initramfs are called in /boot, as Alpine and Debian have it.
    pub fn names(self) -> (String, String) {
        if self == Kernel::Alpine {
            return ("vmlinuz-virt".into(), "initramfs-virt".into());
        }
        let boot = std::fs::read_dir(parts().join("debian/boot")).unwrap();
        let mut names = boot.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let release = names.find_map(|name| name.strip_prefix("vmlinuz-").map(String::from)).unwrap();
        (format!("vmlinuz-{release}"), format!("initrd.img-{release}"))
    }
}

/// A machine to be started.
pub struct Vm {
    kernel: Kernel,
    memory: String,
    uefi: bool,
    unlocked: bool,
    appended: String,
    files: Cpio,
    processors: u32,
    disk: bool,
    takes: Option<u64>,
    devices: u32,
    patience: Patience,
    board: Option<String>,
    touched: bool,
    long_mode: bool,
    added: Option<u32>,
}

/// What a machine said.
pub struct Console {
    pub text: String,
    /// Seconds from the start of the machine to the end of each line.
    pub lines: Vec<(f64, String)>,
    /// Why the machine was ended, where it hung.
    pub hung: Option<String>,
    /// What was on the disk of a machine that [takes](Vm::takes) something out.
    pub taken: Vec<u8>,
}

/// What every machine's first process does: the stage that the command line names.
const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev 2>/dev/null
/bin/busybox --install -s /bin
export PATH=/bin:/sbin
mount -t securityfs security /sys/kernel/security 2>/dev/null
# The kernel's own lines would fall into the middle of ours; emergencies alone may.
dmesg -n 1
stage=1
for word in $(cat /proc/cmdline); do
    case $word in stage=*) stage=${word#stage=} ;; esac
done
. /lib.sh
echo "STAGE $stage BEGINS"
. /stage$stage
echo "STAGE $stage ENDS"
sync
reboot -f
"#;

/// Functions for the stages.
const LIB: &str = r#"
# Runs a command and says what it answered.
run() { "$@"; echo "EXIT $? of $1"; }
# Packs this root file system as the initrd of the next stage.
pack() {
    (cd / && { ls -A | grep -v -E '^(proc|sys|dev|tmp|run|mnt)$' | while read -r top; do find "$top"; done
        echo proc; echo sys; echo dev; echo dev/console; echo tmp; echo run; echo mnt; } | cpio -o -H newc) >/tmp/next.cpio 2>/dev/null
}
# The firmware's memory map, a line a range.
memmap() {
    i=0
    while [ -e /sys/firmware/memmap/$i ]; do
        echo "$1 $(cat /sys/firmware/memmap/$i/start) $(cat /sys/firmware/memmap/$i/end) $(cat /sys/firmware/memmap/$i/type)"
        i=$((i + 1))
    done
}
"#;

impl Vm {
    /// A machine with 768 MiB and BIOS firmware, whose file system holds the
    /// program, its kernel as /boot/vmlinuz, and the stages that are added.
    pub fn new(kernel: Kernel) -> Vm {
        let binary = std::fs::read(kernel.program()).unwrap();
        let files = ["bin", "sbin", "boot", "proc", "sys", "dev", "tmp", "run", "mnt", "etc"]
            .iter()
            .fold(Cpio::default(), |cpio, name| cpio.dir(name))
            .char_device("dev/console", (5, 1))
            .file("bin/busybox", 0o755, &kernel.busybox())
            .file("sbin/rc-kexec", 0o755, &binary)
            .link("sbin/kexec-load", "rc-kexec")
            .link("sbin/kexec-exec", "rc-kexec")
            .link("sbin/kexec", "rc-kexec")
            .file("init", 0o755, INIT.as_bytes())
            .file("lib.sh", 0o644, LIB.as_bytes())
            .file("boot/vmlinuz", 0o644, &kernel.image());
        Vm {
            kernel,
            memory: "768M".into(),
            uefi: false,
            unlocked: kernel == Kernel::Alpine,
            appended: String::new(),
            files,
            processors: 1,
            disk: false,
            takes: None,
            devices: 0,
            patience: PATIENCE,
            board: None,
            touched: false,
            long_mode: false,
            added: None,
        }
    }

    /// Without the boot option that unlocks a kernel like Alpine's.
    pub fn locked(mut self) -> Vm {
        self.unlocked = false;
        self
    }

    pub fn memory(mut self, memory: &str) -> Vm {
        self.memory = memory.into();
        self
    }

    pub fn uefi(mut self) -> Vm {
        self.uefi = true;
        self
    }

    pub fn append(mut self, words: &str) -> Vm {
        self.appended = format!("{} {words}", self.appended);
        self
    }

    /// The script of a stage; 1 is the first.
    pub fn stage(self, number: u32, script: impl Display) -> Vm {
        self.file(&format!("stage{number}"), script.to_string().as_bytes())
    }

    pub fn file(mut self, name: &str, data: &[u8]) -> Vm {
        self.files = self.files.file(name, 0o755, data);
        self
    }

    #[allow(dead_code)] // for the bench
    pub fn dir(mut self, name: &str) -> Vm {
        self.files = self.files.dir(name);
        self
    }

    /// With so many PCI bridges and as many devices.
    #[allow(dead_code)] // for the tests
    pub fn devices(mut self, count: u32) -> Vm {
        self.devices = count;
        self
    }

    /// With a disk that the firmware can tell of: 1 MiB, its MBR signed rckx.
    #[allow(dead_code)] // for the tests
    pub fn disk(mut self) -> Vm {
        self.disk = true;
        self
    }

    /// With a disk of so many MiB, /dev/vda, whose content is the console's `taken` at the end.
    #[allow(dead_code)] // for the tests
    pub fn takes(mut self, mib: u64) -> Vm {
        self.takes = Some(mib);
        self
    }

    #[allow(dead_code)] // for the tests
    pub fn processors(mut self, count: u32) -> Vm {
        self.processors = count;
        self
    }

    /// An arm64 machine other than QEMU's plain `virt`.
    #[allow(dead_code)] // for the tests
    pub fn board(mut self, board: &str) -> Vm {
        self.board = Some(board.into());
        self
    }

    /// With a processor that has 64-bit mode, under a 32-bit kernel as well.
    #[allow(dead_code)] // for the tests
    pub fn long_mode(mut self) -> Vm {
        self.long_mode = true;
        self
    }

    /// With a memory module of so many MiB that the firmware's map does not have: the kernel finds it
    /// by ACPI, as one that was added while it ran.
    #[allow(dead_code)] // for the tests
    pub fn added(mut self, mib: u32) -> Vm {
        self.added = Some(mib);
        self
    }

    /// With memory that the host has touched before: its page faults are not what is
    /// measured.
    #[allow(dead_code)] // for the bench
    pub fn touched(mut self) -> Vm {
        self.touched = true;
        self
    }

    /// How many seconds the machine may say nothing before it counts as hung, where more
    /// than usual are needed.
    pub fn silence(mut self, seconds: u64) -> Vm {
        self.patience.silence = seconds;
        self
    }

    /// Starts the machine and reads its console to its end. A hung machine fails.
    #[track_caller]
    pub fn run(self) -> Console {
        let console = self.run_or_hang();
        console.has_ended();
        console
    }

    /// The same, for who has a use for a machine that hangs.
    pub fn run_or_hang(self) -> Console {
        let dir = folder();
        let initrd = dir.join("initrd");
        std::fs::write(&initrd, self.files.finish()).unwrap();

        let unlock = if self.unlocked { " kexec_load_disabled=0" } else { "" };
        let line = format!("console={} panic=-1{unlock}{}", self.kernel.console(), self.appended);
        // With a thread for each processor, one of them may run code that another one is just changing: a
        // kernel that boots then oopses at an int3 of its own (text_poke).
        let accelerator = if self.processors > 1 { "tcg,thread=single" } else { "tcg" };
        let mut qemu = qemu(self.kernel, &initrd, &line, accelerator);
        if self.long_mode {
            let arguments: Vec<_> = qemu.get_args().map(|word| word.to_os_string()).collect();
            qemu = Command::new("qemu-system-x86_64");
            qemu.args(arguments).args(["-cpu", "max,cx16=off"]);
        }
        if self.kernel == Kernel::Arm64 {
            qemu.args(["-M", self.board.as_deref().unwrap_or("virt")]);
        }
        let slots = if self.added.is_some() { ",slots=1,maxmem=4G" } else { "" };
        let memory = format!("{}{slots}", self.memory);
        qemu.args(["-smp", &self.processors.to_string(), "-m", &memory, "-no-reboot"]);
        if let Some(mib) = self.added {
            let module = format!("memory-backend-ram,id=module,size={mib}M");
            qemu.args(["-object", &module, "-device", "pc-dimm,memdev=module"]);
        }
        if self.touched {
            let backend = format!("memory-backend-ram,id=ram,size={},prealloc=on", self.memory);
            qemu.args(["-object", &backend, "-machine", "memory-backend=ram"]);
        }
        for number in 1..=self.devices {
            qemu.arg("-device").arg(format!("pcie-root-port,id=port{number},chassis={number}"));
            qemu.arg("-device").arg(format!("virtio-net-pci,bus=port{number},romfile="));
        }
        if self.disk {
            let path = dir.join("disk");
            let mut disk = vec![0u8; 1 << 20];
            disk[440..444].copy_from_slice(b"rckx");
            disk[510..512].copy_from_slice(&[0x55, 0xaa]);
            std::fs::write(&path, disk).unwrap();
            qemu.arg("-drive").arg(format!("format=raw,file={}", path.display()));
        }
        if self.uefi {
            let (code, variables) = firmware(self.kernel);
            let copy = dir.join("vars.fd");
            std::fs::copy(variables, &copy).unwrap();
            qemu.arg("-drive").arg(format!("if=pflash,format=raw,readonly=on,file={}", code.display()));
            qemu.arg("-drive").arg(format!("if=pflash,format=raw,file={}", copy.display()));
        }
        let taken = dir.join("taken");
        if let Some(mib) = self.takes {
            std::fs::File::create(&taken).unwrap().set_len(mib << 20).unwrap();
            qemu.arg("-drive").arg(format!("if=virtio,format=raw,cache=unsafe,file={}", taken.display()));
        }
        let mut console = watch(qemu, self.patience, &mut |_| false);
        if self.takes.is_some() {
            console.taken = std::fs::read(&taken).unwrap();
        }
        let _ = std::fs::remove_dir_all(&dir);
        note_time(&console);
        console
    }
}

/// QEMU with a kernel to start and the console on its standard output.
pub fn qemu(kernel: Kernel, initrd: &Path, command_line: &str, accelerator: &str) -> Command {
    // cx16=off: with cmpxchg16b emulated, QEMU 7.2 and a 6.12 kernel double-fault
    // in about one boot of ten, with or without a kexec.
    let (program, arguments): (_, &[&str]) = match kernel {
        Kernel::Debian | Kernel::Alpine => ("qemu-system-x86_64", &["-M", "q35", "-cpu", "max,cx16=off"]),
        Kernel::I386 => ("qemu-system-i386", &["-M", "q35", "-cpu", "max"]),
        Kernel::Arm64 => ("qemu-system-aarch64", &["-cpu", "cortex-a57"]),
    };
    let mut qemu = Command::new(program);
    qemu.args(arguments)
        .args(["-accel", accelerator])
        .args(["-display", "none", "-serial", "stdio", "-monitor", "none", "-nic", "none"])
        .arg("-kernel")
        .arg(kernel.path())
        .arg("-initrd")
        .arg(initrd)
        .args(["-append", command_line]);
    qemu
}

/// A folder for one machine's files.
pub fn folder() -> PathBuf {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let dir = parts().join(format!("run/{}-{number}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// Adds a line to target/vm/times: how long a machine of which test ran, and how long it said
/// nothing at the longest.
pub fn note_time(console: &Console) {
    let (mut seconds, mut silence) = (0.0, 0.0_f64);
    for (time, _) in &console.lines {
        silence = silence.max(time - seconds);
        seconds = *time;
    }
    let thread = std::thread::current();
    let line = format!("{} {seconds:.1} {silence:.1}\n", thread.name().unwrap_or("main"));
    let file = std::fs::OpenOptions::new().append(true).create(true).open(parts().join("times"));
    let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
}

/// UEFI's code and variables: OVMF, or AAVMF on arm64.
fn firmware(kernel: Kernel) -> (PathBuf, PathBuf) {
    let ovmf =
        [("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"), ("OVMF_CODE.fd", "OVMF_VARS.fd"), ("OVMF.fd", "OVMF.fd")];
    let aavmf = [("AAVMF_CODE.fd", "AAVMF_VARS.fd"), ("QEMU_EFI.fd", "QEMU_VARS.fd")];
    let (dirs, pairs, package): (_, &[_], _) = match kernel {
        Kernel::Arm64 => (["/usr/share/AAVMF", "/usr/share/aavmf"], &aavmf, "qemu-efi-aarch64"),
        _ => (["/usr/share/OVMF", "/usr/share/ovmf"], &ovmf, "ovmf"),
    };
    for dir in dirs {
        for (code, variables) in pairs {
            let (code, variables) = (Path::new(dir).join(code), Path::new(dir).join(variables));
            if code.exists() && variables.exists() {
                return (code, variables);
            }
        }
    }
    panic!(
        "no UEFI firmware in {}\n  install it: apt-get install {package} (make test does, as root)",
        dirs[0]
    );
}

/// Runs QEMU to its end, or ends it at the line of the console that `is_last` says is
/// the last, or when the patience is.
pub fn watch(qemu: Command, patience: Patience, is_last: &mut dyn FnMut(&str) -> bool) -> Console {
    watch_typing(qemu, patience, is_last, &[])
}

/// As [`watch`], with somebody at the console who types a line, the second of a pair,
/// when the first of it stands there; each pair once, in their order.
pub fn watch_typing(
    mut qemu: Command,
    patience: Patience,
    is_last: &mut dyn FnMut(&str) -> bool,
    answers: &[(&str, &str)],
) -> Console {
    let start = Instant::now();
    let program = qemu.get_program().to_string_lossy().into_owned();
    let stdin = if answers.is_empty() { Stdio::null() } else { Stdio::piped() };
    let child = qemu.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|error| {
        panic!("{program}: {error}\n  install it: apt-get install qemu-system-x86 qemu-system-arm (make test does, as root)")
    });
    let (sender, receiver) = mpsc::channel::<Vec<u8>>();
    let mut stdout = child.stdout.take().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0u8; 4096];
        while let Ok(count @ 1..) = stdout.read(&mut buffer) {
            if sender.send(buffer[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    let mut stderr = child.stderr.take().unwrap();
    let errors = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = stderr.read_to_string(&mut text);
        text
    });

    let mut text = Vec::new();
    let mut lines = Vec::new();
    let mut begin = 0;
    let mut progress = Progress::new(patience, start);
    let mut hung = None;
    let mut answers = answers.iter();
    let (mut next, mut answered) = (answers.next(), 0);
    'running: loop {
        let Some(left) = progress.left(Instant::now()) else {
            hung = Some(progress.silence());
            break 'running;
        };
        match receiver.recv_timeout(left) {
            Ok(bytes) => {
                text.extend_from_slice(&bytes);
                while let Some((prompt, answer)) = next
                    && let Some(at) =
                        text[answered..].windows(prompt.len()).position(|part| part == prompt.as_bytes())
                {
                    let keys = child.stdin.as_mut().unwrap();
                    keys.write_all(format!("{answer}\n").as_bytes()).and_then(|()| keys.flush()).unwrap();
                    answered += at + prompt.len();
                    next = answers.next();
                }
                while let Some(length) = text[begin..].iter().position(|&byte| byte == b'\n') {
                    let line = String::from_utf8_lossy(&text[begin..begin + length]);
                    let line = line.trim_end_matches('\r').to_string();
                    let last = is_last(&line);
                    let now = Instant::now();
                    hung = progress.hear(&line, now).filter(|_| !last);
                    lines.push(((now - start).as_secs_f64(), line));
                    begin += length + 1;
                    if last || hung.is_some() {
                        break 'running;
                    }
                }
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break 'running,
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    let mut text = String::from_utf8_lossy(&text).replace('\r', "");
    text.push_str(&errors.join().unwrap_or_default());
    if let Some(why) = &hung {
        text.push_str(&format!("\n[the machine hung, and was ended: {why}]\n"));
    }
    Console { text, lines, hung, taken: Vec::new() }
}

impl Console {
    /// Fails with the whole console unless `wanted` is on it.
    #[track_caller]
    pub fn has(&self, wanted: &str) -> &Console {
        assert!(self.text.contains(wanted), "not on the console: {wanted:?}\n{}", self.shown());
        self
    }

    /// Fails with the whole console when `unwanted` is on it.
    #[track_caller]
    pub fn has_not(&self, unwanted: &str) -> &Console {
        assert!(!self.text.contains(unwanted), "on the console: {unwanted:?}\n{}", self.shown());
        self
    }

    /// Fails with the whole console when the machine hung.
    #[track_caller]
    pub fn has_ended(&self) -> &Console {
        if let Some(why) = &self.hung {
            panic!("the machine hung: {why}\n{}", self.shown());
        }
        self
    }

    /// The lines that begin with `mark `, without it.
    pub fn marked(&self, mark: &str) -> Vec<&str> {
        let mark = format!("{mark} ");
        self.lines.iter().filter_map(|(_, line)| line.strip_prefix(&mark)).collect()
    }

    /// The one line that begins with `mark `.
    #[track_caller]
    pub fn only(&self, mark: &str) -> &str {
        let marked = self.marked(mark);
        assert_eq!(marked.len(), 1, "lines marked {mark}: {marked:?}\n{}", self.shown());
        marked[0]
    }

    /// The console as a failure shows it.
    pub fn shown(&self) -> String {
        format!("--- console ---\n{}\n--- end of console ---", self.text)
    }
}
