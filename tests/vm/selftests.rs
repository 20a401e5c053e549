//! The kernel's own tests of kexec (tools/testing/selftests/kexec), unchanged, with this
//! program instead of kexec-tools. What they say last is theirs: 0 is a pass, 1 a
//! failure, 4 a test that was skipped.

use crate::machine::{Console, Kernel, Vm, part, parts};

/// The scripts, and what they look at: the kernel by the name that it is installed by, and
/// its configuration, which Debian's does not tell in /proc.
fn vm(kernel: Kernel, uefi: bool, script: &str) -> Vm {
    let folder = "source/linux-source-6.12/tools/testing/selftests/kexec";
    let mut vm = Vm::new(kernel).dir("selftests").dir("lib").dir("lib64");
    for name in ["kexec_common_lib.sh", "test_kexec_load.sh", "test_kexec_file_load.sh"] {
        vm = vm.file(&format!("selftests/{name}"), &part(&format!("{folder}/{name}")));
    }
    if kernel == Kernel::Debian {
        let name = kernel.names().0;
        let release = name.strip_prefix("vmlinuz-").unwrap();
        let config = part(&format!("debian/boot/config-{release}"));
        vm = vm.dir("lib/modules").dir(&format!("lib/modules/{release}"));
        vm = vm.file(&format!("lib/modules/{release}/config"), &config);
    }
    let stage = format!(
        "ln -s vmlinuz /boot/vmlinuz-$(uname -r)\n\
         mount -t efivarfs efivarfs /sys/firmware/efi/efivars 2>/dev/null\n\
         export LD_LIBRARY_PATH=/lib\n\
         kexec --version\n\
         cd /selftests\n\
         if [ -e /unsigned ]; then\n\
             pesign -i /unsigned --show-signature | sed 's/^/UNSIGNED /'\n\
             pesign -i /boot/vmlinuz --show-signature | sed 's/^/SIGNED /'\n\
         fi\n\
         $([ -e /bin/bash ] && echo bash || echo sh) ./{script}; echo \"SCRIPT $?\"\n\
         echo LOADED $(cat /sys/kernel/kexec_loaded)\n"
    );
    let vm = vm.stage(1, &stage);
    if uefi { vm.uefi() } else { vm }
}

/// It ran to its end, passed, and unloaded what it had loaded.
#[track_caller]
fn assert_passed(console: &Console, last: &str) {
    console.has("rc-kexec ").has(&format!("{last} [PASS]\nSCRIPT 0\nLOADED 0\n"));
    console.has_not("[FAIL]").has_not("not found");
}

#[test]
fn the_kernels_test_of_kexec_load_passes() {
    for (kernel, uefi) in
        [(Kernel::Alpine, false), (Kernel::Alpine, true), (Kernel::Debian, false), (Kernel::Debian, true)]
    {
        let console = vm(kernel, uefi, "test_kexec_load.sh").run();
        assert_passed(&console, "kexec_load succeeded");
        console.has("[INFO] kexec_load is enabled").has("[INFO] secure boot mode not enabled");
        // Debian's kernel could ask for a signature, in a machine with Secure Boot.
        let policy = "[INFO] IMA architecture specific policy enabled";
        if kernel == Kernel::Debian {
            console.has(policy)
        } else {
            console.has_not(policy)
        };
    }
}

/// In the same words a kernel that refuses fails it: the test is one.
#[test]
fn the_kernels_test_of_kexec_load_fails_on_a_locked_kernel() {
    let console = vm(Kernel::Alpine, false, "test_kexec_load.sh").locked().run();
    console.has("kexec_load failed [FAIL]\nSCRIPT 1\nLOADED 0\n");
}

/// With pesign, getfattr, a tail that knows --bytes, a shell that does not take its own for it, and
/// the libraries that they need. Debian's kernel is signed; that
/// pesign says so is told from one that cannot run, which the script takes for the same.
#[test]
fn the_kernels_test_of_kexec_file_load_passes() {
    let mut vm = vm(Kernel::Debian, false, "test_kexec_file_load.sh");
    for name in ["bash", "pesign", "getfattr", "tail"] {
        vm = vm.file(&format!("bin/{name}"), &part(&format!("selftests/usr/bin/{name}")));
    }
    let loader = "ld-linux-x86-64.so.2";
    vm = vm.file(&format!("lib64/{loader}"), &part(&format!("selftests/usr/lib64/{loader}")));
    for entry in std::fs::read_dir(parts().join("selftests/usr/lib/x86_64-linux-gnu")).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if name.contains(".so") && name != loader && entry.path().is_file() {
            vm = vm.file(&format!("lib/{name}"), &std::fs::read(entry.path()).unwrap());
        }
    }
    let console = vm.file("unsigned", &Kernel::Alpine.image()).run();
    assert_passed(&console, "kexec_file_load succeeded");
    console
        .has("UNSIGNED No signatures found.")
        .has("SIGNED The signer's common name is Debian Secure Boot Signer")
        .has("[INFO] kexec_file_load is enabled")
        .has("[INFO] PE signed kernel image required")
        .has("[INFO] kexec kernel image PE signed")
        .has("[INFO] kexec kernel image not IMA signed")
        .has("[INFO] kexec kernel image not modsig signed")
        .has_not("Usage:");
}
