//! Xen: what this kernel is to it, and whether a kexec would switch the machine off.

/// What the running kernel is to Xen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Xen {
    /// There is no Xen.
    #[default]
    Absent,
    /// The control domain (dom0), on which the whole host depends.
    ControlDomain,
    /// A paravirtualized (PV) guest.
    Paravirtual,
    /// A guest with a machine of its own: HVM, PVH, or one on Arm.
    Machine,
    /// A guest of an unknown kind: the kernel, or this user's rights, hide it.
    Unknown,
}

impl Xen {
    /// Reads what /sys/hypervisor/type, /sys/hypervisor/guest_type and /proc/xen/capabilities have
    /// (drivers/xen/sys-hypervisor.c; drivers/xen/xenfs/super.c); `None` for a file that is there
    /// and cannot be read, an empty text for one that does not exist. Kernels before 4.13 have no
    /// guest_type.
    pub fn of(kind: Option<&[u8]>, guest: Option<&[u8]>, capabilities: Option<&[u8]>) -> Xen {
        let is_control = |text: &[u8]| text.windows(9).any(|word| word == b"control_d");
        match kind.map(<[u8]>::trim_ascii) {
            None => Xen::Unknown,
            Some(b"xen") => match guest.map(<[u8]>::trim_ascii) {
                _ if capabilities.is_some_and(is_control) => Xen::ControlDomain,
                Some(b"PV") => Xen::Paravirtual,
                Some(b"HVM" | b"PVH" | b"Xen") => Xen::Machine,
                _ => Xen::Unknown,
            },
            Some(_) => Xen::Absent,
        }
    }

    /// Whether a kexec would switch the machine off, or that is not known.
    ///
    /// A kexec calls machine_shutdown (kernel/kexec_core.c, kernel_kexec), which under Xen PV is
    /// `.shutdown = xen_machine_halt` (arch/x86/xen/enlighten_pv.c): Xen ends the domain.
    pub fn forbids_kexec(self) -> bool {
        matches!(self, Xen::ControlDomain | Xen::Paravirtual | Xen::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_is_to_xen() {
        let none = Some("");
        // type, guest_type, capabilities -> Xen, and whether a kexec is forbidden
        let table = [
            (none, none, none, Xen::Absent, false),
            (Some("kvm\n"), none, none, Xen::Absent, false),
            // A dom0, and one where xenfs is not mounted.
            (Some("xen\n"), Some("PV\n"), Some("control_d\n"), Xen::ControlDomain, true),
            (Some("xen\n"), Some("PV\n"), none, Xen::Paravirtual, true),
            (Some("xen\n"), Some("PVH\n"), Some("control_d\n"), Xen::ControlDomain, true),
            (Some("xen\n"), Some("PVH\n"), Some("\n"), Xen::Machine, false),
            (Some("xen\n"), Some("HVM\n"), none, Xen::Machine, false),
            (Some("xen\n"), Some("Xen\n"), none, Xen::Machine, false),
            (Some("xen\n"), none, none, Xen::Unknown, true),
            (Some("xen\n"), None, none, Xen::Unknown, true),
            (Some("xen\n"), Some("HVM\n"), None, Xen::Machine, false),
            (None, none, none, Xen::Unknown, true),
        ];
        for (kind, guest, capabilities, wanted, forbidden) in table {
            let found =
                Xen::of(kind.map(str::as_bytes), guest.map(str::as_bytes), capabilities.map(str::as_bytes));
            assert_eq!(found, wanted, "{kind:?} {guest:?} {capabilities:?}");
            assert_eq!(found.forbids_kexec(), forbidden, "{kind:?} {guest:?} {capabilities:?}");
        }
    }
}
