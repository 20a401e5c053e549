//! The same source gives the same bytes in any folder. `make reproducible` builds the program
//! here, and these tests build it again in another folder, from the tarball of `make dist`.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod tree;

use std::path::{Path, PathBuf};
use tree::{Dir, commit, copy, make, run};

fn from_make(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run `make reproducible`"))
}

/// Another home for cargo with the same crates as this one, so that cargo unpacks them in another
/// folder and fetches nothing.
fn cargo_home(dir: &Path) -> PathBuf {
    let home = dir.join("cargo's home");
    let home = PathBuf::from(home.to_str().unwrap().replace([' ', '\''], "-"));
    std::fs::create_dir_all(home.join("registry")).unwrap();
    let own = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let own = own.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cargo"));
    for name in ["cache", "index"] {
        std::os::unix::fs::symlink(own.join("registry").join(name), home.join("registry").join(name))
            .unwrap();
    }
    home
}

/// Unpacks the source in another folder, builds it offline, and compares the program with the one
/// that the variable `here` names.
fn rebuilt(goal: &str, here: &str) {
    let arch = from_make("ARCH");
    let here = PathBuf::from(from_make(here));
    let dir = Dir::new(&format!("reproducible-{goal}-{arch}"));
    let source = dir.0.join("source");
    copy(&source);
    commit(&source);
    run(make(&source).arg("dist"));
    let elsewhere = dir.0.join("some").join("where").join("else");
    std::fs::create_dir_all(&elsewhere).unwrap();
    let tarball = source.join(format!("target/rc-kexec-{}.tar.gz", env!("CARGO_PKG_VERSION")));
    run(std::process::Command::new("tar").arg("-xzf").arg(tarball).arg("-C").arg(&elsewhere));
    let unpacked = elsewhere.join(concat!("rc-kexec-", env!("CARGO_PKG_VERSION")));

    let mut build = make(&unpacked);
    build.args([goal, &format!("ARCH={arch}")]).env("CARGO_HOME", cargo_home(&dir.0));
    build.env("CARGO_TARGET_DIR", dir.0.join("built")).env("CARGO_NET_OFFLINE", "true");
    build.env("CARGO_BUILD_JOBS", "1").env("TZ", "Asia/Tokyo").env("LC_ALL", "C");
    run(&mut build);

    let there = dir.0.join("built").join(here.file_name().unwrap());
    let (one, two) = (std::fs::read(&here).unwrap(), std::fs::read(&there).unwrap());
    let differs = one.iter().zip(&two).position(|(one, two)| one != two);
    // A path in the program is the likely difference.
    let paths =
        String::from_utf8_lossy(&two).lines().filter(|line| line.contains(dir.0.to_str().unwrap())).count();
    assert!(
        one == two,
        "{}: {} bytes; from {}: {} bytes; the first that differs: {differs:?}; lines with the folder's name: {paths}",
        here.display(),
        one.len(),
        unpacked.display(),
        two.len(),
    );
}

#[test]
fn the_default_build() {
    rebuilt("all", "RC_KEXEC");
}

#[test]
fn the_small_build() {
    rebuilt("tiny", "RC_KEXEC_TINY");
}
