//! Who else can change a file that decides which kernel runs next.

use nix::errno::Errno;
use std::ffi::OsString;

/// Whether others than root can change a file.
#[derive(Debug, Default)]
pub struct Exposure {
    /// The file.
    pub path: OsString,
    /// The first symbolic link on the way to it: the file, or a directory above it.
    pub link: Option<OsString>,
    /// The path without symbolic links, when there is a link.
    pub leads_to: Option<OsString>,
    /// The first file or directory on the way that others can write to: its name, its permission
    /// bits, its owner.
    pub by: Option<(OsString, u32, u32)>,
    /// Why the way could not be followed to its end.
    pub unseen: Option<Errno>,
}
