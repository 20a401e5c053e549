//! The names under which distributions install kernels: version and flavour.

use core::cmp::Ordering;

/// A release, or what an installed kernel's file name has after its first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release<'n> {
    /// All of it.
    pub whole: &'n str,
    /// The flavour, such as `virt`, `amd64` or `cloud-amd64`; empty without one.
    pub flavour: &'n str,
    /// Whether there is a version at all.
    pub has_version: bool,
}

impl<'n> Release<'n> {
    /// Splits it. The flavour is what follows the parts of a version, without a revision
    /// at its end (Gentoo: 6.6.21-gentoo-r1). So 6.12.9-cloud-amd64 does not have the flavour amd64.
    pub fn of(whole: &'n str) -> Release<'n> {
        let mut flavour = whole;
        loop {
            let (part, rest) = flavour.split_once('-').unwrap_or((flavour, ""));
            if !is_version(part) {
                break;
            }
            flavour = rest;
        }
        let has_version = flavour.len() < whole.len();
        if let Some((before, last)) = flavour.rsplit_once('-')
            && is_revision(last)
        {
            flavour = before;
        }
        Release { whole, flavour, has_version }
    }

    /// Whether the flavours are the same, wherever a revision stands (6.6.21-gentoo-r1-x86_64).
    pub fn has_flavour_of(&self, other: &Release) -> bool {
        fn parts<'f>(release: &Release<'f>) -> impl Iterator<Item = &'f str> {
            release.flavour.split('-').filter(|part| !is_revision(part))
        }
        parts(self).eq(parts(other))
    }

    /// Which one is newer. Numbers count as numbers: 6.9 is older than 6.12.
    pub fn cmp_version(&self, other: &Release) -> Ordering {
        let (mut own, mut other) = (self.whole.as_bytes(), other.whole.as_bytes());
        loop {
            let (number, other_number) = (digits(&mut own), digits(&mut other));
            // Without leading zeros the longer number is the larger one.
            let order = number.len().cmp(&other_number.len()).then(number.cmp(other_number));
            if order.is_ne() {
                return order;
            }
            match (own.split_first(), other.split_first()) {
                (Some((byte, rest)), Some((other_byte, other_rest))) if byte == other_byte => {
                    (own, other) = (rest, other_rest);
                }
                (byte, other_byte) => {
                    return byte.map(|(byte, _)| byte).cmp(&other_byte.map(|(byte, _)| byte));
                }
            }
        }
    }
}

/// Takes the digits at the beginning, and returns them without leading zeros.
fn digits<'t>(text: &mut &'t [u8]) -> &'t [u8] {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at_checked(end).unwrap_or((text, b""));
    *text = rest;
    let zeros = number.iter().position(|&byte| byte != b'0').unwrap_or(number.len());
    number.get(zeros..).unwrap_or_default()
}

/// Whether this is a revision of Gentoo's, such as r1.
fn is_revision(part: &str) -> bool {
    part.strip_prefix('r').is_some_and(is_number)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether this is a part of a version, between hyphens: it begins with a digit, and ends with one or
/// with the `+` of a changed source tree. So 6.12.31.old, a copy, has none.
fn is_version(part: &str) -> bool {
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let bytes = part.as_bytes();
    is_digit(bytes.first()) && (is_digit(bytes.last()) || bytes.last() == Some(&b'+'))
}

/// The name of a unified image in EFI/Linux, such as `linux-virt.efi` or
/// `MACHINE-ID-6.12.9-amd64+3.efi`, without what is not of its kernel; `None` for another file. With a
/// version, all before that is left out.
///
/// The end can count tries: "+3" or "+3-0" (systemd's Boot Loader Specification, "Boot counting").
pub fn of_unified(file: &str) -> Option<Release<'_>> {
    let name = file.strip_suffix(".efi")?;
    let is_count = |text: &str| text.split('-').count() <= 2 && text.split('-').all(is_number);
    let name = name.rsplit_once('+').filter(|(_, end)| is_count(end)).map_or(name, |(name, _)| name);
    let mut rest = name;
    while let Some((first, after)) = rest.split_once('-')
        && (!is_version(first) || is_machine_id(first))
    {
        rest = after;
    }
    let release = Release::of(rest);
    Some(if release.has_version { release } else { Release::of(name) })
}

/// machine-id(5): 32 hexadecimal digits.
fn is_machine_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flavours_of_releases() {
        let table = [
            ("6.12.31-0-virt", "virt"),
            ("6.12.9-amd64", "amd64"),
            ("6.1.0-28-cloud-amd64", "cloud-amd64"),
            ("6.12.9-rt-amd64", "rt-amd64"),
            ("6.6.21-gentoo", "gentoo"),
            ("6.6.21-gentoo-r1", "gentoo"),
            ("6.6.21-gentoo-dist", "gentoo-dist"),
            ("6.5.6-300.fc39.x86_64", ""),
            ("6.12.48+deb13-amd64", "amd64"),
            ("6.12.48+", ""),
            ("6.12.31.old", "6.12.31.old"),
            ("6.12.31-virt.old", "virt.old"),
            ("6.12.31", ""),
            ("6.9.3-arch1-1", "arch1-1"),
            ("virt", "virt"),
            ("", ""),
        ];
        for (release, wanted) in table {
            assert_eq!(Release::of(release).flavour, wanted, "{release}");
        }
        assert!(Release::of("6.1-x").has_version && !Release::of("virt").has_version);
    }

    #[test]
    fn the_newer_of_two() {
        // older, newer
        let table = [
            ("6.9-amd64", "6.12-amd64"),
            ("6.12.9-amd64", "6.12.10-amd64"),
            ("6.1.0-9-amd64", "6.1.0-28-amd64"),
            ("6.6.21-gentoo", "6.6.21-gentoo-r1"),
            ("6.6.21-gentoo-r2", "6.6.21-gentoo-r10"),
            ("5.99", "6.1"),
            ("6.1", "6.1.1"),
            ("6.01", "6.2"),
        ];
        for (older, newer) in table {
            let (old, new) = (Release::of(older), Release::of(newer));
            assert_eq!(old.cmp_version(&new), Ordering::Less, "{older} {newer}");
            assert_eq!(new.cmp_version(&old), Ordering::Greater, "{newer} {older}");
            assert_eq!(new.cmp_version(&new), Ordering::Equal, "{newer}");
        }
    }

    #[test]
    fn unified_images_by_name() {
        let table = [
            ("linux-virt.efi", Some("linux-virt")),
            ("arch-linux-lts.efi", Some("arch-linux-lts")),
            ("gentoo-6.12.31-gentoo-dist.efi", Some("gentoo-dist")),
            ("0123456789abcdef0123456789abcdef-6.12.48+deb13-amd64.efi", Some("amd64")),
            ("debian-6.12.48+deb13-amd64+2.efi", Some("amd64")),
            ("linux-6.12.48+deb13.efi", Some("")),
            ("vmlinuz-6.12.9-amd64.efi", Some("amd64")),
            ("0123456789abcdef0123456789abcdef-6.12.9-cloud-amd64+3-0.efi", Some("cloud-amd64")),
            ("lts.efi", Some("lts")),
            ("linux-virt.efi.bak", None),
        ];
        for (file, wanted) in table {
            assert_eq!(of_unified(file).map(|release| release.flavour), wanted, "{file}");
        }
    }
}
