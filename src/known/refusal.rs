//! Why the running kernel refuses a load: the evidence, and the reason that it comes to.

use super::boot_loader::BootLoader;
use super::call::Call;
use std::ffi::OsString;

/// What a refused load was.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attempt {
    /// The command line's length, in bytes.
    pub command_line: usize,
    /// The longest that the kernel's header allows.
    pub command_line_limit: usize,
    /// What the segments take together, in bytes.
    pub size: u64,
}

/// What can be known about a refusal, read after it.
#[derive(Clone, Debug, Default)]
pub struct Refusal {
    /// Whether this process has CAP_SYS_BOOT.
    pub cap_sys_boot: Option<bool>,
    /// Whether it is root's.
    pub is_root: bool,
    /// kernel.kexec_load_disabled is 1.
    pub load_disabled: bool,
    /// kernel.kexec_load_limit_reboot; none when there is no limit.
    pub loads_left: Option<u64>,
    /// The lockdown in force.
    pub lockdown: Option<OsString>,
    /// Whether the running kernel's command line asks for it.
    pub lockdown_option: bool,
    /// Whether `kexec_load_disabled=0` is on the running kernel's command line: without
    /// effect when the sysctl is 1 all the same.
    pub boot_option: bool,
    /// The file of sysctl.d(5) that sets kernel.kexec_load_disabled to 1.
    pub sysctl_file: Option<OsString>,
    /// Whether this is Alpine, whose kernels know the boot option.
    pub alpine: bool,
    /// The boot loaders that are set up here.
    pub boot_loaders: Vec<BootLoader>,
    /// The security modules in force.
    pub security_modules: Option<OsString>,
    /// Whether the kernel's log says that it cannot stop the other processors.
    pub stuck_cpus: bool,
    /// Whether a seccomp filter is on this process.
    pub seccomp: bool,
    /// MemAvailable and SwapFree, in bytes.
    pub available: Option<u64>,
}

/// A reason for which the kernel refuses loads, known without asking it.
#[derive(Clone, Copy, Debug)]
pub enum Obstacle<'f> {
    /// No CAP_SYS_BOOT.
    NoPrivilege(&'f Refusal),
    /// kernel.kexec_load_disabled
    Disabled(&'f Refusal),
    /// kernel.kexec_load_limit_reboot
    NoLoadsLeft,
    /// A lockdown, as the call meets it.
    LockedDown(Call, &'f Refusal),
}

impl<'f> Obstacle<'f> {
    /// The reason for EPERM, in the order in which the kernel checks (kernel/kexec_core.c,
    /// kexec_load_permitted; security/lockdown/lockdown.c); `None` when no fact explains it.
    pub fn of(call: Call, facts: &'f Refusal) -> Option<Obstacle<'f>> {
        if facts.cap_sys_boot == Some(false) {
            Some(Obstacle::NoPrivilege(facts))
        } else if facts.load_disabled {
            Some(Obstacle::Disabled(facts))
        } else if facts.loads_left == Some(0) {
            Some(Obstacle::NoLoadsLeft)
        } else if facts.lockdown.is_some() {
            Some(Obstacle::LockedDown(call, facts))
        } else {
            None
        }
    }
}

impl Attempt {
    /// Whether the command line explains EINVAL: on every load kexec_file_load asks for room
    /// for the `elfcorehdr=` of a crash kernel, 30 bytes and the NUL
    /// (arch/x86/kernel/kexec-bzimage64.c, bzImage64_load).
    pub fn is_near_limit(&self) -> bool {
        self.command_line.saturating_add(31) > self.command_line_limit
    }
}
