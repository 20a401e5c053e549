//! Where fuzzing begins: fuzz/seeds, made from the headers of real kernels and from what
//! real tools write. `make seeds` makes them anew.

use crate::cpio::Cpio;
use crate::forms::{self, compressor, through};
use crate::machine::Kernel;
use rc_kexec::image::decode::Compression;
use std::path::Path;

fn seed(target: &str, name: &str, bytes: &[u8]) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join(name), bytes).unwrap();
}

/// A real bzImage's header over one sector of setup code and four paragraphs of kernel.
fn bzimage(kernel: Kernel) -> Vec<u8> {
    let mut file = kernel.image()[..0x290].to_vec();
    file.resize(2 * 512 + 64, 0);
    file[0x1f1] = 1;
    file[0x1f4..0x1f8].copy_from_slice(&4u32.to_le_bytes());
    // No version string, and no payload.
    file[0x20e..0x210].fill(0);
    file[0x248..0x250].fill(0);
    file
}

/// A real arm64 Image's header, without its PE header, over a page.
fn arm64_image() -> Vec<u8> {
    let mut file = Kernel::Arm64.image()[..64].to_vec();
    file[..8].copy_from_slice(&[0, 0, 0, 0x14, 0, 0, 0, 0]);
    file[16..24].copy_from_slice(&8192u64.to_le_bytes());
    file[60..64].fill(0);
    file.resize(4096, 0);
    file
}

/// An x86_64 vmlinux of two small segments.
fn vmlinux() -> Vec<u8> {
    let mut file = vec![0; 0x400];
    let mut put = |at: usize, field: &[u8]| file[at..at + field.len()].copy_from_slice(field);
    put(0, b"\x7fELF\x02\x01\x01");
    for (at, number) in [(16, 2u16), (18, 62), (52, 64), (54, 56), (56, 2)] {
        put(at, &number.to_le_bytes());
    }
    put(24, &0x100_0000u64.to_le_bytes());
    put(32, &64u64.to_le_bytes());
    for (index, (offset, physical, bytes, memory)) in
        [(0x200u64, 0x100_0000u64, 0x100u64, 0x100u64), (0x300, 0x120_0000, 0x80, 0x1000)]
            .into_iter()
            .enumerate()
    {
        let at = 64 + index * 56;
        put(at, &1u32.to_le_bytes());
        for (number, field) in
            [offset, physical + 0xffff_ffff_8000_0000, physical, bytes, memory].into_iter().enumerate()
        {
            put(at + 8 + number * 8, &field.to_le_bytes());
        }
    }
    put(0x210, b"Linux version 6.12.31-0-virt (x)");
    file
}

/// The numbers that fuzz/src/lib.rs takes from the front: a map of RAM at 1 MiB and 4 GiB
/// with a reserved range between them, and enough of each.
fn machine() -> Vec<u8> {
    let mut bytes = vec![3];
    for (kind, start, size) in
        [(0u8, (20u8, 1u32), (20, 0x7ff)), (1, (20, 0x800), (20, 0x10)), (0, (32, 1), (30, 4))]
    {
        bytes.extend_from_slice(&[kind, u8::from(kind == 0)]);
        for (shift, value) in [start, size] {
            bytes.push(shift);
            bytes.extend_from_slice(&value.to_be_bytes()[1..]);
        }
    }
    bytes
}

#[test]
#[ignore = "make seeds"]
fn seeds() {
    // make vm-test-long runs every ignored test, and must not change the tree.
    if std::env::var_os("RC_KEXEC_SEEDS").is_none() {
        return;
    }
    for (name, kernel) in [("debian", Kernel::Debian), ("alpine", Kernel::Alpine), ("i386", Kernel::I386)] {
        seed("bzimage", name, &bzimage(kernel));
        // total_pages, command line, two initrds, no EFI, no bounds, all flags off but the
        // old boot_params, then the header.
        let mut plan = machine();
        plan.extend_from_slice(&[30, 0, 0, 6]);
        plan.extend_from_slice(&[1; 16]);
        plan.extend_from_slice(&[2, 0, 9, 1, 0]);
        plan.extend_from_slice(&[0, 0, 0, 0, 0, 0]);
        plan.extend_from_slice(&[0, 0, 1, 0, 0, 0, 0]);
        plan.extend_from_slice(&bzimage(kernel));
        seed("plan_x86", name, &plan);
    }
    seed("arm64_image", "debian", &arm64_image());
    seed("vmlinux", "x86_64", &vmlinux());
    let mut arm = vmlinux();
    arm[18] = 183;
    seed("vmlinux", "arm64", &arm);

    let mut plan = machine();
    plan.extend_from_slice(&[0, 1, 30, 0, 0, 6]);
    plan.extend_from_slice(&[1; 8]);
    plan.extend_from_slice(&[2, 0, 9, 1, 0, 0, 1]);
    plan.extend_from_slice(&arm64_image()[..64]);
    plan.push(0);
    seed("plan_arm64", "debian", &plan);

    let text = format!("{}\n", include_str!("cpio.rs"));
    for (name, compression) in [
        ("gzip", Compression::Gzip),
        ("xz", Compression::Xz),
        ("zstd", Compression::Zstd),
        ("lz4", Compression::Lz4),
    ] {
        let packed = through(compressor(compression), text.as_bytes());
        seed(name, "text", &packed);
        seed("kernel_file", name, &through(compressor(compression), &bzimage(Kernel::Alpine)));
        let zboot = forms::zboot(&arm64_image(), compression, if name == "zstd" { "zstd" } else { name });
        seed("pe", &format!("zboot-{name}"), &zboot);
        seed("kernel_file", &format!("zboot-{name}"), &zboot);
    }
    for (name, command) in [
        ("zstd", &["zstd", "-q", "-c", "-19", "--no-check"][..]),
        ("zstd", &["zstd", "-q", "-c", "--fast=5"]),
        ("xz", &["xz", "-c", "--check=crc64", "--x86", "--lzma2=preset=6"]),
        ("xz", &["xz", "-c", "--check=none"]),
        ("gzip", &["gzip", "-c", "-9"]),
        ("lz4", &["lz4", "-q", "-c", "-l", "-9"]),
    ] {
        seed(name, &format!("text{}", command.last().unwrap()), &through(command, text.as_bytes()));
    }
    seed("kernel_file", "vmlinux", &vmlinux());
    seed("kernel_file", "bzimage", &bzimage(Kernel::Debian));
    let unified = forms::unified(
        0x8664,
        &[
            (".linux", &bzimage(Kernel::Debian)),
            (".initrd", b"070701"),
            (".cmdline", b"root=/dev/vda quiet\n\0"),
            (".uname", b"6.12.31-0-virt"),
            (".dtb", &[0; 40]),
        ],
    );
    seed("pe", "unified", &unified);
    seed("kernel_file", "unified", &unified);

    let mut archive = Cpio::default().dir("etc").file("etc/x", 0o644, b"12345").finish();
    seed("initrd", "cpio", &archive);
    archive.extend_from_slice(&through(&["gzip", "-c"], &archive));
    seed("initrd", "cpio-gzip", &archive);
    archive.extend_from_slice(b"key = value\n\x0c\0\0\0\xff\x04\0\0#BOOTCONFIG\n");
    seed("initrd", "bootconfig", &archive);
    seed("initrd", "name", b"etc/keys/root.key");

    let captured = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plan/captured");
    seed("device_tree", "virt", &std::fs::read(captured.join("virt.dtb")).unwrap());
    seed(
        "iomem",
        "crash_kernels",
        b"00000000-00000fff : Reserved\n00001000-0009fbff : System RAM\n00100000-3ffdbfff : System RAM\n\
          \x20 01000000-01e03bf7 : Kernel code\n  02000000-05ffffff : Crash kernel\n\
          3ffdc000-3ffdffff : ACPI Tables\n100000000-17fffffff : System RAM\n  16f000000-17effffff : Crash kernel\n",
    );
    seed("iomem", "arm64", &std::fs::read(captured.join("virt.iomem")).unwrap());
    seed(
        "iomem",
        "x86_64",
        b"00000000-00000fff : Reserved\n00001000-0009fbff : System RAM\n00100000-07ffffff : System RAM\n\
          \x20 01000000-01e03bf7 : Kernel code\n  02f00000-036fffff : Crash kernel\n40000000-febfffff : PCI Bus 0000:00\n",
    );
    seed(
        "memmap",
        "bios",
        b"0x0 0x9fbff System RAM\n0x9fc00 0x9ffff Reserved\n0x100000 0x2ffdefff System RAM\n",
    );
    for (number, line) in [
        "kexec-load\n/boot/vmlinuz\n--initrd=/boot/initrd\n--append\nquiet\n--add-file\na:/b:0644\n-d",
        "kexec\n-lc\n/boot/vmlinuz\n--reuse-cmdline\n--mem-min=0x100000\n--type=bzImage\n--init\n/x",
        "rc-kexec\ndoctor\n--porcelain\n--crypt-key\n/key\n--force",
        "rc-kexec\ngoing-down\n--when-unknown=kexec\n--arm",
        "kexec-exec\n--now",
        "rc-kexec\nkexec-load\n--help",
    ]
    .into_iter()
    .enumerate()
    {
        seed("words", &number.to_string(), line.as_bytes());
    }
    seed(
        "command_line",
        "alpine",
        b"BOOT_IMAGE=/vmlinuz-virt root=UUID=x modules=ext4 \"a b\" initrd=/i c=\"d e\" -- x",
    );
    seed("texts", "conf.d", include_bytes!("../../openrc/kexec-load.confd"));
    seed(
        "texts",
        "inittab",
        b"::sysinit:/sbin/openrc sysinit\n::shutdown:/sbin/openrc shutdown\n::reboot:/sbin/openrc reboot\n",
    );
    seed("texts", "trace", b"# tracer: nop\n poweroff-190 [001] d.... 7.817287: signal_generate: sig=12 errno=0 code=0 comm=init pid=1 grp=1 res=0\n");
}
