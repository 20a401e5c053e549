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
    /// Splits it. Each part of a version, between hyphens, begins with a digit; the flavour is what
    /// follows, without a revision at its end (Gentoo: 6.6.21-gentoo-r1). So 6.12.9-cloud-amd64 does
    /// not have the flavour amd64.
    pub fn of(whole: &'n str) -> Release<'n> {
        let starts_with_digit = |part: &str| part.starts_with(|first: char| first.is_ascii_digit());
        let mut flavour = whole;
        while starts_with_digit(flavour) {
            flavour = flavour.split_once('-').map_or("", |(_, rest)| rest);
        }
        let has_version = flavour.len() < whole.len();
        if let Some((before, last)) = flavour.rsplit_once('-')
            && let Some(number) = last.strip_prefix('r')
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
        {
            flavour = before;
        }
        Release { whole, flavour, has_version }
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

/// The release in the name of a unified image in EFI/Linux, such as `linux-virt.efi` or
/// `MACHINE-ID-6.12.9-amd64+3.efi` (systemd's Boot Loader Specification; the number counts tries).
/// `None` for another file.
pub fn of_unified(file: &str) -> Option<Release<'_>> {
    let mut name = file.strip_suffix(".efi")?;
    name = name.split_once('+').map_or(name, |(name, _)| name);
    while let Some((first, rest)) = name.split_once('-')
        && (["linux", "vmlinuz", "kernel", "alpine"].contains(&first) || is_machine_id(first))
    {
        name = rest;
    }
    Some(Release::of(name))
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
            ("linux-virt.efi", Some("virt")),
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
