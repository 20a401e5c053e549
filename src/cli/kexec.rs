//! The options of kexec(8), as its users type them.

use super::words::{Known, Words};
use super::{Command, Jump, Load};
use crate::base::range::Range;
use crate::base::text::{parse_decimal, parse_hex};
use crate::failure::Result;
use crate::jump::{self, When};
use crate::known::call::Call;
use crate::load::{After, Base, Choice, Efi, Goal, Initrds, KernelChoice, Line, Request, Starts};
use crate::settings::Origin;
use crate::status;
use argh::ArgsInfo;
use std::ffi::{OsStr, OsString};

/// Load a kernel and start it, with the options of kexec(8). Without -l, -f and -e,
/// load a kernel and ask init for a reboot.
#[derive(ArgsInfo)]
#[expect(dead_code, reason = "argh makes the table of options of it")]
pub struct Options {
    /// load the kernel
    #[argh(switch, short = 'l')]
    load: bool,
    /// start the loaded kernel at once
    #[argh(switch, short = 'e')]
    exec: bool,
    /// load a kernel and start it at once; of -l and -f the last one counts
    #[argh(switch, short = 'f')]
    force: bool,
    /// unload the loaded kernel
    #[argh(switch, short = 'u')]
    unload: bool,
    /// exit with 1 when a crash kernel (with -l: a kernel for a reboot) is loaded, else
    /// with 0
    #[argh(switch, short = 'S')]
    status: bool,
    /// load a crash kernel, which starts when the running kernel panics (with -u: unload it)
    #[argh(switch, short = 'p')]
    load_panic: bool,
    /// an initrd; may be repeated (also --ramdisk)
    #[argh(option, arg_name = "FILE")]
    initrd: Vec<String>,
    /// another name of --initrd
    #[argh(option, hidden_help)]
    ramdisk: Vec<String>,
    /// the command line, or with --reuse-cmdline the options to add to it
    #[argh(option, arg_name = "LINE")]
    append: Option<String>,
    /// the command line (the same as --append)
    #[argh(option, arg_name = "LINE")]
    command_line: Option<String>,
    /// start from the running kernel's command line (also --reuse-commandline)
    #[argh(switch)]
    reuse_cmdline: bool,
    /// another name of --reuse-cmdline
    #[argh(switch, hidden_help)]
    reuse_commandline: bool,
    /// the device tree to use instead of the running kernel's (arm64)
    #[argh(option, arg_name = "FILE")]
    dtb: Option<String>,
    /// the kernel's type; it must agree with the file's content
    #[argh(option, short = 't', long = "type", arg_name = "TYPE")]
    kind: Option<String>,
    /// the lowest address to load to
    #[argh(option, arg_name = "ADDRESS")]
    mem_min: Option<String>,
    /// the highest address to load to
    #[argh(option, arg_name = "ADDRESS")]
    mem_max: Option<String>,
    /// use only kexec_load
    #[argh(switch, short = 'c')]
    kexec_syscall: bool,
    /// use only kexec_file_load
    #[argh(switch, short = 's')]
    kexec_file_syscall: bool,
    /// use kexec_file_load if the kernel has it, else kexec_load (the default)
    #[argh(switch, short = 'a')]
    kexec_syscall_auto: bool,
    /// do not write cached data to the disks before a jump
    #[argh(switch, short = 'y')]
    no_sync: bool,
    /// accept an initrd that may be cut: one that ends without a trailer
    #[argh(switch, short = 'i')]
    no_checks: bool,
    /// accepted, does nothing: rc-kexec takes no interface down
    #[argh(switch, short = 'x')]
    no_ifdown: bool,
    /// leave EFI out: the next kernel gets no EFI runtime services
    #[argh(switch)]
    noefi: bool,
    /// print details
    #[argh(switch, short = 'd')]
    debug: bool,
    /// print the version
    #[argh(switch, short = 'v')]
    version: bool,
    /// the kernel
    #[argh(positional)]
    kernel: Option<String>,
}

/// `kexec ...`
pub fn command(words: &Words) -> Result<Command> {
    // "this option supersedes other options and it will not load or unload"
    if words.has("--status") {
        let crash = !words.has("--load");
        return Ok(Command::Status(status::Request::Kexec8 { crash }));
    }
    refuse(words)?;
    let kernel = super::only_kernel(words)?;
    if words.has("--unload") {
        return unload(words, kernel.is_none());
    }
    if words.has("--load-panic") && words.last_of(&["--exec", "--force"]).is_some() {
        return Err(
            words.misused("unable to start a crash kernel: only a panic starts it; leave -e and -f out")
        );
    }
    match (kernel, words.has("--exec")) {
        (None, true) => Ok(Command::Jump(jump(words))),
        (Some(kernel), false) => load(words, kernel).map(Command::Load),
        (None, false) => Err(words.misused("unable to load: no kernel is named")),
        (Some(_), true) => Err(words.misused(
            "unable to start the kernel that you name: -e starts the loaded one, -f loads and starts one",
        )),
    }
}

fn unload(words: &Words, no_kernel: bool) -> Result<Command> {
    if no_kernel && !words.has("--exec") && words.last_of(&["--load", "--force"]).is_none() {
        return Ok(Command::Unload(starts(words)));
    }
    Err(words.misused("unable to unload and load at once: leave -u out, a load replaces the loaded kernel"))
}

fn starts(words: &Words) -> Starts {
    if words.has("--load-panic") { Starts::AtPanic } else { Starts::AtReboot }
}

fn jump(words: &Words) -> Jump {
    let request = jump::Request { when: When::ByHand, sync: !words.has("--no-sync") };
    Jump { request, debug: words.has("--debug"), ignored: ignored(words) }
}

fn load(words: &Words, kernel: OsString) -> Result<Load> {
    let call = choice(words)?;
    let bounds = bounds(words.last("--mem-min"), words.last("--mem-max"));
    let bounds = bounds.map_err(|what| words.misused(what))?;
    if call == Choice::Only(Call::FileLoad) && bounds != Range::ALL {
        return Err(
            words.misused("unable to use --mem-min and --mem-max with -s: kexec_file_load accepts no bounds")
        );
    }
    if call == Choice::Only(Call::FileLoad) && words.has("--noefi") {
        return Err(words.misused("unable to use --noefi with -s: kexec_file_load always hands EFI on"));
    }
    // --append and --command-line are two names of one option; the last one counts.
    let append = words.last_of(&["--append", "--command-line"]).map(|(_, value)| *value);
    let request = Request {
        starts: starts(words),
        kernel: KernelChoice::new(Some(kernel), None),
        initrds: Initrds::named(words.all("--initrd")),
        line: match (append, words.has("--reuse-cmdline")) {
            (None, false) => Line::Unsaid(Base::Empty),
            (Some(append), false) => Line::Said(Base::Empty, append.to_os_string()),
            (append, true) => Line::Said(Base::Running, append.unwrap_or_default().to_os_string()),
        },
        dtb: words.last("--dtb").map(OsStr::to_os_string),
        kind: words.last("--type").map(OsStr::to_os_string),
        without_trailer: words.has("--no-checks"),
        efi: if words.has("--noefi") { Efi::LeftOut } else { Efi::HandedOn },
        call,
        bounds,
        ..Request::default()
    };
    // As with kexec-tools, the last of -l and -f counts.
    let after = match words.last_of(&["--load", "--force"]) {
        Some(("--force", _)) => After::Jump { sync: !words.has("--no-sync") },
        Some(_) => After::Nothing,
        None if words.has("--load-panic") => After::Nothing,
        None => After::Reboot,
    };
    Ok(Load {
        from: Origin::Said(Box::new(request)),
        goal: Goal::Load(after),
        announce: false,
        debug: words.has("--debug"),
        ignored: ignored(words),
    })
}

/// The options of kexec-tools 2.0.32 that the help leaves out. Those that say what rc-kexec does anyway,
/// or are for what it does not have, such as a purgatory with output, do nothing.
pub const KNOWN: [Known; 29] = [
    nothing("--reset-vga"),
    nothing("--console-vga"),
    nothing("--console-serial"),
    Known { takes_value: true, ..nothing("--serial") },
    Known { takes_value: true, ..nothing("--serial-baud") },
    nothing("--args-linux"),
    nothing("--pass-memmap-cmdline"),
    nothing("--reuse-video-type"),
    nothing("--no-cma"),
    nothing("--hotplug"),
    nothing("--force-dtb"),
    nothing("--dt-no-old-root"),
    nothing("--kexec-file-syscall-debug"),
    nothing("--elf32-core-headers"),
    nothing("--elf64-core-headers"),
    instead("--real-mode", "a kernel is entered at its 32-bit or 64-bit entry; leave it out"),
    instead("--entry-32bit", "a 64-bit kernel is entered at its 64-bit entry; leave it out"),
    Known {
        takes_value: true,
        ..instead("--entry", "the kernel's header says where its entry is; leave it out")
    },
    instead("--args-elf", "a vmlinux is started by the Linux boot protocol; leave it out"),
    instead("--args-none", "a kernel is started by the Linux boot protocol; leave it out"),
    Known {
        takes_value: true,
        ..instead("--module", "multiboot is not supported; an initrd is --initrd FILE")
    },
    instead("--reuseinitrd", "the running kernel's initrd is gone; name it: --initrd FILE"),
    instead("--load-preserve-context", "a kernel that is started does not come back; load it with -l"),
    instead("--load-jump-back-helper", "a kernel that is started does not come back; load it with -l"),
    instead("--load-live-update", "live updates are not supported; load it with -l"),
    instead("--exec-live-update", "live updates are not supported; start the loaded kernel with -e"),
    instead("--print-ckr-size", "the size is in /sys/kernel/kexec_crash_size; read it there"),
    Known { takes_value: true, ..instead("--port", "the trampoline prints nothing; leave it out") },
    Known { takes_value: true, ..instead("--port-lsr", "the trampoline prints nothing; leave it out") },
];

const fn nothing(name: &'static str) -> Known {
    Known { name, takes_value: false, instead: None }
}

const fn instead(name: &'static str, what: &'static str) -> Known {
    Known { instead: Some(what), ..nothing(name) }
}

/// The options that were given and do nothing.
fn ignored(words: &Words) -> Vec<&'static str> {
    let mut ignored = Vec::new();
    for known in &KNOWN {
        if known.instead.is_none() && words.has(known.name) {
            ignored.push(known.name);
        }
    }
    if words.has("--no-ifdown") {
        ignored.push("--no-ifdown");
    }
    ignored
}

fn refuse(words: &Words) -> Result<()> {
    for known in &KNOWN {
        if let Some(instead) = known.instead
            && words.has(known.name)
        {
            return Err(words.misused(&format!("unable to use {}: {instead}", known.name)));
        }
    }
    Ok(())
}

fn choice(words: &Words) -> Result<Choice> {
    match (words.has("--kexec-file-syscall"), words.has("--kexec-syscall")) {
        _ if words.has("--kexec-syscall-auto") => Ok(Choice::Auto),
        (false, false) => Ok(Choice::Auto),
        (true, false) => Ok(Choice::Only(Call::FileLoad)),
        (false, true) => Ok(Choice::Only(Call::Load)),
        (true, true) => Err(words.misused("unable to use -c with -s: give one of them")),
    }
}

/// `--mem-min` and `--mem-max`, both inclusive, in decimal or with 0x.
fn bounds(min: Option<&OsStr>, max: Option<&OsStr>) -> Result<Range, &'static str> {
    let number = |text: &OsStr| {
        let text = text.as_encoded_bytes();
        if text.starts_with(b"0x") { parse_hex(text) } else { parse_decimal(text) }
    };
    let min = min.map_or(Some(0), number).ok_or("unable to use --mem-min: it is not an address")?;
    let max = max.map_or(Some(u64::MAX), number).ok_or("unable to use --mem-max: it is not an address")?;
    Range::new(min, max.saturating_add(1)).ok_or("unable to use --mem-max: it is not above --mem-min")
}
