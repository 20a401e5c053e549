//! `make install` puts what it says where it says, and no more.

#![allow(missing_docs, clippy::unwrap_used)]

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
    assert_eq!(names(&dir.join("usr/sbin")), ["kexec-exec", "kexec-load", "rc-kexec"]);
    assert_eq!(names(&dir.join("etc/init.d")), ["kexec-exec", "kexec-load"]);
    assert_eq!(names(&dir.join("etc/conf.d")), ["kexec-load"]);
    let help = Command::new(dir.join("usr/sbin/kexec-load")).arg("--help").output().unwrap();
    assert!(help.status.success(), "{help:?}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn kexec_only_when_asked_for_and_another_prefix() {
    let dir = install("link", &["KEXEC_LINK=yes", "PREFIX=/opt/x"]);
    let sbin = dir.join("opt/x/sbin");
    assert_eq!(names(&sbin), ["kexec", "kexec-exec", "kexec-load", "rc-kexec"]);
    assert_eq!(std::fs::read_link(sbin.join("kexec")).unwrap(), Path::new("rc-kexec"));
    std::fs::remove_dir_all(dir).unwrap();
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
