//! Initrds, as a real kernel unpacks them: Debian's user-mode Linux runs as a process, in a second.
//! tests/initrds/README.md has a row for each case with both verdicts. One that differs without a
//! reason here is a failure.
//!
//! The kernel need not come as far as a user program, which it does not everywhere: it says whether it
//! unpacked all, and whether /probe, which is the last file of each case, is there.

use crate::cpio::Cpio;
use crate::forms::through;
use crate::machine::{folder, parts};
use crate::table;
use rc_kexec::image::initrd;
use std::process::{Command, Stdio};

/// An archive with /probe.
fn probe() -> Vec<u8> {
    Cpio::default().file("probe", 0o755, b"#!/none\n").finish()
}

/// An archive with another file.
fn other() -> Vec<u8> {
    Cpio::default().file("other", 0o644, &[7; 5000]).finish()
}

/// An archive without its trailer.
fn without_trailer(archive: &[u8]) -> Vec<u8> {
    let at = archive.windows(10).rposition(|part| part == b"TRAILER!!!").unwrap() - 110;
    archive[..at].to_vec()
}

/// An archive in the "crc" format, its only file's sum as it is or off by one.
fn with_sums(is_right: bool) -> Vec<u8> {
    let mut archive = probe();
    archive[5] = b'2';
    let sum = b"#!/none\n".iter().map(|&byte| u32::from(byte)).sum::<u32>() + u32::from(!is_right);
    archive[102..110].copy_from_slice(format!("{sum:08x}").as_bytes());
    archive
}

/// The same in the "odc" format.
fn odc() -> Vec<u8> {
    let entry = |mode: &str, name: &str, data: &[u8]| {
        let (zero, size) = ("000000", data.len());
        let header = format!(
            "070707{zero}000001{mode}{zero}{zero}000001{zero}00000000000{:06o}{size:011o}",
            name.len() + 1
        );
        [header.as_bytes(), name.as_bytes(), b"\0", data].concat()
    };
    [entry("100755", "probe", b"#!/none\n"), entry("000000", "TRAILER!!!", b"")].concat()
}

/// A bootconfig as the kernel looks for it (Documentation/admin-guide/bootconfig.rst).
fn bootconfig() -> Vec<u8> {
    let text = b"key = value\n";
    let sum = text.iter().map(|&byte| u32::from(byte)).sum::<u32>();
    [&text[..], &(text.len() as u32).to_le_bytes(), &sum.to_le_bytes(), b"#BOOTCONFIG\n"].concat()
}

/// gzip's bytes with other flags, and with bytes between its header and its data.
fn gzip(flags: u8, between: &[u8]) -> Vec<u8> {
    let packed = through(&["gzip", "-n", "-c"], &probe());
    [&packed[..3], &[flags], &packed[4..10], between, &packed[10..]].concat()
}

/// A zstd frame with a window of 2^`log` bytes, its only block as it is (RFC 8878, 3.1.1).
fn zstd_window(log: u8) -> Vec<u8> {
    let data = probe();
    let block = ((data.len() as u32) << 3 | 1).to_le_bytes();
    [b"\x28\xb5\x2f\xfd\0", &[(log - 10) << 3][..], &block[..3], &data].concat()
}

struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    /// Why rc-kexec and the kernel may differ.
    reason: &'static str,
}

fn cases() -> Vec<Case> {
    let pack = |command: &[&str]| through(command, &probe());
    let case = |name, bytes| Case { name, bytes, reason: "" };
    let zeros = |count| vec![0u8; count];
    let plain = without_trailer(&probe());
    let mut long_trailer = probe();
    let at = long_trailer.windows(10).rposition(|part| part == b"TRAILER!!!").unwrap() - 110;
    long_trailer[at + 94..at + 102].copy_from_slice(b"0000000e");
    let mut cut = probe();
    cut.truncate(115);
    vec![
        case("cpio", probe()),
        case("cpio, zeros, cpio", [other(), zeros(512), probe()].concat()),
        case("zeros, cpio", [zeros(8), probe()].concat()),
        case("zeros that end at an odd address, cpio", [zeros(6), probe()].concat()),
        case("cpio, gzip", [other(), pack(&["gzip", "-c"])].concat()),
        case("cpio cut in an entry", cut),
        case("cpio, then text", [probe(), b"junk".to_vec()].concat()),
        case("text", b"hello, world".to_vec()),
        case("zeros", zeros(4096)),
        Case {
            name: "cpio without a trailer",
            bytes: plain.clone(),
            reason: "it may have been cut between two files, and nothing tells",
        },
        case("cpio without a trailer, zeros", [plain.clone(), zeros(512)].concat()),
        case("cpio without a trailer, cpio", [without_trailer(&other()), probe()].concat()),
        case("cpio without a trailer, gzip", [without_trailer(&other()), pack(&["gzip", "-c"])].concat()),
        case("cpio with a longer name of its trailer", long_trailer),
        case("cpio of the crc format", with_sums(true)),
        case("cpio of the crc format, a wrong sum", with_sums(false)),
        case("gzip", pack(&["gzip", "-n", "-c"])),
        case("gzip with a name", through(&["gzip", "-N", "-c"], &probe())),
        case("gzip with FHCRC", gzip(2, b"\0\0")),
        case("gzip with FEXTRA", gzip(4, b"\x04\0abcd")),
        case("gzip with FCOMMENT", gzip(16, b"comment\0")),
        case("gzip with the magic 1f 9e", [&b"\x1f\x9e"[..], &pack(&["gzip", "-n", "-c"])[2..]].concat()),
        case("xz with CRC32", pack(&["xz", "-c", "--check=crc32"])),
        case("xz without a check", pack(&["xz", "-c", "--check=none"])),
        case("xz with CRC64, its default", pack(&["xz", "-c"])),
        case("xz with SHA-256", pack(&["xz", "-c", "--check=sha256"])),
        case("xz with a delta filter", pack(&["xz", "-c", "--check=crc32", "--delta", "--lzma2"])),
        case("zstd", pack(&["zstd", "-q", "-c"])),
        case("zstd with a window of 128 MiB", zstd_window(27)),
        case("zstd with a window of 256 MiB", zstd_window(28)),
        case("lz4 -l", pack(&["lz4", "-q", "-c", "-l"])),
        case("lz4 frame", pack(&["lz4", "-q", "-c"])),
        case("zstd by pzstd", pack(&["pzstd", "-q", "-c"])),
        case("lzma", pack(&["xz", "--format=lzma", "-c"])),
        case("lzma with lc=4", pack(&["xz", "--format=lzma", "--lzma1=lc=4,pb=0", "-c"])),
        case("bzip2", pack(&["bzip2", "-c"])),
        case("cpio of the odc format", odc()),
        case("cpio, bootconfig", [probe(), bootconfig()].concat()),
    ]
}

/// What the kernel says of an initrd: whether it unpacked all of it, and /probe is there.
fn kernel_unpacks(bytes: &[u8]) -> (bool, String) {
    let dir = folder();
    let path = dir.join("initrd");
    std::fs::write(&path, bytes).unwrap();
    let program = parts().join("uml/usr/bin/linux.uml");
    let mut command = Command::new(&program);
    command.args(["mem=384M", "con0=null,fd:1", "con=null", "rdinit=/probe", "panic=-1", "bootconfig"]);
    command.arg(format!("initrd={}", path.display())).env("TMPDIR", &dir).env("HOME", &dir);
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let _ = std::fs::remove_dir_all(&dir);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("Trying to unpack rootfs image as initramfs"), "{said}\n{output:?}");
    let is_there = said.contains("Run /probe as init process");
    // It looks for a root then, and finds none.
    let is_missing = said.contains("Cannot open root device");
    assert!(is_there != is_missing, "{said}");
    (is_there && !said.contains("unpacking failed"), said)
}

#[test]
fn what_is_accepted_is_what_a_kernel_unpacks() {
    let (mut rows, mut all, mut wrong) = (Vec::new(), String::new(), Vec::new());
    for Case { name, bytes, reason } in cases() {
        let ours = initrd::check(&bytes);
        let (theirs, said) = kernel_unpacks(&bytes);
        let verdict = |is_good: bool, good: &'static str, bad: &'static str| if is_good { good } else { bad };
        let why = ours.map_err(|defect| defect.to_string());
        let why = why.err().and_then(|text| text.lines().next().map(String::from)).unwrap_or_default();
        rows.push(format!(
            "| {name} | {} | {} | {why} | {reason} |",
            verdict(theirs, "unpacked", "not unpacked"),
            verdict(ours.is_ok(), "accepted", "refused"),
        ));
        if (ours.is_ok() != theirs) == reason.is_empty() {
            wrong.push(name);
        }
        let of_initrd = said.lines().filter(|line| line.contains("initramfs") || line.contains("probe"));
        all.push_str(&format!("{name}: {}\n", of_initrd.collect::<Vec<_>>().join(" / ")));
    }
    assert!(
        wrong.is_empty(),
        "without a reason, or with one that is not needed: {wrong:?}\n{}\n{all}",
        rows.join("\n")
    );
    table::assert(
        "tests/initrds/README.md",
        "verdicts",
        "| initrd | the kernel | rc-kexec | its reason | why they differ |",
        &rows,
        &all,
    );
}
