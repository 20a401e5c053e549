//! The hooks for initramfs generators and rc-kexec-init, as far as no machine has to boot:
//! what the hooks ask their generators for, and what the script does with its options. How
//! the options are read from a command line is tested in src/known/boot_options.rs.

#![allow(missing_docs, clippy::unwrap_used)]

use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn source(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("initramfs-hook").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// The shells of this machine that /bin/sh may be in an initramfs.
fn shells() -> Vec<Vec<&'static str>> {
    let known: [&[&str]; 4] = [&["sh"], &["dash"], &["bash", "--posix"], &["busybox", "ash"]];
    let runs = |shell: &&[&str]| {
        let (program, arguments) = shell.split_first().unwrap();
        Command::new(program).args(arguments).args(["-c", ":"]).output().is_ok_and(|out| out.status.success())
    };
    let found: Vec<Vec<&str>> = known.into_iter().filter(runs).map(<[&str]>::to_vec).collect();
    assert!(!found.is_empty(), "there is no shell by the name of sh");
    found
}

fn run(shell: &[&str], script: &str, line: &[u8]) -> Output {
    let (program, arguments) = shell.split_first().unwrap();
    Command::new(program)
        .args(arguments)
        .args(["-c", script, "rc-kexec-init"])
        .env("LINE", OsStr::from_bytes(line))
        .output()
        .unwrap()
}

/// The program under test: the one that is shipped, when `make` says which.
fn program() -> PathBuf {
    std::env::var_os("RC_KEXEC").map_or_else(|| env!("CARGO_BIN_EXE_rc-kexec").into(), PathBuf::from)
}

/// A folder for PATH, removed at the end: the program, which reads $LINE instead of
/// /proc/cmdline, and a kexec-load that only prints its arguments.
struct Bin(PathBuf);

impl Bin {
    fn new(test: &str) -> Bin {
        let dir = std::env::temp_dir().join(format!("rc-kexec-init-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let reads_line = format!("exec '{}' \"$@\" -- \"$LINE\"", program().display());
        for (name, does) in [("rc-kexec", reads_line.as_str()), ("kexec-load", "printf '<%s>' \"$@\"")] {
            let file = dir.join(name);
            std::fs::write(&file, format!("#!/bin/sh\n{does}\n")).unwrap();
            std::fs::set_permissions(file, Permissions::from_mode(0o755)).unwrap();
        }
        Bin(dir)
    }
}

impl Drop for Bin {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs commands after the functions of rc-kexec-init, for a command line.
fn call(shell: &[&str], path: &str, commands: &str, line: &[u8]) -> Output {
    let whole = source("rc-kexec-init");
    let functions = whole.strip_suffix("main \"$@\"\n").unwrap();
    run(shell, &format!("{functions}\nPATH={path}\n{commands}"), line)
}

const NAMES: [&str; 8] = ["asked", "dev", "wait", "fstype", "kernel", "dir", "initrds", "line"];

/// Reads a command line as rc-kexec-init does: what was set, and what was said.
fn read(shell: &[&str], path: &str, line: &[u8]) -> (Vec<(&'static str, Vec<u8>)>, String) {
    let values = NAMES.map(|name| format!("\"${name}\"")).join(" ");
    let commands = format!("read_options; status=$?; printf '%s\\0' \"$status\" {values}");
    let output = call(shell, path, &commands, line);
    let shown = line.escape_ascii();
    assert!(output.status.success(), "{shell:?}: {shown}: {output:?}");
    let mut values = output.stdout.split(|&byte| byte == 0).map(<[u8]>::to_vec);
    let status = values.next().unwrap();
    let set = NAMES.into_iter().zip(values).filter(|(_, value)| !value.is_empty()).collect();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(status == b"0", said.is_empty(), "{shell:?}: {shown}: {said}");
    (set, said)
}

#[test]
fn a_shell_reads_back_what_the_program_prints() {
    type Row = (&'static [u8], &'static [(&'static str, &'static [u8])]);
    let table: &[Row] = &[
        (b"", &[("wait", b"30")]),
        (b"quiet -- rckexec.dir=/", &[("wait", b"30"), ("line", b"quiet -- rckexec.dir=/")]),
        (
            b"a \"rckexec.dev=LABEL=IT'S MINE\" rckexec.kernel=/k* rckexec.fstype=a;b rckexec.initrd=b,$c b=\"two  words\"\tc rckexec.wait=5",
            &[
                ("asked", b"yes"),
                ("dev", b"LABEL=IT'S MINE"),
                ("wait", b"5"),
                ("fstype", b"a;b"),
                ("kernel", b"/k*"),
                ("initrds", b"b,$c"),
                ("line", b"a b=\"two  words\" c"),
            ],
        ),
        // Nothing of it is the shell's: no quote, pattern, backslash or line's end.
        (
            b"rckexec.dir=/'' ' * a\\nb\\ $HOME ${x} `id` $(id) ; & # ~ \"x\ny\" '",
            &[
                ("asked", b"yes"),
                ("wait", b"30"),
                ("dir", b"/''"),
                ("line", b"' * a\\nb\\ $HOME ${x} `id` $(id) ; & # ~ \"x\ny\" '"),
            ],
        ),
        // Bytes that are no text, some of which are marks inside of some shells.
        (
            b"rckexec.dir=/\x81\x82\x88 \xff\xfe\x83'\x84",
            &[
                ("asked", b"yes"),
                ("wait", b"30"),
                ("dir", b"/\x81\x82\x88"),
                ("line", b"\xff\xfe\x83'\x84"),
            ],
        ),
    ];
    let bin = Bin::new("read");
    for shell in shells() {
        for (line, wanted) in table {
            let wanted: Vec<(&str, Vec<u8>)> =
                wanted.iter().map(|(name, value)| (*name, value.to_vec())).collect();
            let found = read(&shell, &format!("{}:$PATH", bin.0.display()), line);
            assert_eq!(found, (wanted, String::new()), "{shell:?}: {}", line.escape_ascii());
        }
    }
}

#[test]
fn wrong_options_are_named_and_nothing_is_set() {
    let bin = Bin::new("wrong");
    for shell in shells() {
        let line = b"rckexec.kernel rckexec.wait=soon rckexec.dir=/ a";
        let (set, said) = read(&shell, &format!("{}:$PATH", bin.0.display()), line);
        assert_eq!(set, [], "{shell:?}");
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(
            lines,
            [
                "rc-kexec boot-options: unable to use rckexec.kernel: it has no value",
                "rc-kexec boot-options: unable to use rckexec.wait=soon: it is a number of seconds",
            ],
            "{shell:?}"
        );
        // Nor is anything without the program.
        let (set, said) = read(&shell, "/nowhere", b"rckexec.dir=/");
        assert!(set.is_empty() && said.contains("rc-kexec"), "{shell:?}: {set:?}: {said}");
    }
}

#[test]
fn what_kexec_load_is_run_with() {
    let table = [
        ("rckexec.dir=/boot", "<--command-line><><--boot></boot>"),
        ("a  b rckexec.dev=LABEL=X rckexec.dir=/", "<--command-line><a b><--boot></rckexec.dev/>"),
        (
            "rckexec.dev=/dev/x rckexec.kernel=k rckexec.initrd=a,/b,,c a",
            "<--command-line><a></rckexec.dev/k><--boot></rckexec.dev/>\
             <--initrd></rckexec.dev/a><--initrd></rckexec.dev/b><--initrd></rckexec.dev/c>",
        ),
        ("rckexec.kernel=/b/k rckexec.initrd=none", "<--command-line><></b/k><--boot></b/><--initrd><none>"),
        (
            "rckexec.kernel=\"/my *\" rckexec.initrd=\"/bin/* ?\" *",
            "<--command-line><*></my *><--boot></><--initrd></bin/* ?>",
        ),
    ];
    let bin = Bin::new("load");
    for shell in shells() {
        for (line, wanted) in table {
            let path = format!("{}:$PATH", bin.0.display());
            let output = call(&shell, &path, "read_options && load", line.as_bytes());
            assert!(output.status.success() && output.stderr.is_empty(), "{shell:?}: {line}: {output:?}");
            assert_eq!(String::from_utf8(output.stdout).unwrap(), wanted, "{shell:?}: {line}");
        }
    }
}

#[test]
fn rc_kexec_init_does_nothing_as_another_process_than_the_first() {
    for shell in shells() {
        let output = run(&shell, &source("rc-kexec-init"), b"");
        assert_eq!(output.status.code(), Some(2), "{shell:?}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains("this is for the boot option rdinit=, and process 1 alone"),
            "{shell:?}: {said}"
        );
    }
}

/// Runs a hook's functions with stand-ins for its generator's, which print what they were
/// asked for. Real generators run in tests/vm/hooks.rs, except mkinitcpio, of which the
/// tests have no package.
fn asked_of_stand_ins(hook: &str, stand_ins: &str, calls: &str) -> Vec<String> {
    let text = source(hook).replace(". /usr/share/initramfs-tools/hook-functions", ":");
    let output = run(&["sh"], &format!("set -eu\n{stand_ins}\n{text}\n{calls}"), b"");
    assert!(output.status.success(), "{hook}: {output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_string).collect()
}

const MODULES: &str =
    "ext4 vfat nls_ascii nls_cp437 nls_iso8859-1 nls_utf8 sd_mod usb_storage uas xhci_pci ehci_pci";

#[test]
fn what_mkinitcpio_is_asked_for() {
    // An image in which the hook base has put some of the tools.
    let root = std::env::temp_dir().join(format!("rc-kexec-mkinitcpio-{}", std::process::id()));
    std::fs::create_dir_all(root.join("usr/bin")).unwrap();
    for tool in ["sh", "mkdir", "cat", "sleep"] {
        std::fs::write(root.join("usr/bin").join(tool), "").unwrap();
    }
    let stand_ins = format!(
        "BUILDROOT={}
        for name in add_binary add_symlink add_module; do eval \"$name() {{ echo $name \\\"\\$@\\\"; }}\"; done",
        root.display()
    );
    let asked = asked_of_stand_ins("mkinitcpio", &stand_ins, "build");
    let mut wanted = vec![
        "add_binary /usr/sbin/rc-kexec".to_string(),
        "add_binary /usr/sbin/rc-kexec-init".to_string(),
        "add_symlink /usr/sbin/kexec-load /usr/sbin/rc-kexec".to_string(),
        "add_symlink /usr/sbin/kexec-exec /usr/sbin/rc-kexec".to_string(),
    ];
    wanted.extend(
        ["findfs", "mount", "umount", "modprobe", "date", "mv", "sync"]
            .map(|tool| format!("add_binary {tool}")),
    );
    // With ? it is no error when there is no such module.
    wanted.extend(MODULES.split(' ').map(|module| format!("add_module {module}?")));
    assert_eq!(asked, wanted);
    std::fs::remove_dir_all(root).unwrap();
    let help = asked_of_stand_ins("mkinitcpio", "", "help").join("\n");
    assert!(help.contains("rdinit=/usr/sbin/rc-kexec-init"), "{help}");
}

#[test]
fn what_dracut_is_asked_for() {
    let stand_ins = "
        for name in inst_multiple instmods require_binaries; do
            eval \"$name() { echo $name \\\"\\$@\\\"; }\"
        done";
    let calls = "status=0; check || status=$?; echo check $status; depends; installkernel; install";
    let asked = asked_of_stand_ins("dracut.sh", stand_ins, calls);
    assert_eq!(
        asked,
        [
            "require_binaries findfs mount umount mkdir cat sleep modprobe /usr/sbin/rc-kexec",
            "check 255",
            "base",
            &format!("instmods {MODULES}"),
            "inst_multiple /usr/sbin/rc-kexec /usr/sbin/kexec-load /usr/sbin/kexec-exec \
             /usr/sbin/rc-kexec-init findfs mount umount mkdir cat sleep modprobe",
            "inst_multiple -o date mv sync",
        ]
    );
}

#[test]
fn what_initramfs_tools_are_asked_for() {
    let stand_ins = "
        set -- hook
        for name in copy_exec manual_add_modules; do eval \"$name() { echo $name \\\"\\$@\\\"; }\"; done";
    let asked = asked_of_stand_ins("initramfs-tools", stand_ins, "");
    assert_eq!(
        asked,
        [
            "copy_exec /usr/sbin/rc-kexec",
            "copy_exec /usr/sbin/kexec-load",
            "copy_exec /usr/sbin/kexec-exec",
            "copy_exec /usr/sbin/rc-kexec-init",
            "copy_exec /sbin/findfs",
            &format!("manual_add_modules {MODULES}"),
        ]
    );
    // What it is asked first: which hooks come before it. None.
    assert_eq!(asked_of_stand_ins("initramfs-tools", "set -- prereqs", ""), [""; 0]);
}

#[test]
fn each_file_of_the_feature_is_one_that_the_installation_makes() {
    let dir = std::env::temp_dir().join(format!("rc-kexec-feature-{}", std::process::id()));
    let made = Command::new("make")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["install", "INITRAMFS=mkinitfs", "PREFIX=/opt/x"])
        .args([format!("DESTDIR={}", dir.display()), format!("BINARY={}", program().display())])
        .env_remove("MAKEFLAGS")
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let files = std::fs::read_to_string(dir.join("etc/mkinitfs/features.d/rc-kexec.files")).unwrap();
    let files: Vec<PathBuf> = files.lines().map(|line| dir.join(line.strip_prefix('/').unwrap())).collect();
    assert_eq!(files.len(), 4, "{files:?}");
    for file in &files {
        assert!(file.starts_with(dir.join("opt/x/sbin")) && file.exists(), "{}", file.display());
    }
    std::fs::remove_dir_all(dir).unwrap();
}
