//! Which system call loads: one decision, with its reason.

use super::payload::{Layout, Payload};
use super::request::{Choice, Efi, Key, Request, Starts};
use crate::base::range::Range;
use crate::failure::{Failure, NotDone, Result};
use crate::host::memory::Memory;
use crate::known::call::{Call, Calls, Limit};

/// The way into the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// kexec_file_load. Where rc-kexec chose it, kexec_load comes after it ([`Route::goes_on_after`]).
    File(Why),
    /// kexec_load, with a layout of our own.
    Segments(Why),
}

/// Why a route was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The user asked for this call.
    Asked,
    /// The kernel has kexec_file_load.
    FileLoadIsThere,
    /// A filter on system calls hides which calls the kernel has.
    Hidden,
    /// The kernel has no kexec_file_load.
    NoFileLoad,
    /// Only kexec_load can do what the request needs.
    OnlyThisCan,
    /// A layout of our own checks a crash kernel before it starts; the file call's hangs where it is damaged.
    Checked,
    /// kexec_file_load cannot do this on this machine.
    Limited(Limit),
    /// The kernel has neither call. The load tries kexec_load, and fails with its ENOSYS.
    NoCallAtAll,
}

impl Route {
    /// Whether kexec_load may do what kexec_file_load just failed to do.
    pub fn goes_on_after(self, failure: &Failure, calls: Calls) -> bool {
        self.has_second(calls) && failure.is_for_kexec_load()
    }

    /// Whether kexec_load may come after kexec_file_load: only where rc-kexec chose the call, the
    /// kernel may have the other one, and nothing forbids it.
    fn has_second(self, calls: Calls) -> bool {
        matches!(self, Route::File(why) if why != Why::Asked)
            && calls.load != Some(false)
            && !calls.locked_down
    }
}

/// Chooses the call for a payload: `calls` says which ones the running kernel has. Fails where
/// [`permit`] does.
pub fn route(request: &Request, payload: &Payload, calls: Calls) -> Result<Route> {
    permit(request, calls)?;
    let may_load = calls.load != Some(false) && !calls.locked_down && request.call == Choice::Auto;
    // The layout of arm64 has no check.
    if request.starts == Starts::AtPanic && may_load && cfg!(not(target_arch = "aarch64")) {
        return Ok(Route::Segments(Why::Checked));
    }
    Ok(choose(request.call, needs_load(request, payload), calls))
}

/// The layout, for a rehearsal of `route`; `None` where kexec_file_load is to place more initrds
/// than kexec_load accepts, so that there is nothing to draw. Fails as [`Payload::plan`] does.
pub fn rehearse<'p>(route: Route, payload: &'p Payload, memory: &mut Memory) -> Result<Option<Layout<'p>>> {
    match (payload.plan(memory), route) {
        (Err(failure), Route::File(_)) if matches!(*failure, Failure::TooManyInitrds { .. }) => Ok(None),
        (layout, _) => layout.map(Some),
    }
}

/// The memory that a load along `route` needs, in bytes: the less demanding call's, where either may
/// load.
pub fn memory_size(route: Route, payload: &Payload, layout: Option<&Layout>, calls: Calls) -> u64 {
    match (route, layout) {
        (Route::Segments(_), Some(layout)) => layout.plan.memory_size(),
        (Route::File(_), Some(layout)) if route.has_second(calls) => layout.plan.memory_size(),
        _ => payload.size_by_file(),
    }
}

fn choose(choice: Choice, needs_load: bool, calls: Calls) -> Route {
    // A lockdown leaves only kexec_file_load, and a kernel without kexec_load does, too.
    let limit = calls.limit.filter(|_| !calls.locked_down && calls.load != Some(false));
    match (choice, calls.file_load) {
        (Choice::Only(Call::FileLoad), _) => Route::File(Why::Asked),
        (Choice::Only(Call::Load), _) => Route::Segments(Why::Asked),
        (Choice::Auto, None | Some(true)) if !needs_load => match (limit, calls.file_load) {
            (Some(limit), _) => Route::Segments(Why::Limited(limit)),
            (None, Some(_)) => Route::File(Why::FileLoadIsThere),
            (None, None) => Route::File(Why::Hidden),
        },
        (Choice::Auto, file_load) => Route::Segments(match (calls.load, file_load) {
            (Some(false), Some(false)) => Why::NoCallAtAll,
            (_, Some(false)) => Why::NoFileLoad,
            _ => Why::OnlyThisCan,
        }),
    }
}

/// Whether only kexec_load can do it: kexec_file_load accepts neither bounds nor a device tree,
/// reads an initrd into memory that it does not wipe afterwards (kernel/kexec_file.c,
/// kimage_file_post_load_cleanup), and its loader refuses some images.
fn needs_load(request: &Request, payload: &Payload) -> bool {
    request.key != Key::Absent
        || payload.dtb.is_some()
        || request.bounds != Range::ALL
        || request.efi == Efi::LeftOut
        || payload.kernel.only_by_segments()
}

/// Whether it matters for a request which calls the kernel has. Otherwise it is not asked: a filter
/// on system calls may end the program for the question.
pub fn asks_for_calls(request: &Request) -> bool {
    request.call == Choice::Auto || request.key != Key::Absent
}

/// Fails with [`Failure::NotDone`](crate::failure::Failure::NotDone) for a request that the
/// permitted calls cannot meet, whatever is in the files, and where a kexec would switch the machine
/// off.
pub fn permit(request: &Request, calls: Calls) -> Result<()> {
    let has_key = request.key != Key::Absent;
    let by_file = request.call == Choice::Only(Call::FileLoad);
    if calls.xen.forbids_kexec() {
        Err(NotDone::Xen(calls.xen).into())
    } else if calls.unaccepted > 0 {
        Err(NotDone::Unaccepted(calls.unaccepted).into())
    } else if has_key && calls.load == Some(false) {
        Err(NotDone::KeyWithoutLoad.into())
    } else if has_key && calls.locked_down {
        Err(NotDone::KeyLockedDown.into())
    } else if request.dtb.is_some() && by_file {
        Err(NotDone::DeviceTreeByFileLoad.into())
    } else if has_key && by_file {
        Err(NotDone::KeyByFileLoad.into())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::known::refusal::Attempt;
    use crate::known::xen::Xen;
    use crate::load::KeyFile;
    use nix::errno::Errno;

    #[test]
    fn the_call_and_the_reason_for_it() {
        let (auto, file, load) = (Choice::Auto, Choice::Only(Call::FileLoad), Choice::Only(Call::Load));
        let (yes, no) = (Some(true), Some(false));
        // the choice, whether only kexec_load can do it, kexec_load, kexec_file_load -> the route
        let table = [
            (file, true, no, no, Route::File(Why::Asked)),
            (load, false, no, yes, Route::Segments(Why::Asked)),
            (auto, false, yes, yes, Route::File(Why::FileLoadIsThere)),
            (auto, false, no, yes, Route::File(Why::FileLoadIsThere)),
            (auto, false, yes, no, Route::Segments(Why::NoFileLoad)),
            (auto, false, None, no, Route::Segments(Why::NoFileLoad)),
            (auto, false, no, no, Route::Segments(Why::NoCallAtAll)),
            (auto, false, None, None, Route::File(Why::Hidden)),
            (auto, true, yes, yes, Route::Segments(Why::OnlyThisCan)),
            (auto, true, yes, no, Route::Segments(Why::NoFileLoad)),
            (auto, true, None, None, Route::Segments(Why::OnlyThisCan)),
            (auto, true, no, no, Route::Segments(Why::NoCallAtAll)),
            // This kernel has a call; it is not the one that can do this.
            (auto, true, no, yes, Route::Segments(Why::OnlyThisCan)),
        ];
        for (choice, needs_load, load, file_load, wanted) in table {
            let calls = Calls { load, file_load, ..Calls::default() };
            assert_eq!(choose(choice, needs_load, calls), wanted, "{choice:?} {needs_load} {calls:?}");
        }
    }

    #[test]
    fn what_kexec_file_load_cannot_do_here_is_left_to_kexec_load_where_that_is_allowed() {
        let (auto, file) = (Choice::Auto, Choice::Only(Call::FileLoad));
        for limit in [Limit::MemoryMap, Limit::Efi32, Limit::AddedMemory] {
            let limited = Route::Segments(Why::Limited(limit));
            // the choice, whether the kernel has kexec_load, lockdown -> the route
            let table = [
                (auto, Some(true), false, limited),
                (auto, None, false, limited),
                (auto, Some(false), false, Route::File(Why::FileLoadIsThere)),
                (auto, Some(true), true, Route::File(Why::FileLoadIsThere)),
                (file, Some(true), false, Route::File(Why::Asked)),
            ];
            for (choice, load, locked_down, wanted) in table {
                let calls = Calls {
                    load,
                    file_load: Some(true),
                    locked_down,
                    limit: Some(limit),
                    ..Calls::default()
                };
                assert_eq!(choose(choice, false, calls), wanted, "{choice:?} {calls:?}");
            }
        }
    }

    #[test]
    fn kexec_load_comes_after_a_failure_that_it_may_not_have() {
        let both = Calls { load: Some(true), file_load: Some(true), ..Calls::default() };
        let locked = Calls { locked_down: true, ..both };
        let alone = Calls { load: Some(false), ..both };
        let hidden = Calls::default();
        let (chosen, asked, unknown) =
            (Route::File(Why::FileLoadIsThere), Route::File(Why::Asked), Route::File(Why::Hidden));
        let no_room = Errno::EADDRNOTAVAIL;
        // the route, the answer of kexec_file_load, the calls -> whether kexec_load is tried
        let table = [
            (chosen, no_room, both, true),
            (chosen, Errno::ENOMEM, both, true),
            (chosen, Errno::ENODATA, both, true),
            (chosen, Errno::ENOKEY, both, true),
            (chosen, Errno::EKEYREJECTED, both, true),
            (chosen, Errno::EBADMSG, both, true),
            (chosen, Errno::ENOEXEC, both, true),
            (chosen, Errno::ENOSYS, both, true),
            (unknown, Errno::ENOSYS, hidden, true),
            (chosen, no_room, locked, false),
            (chosen, no_room, alone, false),
            (asked, no_room, both, false),
            (Route::Segments(Why::NoFileLoad), no_room, both, false),
            // What forbids one call forbids the other, or the reason is the machine's.
            (chosen, Errno::EPERM, both, false),
            (chosen, Errno::EACCES, both, false),
            (chosen, Errno::EBUSY, both, false),
            (chosen, Errno::EINVAL, both, false),
        ];
        for (route, errno, calls, wanted) in table {
            let failure = Failure::Refused {
                path: "/k".into(),
                call: Call::FileLoad,
                errno,
                load: Attempt::default(),
                facts: Box::default(),
            };
            assert_eq!(route.goes_on_after(&failure, calls), wanted, "{route:?} {errno} {calls:?}");
        }
    }

    #[test]
    fn where_a_kexec_would_switch_the_machine_off_nothing_is_loaded() {
        for xen in [Xen::ControlDomain, Xen::Paravirtual, Xen::Unknown, Xen::Machine, Xen::Absent] {
            let calls = Calls { xen, ..Calls::default() };
            let refusal = permit(&Request::default(), calls).map_err(|failure| *failure);
            let refused = matches!(refusal, Err(Failure::NotDone(NotDone::Xen(found))) if found == xen);
            assert_eq!(refused, xen.forbids_kexec(), "{xen:?}");
        }
        let calls = Calls { unaccepted: 4096, ..Calls::default() };
        let refusal = permit(&Request::default(), calls).map_err(|failure| failure.to_string());
        assert!(refusal.unwrap_err().contains("4 KiB of this guest's memory"));
    }

    #[test]
    fn what_a_call_cannot_do_is_refused_and_nothing_else() {
        let key = || Key::Blank(KeyFile { path: "/k".into(), force: false });
        let nothing = Request::default();
        let with_key = Request { key: key(), ..Request::default() };
        let with_tree = Request { dtb: Some("/t".into()), ..Request::default() };
        let (auto, file, load) = (Choice::Auto, Choice::Only(Call::FileLoad), Choice::Only(Call::Load));
        // the request, its choice, kexec_load, lockdown -> the refusal
        let table = [
            (&nothing, file, false, true, None),
            (&nothing, auto, false, true, None),
            (&with_key, auto, true, false, None),
            (&with_key, load, true, false, None),
            (&with_key, auto, false, false, Some(NotDone::KeyWithoutLoad)),
            (&with_key, file, false, true, Some(NotDone::KeyWithoutLoad)),
            (&with_key, load, true, true, Some(NotDone::KeyLockedDown)),
            (&with_key, file, true, false, Some(NotDone::KeyByFileLoad)),
            (&with_tree, auto, false, true, None),
            (&with_tree, file, true, false, Some(NotDone::DeviceTreeByFileLoad)),
        ];
        for (request, call, has_load, locked_down, wanted) in table {
            let request = Request { call, ..request.clone() };
            let calls =
                Calls { load: Some(has_load), file_load: Some(true), locked_down, ..Calls::default() };
            match (permit(&request, calls).map_err(|failure| *failure), wanted) {
                (Ok(()), None) => {}
                (Err(Failure::NotDone(found)), Some(wanted)) if found == wanted => {}
                (found, wanted) => panic!("{request:?} {calls:?}: {found:?}, not {wanted:?}"),
            }
        }
    }
}
