//! The kernel's command line as words. White space separates words except between double
//! quotes, as in the kernel (lib/cmdline.c, next_arg).

use super::bytes::parts;

/// White space to the kernel (lib/ctype.c): 0xa0, too.
fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ' | 0xa0)
}

/// The words of a command line, with their quotes.
pub fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    pieces(line).filter(|word| !word.is_empty())
}

/// The words, and an empty one between two blanks that follow each other: with one byte after each
/// but the last, these are all of the line.
fn pieces(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    line.split(move |&byte| {
        if byte == b'"' {
            quoted = !quoted;
        }
        is_space(byte) && !quoted
    })
}

/// The words for the kernel, and those for init: all that follows the word `--`, at which the kernel
/// stops reading (kernel/params.c, parse_args). `None` without that word.
pub fn split(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut at = 0usize;
    for word in pieces(line) {
        let end = at.saturating_add(word.len());
        if unquoted(word) == b"--" {
            let (of_kernel, of_init) = (line.get(..at), line.get(end..));
            return (of_kernel.unwrap_or_default().trim_ascii_end(), of_init.map(<[u8]>::trim_ascii_start));
        }
        at = end.saturating_add(1);
    }
    (line, None)
}

/// `line` with more words: those for the kernel follow the kernel's, those for init (after `--`) init's.
/// Without more words it is unchanged, to the byte.
pub fn with_words(line: Vec<u8>, more: &[u8]) -> Vec<u8> {
    let ((of_kernel, of_init), (added, added_for_init)) = (split(&line), split(more));
    if added.is_empty() && added_for_init.is_none() {
        return line;
    }
    let mut whole = of_kernel.to_vec();
    // The rest of a line with an open quote would belong to the last word.
    if leaves_a_quote_open(&whole) {
        whole.push(b'"');
    }
    push(&mut whole, added);
    let mut for_init = of_init.unwrap_or_default().to_vec();
    push(&mut for_init, added_for_init.unwrap_or_default());
    push_init(&mut whole, of_init.or(added_for_init).map(|_| for_init.as_slice()));
    whole
}

/// Whether a quote is still open at the end of the text.
pub fn leaves_a_quote_open(text: &[u8]) -> bool {
    text.iter().filter(|&&byte| byte == b'"').count() % 2 == 1
}

/// Without the quotes around a whole word or a whole value, like the kernel's next_arg.
pub fn unquoted(text: &[u8]) -> &[u8] {
    match text.strip_prefix(b"\"") {
        Some(rest) => rest.strip_suffix(b"\"").unwrap_or(rest),
        None => text,
    }
}

/// `line`, from /proc/cmdline, without the words that a bootconfig gave the kernel: the kernel puts
/// them before its command line, and those for init behind `--` (init/main.c, setup_command_line). The
/// next kernel finds them in its initrd again. `bootconfig` is the text of /proc/bootconfig
/// (Documentation/admin-guide/bootconfig.rst); where its words are not there in their order, the line
/// stays as it is.
pub fn without_bootconfig(line: &[u8], bootconfig: &[u8]) -> Vec<u8> {
    if bootconfig.is_empty() {
        return line.to_vec();
    }
    let (of_kernel, of_init) = split(line);
    let of_kernel = after(of_kernel, bootconfig, b"kernel.").unwrap_or(of_kernel);
    let mut rest = of_kernel.to_vec();
    let left = of_init.map(|words| after(words, bootconfig, b"init.").unwrap_or(words));
    // If they were all of init's, `--` is the kernel's, too.
    push_init(&mut rest, left.filter(|left| !left.is_empty() || of_init == Some(b"")));
    rest
}

/// What follows the words that the keys with this prefix make, if the line begins with all of them;
/// `None` without such keys.
fn after<'l>(line: &'l [u8], bootconfig: &[u8], prefix: &[u8]) -> Option<&'l [u8]> {
    let mut at = 0usize;
    let mut found = pieces(line);
    let mut has_any = false;
    for (key, value) in parts(bootconfig, b'\n').filter_map(|entry| key_value(entry, prefix)) {
        for value in Values(value) {
            let word = found.next()?;
            at = at.saturating_add(word.len()).saturating_add(1);
            let rest = word.strip_prefix(key)?;
            let is_it = match rest.strip_prefix(b"=") {
                Some(written) => unquoted(written) == value,
                None => rest.is_empty() && value.is_empty(),
            };
            if !is_it {
                return None;
            }
            has_any = true;
        }
    }
    has_any.then(|| line.get(at..).unwrap_or_default().trim_ascii_start())
}

/// The key without `prefix` and the values of a line such as `kernel.console = "ttyS0", "tty0"`.
fn key_value<'b>(entry: &'b [u8], prefix: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let entry = entry.strip_prefix(prefix)?;
    let at = entry.windows(3).position(|part| part == b" = ")?;
    let (key, value) = entry.split_at_checked(at)?;
    Some((key, value.strip_prefix(b" = ")?))
}

/// The values in a list such as `"a", 'b "c"'` (fs/proc/bootconfig.c, copy_xbc_key_value_list).
struct Values<'b>(&'b [u8]);

impl<'b> Iterator for Values<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        let (quote, rest) = self.0.split_first()?;
        let end = rest.iter().position(|byte| byte == quote)?;
        let (value, rest) = rest.split_at_checked(end)?;
        self.0 = rest.get(1..).unwrap_or_default().strip_prefix(b", ").unwrap_or_default();
        Some(value)
    }
}

/// Whether a word begins so, of those for the kernel and those for init.
pub fn has_start(line: &[u8], start: &[u8]) -> bool {
    words(line).any(|word| word.starts_with(start))
}

/// Whether `wanted` is one of the words before `--`. The kernel leaves the words after it to
/// init.
pub fn has_word(line: &[u8], wanted: &[u8]) -> bool {
    words(split(line).0).any(|word| word == wanted)
}

/// The words that `--crypt-key` adds: `cryptkey` is for Alpine's initramfs, and the word
/// before it marks it as added. The mark lets [`without_marks`] drop both when the command line
/// is used again: the key file is then missing, and nlplug-findfs, told to use it, would not
/// ask for the passphrase.
pub const KEY_WORDS: &[u8] = b"rc_kexec.key cryptkey";

/// The word `cryptkey` or `cryptkey=...`: where Alpine's initramfs finds a key to the root.
pub fn cryptkey(line: &[u8]) -> Option<&[u8]> {
    words(line).find(|word| *word == b"cryptkey" || word.starts_with(b"cryptkey="))
}

/// Finds the words that were true for one boot only: the marks of the boot loader, a crash kernel's
/// elfcorehdr=, and [`KEY_WORDS`]. It needs every word of a command line, in their order.
#[derive(Debug, Default)]
pub struct Marks {
    of_key: bool,
}

impl Marks {
    /// Whether this word, the next one of the line, is such a mark.
    pub fn is_one(&mut self, word: &[u8]) -> bool {
        let is_of_key = word == b"rc_kexec.key";
        self.of_key |= is_of_key;
        is_of_this_boot(word) || is_of_key || self.of_key && word == b"cryptkey"
    }
}

/// Whether a boot loader added the word, or the load of a crash kernel did. Such a word describes a
/// boot that is over.
fn is_of_this_boot(word: &[u8]) -> bool {
    let bare = word.strip_prefix(b"\"").unwrap_or(word);
    [&b"BOOT_IMAGE="[..], b"initrd=", b"elfcorehdr="].iter().any(|name| bare.starts_with(name))
}

/// Adds a word to a line, after a space unless it is the first. An empty word is not added.
pub fn push(line: &mut Vec<u8>, word: &[u8]) {
    if !line.is_empty() && !word.is_empty() {
        line.push(b' ');
    }
    line.extend_from_slice(word);
}

/// Adds `--` and the words for init, if there are such.
fn push_init(line: &mut Vec<u8>, of_init: Option<&[u8]>) {
    if let Some(words) = of_init {
        push(line, b"--");
        push(line, words);
    }
}

/// `line` without the [`Marks`] in it, and with one space between words; the words for init stay. A
/// line without such words is returned unchanged, to the byte, so that a chain of kexecs does not
/// change it.
pub fn without_marks(line: &[u8]) -> Vec<u8> {
    let (of_kernel, of_init) = split(line);
    let mut kept = Vec::new();
    let (mut all, mut marks) = (true, Marks::default());
    for word in words(of_kernel) {
        if marks.is_one(word) {
            all = false;
        } else {
            push(&mut kept, word);
        }
    }
    if all {
        return line.to_vec();
    }
    push_init(&mut kept, of_init);
    kept
}

/// The line of a system for its crash kernel: without the memory that would be set aside there, too, and
/// with what a kernel needs that starts while devices are still at work
/// (Documentation/admin-guide/kdump/kdump.rst, "Load the Dump-capture Kernel").
pub fn for_crash(line: &[u8]) -> Vec<u8> {
    const HURTING: [&[u8]; 6] =
        [b"crashkernel=", b"hugepages=", b"hugepagesz=", b"default_hugepagesz=", b"mem=", b"rckexec."];
    let (of_kernel, of_init) = split(line);
    let mut kept = Vec::new();
    for word in words(of_kernel) {
        let bare = word.strip_prefix(b"\"").unwrap_or(word);
        if !HURTING.iter().any(|name| bare.starts_with(name)) {
            push(&mut kept, word);
        }
    }
    push(&mut kept, b"nr_cpus=1 reset_devices irqpoll");
    push_init(&mut kept, of_init);
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
            ("a rc_kexec.key cryptkey b", "a b"),
            ("rc_kexec.key cryptkey", ""),
            ("cryptkey a", "cryptkey a"),
            ("cryptkey=/x rc_kexec.key cryptkey=/y", "cryptkey=/x cryptkey=/y"),
            ("a=\"never closed initrd=b", "a=\"never closed initrd=b"),
            ("initrd=a x -- initrd=b  c", "x -- initrd=b  c"),
            ("x elfcorehdr=0x7f000000 reset_devices", "x reset_devices"),
        ];
        for (line, wanted) in table {
            let once = without_marks(line.as_bytes());
            assert_eq!(String::from_utf8_lossy(&once), *wanted, "{line}");
            assert_eq!(without_marks(&once), once, "twice: {line}");
        }
    }

    #[test]
    fn a_crash_kernels_line() {
        let line = b"root=/dev/vda3 crashkernel=256M,high crashkernel=72M,low console=ttyS0 hugepages=64 \
            memmap=4K$1G \"rckexec.append=a b\" quiet -- single";
        let wanted =
            "root=/dev/vda3 console=ttyS0 memmap=4K$1G quiet nr_cpus=1 reset_devices irqpoll -- single";
        assert_eq!(String::from_utf8_lossy(&for_crash(line)), wanted);
    }

    #[test]
    fn words_end_where_the_kernel_ends_them() {
        let line = b"a\x0bb\x0cc\xa0d\te f=\"g h\"i";
        let found: Vec<&[u8]> = words(line).collect();
        assert_eq!(found, [&b"a"[..], b"b", b"c", b"d", b"e", b"f=\"g h\"i"]);
    }

    #[test]
    fn added_words_go_to_whom_they_are_for() {
        // a line, more words -> both
        let table = [
            ("a", "b", "a b"),
            ("", "b", "b"),
            ("a  b ", "", "a  b "),
            ("a -- x", "b", "a b -- x"),
            ("a -- x", "b -- y", "a b -- x y"),
            ("a", "b -- y", "a b -- y"),
            ("a -- x", "-- y", "a -- x y"),
            ("-- x", "b", "b -- x"),
            ("a --", "b", "a b --"),
            ("a \"--\" x", "b", "a b -- x"),
            ("a=\" -- x\"", "b", "a=\" -- x\" b"),
            ("a=\"open", "b", "a=\"open\" b"),
            ("a --x", "b", "a --x b"),
        ];
        for (line, more, wanted) in table {
            let whole = with_words(line.as_bytes().to_vec(), more.as_bytes());
            assert_eq!(String::from_utf8_lossy(&whole), wanted, "{line} + {more}");
        }
    }

    #[test]
    fn what_a_bootconfig_gave_the_kernel_does_not_pile_up() {
        let config = |value: &str| {
            format!(
                "kernel.console = \"ttyS0,115200\", \"tty0\"\nkernel.quiet = \"\"\nkernel.x.y = {value}\n\
                 other.z = \"1\"\ninit.single = \"\"\n# Parameters from bootloader:\n# root=/dev/vda\n"
            )
        };
        let (quoting, plain) = (&config("'a \"b'"), &config("\"a b\""));
        let console = "console=ttyS0,115200 console=tty0";
        // /proc/cmdline -> what the boot loader said
        let table = [
            // A value with a quote in it reads as two words.
            (quoting, format!("{console} quiet x.y=\"a \"b\" root=/dev/vda"), None),
            (quoting, "console=\"ttyS0,115200\" console=\"tty0\" quiet root=/dev/vda".into(), None),
            (quoting, "root=/dev/vda quiet".into(), None),
            (quoting, String::new(), None),
            (plain, format!("{console} quiet x.y=\"a b\" root=/dev/vda"), Some("root=/dev/vda")),
            (
                plain,
                "console=\"ttyS0,115200\" console=\"tty0\" quiet x.y=\"a b\" quiet".into(),
                Some("quiet"),
            ),
            (plain, format!("{console} quiet x.y=\"a b\" root=/dev/vda -- single"), Some("root=/dev/vda")),
            (plain, format!("{console} quiet x.y=\"a b\" a -- single 3"), Some("a -- 3")),
            (plain, "a -- b single".into(), None),
            (plain, "a --".into(), None),
            (plain, "console=ttyS0,115200 quiet root=/dev/vda".into(), None),
        ];
        for (bootconfig, line, wanted) in table {
            let rest = without_bootconfig(line.as_bytes(), bootconfig.as_bytes());
            assert_eq!(String::from_utf8_lossy(&rest), wanted.unwrap_or(&line), "{line}");
            assert_eq!(without_bootconfig(&rest, b"").as_slice(), rest, "{line}");
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
