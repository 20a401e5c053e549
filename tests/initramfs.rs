//! What can be tested without a machine: what the hooks ask their initramfs generators for, and
//! how rc-kexec-init reads the command line.

#![allow(missing_docs, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn source(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("initramfs-hook").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// Those shells of this machine that may be /bin/sh in an initramfs.
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

fn run(shell: &[&str], script: &str, argument: &str) -> Output {
    let (program, arguments) = shell.split_first().unwrap();
    Command::new(program).args(arguments).args(["-c", script, "rc-kexec-init", argument]).output().unwrap()
}

/// Reads a command line with the functions of rc-kexec-init. Returns the options that they found,
/// the next kernel's command line, and the messages.
fn read(shell: &[&str], command_line: &str) -> (String, String, String) {
    let whole = source("rc-kexec-init");
    // The last line would run it.
    let functions = whole.strip_suffix("main \"$@\"\n").unwrap();
    let script = format!(
        "{functions}
        read_options \"$1\"
        echo \"$?\"
        for name in asked dev wait fstype kernel dir initrds append; do
            eval \"value=\\$$name\"
            [ -z \"$value\" ] || printf '%s ' \"$name=$value\"
        done
        printf '\\n%s' \"$line\""
    );
    let output = run(shell, &script, command_line);
    assert!(output.status.success(), "{shell:?}: {command_line}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut parts = text.splitn(3, '\n');
    let (status, options, line) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(status == "0", said.is_empty(), "{shell:?}: {command_line}: {status}: {said}");
    (options.trim_end().to_string(), line.to_string(), said)
}

#[test]
fn options_are_read_and_the_rest_is_the_next_kernels() {
    // Each row has the command line, the options, and the next kernel's command line.
    let table = [
        ("", "wait=30", ""),
        ("quiet root=/dev/vda3", "wait=30", "quiet root=/dev/vda3"),
        (
            "rdinit=/usr/sbin/rc-kexec-init quiet rckexec.dev=LABEL=BOOT rckexec.kernel=/vmlinuz",
            "asked=yes dev=LABEL=BOOT wait=30 kernel=/vmlinuz",
            "quiet",
        ),
        ("rckexec.dir=/boot rckexec.wait=5", "asked=yes wait=5 dir=/boot", ""),
        (
            "rckexec.dev=UUID=1234-ABCD rckexec.fstype=vfat rckexec.kernel=a rckexec.initrd=b,c rckexec.initrd=d",
            "asked=yes dev=UUID=1234-ABCD wait=30 fstype=vfat kernel=a initrds=,b,c,d",
            "",
        ),
        ("rckexec.dev=PARTUUID=ab-01 rckexec.dir=/", "asked=yes dev=PARTUUID=ab-01 wait=30 dir=/", ""),
        // Quotes stand around a value or around a word. White space between words becomes one
        // space, and white space inside quotes stays.
        (
            "a \"rckexec.dev=LABEL=MY STICK\" b=\"two  words\"\tc rckexec.kernel=\"/a b\"  d",
            "asked=yes dev=LABEL=MY STICK wait=30 kernel=/a b",
            "a b=\"two  words\" c d",
        ),
        ("rckexec.dir=/ x=\"never closed  y", "asked=yes wait=30 dir=/", "x=\"never closed  y"),
        ("rckexec.dir=/ \"x y\"z\" w\"", "asked=yes wait=30 dir=/", "\"x y\"z\" w\""),
        // The shell expands nothing, and keeps backslashes.
        ("rckexec.dir=/ * a\\nb $HOME `id`", "asked=yes wait=30 dir=/", "* a\\nb $HOME `id`"),
        (
            "a rckexec.dir=/ rckexec.append=\"b c\" d rckexec.append=e",
            "asked=yes wait=30 dir=/ append= b c e",
            "a d b c e",
        ),
        // The words for init stay in their place, and added words come before them.
        (
            "a rckexec.dir=/ rckexec.append=b -- c rckexec.dir=/x rdinit=/usr/sbin/rc-kexec-init",
            "asked=yes wait=30 dir=/ append= b",
            "a b -- c rckexec.dir=/x rdinit=/usr/sbin/rc-kexec-init",
        ),
        ("rckexec.dir=/ -- c", "asked=yes wait=30 dir=/", "-- c"),
        ("a -- rckexec.dir=/", "wait=30", "a -- rckexec.dir=/"),
        // The words that kexec-load added for a key are dropped, but not those of the user.
        ("a rc_kexec.key cryptkey rckexec.dir=/ b", "asked=yes wait=30 dir=/", "a b"),
        ("cryptkey rckexec.dir=/ b", "asked=yes wait=30 dir=/", "cryptkey b"),
        // The words of a boot loader are dropped. An rdinit= for another program stays.
        (
            "BOOT_IMAGE=/vmlinuz initrd=\\initramfs rckexec.dir=/ rdinit=/bin/sh noinitrd",
            "asked=yes wait=30 dir=/",
            "rdinit=/bin/sh noinitrd",
        ),
        ("\"rdinit=/opt/x/sbin/rc-kexec-init\" rckexec.dir=/ a", "asked=yes wait=30 dir=/", "a"),
        // The next kernel is never asked for a kexec, even if the user asks for it.
        (
            "rckexec.dir=/ rckexec.append=\"rckexec.dir=/ rdinit=/usr/sbin/rc-kexec-init a\"",
            "asked=yes wait=30 dir=/ append= rckexec.dir=/ rdinit=/usr/sbin/rc-kexec-init a",
            "a",
        ),
    ];
    for shell in shells() {
        for (command_line, options, line) in table {
            let found = read(&shell, command_line);
            let wanted = (options.to_string(), line.to_string(), String::new());
            assert_eq!(found, wanted, "{shell:?}: {command_line}");
            let again = read(&shell, line);
            assert_eq!(
                (again.0.as_str(), again.1.as_str()),
                ("wait=30", line),
                "{shell:?}: twice: {command_line}"
            );
        }
    }
}

#[test]
fn words_that_make_no_sense_are_named() {
    let table = [
        ("rckexec.kernel", "unable to use rckexec.kernel: it has no value"),
        ("rckexec.kernel=", "unable to use rckexec.kernel: it has no value"),
        ("rckexec.kernel=\"\"", "unable to use rckexec.kernel: it has no value"),
        ("rckexec.dir=/ rckexec.kernal=/x", "unable to use rckexec.kernal: it is none of dev, wait,"),
        ("rckexec.dir=/ rckexec.wait=soon", "unable to use rckexec.wait=soon: it is a number of seconds"),
        ("rckexec.dir=/ rckexec.wait=-1", "unable to use rckexec.wait=-1: it is a number of seconds"),
        (
            "rckexec.dir=/ rckexec.dev=sda1",
            "unable to use rckexec.dev=sda1: it is LABEL=, UUID=, PARTUUID= or",
        ),
        ("rckexec.dir=/ rckexec.dev=LABEL=", "unable to use rckexec.dev=LABEL=: it is LABEL=,"),
        (
            "rckexec.dev=LABEL=x",
            "unable to choose a kernel: neither rckexec.kernel= nor rckexec.dir= is there",
        ),
        (
            "rckexec.dir=/ rckexec.kernel=/x",
            "unable to choose a kernel: rckexec.kernel= and rckexec.dir= are both",
        ),
    ];
    for shell in shells() {
        for (command_line, wanted) in table {
            let (options, _, said) = read(&shell, command_line);
            assert!(options.starts_with("asked=yes"), "{shell:?}: {command_line}: {options}");
            assert!(
                said.starts_with(&format!("rc-kexec-init: {wanted}")),
                "{shell:?}: {command_line}: {said}"
            );
            assert_eq!(said.lines().count(), 1, "{shell:?}: {command_line}: {said}");
        }
        let all = "rckexec.kernel rckexec.wait=x rckexec.nothing=1";
        assert_eq!(read(&shell, all).2.lines().count(), 3, "{shell:?}: {:?}", read(&shell, all));
    }
}

#[test]
fn rc_kexec_init_does_nothing_as_another_process_than_the_first() {
    for shell in shells() {
        let output = run(&shell, &source("rc-kexec-init"), "");
        assert_eq!(output.status.code(), Some(2), "{shell:?}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains("this is for the boot option rdinit=, and process 1 alone"),
            "{shell:?}: {said}"
        );
    }
}

/// Runs a hook's functions with stand-ins for the functions of its generator, which print their
/// arguments. tests/vm/hooks.rs runs the real generators, except mkinitcpio, because the tests
/// have no package of it.
fn asked_of_stand_ins(hook: &str, stand_ins: &str, calls: &str) -> Vec<String> {
    let text = source(hook).replace(". /usr/share/initramfs-tools/hook-functions", ":");
    let output = run(&["sh"], &format!("set -eu\n{stand_ins}\n{text}\n{calls}"), "");
    assert!(output.status.success(), "{hook}: {output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_string).collect()
}

const MODULES: &str =
    "ext4 vfat nls_ascii nls_cp437 nls_iso8859-1 nls_utf8 sd_mod usb_storage uas xhci_pci ehci_pci";

#[test]
fn what_mkinitcpio_is_asked_for() {
    // An image that already contains some of the tools, from the hook `base`.
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
    wanted.extend(["findfs", "mount", "umount", "modprobe"].map(|tool| format!("add_binary {tool}")));
    // The ? makes mkinitcpio ignore a module that does not exist.
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
    // No hook must run before it.
    assert_eq!(asked_of_stand_ins("initramfs-tools", "set -- prereqs", ""), [""; 0]);
}

#[test]
fn each_file_of_the_feature_is_one_that_the_installation_makes() {
    let dir = std::env::temp_dir().join(format!("rc-kexec-feature-{}", std::process::id()));
    let binary = std::env::var("RC_KEXEC").unwrap_or_else(|_| env!("CARGO_BIN_EXE_rc-kexec").into());
    let made = Command::new("make")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["install", "INITRAMFS=mkinitfs", "PREFIX=/opt/x"])
        .args([format!("DESTDIR={}", dir.display()), format!("BINARY={binary}")])
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
