//! The command line that the next kernel gets.

use super::kernel::Kernel;
use super::request::{Base, Line, Request};
use crate::base::cmdline;
use crate::failure::{Failure, Result};
use crate::image::pe;
use crate::plan::NoPlan;
use nix::errno::Errno;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

/// The command line: the one that the request says, else a unified image's own, else the base of
/// the request. `running` is the running kernel's line. With a key, the words for it are added.
///
/// Fails when the running kernel's line is needed and cannot be read, when the line is longer than
/// the next kernel accepts ([`Failure::NoPlan`]), and when it has a NUL byte.
pub fn line(request: &Request, running: &Result<Vec<u8>, Errno>, kernel: &Kernel) -> Result<CString> {
    let own = own_line(request, kernel).map(|own| own.iter().map(|&byte| pe::command_line_byte(byte)));
    let (base, append) = match &request.line {
        Line::Unsaid(base) => (*base, &b""[..]),
        Line::Said(base, append) => (*base, append.as_bytes()),
    };
    let mut line = match (own, base) {
        (Some(own), _) => own.collect(),
        (None, Base::Empty) => Vec::new(),
        (None, Base::Running | Base::RunningForCrash) => {
            let unreadable = |&errno| Failure::SystemFile { path: "/proc/cmdline", errno };
            cmdline::without_marks(running.as_ref().map_err(unreadable)?)
        }
    };
    if base == Base::RunningForCrash {
        line = cmdline::for_crash(&line);
    }
    line = cmdline::with_words(line, append);
    if request.key.file().is_some() && cmdline::cryptkey(&line).is_none() {
        line = cmdline::with_words(line, cmdline::KEY_WORDS);
    }
    NoPlan::of_line(line.len(), kernel.image.cmdline_size())
        .map_err(|why| Failure::NoPlan { path: kernel.path.clone(), why })?;
    CString::new(line).map_err(|_| Failure::NulInCommandLine.into())
}

/// A unified image's own command line, when the request says none.
pub fn own_line<'k>(request: &Request, kernel: &Kernel<'k>) -> Option<&'k [u8]> {
    let counts = matches!(request.line, Line::Unsaid(_));
    kernel.unified.and_then(|unified| unified.cmdline).filter(|_| counts)
}
