//! Why the running kernel refuses a load: the evidence, and the reason that follows from it.

use super::boot_loader::BootLoader;
use super::call::Call;
use std::ffi::OsString;

/// The properties of a refused load that can explain the refusal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attempt {
    /// The command line's length, in bytes.
    pub command_line: usize,
    /// The longest command line that the kernel's header allows, in bytes.
    pub command_line_limit: usize,
    /// The memory that the load needs, in bytes; 0 when it is not the reason.
    pub size: u64,
    /// The room that the load needs and has; `None` when it is not the reason, or not known.
    pub room: Option<Room>,
}

/// The room in memory that a load needs, and the room that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The largest piece that the load needs, in bytes.
    pub wanted: u64,
    /// The largest piece of RAM that a segment may overwrite, in bytes.
    pub largest: u64,
    /// Where the highest such RAM ends.
    pub end: u64,
}

/// The facts about a refusal, read after it.
#[derive(Clone, Debug, Default)]
pub struct Refusal {
    /// Whether this process has CAP_SYS_BOOT; `None` when /proc does not say.
    pub cap_sys_boot: Option<bool>,
    /// Whether root runs this process.
    pub is_root: bool,
    /// Whether kernel.kexec_load_disabled is 1.
    pub load_disabled: bool,
    /// kernel.kexec_load_limit_reboot; `None` when there is no limit.
    pub loads_left: Option<u64>,
    /// The lockdown in force (kernel_lockdown(7)).
    pub lockdown: Option<OsString>,
    /// Whether the running kernel's command line asks for a lockdown.
    pub lockdown_option: bool,
    /// Whether `kexec_load_disabled=0` is on the running kernel's command line. When the sysctl is 1
    /// all the same, it had no effect.
    pub boot_option: bool,
    /// The file of sysctl.d(5) that sets kernel.kexec_load_disabled to 1.
    pub sysctl_file: Option<OsString>,
    /// Whether this is Alpine, whose kernels know the boot option.
    pub alpine: bool,
    /// The boot loaders whose configuration is on this machine.
    pub boot_loaders: Vec<BootLoader>,
    /// The security modules in force; `None` when they cannot be listed.
    pub security_modules: Option<OsString>,
    /// Whether the kernel's log says that it cannot stop the other processors.
    pub stuck_cpus: bool,
    /// Whether a seccomp filter is on this process.
    pub seccomp: bool,
    /// MemAvailable and SwapFree together, in bytes.
    pub available: Option<u64>,
}

/// A reason for which the kernel refuses every load.
#[derive(Clone, Copy, Debug)]
pub enum Obstacle<'f> {
    /// The process has no CAP_SYS_BOOT.
    NoPrivilege(&'f Refusal),
    /// kernel.kexec_load_disabled is 1.
    Disabled(&'f Refusal),
    /// kernel.kexec_load_limit_reboot is 0.
    NoLoadsLeft,
    /// A lockdown is in force. It forbids kexec_load, and kexec_file_load without a trusted signature.
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
    /// Whether the command line explains EINVAL from kexec_file_load, which needs room for the
    /// `elfcorehdr=` of a crash kernel on every load, 30 bytes and the NUL
    /// (arch/x86/kernel/kexec-bzimage64.c, bzImage64_load).
    pub fn is_near_limit(&self) -> bool {
        self.command_line.saturating_add(31) > self.command_line_limit
    }
}
