//! The services' settings, /etc/conf.d/kexec-load, and the load that they ask for. OpenRC's shell
//! reads them, and the service exports them to the environment; the doctor reads the file itself,
//! as far as it has only plain assignments.

use crate::base::bytes::parts;
use crate::host::files::read_or_empty;
use crate::host::sys::process::environment;
use crate::known::shutdown::WhenUnknown;
use crate::load::{Base, Choice, Initrds, KernelChoice, Key, KeyFile, Line, Request};
use core::ffi::CStr;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Where the load is described.
#[derive(Clone, Debug)]
pub enum Origin {
    /// On the command line.
    Said(Box<Request>),
    /// In [`FILE`], as far as rc-kexec can read it without a shell.
    File,
    /// In the environment, where the service puts its settings.
    Environment,
}

impl Origin {
    /// The load, and the settings that describe it.
    pub fn read(self) -> (Request, Settings) {
        let settings = match self {
            Origin::Said(request) => return (*request, Settings::default()),
            Origin::File => parse(&read_or_empty(FILE)),
            Origin::Environment => from_environment(),
        };
        (settings.clone().request(), settings)
    }
}

/// Where the settings are.
pub const FILE: &str = "/etc/conf.d/kexec-load";

/// The settings that matter for a load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// kexec_kernel
    pub kernel: Option<OsString>,
    /// kexec_initrds
    pub initrds: Vec<OsString>,
    /// kexec_command_line
    pub command_line: Option<OsString>,
    /// kexec_append
    pub append: Option<OsString>,
    /// kexec_boot
    pub boot: Option<OsString>,
    /// kexec_syscall
    pub call: Choice,
    /// kexec_crypt_key
    pub crypt_key: Option<OsString>,
    /// Whether kexec_crypt_key_force is yes.
    pub force: bool,
    /// Whether kexec_load_at is start: the kernel then lies in memory while the machine runs.
    pub at_start: bool,
    /// kexec_when_unknown
    pub when_unknown: WhenUnknown,
    /// The first line of the file, counted from 1, that only a shell can read.
    pub odd_line: Option<usize>,
}

/// Each setting that matters for a load.
const NAMES: [&CStr; 10] = [
    c"kexec_kernel",
    c"kexec_initrds",
    c"kexec_command_line",
    c"kexec_append",
    c"kexec_boot",
    c"kexec_syscall",
    c"kexec_crypt_key",
    c"kexec_crypt_key_force",
    c"kexec_load_at",
    c"kexec_when_unknown",
];

/// The settings in the environment.
fn from_environment() -> Settings {
    let mut settings = Settings::default();
    for name in NAMES {
        if let Some(value) = environment(name) {
            settings.set(name.to_bytes(), value.as_bytes());
        }
    }
    settings
}

/// Reads assignments such as `kexec_boot="/boot"`.
pub fn parse(text: &[u8]) -> Settings {
    let mut settings = Settings::default();
    for (number, line) in (1usize..).zip(parts(text, b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        match assignment(line) {
            Some((name, value)) => settings.set(name, value),
            None => settings.odd_line = settings.odd_line.or(Some(number)),
        }
    }
    settings
}

/// The value of one plain assignment, the last of that name.
#[cfg(feature = "vmcore")]
pub fn value(text: &[u8], name: &[u8]) -> Option<OsString> {
    let lines = parts(text, b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.starts_with(b"#"));
    let values = lines.filter_map(assignment).filter(|(found, _)| *found == name);
    values.last().map(|(_, value)| OsStr::from_bytes(value).to_os_string())
}

impl Settings {
    /// Sets the setting called `name`, if there is one. An empty value unsets it.
    fn set(&mut self, name: &[u8], value: &[u8]) {
        let text = (!value.is_empty()).then(|| OsStr::from_bytes(value).to_os_string());
        // As text: a match on byte strings compiles to a comparison of each byte.
        match core::str::from_utf8(name).unwrap_or_default() {
            "kexec_kernel" => self.kernel = text,
            "kexec_command_line" => self.command_line = text,
            "kexec_append" => self.append = text,
            "kexec_boot" => self.boot = text,
            "kexec_syscall" => self.call = Choice::from_word(value).unwrap_or_default(),
            "kexec_crypt_key" => self.crypt_key = text,
            "kexec_crypt_key_force" => self.force = is_yes(value),
            "kexec_load_at" => self.at_start = value == b"start",
            "kexec_when_unknown" => {
                self.when_unknown = WhenUnknown::from_word(value).unwrap_or_default();
            }
            "kexec_initrds" => {
                let words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
                self.initrds = words.map(|word| OsStr::from_bytes(word).to_os_string()).collect();
            }
            _ => {}
        }
    }

    /// The load that the settings ask for. If they name a kernel but no initrds, its initrds are
    /// those beside it. With kexec_load_at="start" this leaves the key out, because it would lie
    /// in memory as long as the machine runs.
    pub fn request(self) -> Request {
        let boot = self.boot.unwrap_or_else(|| "/boot".into());
        let (force, at_start) = (self.force, self.at_start);
        let key = self.crypt_key.filter(|_| !at_start).map(|path| Key::File(KeyFile { path, force }));
        Request {
            kernel: KernelChoice::new(self.kernel, Some(boot)),
            initrds: Initrds::named(self.initrds),
            line: match (self.command_line, self.append) {
                (Some(line), _) => Line::Said(Base::Empty, line),
                (None, Some(append)) => Line::Said(Base::Running, append),
                (None, None) => Line::Unsaid(Base::Running),
            },
            key: key.unwrap_or_default(),
            call: self.call,
            ..Request::default()
        }
    }
}

/// OpenRC's yesno.
fn is_yes(value: &[u8]) -> bool {
    ["yes", "true", "on", "1"].iter().any(|yes| value.eq_ignore_ascii_case(yes.as_bytes()))
}

/// The name and the value of a plain assignment (POSIX, Shell Command Language, 2.2 Quoting): the
/// value stands in single quotes, in double quotes without expansions, or bare.
fn assignment(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = line.iter().position(|&byte| byte == b'=')?;
    let (name, value) = (line.get(..at)?, line.get(at.checked_add(1)?..)?);
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    if name.is_empty() || !name.iter().all(is_name) {
        return None;
    }
    let (value, rest) = match value.split_first() {
        Some((quote @ (b'"' | b'\''), quoted)) => {
            let end = quoted.iter().position(|byte| byte == quote)?;
            let value = quoted.get(..end)?;
            if *quote == b'"' && value.iter().any(|byte| b"$`\\".contains(byte)) {
                return None;
            }
            (value, quoted.get(end.checked_add(1)?..)?)
        }
        _ => {
            let end = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
            let (value, rest) = value.split_at_checked(end)?;
            if value.iter().any(|byte| b"$`\\\"'*?[]~#&|;<>(){}".contains(byte)) {
                return None;
            }
            (value, rest)
        }
    };
    // Only a comment may follow.
    let comment = rest.trim_ascii_start();
    let is_comment = comment.starts_with(b"#") && comment.len() < rest.len();
    (comment.is_empty() || is_comment).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::known::call::Call;

    #[test]
    fn every_setting_of_the_file_that_is_installed() {
        // Each is there as a comment with its default: taken out of it, it is read.
        let installed = include_str!("../openrc/kexec-load.confd");
        assert_eq!(parse(installed.as_bytes()), Settings::default());
        let set = installed.replace("\n#kexec_", "\nkexec_").replace("=\"\"", "=\"x y\"");
        let wanted = Settings {
            kernel: Some("x y".into()),
            initrds: vec!["x".into(), "y".into()],
            command_line: Some("x y".into()),
            append: Some("x y".into()),
            boot: Some("/boot".into()),
            call: Choice::Auto,
            crypt_key: Some("x y".into()),
            force: false,
            at_start: false,
            when_unknown: WhenUnknown::Reboot,
            odd_line: None,
        };
        assert_eq!(parse(set.as_bytes()), wanted);
        let unknown = set.replace("kexec_when_unknown=\"reboot\"", "kexec_when_unknown=kexec");
        assert_eq!(parse(unknown.as_bytes()).when_unknown, WhenUnknown::Kexec);
        let at_start = set.replace("kexec_load_at=\"shutdown\"", "kexec_load_at=start");
        assert_eq!(parse(at_start.as_bytes()).request().key, Key::Absent);
        assert!(matches!(parse(set.as_bytes()).request().key, Key::File(_)));
        let call = |word: &str| {
            let set = set.replace("kexec_syscall=\"auto\"", &format!("kexec_syscall={word}"));
            parse(set.as_bytes()).request().call
        };
        assert_eq!(call("load"), Choice::Only(Call::Load));
        assert_eq!(call("file"), Choice::Only(Call::FileLoad));
        assert!(parse(set.replace("force=\"no\"", "force=Yes").as_bytes()).force);
    }

    #[test]
    fn every_setting_of_the_file_is_read_from_the_environment() {
        let installed = include_str!("../openrc/kexec-load.confd");
        let names = installed.lines().filter_map(|line| line.strip_prefix('#')?.split_once('='));
        let mut names: Vec<&str> = names.map(|(name, _)| name).filter(|name| !name.contains(' ')).collect();
        // The shell mounts.
        names.retain(|name| *name != "kexec_mount_boot");
        let mut ours: Vec<&str> = NAMES.iter().map(|name| name.to_str().unwrap()).collect();
        names.sort_unstable();
        ours.sort_unstable();
        assert_eq!(names, ours);
    }

    #[test]
    fn what_the_settings_ask_for() {
        let line = |text: &str| parse(text.as_bytes()).request().line;
        assert_eq!(line(""), Line::Unsaid(Base::Running));
        assert_eq!(line("kexec_append=x"), Line::Said(Base::Running, "x".into()));
        assert_eq!(line("kexec_append=x\nkexec_command_line=y"), Line::Said(Base::Empty, "y".into()));
        let kernel = |text: &str| parse(text.as_bytes()).request().kernel;
        assert_eq!(kernel(""), KernelChoice::Installed { boot: "/boot".into(), flavour: None });
        assert_eq!(kernel("kexec_boot=/efi"), KernelChoice::Installed { boot: "/efi".into(), flavour: None });
        let named = KernelChoice::Named { path: "/k".into(), finds_initrds: true };
        assert_eq!(kernel("kexec_kernel=/k"), named);
        let initrds = |text: &str| parse(text.as_bytes()).request().initrds;
        assert_eq!(initrds("kexec_initrds=none"), Initrds::None);
        assert_eq!(initrds("kexec_initrds=\"a b\""), Initrds::These(vec!["a".into(), "b".into()]));
        assert_eq!(initrds(""), Initrds::Unsaid);
    }

    #[test]
    fn values_are_read_as_a_shell_does_or_not_at_all() {
        let table: &[(&str, Option<&str>)] = &[
            ("kexec_kernel=/boot/k", Some("/boot/k")),
            ("kexec_kernel='/boot/a $b'", Some("/boot/a $b")),
            ("  kexec_kernel=\"/boot/a b\"  # mine", Some("/boot/a b")),
            ("kexec_kernel=", None),
            ("kexec_kernel=\"\"", None),
            ("kexec_kernel=/a\nkexec_kernel=/b", Some("/b")),
        ];
        for (text, wanted) in table {
            let settings = parse(text.as_bytes());
            assert_eq!(settings.kernel.as_deref(), wanted.map(OsStr::new), "{text}");
            assert_eq!(settings.odd_line, None, "{text}");
        }
        for text in [
            "kexec_kernel=\"/boot/$X\"",
            "kexec_kernel=$(ls)",
            "kexec_kernel=\"a\"b",
            "kexec_kernel=\"a\"#b",
            "kexec_kernel=\"a",
            "kexec_kernel=a; reboot",
            "kexec_kernel=a b",
            "export kexec_kernel=a",
            "[ -e x ] && kexec_kernel=a",
            "kexec_kernel=\\x",
        ] {
            let settings = parse(format!("# x\n{text}\n").as_bytes());
            assert_eq!((settings.kernel, settings.odd_line), (None, Some(2)), "{text}");
        }
    }
}
