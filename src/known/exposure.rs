//! Who can change a file that decides what runs next.

use nix::errno::Errno;
use std::ffi::OsString;

/// Who else than root can change a file, and so choose what runs next.
#[derive(Debug, Default)]
pub struct Exposure {
    /// The file.
    pub path: OsString,
    /// The first of it and the directories above it that is a symbolic link.
    pub link: Option<OsString>,
    /// And where the file lies in truth.
    pub leads_to: Option<OsString>,
    /// The first of all these that others can write to: its name, its mode, its owner.
    pub by: Option<(OsString, u32, u32)>,
    /// Why it was not looked at to its end.
    pub unseen: Option<Errno>,
}
