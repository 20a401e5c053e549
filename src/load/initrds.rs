//! The initrds of a load, checked, in the order in which the next kernel reads them.

use super::files::Files;
use super::kernel::Kernel;
use super::key;
use super::request::Request;
use super::select::{Chosen, Source};
use crate::failure::{Failure, Result};
use crate::host::machine;
use crate::host::sys::memory::MemoryFile;
use crate::image::initrd;
use std::ffi::OsString;
use std::os::fd::OwnedFd;

/// One initrd.
#[derive(Debug)]
pub struct Initrd<'f> {
    /// Its name in messages: a file's, with the section for one in a unified image.
    pub name: OsString,
    content: Bytes<'f>,
}

/// Where an initrd's bytes are.
#[derive(Debug)]
enum Bytes<'f> {
    /// In a file that the user named, or in a part of it; and the file that holds exactly these
    /// bytes, when there is one.
    Mapped(&'f [u8], Option<&'f OwnedFd>),
    /// In memory alone. Dropping it wipes it.
    Made(MemoryFile),
}

impl<'f> Initrd<'f> {
    fn mapped(name: OsString, bytes: &'f [u8], file: Option<&'f OwnedFd>) -> Initrd<'f> {
        Initrd { name, content: Bytes::Mapped(bytes, file) }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        match &self.content {
            Bytes::Mapped(bytes, _) => bytes,
            Bytes::Made(memory) => memory.bytes(),
        }
    }

    /// The file that holds exactly its bytes, when there is one.
    pub fn file(&self) -> Option<&OwnedFd> {
        match &self.content {
            Bytes::Mapped(_, file) => *file,
            Bytes::Made(_) => None,
        }
    }
}

/// Opens the initrds, checks them, and then adds the files and the key of the request.
///
/// Fails when a file cannot be read ([`Failure::Unusable`]), when the kernel could not unpack an
/// initrd ([`Failure::Initrd`]), when no initrd is found and the running kernel has one
/// ([`Failure::NoInitrdFound`]), and when a key may not be handed on ([`Failure::Key`]).
pub fn open<'f>(
    files: &'f Files,
    chosen: &Chosen,
    request: &Request,
    kernel: &Kernel<'f>,
) -> Result<Vec<Initrd<'f>>> {
    let chosen = settle(chosen.clone(), kernel)?;
    let mut initrds = if chosen.initrds == Source::Own { of_unified(kernel) } else { Vec::new() };
    for path in names(&chosen) {
        let input = files.open(path)?;
        initrds.push(Initrd::mapped(path.clone(), input.bytes(), Some(&input.file)));
    }
    // Without an initrd the next kernel would use the initrd of the first boot, from a table of
    // EFI's (drivers/firmware/efi/efi.c, LINUX_EFI_INITRD_MEDIA_GUID). Anything may be in that
    // memory by now.
    if initrds.is_empty() && !request.adds() && machine::is_efi() {
        initrds.push(Initrd::mapped("an empty initrd".into(), initrd::NOTHING, None));
    }
    for (number, initrd) in (1usize..).zip(&initrds) {
        // A bootconfig is text, and the kernel looks for it at the end of all initrds alone.
        if number < initrds.len() && !initrd::without_bootconfig(initrd.bytes()).1.is_empty() {
            return Err(Failure::Initrd { path: initrd.name.clone(), why: initrd::Defect::Bootconfig }.into());
        }
        match initrd::check(initrd.bytes()) {
            Ok(_) => {}
            Err(initrd::Defect::NoTrailer) if request.without_trailer => {}
            Err(why) => return Err(Failure::Initrd { path: initrd.name.clone(), why }.into()),
        }
    }
    if request.adds() {
        add(&mut initrds, request)?;
    }
    Ok(initrds)
}

/// The choice with the names of the initrds looked up, now that the kernel is open: what is shown
/// is then what [`open`] opens. A unified image brings its own. Fails with
/// [`Failure::NoInitrdFound`].
pub fn settle(chosen: Chosen, kernel: &Kernel) -> Result<Chosen> {
    let initrds = match chosen.initrds {
        Source::OwnElse(_) if kernel.unified.is_some() => Source::Own,
        Source::OwnElse(beside) => Source::Named(beside.initrds(&chosen.kernel)?),
        settled => settled,
    };
    Ok(Chosen { initrds, ..chosen })
}

/// The names of the initrds that are files, in a choice that [`settle`] has settled.
pub fn names(chosen: &Chosen) -> &[OsString] {
    match &chosen.initrds {
        Source::Named(paths) => paths,
        Source::Own | Source::OwnElse(_) => &[],
    }
}

/// The initrds in a unified image, microcode first.
fn of_unified<'f>(kernel: &Kernel<'f>) -> Vec<Initrd<'f>> {
    let mut initrds = Vec::new();
    let Some(unified) = kernel.unified else { return initrds };
    for (section, bytes) in [(" .ucode", unified.ucode), (" .initrd", unified.initrd)] {
        let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else { continue };
        let mut name = kernel.path.clone();
        name.push(section);
        initrds.push(Initrd::mapped(name, bytes, None));
    }
    initrds
}

/// Adds an archive with the files and the key of the request. The kernel looks for a bootconfig at
/// the end of all initrds (Documentation/admin-guide/bootconfig.rst), so it moves behind the
/// archive.
fn add(initrds: &mut Vec<Initrd>, request: &Request) -> Result<()> {
    let mut tail = &[][..];
    if let Some(Initrd { content: Bytes::Mapped(bytes, file), .. }) = initrds.last_mut() {
        let (archives, bootconfig) = initrd::without_bootconfig(bytes);
        if !bootconfig.is_empty() {
            (tail, *bytes, *file) = (bootconfig, archives, None);
        }
    }
    let archive = key::archive(request, tail)?;
    initrds.push(Initrd { name: "the added files".into(), content: Bytes::Made(archive) });
    Ok(())
}
