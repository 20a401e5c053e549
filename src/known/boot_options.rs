//! The boot options of rc-kexec-init: which kernel it starts, from where, and with which
//! command line; and after a crash, where the dump goes. rc-kexec-init(8) describes them.

use crate::base::bytes::parts;
use crate::base::cmdline::{self, Marks, unquoted};

/// What a command line asks rc-kexec-init for. An option that is not there is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootOptions<'l> {
    /// Whether there is an option at all.
    pub asked: bool,
    /// The device with the files: as findfs(8) names it, or a path in /dev.
    pub dev: &'l [u8],
    /// How many seconds to wait for that device.
    pub wait: u32,
    /// The type of its file system.
    pub fstype: &'l [u8],
    /// The kernel.
    pub kernel: &'l [u8],
    /// Instead of a kernel: the folder that one is installed in.
    pub dir: &'l [u8],
    /// The initrds, or `none`.
    pub initrds: Vec<&'l [u8]>,
    /// Where the dump of a crashed kernel goes, the first choice first: `DEVICE:/DIR`, or `log`.
    pub dumps: Vec<&'l [u8]>,
    /// How many seconds the saving of a dump may take.
    pub dump_limit: u32,
    /// The pages that the dump keeps, as `rc-kexec vmcore save --keep` has them.
    pub dump_keep: &'l [u8],
    /// What the next kernel's command line gets in addition.
    pub append: Vec<u8>,
    /// The next kernel's command line.
    pub line: Vec<u8>,
}

/// Why the options cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem<'l> {
    /// This option has no value.
    NoValue(&'l [u8]),
    /// `rckexec.dev=` with this value.
    NoDevice(&'l [u8]),
    /// This option, with its value, wants a number.
    NoNumber(&'l [u8]),
    /// `rckexec.append=` has several words between quotes, and this one is an order to init. The ordinary
    /// /init reads it, too, and splits at blanks.
    ForInit(&'l [u8]),
    /// There is no such option.
    Unknown(&'l [u8]),
    /// No option names a kernel, or two options do.
    NotOneKernel,
}

/// Reads the options before `--`, where the kernel stops reading, and makes the next
/// kernel's command line of all the other words.
pub fn parse(line: &[u8]) -> Result<BootOptions<'_>, Vec<Problem<'_>>> {
    let mut options = BootOptions::default();
    let mut next = NextLine::default();
    let mut problems = Vec::new();
    let mut words = cmdline::words(line);
    let mut end = None;
    for word in words.by_ref() {
        let bare = unquoted(word);
        if bare == b"--" {
            end = Some(word);
            break;
        }
        if !bare.starts_with(PREFIX) {
            next.offer(word);
        } else if let Err(problem) = options.take(bare) {
            problems.push(problem);
        }
    }
    cmdline::words(&options.append).for_each(|word| next.offer(word));
    // The words after it are init's.
    end.into_iter().chain(words).for_each(|word| next.add(word));
    options.line = next.line;
    let names_one = options.kernel.is_empty() != options.dir.is_empty();
    if options.asked && options.dumps.is_empty() && !names_one && problems.is_empty() {
        problems.push(Problem::NotOneKernel);
    }
    if problems.is_empty() { Ok(options) } else { Err(problems) }
}

/// How each option begins.
const PREFIX: &[u8] = b"rckexec.";

impl Default for BootOptions<'_> {
    fn default() -> Self {
        let none: &[u8] = &[];
        BootOptions {
            asked: false,
            dev: none,
            wait: 30,
            fstype: none,
            kernel: none,
            dir: none,
            initrds: Vec::new(),
            dumps: Vec::new(),
            dump_limit: 900,
            dump_keep: b"none",
            append: Vec::new(),
            line: Vec::new(),
        }
    }
}

impl<'l> BootOptions<'l> {
    /// One option: `rckexec.NAME=VALUE`, without quotes around it.
    fn take(&mut self, option: &'l [u8]) -> Result<(), Problem<'l>> {
        self.asked = true;
        let mut halves = option.splitn(2, |&byte| byte == b'=');
        let name = halves.next().unwrap_or_default();
        let value = unquoted(halves.next().unwrap_or_default());
        if value.is_empty() {
            return Err(Problem::NoValue(name));
        }
        match name.strip_prefix(PREFIX).unwrap_or_default() {
            b"dev" if is_device(value) => self.dev = value,
            b"dev" => return Err(Problem::NoDevice(value)),
            b"wait" => self.wait = seconds(value).ok_or(Problem::NoNumber(option))?,
            b"dump-limit" => self.dump_limit = seconds(value).ok_or(Problem::NoNumber(option))?,
            b"dump-keep" => self.dump_keep = value,
            // A place that is none is passed over when the dump is saved: another one may be good.
            b"dump" => self.dumps.push(value),
            b"fstype" => self.fstype = value,
            b"kernel" => self.kernel = value,
            b"dir" => self.dir = value,
            b"initrd" => self.initrds.extend(parts(value, b',').filter(|name| !name.is_empty())),
            b"append" => {
                // The first word has the option's name before it.
                let mut others = value.split(u8::is_ascii_whitespace).skip(1);
                if let Some(word) = others.find(|word| is_for_init(word)) {
                    return Err(Problem::ForInit(word));
                }
                cmdline::push(&mut self.append, value);
            }
            _ => return Err(Problem::Unknown(name)),
        }
        Ok(())
    }
}

/// A number of seconds. One that is too large is the largest.
fn seconds(value: &[u8]) -> Option<u32> {
    value.iter().try_fold(0u32, |seconds, &byte| {
        let digit = char::from(byte).to_digit(10)?;
        Some(seconds.saturating_mul(10).saturating_add(digit))
    })
}

/// A path in /dev, or a tag for findfs(8) with something after it; `PARTUUID=` ends in
/// `UUID=`.
fn is_device(value: &[u8]) -> bool {
    let (_, but_last) = value.split_last().unwrap_or((&0, value));
    let has = |tag: &[u8]| but_last.windows(tag.len()).any(|part| part == tag);
    value.starts_with(b"/dev/") || has(b"LABEL=") || has(b"UUID=")
}

/// Whether a word tells init, or an initramfs's choice of it, to do something else than to start the
/// system (kernel-parameters.txt: init; init(8); the initramfs generators' break).
fn is_for_init(word: &[u8]) -> bool {
    let names: [&[u8]; 4] = [b"init=", b"break", b"rd.break", b"systemd.unit="];
    let whole: [&[u8]; 8] = [b"single", b"s", b"S", b"1", b"-s", b"-b", b"emergency", b"rescue"];
    names.iter().any(|name| word.starts_with(name)) || whole.contains(&word)
}

/// The next kernel's command line, word by word.
#[derive(Default)]
struct NextLine {
    line: Vec<u8>,
    marks: Marks,
    /// Whether a quote in it is still open.
    open: bool,
}

impl NextLine {
    /// Adds a word of this boot, unless it was for this boot alone.
    fn offer(&mut self, word: &[u8]) {
        if !self.marks.is_one(word) && !asks_for_a_kexec(word) {
            self.add(word);
        }
    }

    /// Adds a word. Only the last word of a line may have an open quote: between two open
    /// quotes, a part of a quoted word would become a word.
    fn add(&mut self, word: &[u8]) {
        if self.open {
            self.line.push(b'"');
        }
        cmdline::push(&mut self.line, word);
        self.open = cmdline::leaves_a_quote_open(word);
    }
}

/// Whether a word asks for rc-kexec-init or is an option of it. With one of them the next
/// kernel would do a kexec too, and so on without an end.
fn asks_for_a_kexec(word: &[u8]) -> bool {
    let word = word.strip_prefix(b"\"").unwrap_or(word);
    let init = word.strip_suffix(b"\"").unwrap_or(word).strip_prefix(b"rdinit=");
    word.starts_with(PREFIX) || init.is_some_and(|path| path.ends_with(b"/rc-kexec-init"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::text::Shown;

    /// The options that a line has, in one line, and the next kernel's command line.
    fn read(line: &str) -> (String, String) {
        let options = parse(line.as_bytes()).unwrap_or_else(|problems| panic!("{line}: {problems:?}"));
        let wait = options.wait.to_string();
        let initrds = options.initrds.join(&b',');
        let dumps = options.dumps.join(&b' ');
        let dump_rules = match (options.dump_limit, options.dump_keep) {
            (900, b"none") => String::new(),
            (limit, keep) => format!("{limit},{}", keep.shown()),
        };
        let table: [(&str, &[u8]); 10] = [
            ("asked", if options.asked { b"yes" } else { b"" }),
            ("dev", options.dev),
            ("wait", wait.as_bytes()),
            ("fstype", options.fstype),
            ("kernel", options.kernel),
            ("dir", options.dir),
            ("initrds", &initrds),
            ("append", &options.append),
            ("dumps", &dumps),
            ("dump-rules", dump_rules.as_bytes()),
        ];
        let given = table.into_iter().filter(|(_, value)| !value.is_empty());
        let given: Vec<String> = given.map(|(name, value)| format!("{name}={}", value.shown())).collect();
        (given.join(" "), options.line.shown().to_string())
    }

    #[test]
    fn options_are_read_and_the_rest_is_the_next_kernels() {
        // The command line, the options, the next kernel's command line.
        let table = [
            ("", "wait=30", ""),
            ("quiet root=/dev/vda3", "wait=30", "quiet root=/dev/vda3"),
            (
                "rdinit=/usr/sbin/rc-kexec-init quiet rckexec.dev=LABEL=BOOT rckexec.kernel=/vmlinuz",
                "asked=yes dev=LABEL=BOOT wait=30 kernel=/vmlinuz",
                "quiet",
            ),
            ("rckexec.dir=/boot rckexec.wait=5", "asked=yes wait=5 dir=/boot", ""),
            (
                "rckexec.dev=UUID=1234-ABCD rckexec.fstype=vfat rckexec.kernel=a rckexec.initrd=b,c rckexec.initrd=d",
                "asked=yes dev=UUID=1234-ABCD wait=30 fstype=vfat kernel=a initrds=b,c,d",
                "",
            ),
            ("rckexec.dev=PARTUUID=ab-01 rckexec.dir=/", "asked=yes dev=PARTUUID=ab-01 wait=30 dir=/", ""),
            ("rckexec.dev=/dev/sda1 rckexec.dir=/", "asked=yes dev=/dev/sda1 wait=30 dir=/", ""),
            // The last one counts, and an initrd without a name is none.
            (
                "rckexec.dir=/a rckexec.dir=/b rckexec.initrd=,none,",
                "asked=yes wait=30 dir=/b initrds=none",
                "",
            ),
            // A leading zero does not make it octal, and no number is too large.
            ("rckexec.dir=/ rckexec.wait=010", "asked=yes wait=10 dir=/", ""),
            ("rckexec.dir=/ rckexec.wait=99999999999999999999", "asked=yes wait=4294967295 dir=/", ""),
            // Quotes around a value and around a word, and white space as it was between them.
            (
                "a \"rckexec.dev=LABEL=MY STICK\" b=\"two  words\"\tc rckexec.kernel=\"/a b\"  d",
                "asked=yes dev=LABEL=MY STICK wait=30 kernel=/a b",
                "a b=\"two  words\" c d",
            ),
            ("rckexec.dir=/ x=\"never closed  y", "asked=yes wait=30 dir=/", "x=\"never closed  y"),
            ("rckexec.dir=/ \"x y\"z\" w\"", "asked=yes wait=30 dir=/", "\"x y\"z\" w\""),
            // Nothing is a pattern, or a backslash to be lost.
            ("rckexec.dir=/ * a\\nb $HOME `id`", "asked=yes wait=30 dir=/", "* a\\nb $HOME `id`"),
            (
                "a rckexec.dir=/ rckexec.append=\"b c\" d rckexec.append=e",
                "asked=yes wait=30 dir=/ append=b c e",
                "a d b c e",
            ),
            // Init's words stay init's, and what is added does not become one.
            (
                "a rckexec.dir=/ rckexec.append=b -- c rckexec.dir=/x rdinit=/usr/sbin/rc-kexec-init",
                "asked=yes wait=30 dir=/ append=b",
                "a b -- c rckexec.dir=/x rdinit=/usr/sbin/rc-kexec-init",
            ),
            ("rckexec.dir=/ -- c", "asked=yes wait=30 dir=/", "-- c"),
            ("a -- rckexec.dir=/", "wait=30", "a -- rckexec.dir=/"),
            ("a \"--\" rckexec.dir=/", "wait=30", "a \"--\" rckexec.dir=/"),
            // The word for a key that kexec-load added goes too: this initramfs has the key.
            ("a rc_kexec.key cryptkey rckexec.dir=/ b", "asked=yes wait=30 dir=/", "a b"),
            ("cryptkey rckexec.dir=/ b", "asked=yes wait=30 dir=/", "cryptkey b"),
            // What a boot loader put there goes; another's rdinit= stays.
            (
                "BOOT_IMAGE=/vmlinuz initrd=\\initramfs rckexec.dir=/ rdinit=/bin/sh noinitrd",
                "asked=yes wait=30 dir=/",
                "rdinit=/bin/sh noinitrd",
            ),
            ("\"rdinit=/opt/x/sbin/rc-kexec-init\" rckexec.dir=/ a", "asked=yes wait=30 dir=/", "a"),
            ("rdinit=\"/opt/x/sbin/rc-kexec-init\" rckexec.dir=/ a", "asked=yes wait=30 dir=/", "a"),
            // The next kernel is never asked for a kexec, not even by the user.
            (
                "rckexec.dir=/ rckexec.append=\"rckexec.dir=/ rdinit=/usr/sbin/rc-kexec-init a\"",
                "asked=yes wait=30 dir=/ append=rckexec.dir=/ rdinit=/usr/sbin/rc-kexec-init a",
                "a",
            ),
            // Not by an option inside of quotes either, whose beginning an open quote took.
            (
                "rckexec.dir=/ rckexec.append=b\"c rckexec.dir=/x d\" a\"",
                "asked=yes wait=30 dir=/ append=b\"c rckexec.dir=/x d\"",
                "a\"\" b\"c rckexec.dir=/x d\"",
            ),
            // A dump needs no kernel.
            (
                "rckexec.dump=UUID=1-2:/var/crash a rckexec.dump=log",
                "asked=yes wait=30 dumps=UUID=1-2:/var/crash log",
                "a",
            ),
            (
                "\"rckexec.dump=/dev/disk/by-path/pci-0000:00:1f.2:/a b\" rckexec.dump-limit=60 rckexec.dump-keep=user,free",
                "asked=yes wait=30 dumps=/dev/disk/by-path/pci-0000:00:1f.2:/a b dump-rules=60,user,free",
                "",
            ),
        ];
        for (line, options, next) in table {
            assert_eq!(read(line), (options.to_string(), next.to_string()), "{line}");
            assert_eq!(read(next), ("wait=30".to_string(), next.to_string()), "twice: {line}");
        }
    }

    #[test]
    fn words_that_make_no_sense_are_named() {
        let table = [
            ("rckexec.kernel", "unable to use rckexec.kernel: it has no value"),
            ("rckexec.kernel=", "unable to use rckexec.kernel: it has no value"),
            ("rckexec.kernel=\"\"", "unable to use rckexec.kernel: it has no value"),
            ("rckexec.dir=/ rckexec.kernal=/x", "unable to use rckexec.kernal: it is none of dev, wait,"),
            ("rckexec.dir=/ rckexec.wait=soon", "unable to use rckexec.wait=soon: it is a number of seconds"),
            (
                "rckexec.dump=log rckexec.dump-limit=1m",
                "unable to use rckexec.dump-limit=1m: it is a number of seconds",
            ),
            (
                "rckexec.dump-limit=9",
                "unable to choose a kernel: give rckexec.kernel= or rckexec.dir=, one of",
            ),
            (
                "rckexec.dir=/ rckexec.append=\"x init=/bin/sh y\"",
                "unable to use init=/bin/sh between the quotes of rckexec.append=",
            ),
            ("\"rckexec.append=x single\" rckexec.dir=/", "unable to use single between the quotes"),
            ("rckexec.dir=/ rckexec.wait=-1", "unable to use rckexec.wait=-1: it is a number of seconds"),
            (
                "rckexec.dir=/ rckexec.wait=\" 1\"",
                "unable to use rckexec.wait=\" 1\": it is a number of seconds",
            ),
            (
                "rckexec.dir=/ rckexec.dev=sda1",
                "unable to use rckexec.dev=sda1: it is LABEL=, UUID=, PARTUUID= or",
            ),
            ("rckexec.dir=/ rckexec.dev=LABEL=", "unable to use rckexec.dev=LABEL=: it is LABEL=,"),
            (
                "rckexec.dev=LABEL=x",
                "unable to choose a kernel: give rckexec.kernel= or rckexec.dir=, one of them",
            ),
            (
                "rckexec.dir=/ rckexec.kernel=/x",
                "unable to choose a kernel: give rckexec.kernel= or rckexec.dir=, one of them",
            ),
        ];
        for (line, wanted) in table {
            let problems = parse(line.as_bytes()).unwrap_err();
            let [problem] = problems.as_slice() else { panic!("{line}: {problems:?}") };
            assert!(problem.to_string().starts_with(wanted), "{line}: {problem}");
        }
        let fine = parse(b"rckexec.dir=/ rckexec.append=init=/bin/sh rckexec.append=\"x y\"").unwrap();
        assert_eq!(fine.line, b"init=/bin/sh x y");
        let all = parse(b"rckexec.kernel rckexec.wait=x rckexec.nothing=1").unwrap_err();
        assert_eq!(all.len(), 3, "{all:?}");
    }
}
