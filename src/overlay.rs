//! Files for the next kernel's initramfs: an archive in memory, never on a disk, that goes
//! after the initrds, so that what is in it takes the place of what they have.

use crate::cli::LoadRequest;
use crate::failure::{BadKey, Failure, Result};
use crate::host::facts;
use crate::host::sys::{MemoryFile, Status};
use crate::host::{files, storage};
use crate::image::newc::{Archive, Put};
use crate::plan::{PAGE, arm64};
use core::num::NonZeroUsize;
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

/// Where Alpine's initramfs looks for a key when the command line says `cryptkey`
/// (mkinitfs, initramfs-init; nlplug-findfs).
const KEY_NAME: &[u8] = b"crypto_keyfile.bin";

/// The largest page of the machine, in bytes.
const WHOLE: usize = (if cfg!(target_arch = "aarch64") { arm64::UNIT } else { PAGE }) as usize;

/// A file to be added.
struct Added<'r> {
    path: &'r OsStr,
    file: OwnedFd,
    size: u32,
    name: &'r [u8],
    mode: u32,
    /// Where its bytes go.
    at: usize,
}

/// The archive of the files that `request` adds, with `tail` after it. A dry run reads
/// none of them: they are zeros in it.
pub fn build(request: &LoadRequest, tail: &[u8]) -> Result<MemoryFile> {
    let mut files = Vec::new();
    for added in &request.added {
        let (mut file, status) = open(&added.source)?;
        file.name = added.name.as_bytes();
        file.mode = added.mode.unwrap_or(status.mode & 0o777);
        files.push(file);
    }
    if let Some(path) = &request.crypt_key {
        let (file, status) = open(path)?;
        check_key(&status, request.force).map_err(|why| bad_key(path, why))?;
        files.push(file);
    }
    let failed = Failure::JoinInitrds;
    let length = lay_out(&mut files, tail, &mut |_, _| {});
    // Memory that is not there would be found missing only while it is written.
    let most = facts::memory_for_images()?;
    let length = NonZeroUsize::new(length)
        .filter(|length| length.get() as u64 <= most)
        .ok_or(failed(Errno::ENOMEM))?;
    let mut memory = MemoryFile::new(c"rc-kexec-files", length).map_err(failed)?;
    if let Some(path) = &request.crypt_key {
        memory.lock().map_err(|errno| bad_key(path, BadKey::NotLocked(errno)))?;
    }
    lay_out(&mut files, tail, &mut |at, piece| {
        if let Some(place) = memory.bytes_mut().get_mut(at..).and_then(|rest| rest.get_mut(..piece.len())) {
            place.copy_from_slice(piece);
        }
    });
    for added in files.iter().filter(|_| !request.dry_run) {
        let end = added.at.saturating_add(added.size as usize);
        let place = memory.bytes_mut().get_mut(added.at..end).unwrap_or_default();
        files::read_exactly(&added.file, place).map_err(|why| Failure::unusable(added.path, why))?;
    }
    Ok(memory)
}

/// Every entry with its header and name, and the tail: the length of it all.
fn lay_out(files: &mut [Added], tail: &[u8], put: Put) -> usize {
    let mut archive = Archive::default();
    for added in files {
        added.at = archive.file(added.name, added.mode, added.size, put);
    }
    archive.end(put);
    // To the end of the pages that it lies in: what is left of the last one the kernel does
    // not wipe and free on arm64 (mm/page_alloc.c, free_reserved_area rounds down).
    let length = archive.length.checked_next_multiple_of(WHOLE).unwrap_or(usize::MAX);
    put(length, tail);
    length.saturating_add(tail.len())
}

/// Opens a file, for now to be the key.
fn open(path: &OsStr) -> Result<(Added<'_>, Status)> {
    let (file, status) = files::open_regular(path).map_err(|why| Failure::unusable(path, why))?;
    // A newc header has 32 bits for it.
    let Ok(size) = u32::try_from(status.size) else {
        return Err(Failure::unusable(path, Errno::EFBIG.into()));
    };
    Ok((Added { path, file, size, name: KEY_NAME, mode: 0o400, at: 0 }, status))
}

/// Whether a key file is one that root alone can read, here and on the disk.
fn check_key(status: &Status, force: bool) -> Result<(), BadKey> {
    let mode = status.mode & 0o7777;
    if mode & 0o077 != 0 || status.owner != 0 {
        Err(BadKey::Readable(mode, status.owner))
    } else if status.size == 0 {
        Err(BadKey::Empty)
    } else if !force && !storage::is_on_encrypted(status) {
        Err(BadKey::Bare)
    } else {
        Ok(())
    }
}

fn bad_key(path: &OsStr, why: BadKey) -> Box<Failure> {
    Box::new(Failure::Key { path: OsString::from(path), why })
}
