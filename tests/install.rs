//! `make install` installs what its settings ask for and nothing else, and `make uninstall`
//! removes it.

#![allow(missing_docs, clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn install(name: &str, more: &[&str]) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("rc-kexec-install-{name}-{}", std::process::id()));
    make("install", &dir, more);
    dir
}

fn make(goal: &str, dir: &Path, more: &[&str]) {
    let binary = std::env::var("RC_KEXEC").unwrap_or_else(|_| env!("CARGO_BIN_EXE_rc-kexec").into());
    let output = Command::new("make")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([goal, &format!("DESTDIR={}", dir.display()), &format!("BINARY={binary}")])
        .args(more)
        .env_remove("MAKEFLAGS")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_binary_and_its_links() {
    let dir = install("default", &[]);
    assert_eq!(names(&dir.join("usr/sbin")), ["kexec-exec", "kexec-load", "rc-kexec", "rc-kexec-init"]);
    assert_eq!(names(&dir.join("etc/init.d")), ["kdump", "kexec-exec", "kexec-load"]);
    assert_eq!(names(&dir.join("etc/conf.d")), ["kdump", "kexec-load"]);
    let help = Command::new(dir.join("usr/sbin/kexec-load")).arg("--help").output().unwrap();
    assert!(help.status.success(), "{help:?}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn kexec_only_when_asked_for_and_another_prefix() {
    let dir = install("link", &["KEXEC_LINK=yes", "PREFIX=/opt/x"]);
    let sbin = dir.join("opt/x/sbin");
    assert_eq!(names(&sbin), ["kexec", "kexec-exec", "kexec-load", "rc-kexec", "rc-kexec-init"]);
    assert_eq!(std::fs::read_link(sbin.join("kexec")).unwrap(), Path::new("rc-kexec"));
    // What the service kdump runs, and adds to an initramfs, is there.
    for path in ["etc/init.d/kdump", "opt/x/lib/rc-kexec/kdump"] {
        let text = std::fs::read_to_string(dir.join(path)).unwrap();
        assert!(!text.contains("/usr/"), "{path}: {text}");
        for word in text.split([' ', '\n', '"', ':', '=']).filter(|word| word.starts_with("/opt/x/")) {
            assert!(dir.join(&word[1..]).exists(), "{path}: {word}");
        }
    }
    std::fs::remove_dir_all(dir).unwrap();
}

/// In the place of rustup and apt-get, programs that write down what they are asked for, and
/// fail. What is missing is the standard library for a machine that no Rust has.
fn make_where_something_is_missing(test: &str, goal: &str) -> (String, String) {
    let dir = std::env::temp_dir().join(format!("rc-kexec-install-{test}-{goal}-{}", std::process::id()));
    let log = dir.join("log");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(&log, "").unwrap();
    for name in ["rustup", "apt-get", "apk"] {
        let program = dir.join(name);
        std::fs::write(&program, format!("#!/bin/sh\necho \"${{0##*/}} $*\" >>{}\nexit 1\n", log.display()))
            .unwrap();
        std::fs::set_permissions(program, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let output = Command::new("make")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([goal, "TARGET=x86_64-unknown-linux-nowhere"])
        .env("PATH", format!("{}:{}", dir.display(), std::env::var("PATH").unwrap()))
        .env_remove("MAKEFLAGS")
        .env_remove("SETUP")
        .output()
        .unwrap();
    assert!(!output.status.success(), "{output:?}");
    let asked = std::fs::read_to_string(log).unwrap();
    std::fs::remove_dir_all(dir).unwrap();
    (String::from_utf8_lossy(&output.stderr).into_owned(), asked)
}

const BRINGS_IT: &str = "rustup target add x86_64-unknown-linux-nowhere";

#[test]
fn make_says_what_is_missing_and_installs_nothing() {
    for goal in ["all", "others"] {
        let (said, asked) = make_where_something_is_missing("says", goal);
        assert!(said.contains(&format!("; run: {BRINGS_IT}\n")), "make {goal}: {said}");
        assert_eq!(asked, "", "make {goal} installed something");
    }
}

#[test]
fn the_targets_for_developers_install_what_is_missing() {
    for goal in ["demo", "check", "vm-test", "oracle", "bench", "soak", "sizes", "reproducible"] {
        let (said, asked) = make_where_something_is_missing("installs", goal);
        assert_eq!(asked, format!("{BRINGS_IT}\n"), "make {goal}: {said}");
    }
}

#[test]
fn manual_pages_and_completions() {
    let share = |dir: &Path, more: &[&str], wanted: &[&str]| {
        make("install", dir, &[&["PREFIX=/usr"], more].concat());
        assert_eq!(tree(&dir.join("usr/share")), wanted, "{more:?}");
        make("uninstall", dir, &[]);
        assert_eq!(tree(dir), [""; 0], "{more:?}");
    };
    let (bash, zsh) = ("bash-completion/completions", "zsh/site-functions/_rc-kexec");
    let pages =
        ["man/man8/kexec-exec.8", "man/man8/kexec-load.8", "man/man8/rc-kexec-init.8", "man/man8/rc-kexec.8"];
    let [exec, load, kexec, rc] =
        ["kexec-exec", "kexec-load", "kexec", "rc-kexec"].map(|name| format!("{bash}/{name}"));
    let dir = std::env::temp_dir().join(format!("rc-kexec-install-share-{}", std::process::id()));
    share(&dir, &[], &[&[&exec[..], &load, &rc], &pages[..], &[zsh]].concat());
    share(&dir, &["KEXEC_LINK=yes"], &[&[&kexec[..], &exec, &load, &rc], &pages[..], &[zsh]].concat());
    // The page of rc-kexec-init names it where PREFIX puts it.
    make("install", &dir, &["PREFIX=/opt/x"]);
    let page = std::fs::read_to_string(dir.join("opt/x/share/man/man8/rc-kexec-init.8")).unwrap();
    assert!(page.contains("rdinit=/opt/x/sbin/rc-kexec-init") && !page.contains("/usr/sbin"), "{page}");
    make("uninstall", &dir, &["PREFIX=/opt/x"]);
    assert_eq!(tree(&dir), [""; 0]);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn under_systemd_the_unit_is_in_the_place_of_the_services() {
    let dir = install("systemd", &["SYSTEMD=yes", "PREFIX=/opt/x"]);
    assert!(!dir.join("etc").exists());
    let units = dir.join("opt/x/lib/systemd/system");
    assert_eq!(names(&units), ["kdump.service", "kexec-load@.service"]);
    for (unit, wanted) in [("kdump.service", "kdump"), ("kexec-load@.service", "kexec-load-flavour")] {
        let unit = std::fs::read_to_string(units.join(unit)).unwrap();
        for line in unit.lines().filter(|line| line.starts_with("Exec")) {
            let program = line.split_once('=').unwrap().1.split_once(' ').unwrap().0.trim_start_matches('-');
            assert_eq!(program, format!("/opt/x/lib/rc-kexec/{wanted}"));
            assert!(dir.join(&program[1..]).exists(), "{line}");
        }
    }
    make("uninstall", &dir, &["PREFIX=/opt/x"]);
    assert_eq!(tree(&dir), [""; 0]);
    std::fs::remove_dir_all(dir).unwrap();
}

/// The paths of all files and links below a folder, relative to it.
fn tree(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for name in names(&folder) {
            let path = folder.join(name);
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(dir).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

const MKINITFS: [&str; 2] =
    ["etc/mkinitfs/features.d/rc-kexec.files", "etc/mkinitfs/features.d/rc-kexec.modules"];
const DRACUT: [&str; 1] = ["usr/lib/dracut/modules.d/90rc-kexec/module-setup.sh"];
const MKINITCPIO: [&str; 1] = ["usr/lib/initcpio/install/rc-kexec"];
const INITRAMFS_TOOLS: [&str; 1] = ["usr/share/initramfs-tools/hooks/rc-kexec"];

#[test]
fn the_hooks_of_those_generators_that_are_named() {
    let dir = install("no-hooks", &[]);
    let without = tree(&dir);
    std::fs::remove_dir_all(dir).unwrap();
    let all = [&MKINITFS[..], &DRACUT, &MKINITCPIO, &INITRAMFS_TOOLS].concat();
    let table: [(&str, &[&str]); 6] = [
        ("mkinitfs", &MKINITFS),
        ("dracut", &DRACUT),
        ("mkinitcpio", &MKINITCPIO),
        ("initramfs-tools", &INITRAMFS_TOOLS),
        ("mkinitcpio,mkinitfs", &[&MKINITFS[..], &MKINITCPIO].concat()),
        ("mkinitfs,dracut,mkinitcpio,initramfs-tools", &all),
    ];
    for (named, wanted) in table {
        let more = format!("INITRAMFS={named}");
        let dir = install("hooks", &[&more]);
        let added: Vec<String> = tree(&dir).into_iter().filter(|path| !without.contains(path)).collect();
        let mut wanted = wanted.to_vec();
        wanted.sort_unstable();
        assert_eq!(added, wanted, "{named}");
        // `make uninstall` removes all hooks, without INITRAMFS.
        make("uninstall", &dir, &[]);
        assert_eq!(tree(&dir), [""; 0], "{named}");
        assert!(!dir.join("usr/lib/dracut/modules.d/90rc-kexec").exists(), "{named}");
        std::fs::remove_dir_all(dir).unwrap();
    }
}

#[test]
fn hooks_are_where_their_generators_look_with_the_prefix_in_their_paths() {
    let dir = install("hooks-prefix", &["INITRAMFS=dracut,mkinitfs", "PREFIX=/opt/x"]);
    assert!(dir.join("opt/x/sbin/rc-kexec-init").exists());
    for path in [MKINITFS[0], DRACUT[0]] {
        let text = std::fs::read_to_string(dir.join(path)).unwrap();
        assert!(text.contains("/opt/x/sbin/rc-kexec-init") && !text.contains("/usr/sbin"), "{path}: {text}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_generator_that_is_not_known_is_an_error_that_names_the_known_ones() {
    let dir = std::env::temp_dir().join(format!("rc-kexec-install-unknown-{}", std::process::id()));
    let output = Command::new("make")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["install", "INITRAMFS=mkinitfs,booster", &format!("DESTDIR={}", dir.display())])
        .env_remove("MAKEFLAGS")
        .output()
        .unwrap();
    assert!(!output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    for name in ["INITRAMFS=mkinitfs,booster is not known", "mkinitfs dracut mkinitcpio initramfs-tools"] {
        assert!(said.contains(name), "{name}: {said}");
    }
    assert!(!dir.exists(), "something was installed");
}

#[test]
fn settings_stay_over_an_installation_and_what_was_set_over_its_end() {
    let dir = install("settings", &[]);
    let settings = dir.join("etc/conf.d/kexec-load");
    std::fs::write(&settings, "kexec_append=\"quiet\"\n").unwrap();
    make("install", &dir, &[]);
    assert_eq!(std::fs::read_to_string(&settings).unwrap(), "kexec_append=\"quiet\"\n");
    make("uninstall", &dir, &[]);
    assert_eq!(names(&dir.join("etc/conf.d")), ["kexec-load"]);
    std::fs::copy("openrc/kexec-load.confd", &settings).unwrap();
    make("uninstall", &dir, &[]);
    for empty in ["etc/conf.d", "etc/init.d", "usr/sbin"] {
        assert_eq!(names(&dir.join(empty)), [""; 0], "{empty}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}
