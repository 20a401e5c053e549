//! The words for what the program reports: each type has its `Display` here. The help stands with its
//! options, and the doctor's findings stand with their checks.

pub mod boot_options;
pub mod defect;
pub mod draw;
#[cfg(feature = "vmcore")]
pub mod dump;
pub mod failure;
pub mod load;
pub mod refusal;
pub mod report;
pub mod shutdown;

use crate::base::text::Shown;
use std::ffi::OsString;
use std::fmt::{self, Formatter};

/// Writes paths, with a space before each.
fn each(f: &mut Formatter<'_>, paths: &[OsString]) -> fmt::Result {
    paths.iter().try_for_each(|path| write!(f, " {}", path.shown()))
}
