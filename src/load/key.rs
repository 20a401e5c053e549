//! Files for the next kernel's initramfs, above all the key to its root: an archive in memory, never
//! on a disk. It is the last initrd, so that its files replace files with the same names.

use super::request::{Key, KeyFile, Request};
use crate::failure::{BadKey, Failure, Result};
use crate::host::sys::file::Metadata;
use crate::host::sys::memory::MemoryFile;
use crate::host::{files, memory, storage};
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

/// The largest page that a kernel of this machine may use, in bytes.
const WHOLE: usize = (if cfg!(target_arch = "aarch64") { arm64::UNIT } else { PAGE }) as usize;

/// A file to add.
struct Added<'r> {
    path: &'r OsStr,
    file: OwnedFd,
    size: u32,
    name: &'r [u8],
    mode: u32,
    /// The offset of its bytes in the archive.
    at: usize,
    /// Its bytes are not read: zeros stay in their place.
    is_blank: bool,
}

/// The archive of the files and the key of `request`, with `tail` after it.
pub fn archive(request: &Request, tail: &[u8]) -> Result<MemoryFile> {
    let mut files = open_all(request)?;
    let length = lay_out(&mut files, tail, &mut |_, _| {});
    let mut memory = memory_for(length, request.key.file())?;
    lay_out(&mut files, tail, &mut |at, piece| {
        if let Some(place) = memory.bytes_mut().get_mut(at..).and_then(|rest| rest.get_mut(..piece.len())) {
            place.copy_from_slice(piece);
        }
    });
    for added in files.iter().filter(|added| !added.is_blank) {
        let end = added.at.saturating_add(added.size as usize);
        let place = memory.bytes_mut().get_mut(added.at..end).unwrap_or_default();
        files::read_exactly(&added.file, place).map_err(|why| Failure::unusable(added.path, why))?;
    }
    Ok(memory)
}

/// Opens the files to add, the key last.
fn open_all(request: &Request) -> Result<Vec<Added<'_>>> {
    let mut files = Vec::new();
    for added in &request.added {
        let (mut file, metadata) = open(&added.source)?;
        file.name = added.name.as_bytes();
        file.mode = added.mode.unwrap_or(metadata.mode & 0o777);
        files.push(file);
    }
    if let Some(key) = request.key.file() {
        let (mut file, metadata) = open(&key.path)?;
        check_key(&metadata, key.force).map_err(|why| bad_key(&key.path, why))?;
        file.is_blank = matches!(request.key, Key::Blank(_));
        files.push(file);
    }
    Ok(files)
}

/// `length` bytes of memory, locked for a key.
fn memory_for(length: usize, key: Option<&KeyFile>) -> Result<MemoryFile> {
    let failed = Failure::JoinInitrds;
    // A memory file has no pages before it is written: too large a file would fail only then, with
    // SIGBUS, or with the end of other programs.
    let most = memory::memory_for_images()?;
    let length = NonZeroUsize::new(length)
        .filter(|length| length.get() as u64 <= most)
        .ok_or(failed(Errno::ENOMEM))?;
    let memory = MemoryFile::new(c"rc-kexec-files", length).map_err(failed)?;
    if let Some(key) = key {
        memory.lock().map_err(|errno| bad_key(&key.path, BadKey::NotLocked(errno)))?;
    }
    Ok(memory)
}

/// Puts every header and name, and then the tail; returns the length of all together. Only the
/// files' own bytes are left out.
fn lay_out(files: &mut [Added], tail: &[u8], put: Put) -> usize {
    let mut archive = Archive::default();
    for added in files {
        added.at = archive.file(added.name, added.mode, added.size, put);
    }
    archive.end(put);
    // The archive fills its last page. On arm64 the kernel neither wipes nor frees a part of a page
    // (mm/page_alloc.c, free_reserved_area rounds down), and a key could be in it.
    let length = archive.length.checked_next_multiple_of(WHOLE).unwrap_or(usize::MAX);
    put(length, tail);
    length.saturating_add(tail.len())
}

/// Opens a file. Its name and its mode in the archive are those of a key.
fn open(path: &OsStr) -> Result<(Added<'_>, Metadata)> {
    let (file, metadata) = files::open_regular(path).map_err(|why| Failure::unusable(path, why))?;
    // A newc header has 32 bits for the size.
    let Ok(size) = u32::try_from(metadata.size) else {
        return Err(Failure::unusable(path, Errno::EFBIG.into()));
    };
    Ok((Added { path, file, size, name: KEY_NAME, mode: 0o400, at: 0, is_blank: false }, metadata))
}

/// Fails unless only root can read the key file: on this system, and on the disk without it.
fn check_key(metadata: &Metadata, force: bool) -> Result<(), BadKey> {
    let mode = metadata.mode & 0o7777;
    if mode & 0o077 != 0 || metadata.owner != 0 {
        Err(BadKey::Readable(mode, metadata.owner))
    } else if metadata.size == 0 {
        Err(BadKey::Empty)
    } else if !force && !storage::is_on_encrypted(metadata) {
        Err(BadKey::Bare)
    } else {
        Ok(())
    }
}

fn bad_key(path: &OsStr, why: BadKey) -> Box<Failure> {
    Box::new(Failure::Key { path: OsString::from(path), why })
}
