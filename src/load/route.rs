//! Which system call loads: one decision, with its reason.

use super::payload::Payload;
use super::request::{Choice, Key, Request};
use crate::base::range::Range;
use crate::failure::{NotDone, Result};
use crate::known::call::{Call, Calls};

/// The way into the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// kexec_file_load.
    File(Why),
    /// kexec_load, with a layout of our own.
    Segments(Why),
    /// kexec_file_load and, where the kernel lacks it, kexec_load: a filter on system calls hides
    /// which of them the kernel has.
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
    /// The kernel has neither call; kexec_load says so.
    NoCallAtAll,
}

/// Chooses the call.
///
/// Only a call that is not there is replaced with the other: any refusal is an answer.
pub fn route(request: &Request, payload: &Payload, calls: Calls) -> Result<Route> {
    permit(request, calls)?;
    let needs_load = needs_load(request, payload);
    Ok(match (request.call, calls.file_load) {
        (Choice::Only(Call::FileLoad), _) => Route::File(Why::Asked),
        (Choice::Only(Call::Load), _) => Route::Segments(Why::Asked),
        (Choice::Auto, Some(true)) if !needs_load => Route::File(Why::FileLoadIsThere),
        (Choice::Auto, None) if !needs_load => Route::FileElseSegments,
        (Choice::Auto, file_load) => Route::Segments(match (calls.load, file_load) {
            (Some(false), _) => Why::NoCallAtAll,
            (_, Some(false)) => Why::NoFileLoad,
            _ => Why::OnlyThisCan,
        }),
    })
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

/// Refuses a request that the call cannot meet, whatever the files are.
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
    use crate::failure::Failure;
    use crate::load::KeyFile;

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
