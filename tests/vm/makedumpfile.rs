//! makedumpfile, which writes and reads dumps, inside a machine.

use crate::machine::{Vm, parts};

/// How its commands begin there: without its words on how far it is.
pub const MAKEDUMPFILE: &str = "env LD_LIBRARY_PATH=/peer /peer/makedumpfile --message-level 4";

/// A machine with it, and the libraries that it needs.
pub fn with_makedumpfile(mut vm: Vm) -> Vm {
    const LOADER: &str = "ld-linux-x86-64.so.2";
    let usr = parts().join("makedumpfile/usr");
    let read = |path: std::path::PathBuf| {
        std::fs::read(&path)
            .unwrap_or_else(|error| panic!("{}: {error}\n  run: make vm-parts", path.display()))
    };
    vm = vm
        .dir("peer")
        .dir("lib64")
        .file("peer/makedumpfile", &read(usr.join("bin/makedumpfile")))
        .file(&format!("lib64/{LOADER}"), &read(usr.join("lib64").join(LOADER)));
    for name in [
        "libz.so.1",
        "libzstd.so.1",
        "liblzo2.so.2",
        "libdw.so.1",
        "libelf.so.1",
        "liblzma.so.5",
        "libbz2.so.1.0",
        "libc.so.6",
    ] {
        vm = vm.file(&format!("peer/{name}"), &read(usr.join("lib/x86_64-linux-gnu").join(name)));
    }
    vm
}
