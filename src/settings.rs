//! The services' settings, /etc/conf.d/kexec-load, as far as they can be read
//! without a shell: plain assignments. Pure.

use crate::base::bytes::parts;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Where they are.
pub const FILE: &str = "/etc/conf.d/kexec-load";

/// The settings that matter for what would be loaded.
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
    /// kexec_crypt_key, where kexec_load_at lets it count.
    pub crypt_key: Option<OsString>,
    /// Whether kexec_crypt_key_force is yes.
    pub force: bool,
    /// Whether kexec_when_unknown is kexec.
    pub kexec_when_unknown: bool,
    /// The first line, counted from 1, that takes a shell to read.
    pub odd_line: Option<usize>,
}

/// Reads assignments such as `kexec_boot="/boot"`. An empty value is as good as none.
pub fn parse(text: &[u8]) -> Settings {
    let mut settings = Settings::default();
    let mut at_shutdown = true;
    for (number, line) in (1usize..).zip(parts(text, b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let Some((name, value)) = assignment(line) else {
            settings.odd_line = settings.odd_line.or(Some(number));
            continue;
        };
        let text = (!value.is_empty()).then(|| OsStr::from_bytes(value).to_os_string());
        // As text: a match on bytes would be compared byte for byte, in code.
        match core::str::from_utf8(name).unwrap_or_default() {
            "kexec_kernel" => settings.kernel = text,
            "kexec_command_line" => settings.command_line = text,
            "kexec_append" => settings.append = text,
            "kexec_boot" => settings.boot = text,
            "kexec_crypt_key" => settings.crypt_key = text,
            "kexec_crypt_key_force" => settings.force = is_yes(value),
            "kexec_load_at" => at_shutdown = value != b"start",
            "kexec_when_unknown" => settings.kexec_when_unknown = value == b"kexec",
            "kexec_initrds" => {
                let words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
                settings.initrds.clear();
                words.for_each(|word| settings.initrds.push(OsStr::from_bytes(word).to_os_string()));
            }
            _ => {}
        }
    }
    if !at_shutdown {
        settings.crypt_key = None;
    }
    settings
}

/// OpenRC's yesno.
fn is_yes(value: &[u8]) -> bool {
    ["yes", "true", "on", "1"].iter().any(|yes| value.eq_ignore_ascii_case(yes.as_bytes()))
}

/// The name and the value of a plain assignment (POSIX, Shell Command Language,
/// 2.2 Quoting): in single quotes, in double quotes without expansions, or bare.
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
    // Nothing may follow but a comment.
    let comment = rest.trim_ascii_start();
    let is_comment = comment.starts_with(b"#") && comment.len() < rest.len();
    (comment.is_empty() || is_comment).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            crypt_key: Some("x y".into()),
            force: false,
            kexec_when_unknown: false,
            odd_line: None,
        };
        assert_eq!(parse(set.as_bytes()), wanted);
        let unknown = set.replace("kexec_when_unknown=\"reboot\"", "kexec_when_unknown=kexec");
        assert!(parse(unknown.as_bytes()).kexec_when_unknown);
        let at_start = set.replace("kexec_load_at=\"shutdown\"", "kexec_load_at=start");
        assert_eq!(parse(at_start.as_bytes()).crypt_key, None);
        assert!(parse(set.replace("force=\"no\"", "force=Yes").as_bytes()).force);
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
