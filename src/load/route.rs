//! Which system call loads: one decision, with its reason.

use super::payload::{Layout, Payload};
use super::request::{Choice, Key, Request};
use crate::base::range::Range;
use crate::failure::{Failure, NotDone, Result};
use crate::host::memory::Memory;
use crate::known::call::{Call, Calls};

/// The way into the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// kexec_file_load.
    File(Why),
    /// kexec_load, with a layout of our own.
    Segments(Why),
    /// kexec_file_load, and kexec_load when the kernel answers ENOSYS: a filter on system calls
    /// hides which of the two calls the kernel has.
    FileElseSegments,
}

/// Why a route was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The user asked for this call.
    Asked,
    /// The kernel has kexec_file_load.
    FileLoadIsThere,
    /// The kernel has no kexec_file_load.
    NoFileLoad,
    /// Only kexec_load can do what the request needs.
    OnlyThisCan,
    /// The kernel has neither call. The load tries kexec_load, and fails with its ENOSYS.
    NoCallAtAll,
}

/// Chooses the call for a payload: `calls` says which ones the running kernel has. Fails where
/// [`permit`] does.
///
/// A kernel that has the call and refuses the load has answered: the other call is not tried
/// then.
pub fn route(request: &Request, payload: &Payload, calls: Calls) -> Result<Route> {
    permit(request, calls)?;
    Ok(choose(request.call, needs_load(request, payload), calls))
}

/// The layout, for a rehearsal of `route`; `None` where kexec_file_load is to place more initrds
/// than kexec_load accepts, so that there is nothing to draw. Fails as [`Payload::plan`] does.
pub fn rehearse<'p>(route: Route, payload: &'p Payload, memory: &Memory) -> Result<Option<Layout<'p>>> {
    match (payload.plan(memory), route) {
        (Err(failure), Route::File(_)) if matches!(*failure, Failure::TooManyInitrds { .. }) => Ok(None),
        (layout, _) => layout.map(Some),
    }
}

fn choose(choice: Choice, needs_load: bool, calls: Calls) -> Route {
    match (choice, calls.file_load) {
        (Choice::Only(Call::FileLoad), _) => Route::File(Why::Asked),
        (Choice::Only(Call::Load), _) => Route::Segments(Why::Asked),
        (Choice::Auto, Some(true)) if !needs_load => Route::File(Why::FileLoadIsThere),
        (Choice::Auto, None) if !needs_load => Route::FileElseSegments,
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
        || payload.kernel.only_by_segments()
}

/// Whether it matters for a request which calls the kernel has. Otherwise it is not asked: a filter
/// on system calls may end the program for the question.
pub fn asks_for_calls(request: &Request) -> bool {
    request.call == Choice::Auto || request.key != Key::Absent
}

/// Fails with [`Failure::NotDone`](crate::failure::Failure::NotDone) for a request that the
/// permitted calls cannot meet, whatever is in the files.
pub fn permit(request: &Request, calls: Calls) -> Result<()> {
    let has_key = request.key != Key::Absent;
    let by_file = request.call == Choice::Only(Call::FileLoad);
    if has_key && calls.load == Some(false) {
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
    use crate::load::KeyFile;

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
            (auto, false, None, None, Route::FileElseSegments),
            (auto, true, yes, yes, Route::Segments(Why::OnlyThisCan)),
            (auto, true, yes, no, Route::Segments(Why::NoFileLoad)),
            (auto, true, None, None, Route::Segments(Why::OnlyThisCan)),
            (auto, true, no, no, Route::Segments(Why::NoCallAtAll)),
            // This kernel has a call; it is not the one that can do this.
            (auto, true, no, yes, Route::Segments(Why::OnlyThisCan)),
        ];
        for (choice, needs_load, load, file_load, wanted) in table {
            let calls = Calls { load, file_load, locked_down: false };
            assert_eq!(choose(choice, needs_load, calls), wanted, "{choice:?} {needs_load} {calls:?}");
        }
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
            let calls = Calls { load: Some(has_load), file_load: Some(true), locked_down };
            match (permit(&request, calls).map_err(|failure| *failure), wanted) {
                (Ok(()), None) => {}
                (Err(Failure::NotDone(found)), Some(wanted)) if found == wanted => {}
                (found, wanted) => panic!("{request:?} {calls:?}: {found:?}, not {wanted:?}"),
            }
        }
    }
}
