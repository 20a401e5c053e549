//! The binary from outside: no root, no network, no virtual machine.

#![allow(missing_docs, clippy::unwrap_used, clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A folder of its own, removed at the end.
struct Dir(PathBuf);

impl Dir {
    fn new(test: &str) -> Dir {
        let dir = std::env::temp_dir().join(format!("rc-kexec-cli-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Dir(dir)
    }

    fn file(&self, name: impl AsRef<OsStr>, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name.as_ref());
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The program under test: the one that is shipped, when `make` says which.
fn program() -> PathBuf {
    std::env::var_os("RC_KEXEC").map_or_else(|| env!("CARGO_BIN_EXE_rc-kexec").into(), PathBuf::from)
}

fn run<S: AsRef<OsStr>>(name: &str, args: &[S]) -> Output {
    Command::new(program()).arg0(name).args(args).output().unwrap()
}

#[track_caller]
fn assert_says(output: &Output, status: i32, wanted: &str) {
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(status) && text.contains(wanted),
        "wanted status {status} and {wanted:?}; got {}\n{text}",
        output.status
    );
}

/// A bzImage as small as one can be: 2.15, 64-bit, 64 paragraphs of code.
fn bzimage() -> Vec<u8> {
    let mut file = vec![0u8; 5 * 512 + 1024];
    let fields: &[(usize, &[u8])] = &[
        (0x1f1, &[4]),
        (0x1f4, &64u32.to_le_bytes()),
        (0x1fe, &[0x55, 0xaa, 0xeb, 0x6a]),
        (0x202, b"HdrS\x0f\x02"),
        (0x20e, &0x300u16.to_le_bytes()),
        (0x211, &[1]),
        (0x22c, &0x7fff_ffffu32.to_le_bytes()),
        (0x230, &0x20_0000u32.to_le_bytes()),
        (0x234, &[1]),
        (0x236, &0x7fu16.to_le_bytes()),
        (0x238, &2047u32.to_le_bytes()),
        (0x258, &0x100_0000u64.to_le_bytes()),
        (0x260, &0x10_0000u32.to_le_bytes()),
        (0x500, b"6.12.31-0-virt #1\0"),
    ];
    for (offset, field) in fields {
        file[*offset..offset + field.len()].copy_from_slice(field);
    }
    file
}

#[test]
fn an_unknown_applet_lists_them() {
    assert_says(&run("rc-kexec", &["frob"]), 2, "the applets are kexec-load, kexec-exec, kexec");
    assert_says(&run::<&str>("rc-kexec", &[]), 2, "the applets are kexec-load, kexec-exec, kexec");
    assert_says(&run("rc-kexec", &["--help"]), 0, "rc-kexec kexec-load");
    assert_says(&run("/usr/sbin/kexec-load", &["--help"]), 0, "--dry-run");
    assert_says(&run("anything", &["kexec", "-v"]), 0, concat!("rc-kexec ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_use_is_2() {
    assert_says(&run("kexec", &["--frob"]), 2, "kexec: unknown option --frob");
    assert_says(&run("kexec-load", &["a", "b"]), 2, "name one");
    assert_says(&run("kexec-exec", &["-x"]), 2, "unknown option -x");
}

#[test]
fn a_kernel_that_is_cut_short_is_refused_before_any_call() {
    let dir = Dir::new("cut");
    let whole = bzimage();
    let path = dir.file("vmlinuz", &whole[..whole.len() - 16]);
    for (name, args) in [
        ("kexec", vec!["-l"]),
        ("kexec", vec!["-s", "-l"]),
        ("kexec-load", vec![]),
        ("kexec-load", vec!["--dry-run"]),
    ] {
        let mut args: Vec<&OsStr> = args.into_iter().map(OsStr::new).collect();
        args.push(path.as_os_str());
        let output = run(name, &args);
        assert_says(
            &output,
            1,
            "the file is cut short: its header promises at least 3584 bytes, and it has 3568",
        );
        assert_says(&output, 1, path.to_str().unwrap());
    }
}

#[test]
fn what_is_no_kernel_is_named() {
    let dir = Dir::new("kinds");
    let table: &[(&str, &[u8], &str)] = &[
        ("empty", b"", "the file is empty"),
        ("text", b"hello", "not a kernel format that rc-kexec knows (first bytes: 68 65 6c 6c)"),
        ("gz", b"\x1f\x8b\x08\0", "the file is cut short: its gzip data end too soon"),
        (
            "zboot",
            b"MZ\0\0zimg",
            "the file is cut short: its header promises at least 64 bytes, and it has 8",
        ),
        ("efi", b"MZ\0\0", "it is an EFI or Windows program without a Linux kernel, not a kernel"),
        ("initrd", b"0707010000", "it is a cpio archive, such as an initrd, not a kernel"),
        ("script", b"#!/bin/sh\n", "it is a script"),
    ];
    for (name, bytes, wanted) in table {
        let path = dir.file(name, bytes);
        assert_says(&run("kexec-load", &[&path]), 1, wanted);
    }
    // Of any size, and without a byte on the disk.
    let sparse = dir.file("sparse", b"");
    std::fs::File::options().write(true).open(&sparse).unwrap().set_len(1 << 42).unwrap();
    assert_says(&run("kexec-load", &[&sparse]), 1, "it is larger than this machine's memory");
    assert_says(&run("kexec-load", &[&dir.0]), 1, "it is a directory");
    assert_says(&run("kexec-load", &["/dev/null"]), 1, "it is not a regular file");
    assert_says(
        &run("kexec-load", &["/nowhere/vmlinuz"]),
        1,
        "unable to read /nowhere/vmlinuz: No such file or directory",
    );
    assert_says(
        &run("kexec", &["-l", "-t", "elf-x86_64", dir.file("k", &bzimage()).to_str().unwrap()]),
        1,
        "--type says elf-x86_64",
    );
}

#[test]
fn an_initrd_that_the_kernel_cannot_unpack_is_refused() {
    let dir = Dir::new("initrd");
    let kernel = dir.file("vmlinuz", &bzimage());
    let cut = b"070701000000010000000000000000000000000000000000000000000000ff";
    let table: &[(&str, &[u8], &str)] = &[
        ("empty", b"", "it contains no archive"),
        ("zeros", &[0; 512], "it contains no archive"),
        (
            "random",
            b"\x13\x37\x13\x37",
            "at byte 0 there is no archive that the kernel can unpack (first bytes: 13 37 13 37)",
        ),
        ("cut", cut, "cut short"),
    ];
    for (name, bytes, wanted) in table {
        let path = dir.file(name, bytes);
        for applet in ["kexec", "kexec-load"] {
            let args = [OsStr::new("--initrd"), path.as_os_str(), kernel.as_os_str()];
            let output = run(applet, &args);
            assert_says(&output, 1, wanted);
            assert_says(&output, 1, path.to_str().unwrap());
        }
    }
    let args = [kernel.as_os_str(), OsStr::new("--initrd"), dir.0.as_os_str()];
    assert_says(&run("kexec-load", &args), 1, "it is a directory");
}

#[test]
fn a_command_line_that_is_too_long_says_how_long() {
    let dir = Dir::new("long");
    let kernel = dir.file("vmlinuz", &bzimage());
    let line = "x".repeat(2048);
    let args = ["--command-line", &line, kernel.to_str().unwrap(), "--dry-run"];
    assert_says(
        &run("kexec-load", &args),
        1,
        "the command line is 2048 bytes long, and this kernel accepts only 2047",
    );
}

#[test]
fn dry_run_draws_the_memory_of_this_machine() {
    // A container may show no memory map at all; what is said then is said clearly.
    let dir = Dir::new("draw");
    let kernel = dir.file(OsStr::from_bytes(b"vmlinuz-\xff"), &bzimage());
    let args = [kernel.as_os_str(), OsStr::new("--dry-run"), OsStr::new("--command-line=root=/dev/vda")];
    let output = run("kexec-load", &args);
    if output.status.code() == Some(1) {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let known =
            ["/proc/iomem shows its addresses only with CAP_SYS_ADMIN", "unable to read /proc/iomem: "];
        assert!(known.iter().any(|reason| text.contains(reason)), "{text}");
        return;
    }
    for wanted in [
        "Linux 6.12.31-0-virt, for x86_64, boot protocol 2.15",
        "K kernel",
        "P parameters",
        "entry: 0x",
        "nothing was loaded",
    ] {
        assert_says(&output, 0, wanted);
    }
}

/// `bytes` as gzip without compression (RFC 1952, and RFC 1951, 3.2.4).
#[test]
fn files_to_add_are_drawn_or_refused() {
    let dir = Dir::new("add");
    let kernel = dir.file("kernel", &bzimage());
    let file = dir.file("file", b"twelve bytes");
    let add = |destination: &str| {
        let word = format!("{}:{destination}", file.display());
        let args = ["--append", "x", "--dry-run", "--add-file", &word];
        run("kexec-load", &[&[kernel.to_str().unwrap()], &args[..]].concat())
    };
    for destination in ["etc/x", "/etc/x:0600", "new\nline", &format!("{}y", "x/".repeat(2047)), "..."] {
        let output = add(destination);
        // As above: where there is no memory map, nothing is drawn.
        if !String::from_utf8_lossy(&output.stderr).contains("/proc/iomem") {
            assert_says(&output, 0, "initrd: the added files, 1 cpio, ");
        }
    }
    let long = "x".repeat(5000);
    for destination in
        ["../x", "/a/../../x", "a/./b", "a//b", "a/", "", "x:0999", "x:0600:y", "TRAILER!!!", &long]
    {
        assert_says(&add(destination), 2, "it must be SRC:DEST[:MODE]");
    }
    let missing = run("kexec-load", &[kernel.to_str().unwrap(), "--add-file", "/nowhere/x:y"]);
    assert_says(&missing, 1, "unable to read /nowhere/x: No such file or directory");
    let folder = format!("{}:y", dir.0.display());
    assert_says(
        &run("kexec-load", &[kernel.to_str().unwrap(), "--add-file", &folder]),
        1,
        "it is a directory",
    );
}

#[test]
fn a_key_that_others_can_read_is_refused_with_what_to_do() {
    use std::os::unix::fs::PermissionsExt;
    let dir = Dir::new("key");
    let kernel = dir.file("kernel", &bzimage());
    let key = dir.file("key", b"secret");
    for mode in [0o644, 0o440, 0o404] {
        std::fs::set_permissions(&key, PermissionsExt::from_mode(mode)).unwrap();
        let args = ["--dry-run", "--append", "x", "--crypt-key", key.to_str().unwrap(), "--force"];
        let output = run("kexec-load", &[&[kernel.to_str().unwrap()], &args[..]].concat());
        assert_says(&output, 1, &format!("users other than root can read it (mode {mode:04o}, owner "));
        assert_says(&output, 1, "&& chmod 0400 ");
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    let crc = bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1)))
    });
    let mut file = b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01".to_vec();
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(&(!length).to_le_bytes());
    file.extend_from_slice(bytes);
    file.extend_from_slice(&(!crc).to_le_bytes());
    file.extend_from_slice(&u32::from(length).to_le_bytes());
    file
}

/// The header of an arm64 Image, with a body of zeros.
fn arm64_image() -> Vec<u8> {
    let mut file = vec![0u8; 4096];
    file[16..24].copy_from_slice(&0x20_0000u64.to_le_bytes());
    file[56..60].copy_from_slice(b"ARM\x64");
    file[64..94].copy_from_slice(b"Linux version 6.12.31-0-virt (");
    file
}

#[test]
fn type_names_what_the_kernel_is_wherever_it_may_run() {
    let dir = Dir::new("type");
    let table: [(&str, Vec<u8>, &str); 4] = [
        ("k", bzimage(), "k: a bzImage, Linux 6.12.31-0-virt, for x86_64, boot protocol 2.15, "),
        ("k.gz", gzip(&bzimage()), "k.gz: gzip of a bzImage, Linux 6.12.31-0-virt, for x86_64, "),
        ("i", arm64_image(), "i: an arm64 Image, Linux 6.12.31-0-virt, for arm64, 4 KiB"),
        ("i.gz", gzip(&arm64_image()), "i.gz: gzip of an arm64 Image, Linux 6.12.31-0-virt, for arm64, "),
    ];
    for (name, bytes, wanted) in table {
        let path = dir.file(name, &bytes).into_os_string();
        let output = run("kexec-load", &[path.as_os_str(), "--type".as_ref()]);
        assert_says(&output, 0, wanted);
        assert_eq!(output.stdout.iter().filter(|&&byte| byte == b'\n').count(), 1, "{output:?}");
    }
    // A program is an ELF file, too.
    let own = program().into_os_string();
    assert_says(&run("kexec-load", &["--type".as_ref(), own.as_os_str()]), 1, "unable to load ");
    let damaged = dir.file("d.gz", &[gzip(&bzimage()), vec![]].concat()[..1000]).into_os_string();
    assert_says(&run("kexec-load", &["--type".as_ref(), damaged.as_os_str()]), 1, "the file is cut short");
    let mut wrong = gzip(&bzimage());
    wrong[100] ^= 1;
    let wrong = dir.file("w.gz", &wrong).into_os_string();
    assert_says(
        &run("kexec-load", &["--type".as_ref(), wrong.as_os_str()]),
        1,
        "its gzip data are damaged (wrong checksum)",
    );
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_kernel_for_another_machine_is_refused_with_both_names() {
    let dir = Dir::new("machine");
    for (name, bytes) in [("Image", arm64_image()), ("Image.gz", gzip(&arm64_image()))] {
        let path = dir.file(name, &bytes).into_os_string();
        let wanted = "this is an arm64 Image; this machine is x86_64";
        assert_says(&run("kexec-load", &[path.as_os_str()]), 1, wanted);
        assert_says(&run("kexec-load", &[path.as_os_str(), "--dry-run".as_ref()]), 1, wanted);
        assert_says(&run("rc-kexec", &["doctor".as_ref(), path.as_os_str()]), 1, wanted);
    }
}

#[test]
fn types_of_kexec_8_may_only_agree() {
    let dir = Dir::new("agree");
    let kernel = dir.file("k", &bzimage()).into_os_string();
    let typed = |kind: &str| {
        let kind = format!("--type={kind}");
        // Nothing may be loaded here: there is no such initrd.
        run("kexec", &["-l".as_ref(), kind.as_ref(), kernel.as_os_str(), "--initrd=/nowhere/i".as_ref()])
    };
    assert_says(&typed("Image"), 1, "it is a bzImage, and --type says Image");
    assert_says(&typed("vmlinux"), 1, "it is a bzImage, and --type says vmlinux");
    assert_says(&typed("bzImage-x86"), 1, "unable to read /nowhere/i");
}

#[test]
fn kexec_exec_refuses_when_nothing_is_loaded_or_nothing_goes_down() {
    // On the machine that runs the tests nothing may ever be jumped to: this asks
    // only where nothing is loaded.
    if std::fs::read("/sys/kernel/kexec_loaded").is_ok_and(|text| text.starts_with(b"1")) {
        assert_says(&run::<&str>("kexec-exec", &[]), 1, "the machine is not going down");
        return;
    }
    assert_says(&run::<&str>("kexec-exec", &[]), 1, "none is loaded");
    assert_says(&run("kexec-load", &["--status"]), 1, "no kernel is loaded");
    assert_says(&run("kexec", &["-Sl"]), 0, "");
}

/// `rc-kexec going-down` as a service of OpenRC calls it.
fn going_down(variables: &[(&str, &str)], args: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.env_clear().args(["going-down"]).args(args).envs(variables.iter().copied());
    command.output().unwrap()
}

#[test]
fn going_down_answers_by_its_first_word_and_its_exit_status() {
    let shutdown = [("RC_GOINGDOWN", "YES"), ("RC_RUNLEVEL", "shutdown")];
    let reboot = [shutdown[0], shutdown[1], ("RC_REBOOT", "YES")];
    let single = [("RC_GOINGDOWN", "YES"), ("RC_RUNLEVEL", "single"), ("RC_REBOOT", "YES")];
    let begins = |output: &Output, word: &str| output.stdout.starts_with(word.as_bytes());

    let output = going_down(&[], &[]);
    assert_says(&output, 1, "RC_RUNLEVEL is not set");
    assert!(begins(&output, "no: "), "{output:?}");
    let output = going_down(&single, &[]);
    assert_says(&output, 1, "RC_RUNLEVEL is single");
    assert!(begins(&output, "no: "), "{output:?}");
    let output = going_down(&reboot, &[]);
    assert_says(&output, 0, "RC_REBOOT is YES");
    assert!(begins(&output, "reboot: "), "{output:?}");
    // Whatever the init is here: without RC_REBOOT it is not known to be a reboot.
    let output = going_down(&shutdown, &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(!begins(&output, "reboot: "), "{output:?}");
    // What is wanted when it is unknown makes nothing of what is known.
    assert_says(&going_down(&single, &["--when-unknown=kexec"]), 1, "no: ");
    assert_says(&going_down(&[], &["--when-unknown", "perhaps"]), 2, "--when-unknown");
}

#[test]
fn the_doctor_says_the_same_in_each_of_its_ways() {
    // No kernel is there: a reboot is no kexec, whatever else is so on this machine.
    let run = |more: &[&str]| run("rc-kexec", &[&["doctor", "--boot", "/nowhere"], more].concat());
    let table = run(&[]);
    assert_says(&table, 1, "A reboot now would be an ordinary one: ");
    let porcelain = run(&["--porcelain"]);
    assert_says(&porcelain, 1, "reboot\tbad\tordinary\n");
    let porcelain = String::from_utf8(porcelain.stdout).unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    for line in porcelain.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        assert_eq!(fields.len(), 3, "{line}");
        assert!(["ok", "note", "bad"].contains(&fields[1]), "{line}");
        assert!(fields[0] == "reboot" || table.contains(&format!("  {:<13} ", fields[0])), "{line}\n{table}");
    }
    let warning = run(&["--warn"]);
    assert_says(&warning, 1, "reboots will be ordinary ones: ");
    assert!(warning.stdout.iter().filter(|&&byte| byte == b'\n').count() <= 2, "{warning:?}");
}

#[test]
fn the_doctor_looks_at_the_files_that_it_is_given() {
    let dir = Dir::new("doctor");
    let kernel = dir.file("k", &bzimage()).into_os_string();
    let good = run("rc-kexec", &["doctor".as_ref(), "--append=x".as_ref(), kernel.as_os_str()]);
    assert_says(&good, 1, "ok    kernel        ");
    assert_says(&good, 1, "k, a bzImage, Linux 6.12.31-0-virt, for x86_64, boot protocol 2.15");
    assert_says(&good, 1, "ok    command-line  1 of 2047 bytes");
    let cut = dir.file("cut", &bzimage()[..3000]).into_os_string();
    assert_says(&run("rc-kexec", &["doctor".as_ref(), cut.as_os_str()]), 1, "BAD   kernel        ");
    assert_says(&run("rc-kexec", &["doctor".as_ref(), cut.as_os_str()]), 1, "-> install or copy it again");
    let empty = dir.file("i", b"").into_os_string();
    let initrd =
        run("rc-kexec", &["doctor".as_ref(), kernel.as_os_str(), "--initrd".as_ref(), empty.as_os_str()]);
    assert_says(&initrd, 1, "BAD   initrd        ");
    let nowhere = run("rc-kexec", &["doctor".as_ref(), "--boot".as_ref(), dir.0.as_os_str()]);
    assert_says(&nowhere, 1, "unable to find a kernel: ");
    assert_says(&nowhere, 1, &format!(" {}/vmlinuz-", dir.0.display()));
}

#[test]
fn output_that_nobody_reads_is_no_crash() {
    let program = program();
    let sh = format!("{{ sleep 0.1; {} kexec-load --help; echo $? >&2; }} | true", program.display());
    let output = Command::new("sh").args(["-c", &sh]).output().unwrap();
    assert!(output.status.success() && output.stderr == b"0\n", "{output:?}");
}

#[test]
fn streams_that_are_closed_are_opened_on_nothing() {
    for (stream, closed) in [(0, "<&-"), (1, ">&-")] {
        let sh = format!("{} kexec-load /proc/self/fd/{stream} {closed}", program().display());
        let output = Command::new("sh").args(["-c", &sh]).output().unwrap();
        assert_says(&output, 1, "it is not a regular file");
    }
}

#[test]
fn the_binary_is_static_pie_with_relro_and_needs_no_interpreter() {
    let bytes = std::fs::read(program()).unwrap();
    let u64_at = |offset: usize| u64::from_le_bytes(bytes[offset..offset + 8].try_into().unwrap());
    let u16_at = |offset: usize| u16::from_le_bytes(bytes[offset..offset + 2].try_into().unwrap());
    let u32_at = |offset: usize| u32::from_le_bytes(bytes[offset..offset + 4].try_into().unwrap());
    assert_eq!(&bytes[..4], b"\x7fELF");
    assert_eq!(u16_at(16), 3, "ET_DYN: position independent");
    let (table, size, count) = (u64_at(32) as usize, u16_at(54) as usize, u16_at(56) as usize);
    let mut kinds = Vec::new();
    for header in (0..count).map(|i| table + i * size) {
        let kind = u32_at(header);
        kinds.push(kind);
        // PT_DYNAMIC: no DT_NEEDED (1).
        if kind == 2 {
            let (offset, length) = (u64_at(header + 8) as usize, u64_at(header + 32) as usize);
            assert!((offset..offset + length).step_by(16).all(|entry| u64_at(entry) != 1), "a NEEDED entry");
        }
        // PT_LOAD: never writable and executable.
        assert!(kind != 1 || u32_at(header + 4) & 3 != 3, "a segment to write and to run");
    }
    assert!(!kinds.contains(&3), "PT_INTERP");
    assert!(kinds.contains(&0x6474_e552), "PT_GNU_RELRO");
}
