//! The two system calls that load a kernel, and which of them the running kernel has.

use core::fmt::{self, Display, Formatter};

/// A system call that loads a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// kexec_load(2)
    Load,
    /// kexec_file_load(2)
    FileLoad,
}

impl Display for Call {
    /// The name on its manual page.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Call::Load => "kexec_load",
            Call::FileLoad => "kexec_file_load",
        })
    }
}

/// Which calls the running kernel has, `None` when a filter on system calls hides the answer; and
/// whether a lockdown forbids one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Whether it has kexec_load(2).
    pub load: Option<bool>,
    /// Whether it has kexec_file_load(2).
    pub file_load: Option<bool>,
    /// Whether a lockdown forbids kexec_load (kernel_lockdown(7)).
    pub locked_down: bool,
}
