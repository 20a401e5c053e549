//! The kernel's command line as words. White space separates words except between double
//! quotes, as in the kernel (lib/cmdline.c, next_arg). The bytes 0x0b and 0xa0, which are
//! white space to the kernel, are parts of words here.

/// The words of a command line, with their quotes.
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

/// Whether `wanted` is one of the words before `--`. The kernel leaves the words after it to
/// init.
pub fn has_word(line: &[u8], wanted: &[u8]) -> bool {
    words(line).take_while(|&word| word != b"--").any(|word| word == wanted)
}

/// The words that `--crypt-key` adds: `cryptkey` is for Alpine's initramfs, and the word
/// before it marks it as added. The mark lets [`without_marks`] drop both when the command line
/// is used again: the key file is then missing, and nlplug-findfs, told to use it, would not
/// ask for the passphrase.
pub const KEY_WORDS: &[u8] = b" rc_kexec.key cryptkey";

/// The word `cryptkey` or `cryptkey=...`: where Alpine's initramfs finds a key to the root.
pub fn cryptkey(line: &[u8]) -> Option<&[u8]> {
    words(line).find(|word| *word == b"cryptkey" || word.starts_with(b"cryptkey="))
}

/// Finds the words that were true for one boot only: the marks of the boot loader, and
/// [`KEY_WORDS`]. It needs every word of a command line, in their order.
#[derive(Debug, Default)]
pub struct Marks {
    of_key: bool,
}

impl Marks {
    /// Whether this word, the next one of the line, is such a mark.
    pub fn is_one(&mut self, word: &[u8]) -> bool {
        let is_of_key = word == b"rc_kexec.key";
        self.of_key |= is_of_key;
        is_boot_loaders_mark(word) || is_of_key || self.of_key && word == b"cryptkey"
    }
}

/// Whether a boot loader added the word. Such a word describes a boot that is over.
fn is_boot_loaders_mark(word: &[u8]) -> bool {
    let bare = word.strip_prefix(b"\"").unwrap_or(word);
    bare.starts_with(b"BOOT_IMAGE=") || bare.starts_with(b"initrd=")
}

/// Adds a word to a line, after a space unless it is the first.
pub fn push(line: &mut Vec<u8>, word: &[u8]) {
    if !line.is_empty() {
        line.push(b' ');
    }
    line.extend_from_slice(word);
}

/// `line` without the [`Marks`] in it, and with one space between words. A line without such words
/// is returned unchanged, to the byte, so that a chain of kexecs does not change it.
pub fn without_marks(line: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    let (mut all, mut marks) = (true, Marks::default());
    for word in words(line) {
        if marks.is_one(word) {
            all = false;
        } else {
            push(&mut kept, word);
        }
    }
    if all { line.to_vec() } else { kept }
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
            ("a rc_kexec.key cryptkey b", "a b"),
            ("rc_kexec.key cryptkey", ""),
            ("cryptkey a", "cryptkey a"),
            ("cryptkey=/x rc_kexec.key cryptkey=/y", "cryptkey=/x cryptkey=/y"),
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
