//! Reads all that the doctor looks at. Changes nothing.

use super::Request;
use crate::base::bytes::parts;
use crate::base::text::Shown;
use crate::failure::{Failure, Result};
use crate::host::exposure::exposure;
use crate::host::files::{exists, read_or_empty};
use crate::host::openrc::{Services, services};
use crate::host::{init, kernel, machine, refusal};
use crate::known::call::Calls;
use crate::known::exposure::Exposure;
use crate::known::init::{Init, Trace};
use crate::known::kernel_name::Release;
use crate::known::refusal::Refusal;
use crate::known::shutdown::{SKIP_FILE, WhenUnknown};
use crate::load::{self, Files};
use crate::plan::PAGE;
use crate::settings::{self, Origin};
use nix::errno::Errno;
use std::ffi::OsString;

/// All that the doctor looks at.
#[derive(Debug, Default)]
pub struct Facts {
    /// What the machine reveals about why a load would be refused.
    pub refusal: Refusal,
    /// Which calls the kernel has.
    pub calls: Calls,
    /// Whether a kernel is loaded.
    pub loaded: bool,
    /// Whether UEFI's Secure Boot is on; `None` without UEFI, or when UEFI does not say.
    pub secure_boot: Option<bool>,
    /// The running kernel's release.
    pub release: String,
    /// Its flavour.
    pub flavour: Option<String>,
    /// The installed release of that flavour (Alpine).
    pub installed: Option<String>,
    /// The container's name, in a container.
    pub container: Option<OsString>,
    /// Process 1.
    pub init: Init,
    /// Whether sysvinit's inittab runs `openrc reboot` for a reboot.
    pub sysvinit_tells: bool,
    /// What watching process 1 showed.
    pub trace: Trace,
    /// Whether the kernel has tracefs.
    pub has_tracefs: bool,
    /// Whether the user asked for an ordinary reboot next.
    pub skip: bool,
    /// The state of our services.
    pub services: Services,
    /// The load as it would go.
    pub rehearsal: Rehearsal,
    /// Whether the load comes from /etc/conf.d/kexec-load, read without a shell.
    pub by_settings: bool,
    /// A line of the settings that only a shell can read.
    pub odd_line: Option<usize>,
    /// What to do when a reboot cannot be told from a poweroff.
    pub when_unknown: WhenUnknown,
    /// Who can change what would be loaded: file by file.
    pub files: Vec<Exposure>,
    /// As `files`, of the settings.
    pub settings: Exposure,
}

/// How far a load would get; a field that it would not reach is `None`.
#[derive(Debug, Default)]
pub struct Rehearsal {
    /// The names of the kernel, the initrds and the added files.
    pub files: Vec<OsString>,
    /// The kernel.
    pub kernel: Option<String>,
    /// The initrds.
    pub initrds: Option<String>,
    /// The command line's length.
    pub command_line: Option<String>,
    /// Whether the running kernel has root= and the next one would not.
    pub loses_root: bool,
    /// Whether the running kernel has the option that unlocks loads and the next one would not.
    pub loses_lock_option: bool,
    /// Whether there is a key, and no cryptroot= that it would unlock.
    pub unlocks_nothing: bool,
    /// The memory that these files need as a crash kernel, in bytes, where some is reserved.
    #[cfg(feature = "vmcore")]
    pub reservation: Option<u64>,
    /// The memory that the load needs, and the most that the kernel allows, in bytes.
    pub memory: Option<(u64, u64)>,
    /// Why the load would fail.
    pub failure: Option<Box<Failure>>,
}

/// Looks at everything.
pub fn gather(request: Request) -> Facts {
    let by_settings = matches!(request.load, Origin::File);
    let (load, settings) = request.load.read();
    let when_unknown = match settings.when_unknown {
        WhenUnknown::Kexec => WhenUnknown::Kexec,
        WhenUnknown::Reboot => request.when_unknown,
    };
    // What cannot be read here fails in the rehearsal, too.
    let calls = crate::host::calls(true).unwrap_or_default();
    let rehearsal = rehearse(&load.rehearsed(), calls);
    let release = kernel::release().unwrap_or_default();
    let flavour = Release::of(&release).flavour;
    let flavour = (!flavour.is_empty()).then(|| flavour.to_string());
    let mut own_settings = exposure(settings::FILE.as_ref());
    // The settings file is optional.
    own_settings.unseen = own_settings.unseen.filter(|errno| *errno != Errno::ENOENT);
    Facts {
        refusal: refusal::known(),
        calls,
        loaded: kernel::is_loaded(false).unwrap_or(false),
        secure_boot: machine::secure_boot(),
        installed: kernel::installed(flavour.as_deref()),
        release,
        flavour,
        container: kernel::container(),
        init: init::kind(),
        sysvinit_tells: init::sysvinit_tells(),
        trace: init::trace(),
        has_tracefs: parts(&read_or_empty("/proc/filesystems"), b'\n')
            .any(|line| line.ends_with(b"\ttracefs")),
        skip: exists(SKIP_FILE),
        services: services(),
        files: rehearsal.files.iter().map(|path| exposure(path)).collect(),
        settings: own_settings,
        rehearsal,
        by_settings,
        odd_line: settings.odd_line,
        when_unknown,
    }
}

/// Goes through a load, up to the system call.
pub(super) fn rehearse(request: &load::Request, calls: Calls) -> Rehearsal {
    let mut found = Rehearsal::default();
    found.failure = go_through(request, calls, &mut found).err();
    found
}

fn go_through(request: &load::Request, calls: Calls, found: &mut Rehearsal) -> Result<()> {
    let files = Files::new();
    let chosen = load::select(request)?;
    found.files.push(chosen.kernel.clone());
    let kernel = load::kernel(&files, &chosen.kernel, request.kind.as_deref())?;
    found.kernel = Some(format!("{}, {kernel}", kernel.path.shown()));
    let chosen = load::initrds::settle(chosen, &kernel)?;
    found.files.extend_from_slice(load::initrds::names(&chosen));
    found.files.extend(request.added.iter().map(|added| added.source.clone()));

    let initrds = load::initrds::open(&files, &chosen, request, &kernel)?;
    load::permit(request, calls)?;
    let texts: Vec<String> = initrds.iter().map(ToString::to_string).collect();
    found.initrds = Some(if texts.is_empty() { "none".to_string() } else { texts.join("; ") });

    // Where nothing is reserved, the failure says what these files need.
    #[cfg(feature = "vmcore")]
    if request.starts == load::Starts::AtPanic && crate::host::crash::reserved() > 0 {
        found.reservation = Some(load::reserve::needs(&kernel, &initrds));
    }
    let payload = load::with_initrds(&files, request, kernel, initrds)?;
    let (length, limit) = (payload.line.as_bytes().len(), payload.kernel.image.cmdline_size());
    found.command_line = Some(format!("{length} of {limit} bytes"));
    found.loses_root = payload.loses_root();
    found.loses_lock_option = payload.loses_lock_option();
    found.unlocks_nothing = payload.unlocks_nothing();

    let mut memory = payload.memory()?;
    let half = memory.total_pages.saturating_mul(PAGE / 2);
    let route = load::route(request, &payload, calls)?;
    let layout = load::rehearse(route, &payload, &mut memory)?;
    found.memory = Some((load::memory_size(route, &payload, layout.as_ref(), calls), half));
    Ok(())
}
