//! The kernel's command line as words. Like the kernel (lib/cmdline.c, next_arg),
//! white space separates words except between double quotes.

/// The words of a command line, quotes and all.
pub fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    line.split(move |&byte| {
        if byte == b'"' {
            quoted = !quoted;
        }
        byte.is_ascii_whitespace() && !quoted
    })
    .filter(|word| !word.is_empty())
}

/// Whether `wanted` is one of the words before `--`, where the kernel stops reading.
pub fn has_word(line: &[u8], wanted: &[u8]) -> bool {
    words(line).take_while(|&word| word != b"--").any(|word| word == wanted)
}

/// Whether a word is a boot loader's mark and not the user's: it was true for the
/// boot that is over.
fn is_boot_loaders_mark(word: &[u8]) -> bool {
    let bare = word.strip_prefix(b"\"").unwrap_or(word);
    bare.starts_with(b"BOOT_IMAGE=") || bare.starts_with(b"initrd=")
}

/// `line` without the marks of the boot loader that started the running kernel;
/// as it was, to the byte, when there are none, so that a chain of kexecs leaves
/// it unchanged.
pub fn without_marks(line: &[u8]) -> Vec<u8> {
    if !words(line).any(is_boot_loaders_mark) {
        return line.to_vec();
    }
    let mut kept = Vec::new();
    for word in words(line).filter(|word| !is_boot_loaders_mark(word)) {
        if !kept.is_empty() {
            kept.push(b' ');
        }
        kept.extend_from_slice(word);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_dropped_as_whole_words() {
        let table: &[(&str, &str)] = &[
            ("BOOT_IMAGE=/boot/vmlinuz-virt root=/dev/vda3 quiet", "root=/dev/vda3 quiet"),
            ("root=/dev/vda3 initrd=\\initramfs-virt", "root=/dev/vda3"),
            ("initrd=a initrd=b x", "x"),
            ("noinitrd=1 myBOOT_IMAGE=2 rd.initrd=3", "noinitrd=1 myBOOT_IMAGE=2 rd.initrd=3"),
            ("a=\"b initrd=c\" d", "a=\"b initrd=c\" d"),
            ("\"BOOT_IMAGE=/my kernel\" d", "d"),
            ("BOOT_IMAGE=\"/my kernel\" d", "d"),
            ("a  b\tc ", "a  b\tc "),
            ("", ""),
            ("BOOT_IMAGE=x", ""),
            ("a=\"never closed initrd=b", "a=\"never closed initrd=b"),
        ];
        for (line, wanted) in table {
            let once = without_marks(line.as_bytes());
            assert_eq!(String::from_utf8_lossy(&once), *wanted, "{line}");
            assert_eq!(without_marks(&once), once, "twice: {line}");
        }
    }

    #[test]
    fn a_word_is_found_whole_and_before_the_double_dash() {
        let line = b"quiet kexec_load_disabled=0 -- lockdown=integrity";
        assert!(has_word(line, b"kexec_load_disabled=0"));
        assert!(!has_word(line, b"kexec_load_disabled"));
        assert!(!has_word(line, b"lockdown=integrity"));
        assert!(!has_word(b"x=\"a quiet b\"", b"quiet"));
    }
}
