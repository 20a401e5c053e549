//! Is a kernel loaded? The exit status answers.

use crate::failure::Result;
use crate::host::kernel::is_loaded;
use crate::load::Starts;

/// A question that the exit status answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// kexec(8)'s: 1 when a kernel is loaded, else 0.
    Kexec8 {
        /// Whether the question is about the kernel for a panic.
        crash: bool,
    },
    /// kexec-load's, which also prints the answer: 0 when a kernel is loaded, else 1.
    Load(Starts),
}

/// Whether a kernel is loaded.
pub fn run(request: Request) -> Result<bool> {
    is_loaded(matches!(request, Request::Kexec8 { crash: true } | Request::Load(Starts::AtPanic)))
}

impl Request {
    /// The exit status for an answer. Without an answer kexec(8)'s status must not be 1, which says
    /// that a kernel is loaded.
    pub fn exit_status(self, answer: Option<bool>) -> u8 {
        match (self, answer) {
            (Request::Kexec8 { .. }, None) => 255,
            (Request::Kexec8 { .. }, Some(loaded)) => u8::from(loaded),
            (Request::Load(_), answer) => u8::from(answer != Some(true)),
        }
    }
}
