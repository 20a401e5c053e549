//! A kernel file, opened and unpacked until an image is left that can be laid out: a unified image
//! holds a zboot image, and that holds an Image.
//!
//! Unpacked bytes go to memory files, never to a disk.

use super::files::Files;
use crate::failure::{Failure, Result};
use crate::host::files::Input;
use crate::host::sys::file::write_all;
use crate::host::sys::memory::{memfd, seal};
use crate::host::{kernel, machine, memory};
use crate::image::decode::{self, Compression};
use crate::image::elf::Vmlinux;
use crate::image::machine::Machine;
use crate::image::pe::{Unified, Zboot};
use crate::image::{self, Content, Image, NotLoadable};
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;

/// Nobody builds more layers: unified, zboot, Image; or unified, zstd, vmlinux.
const MOST_LAYERS: usize = 3;

/// A layer around a kernel image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// A unified kernel image.
    Unified,
    /// An EFI zboot image.
    Zboot(Compression),
    /// A uImage of U-Boot's.
    UImage,
    /// A compressed file.
    Compressed(Compression),
    /// An ELF file.
    Vmlinux,
}

/// A kernel file and the kernel in it.
#[derive(Debug)]
pub struct Kernel<'f> {
    /// The file's name, from the user or from the search for an installed kernel.
    pub path: OsString,
    /// The image to lay out.
    pub image: Image<'f>,
    /// The image's bytes.
    bytes: &'f [u8],
    /// The file that holds exactly these bytes, when there is one.
    file: Option<&'f OwnedFd>,
    /// The layers around the image, the outermost first.
    pub layers: heapless::Vec<Layer, MOST_LAYERS>,
    /// The other sections of a unified image.
    pub unified: Option<Unified<'f>>,
    /// The file's size, in bytes.
    pub size: u64,
}

impl<'f> Kernel<'f> {
    /// Opens a kernel file, and unpacks it where that is needed. Fails as [`super::kernel()`] does,
    /// whose type it does not check. `here` is the machine that has to be able to start it; `None` to
    /// look at a kernel of any machine.
    pub fn open(files: &'f Files, path: &OsStr, here: Option<Machine>) -> Result<Kernel<'f>> {
        let input = files.open(path)?;
        let size = input.bytes().len() as u64;
        let mut place = Place { bytes: input.bytes(), file: Some(&input.file) };
        let mut layers = heapless::Vec::new();
        let mut unified = None;
        let refused = |why| Failure::Kernel { path: path.to_os_string(), why };
        loop {
            let (layer, inside) = match image::recognise(place.bytes).map_err(refused)? {
                Content::Kernel(image) => {
                    let Place { bytes, file } = place;
                    let kernel = Kernel { path: path.into(), image, bytes, file, layers, unified, size };
                    check_machine(path, kernel.format(), kernel.image.machine(), here)?;
                    return Ok(kernel);
                }
                Content::Unified(found) => {
                    unified = Some(found);
                    (Layer::Unified, Place { bytes: found.linux, file: None })
                }
                Content::Zboot(Zboot { compression, payload, machine, .. }) => {
                    check_machine(path, "an EFI zboot image", machine, here)?;
                    (Layer::Zboot(compression), decoded(files, path, compression, payload)?)
                }
                Content::UImage(bytes) => (Layer::UImage, Place { bytes, file: None }),
                Content::Compressed(compression) => {
                    (Layer::Compressed(compression), decoded(files, path, compression, place.bytes)?)
                }
                Content::Vmlinux(vmlinux) => (Layer::Vmlinux, flattened(files, path, vmlinux, place.bytes)?),
            };
            place = inside;
            layers.push(layer).map_err(|_| refused(NotLoadable::Nested))?;
        }
    }

    /// The image as a file for kexec_file_load: the file of the user, or a new one in memory, which
    /// `files` keeps. Fails when memory for it is missing ([`Failure::Unpack`]).
    pub fn file(&self, files: &'f Files) -> Result<&'f OwnedFd> {
        match self.file {
            Some(file) => Ok(file),
            None => in_memory(files, &self.path, &mut |sink| {
                let _ = sink(self.bytes);
                Ok(())
            })
            .map(|input| &input.file),
        }
    }

    /// The length of that file, in bytes.
    pub fn length(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the running kernel's own loader is known to refuse it
    /// (arch/x86/kernel/kexec-bzimage64.c, bzImage64_probe).
    pub fn only_by_segments(&self) -> bool {
        match &self.image {
            Image::BzImage(image) => !image.is_64_bit() || !image.above_4g(),
            Image::Arm64(_) => false,
        }
    }

    /// The name of the innermost format.
    pub fn format(&self) -> &'static str {
        match (&self.image, self.layers.last()) {
            (_, Some(Layer::Vmlinux)) => "an ELF vmlinux",
            (Image::BzImage(_), _) => "a bzImage",
            (Image::Arm64(_), _) => "an arm64 Image",
        }
    }

    /// Whether the kernel is of the type `wanted`, as kexec(8) spells types.
    pub fn is_of_type(&self, wanted: &OsStr) -> bool {
        let types: &[&str] = match (&self.image, self.layers.last()) {
            (_, Some(Layer::Vmlinux)) => &["vmlinux", "elf-x86_64", "elf"],
            (_, Some(Layer::Zboot(_))) => &["vmlinuz", "pez", "Image"],
            (Image::BzImage(_), _) => &["bzImage", "bzImage64", "bzImage-x86", "bzImage-x86_64"],
            (Image::Arm64(_), _) => &["Image"],
        };
        let same = |name: &&str| wanted.eq_ignore_ascii_case(name);
        same(&"auto")
            || types.iter().any(same)
            || self.unified.is_some() && same(&"uki")
            || self.layers.contains(&Layer::UImage) && same(&"uImage")
    }

    /// The kernel's version; `None` when the file does not say it.
    pub fn version(&self) -> Option<&str> {
        self.unified.and_then(|unified| unified.uname).or_else(|| self.image.version())
    }
}

/// Fails with [`Failure::Kernel`] for a kernel in `format` of another machine than `here`. A 64-bit x86
/// kernel can start 32-bit ones, and a 32-bit kernel 64-bit ones when the processor can run them.
fn check_machine(path: &OsStr, format: &'static str, theirs: Machine, here: Option<Machine>) -> Result<()> {
    let Some(here) = here else { return Ok(()) };
    let x86 = |machine| matches!(machine, Machine::X86 | Machine::X86_64);
    let starts = match (theirs, here) {
        (Machine::X86_64, Machine::X86) => machine::has_long_mode()?,
        (theirs, here) => theirs == here || x86(theirs) && x86(here),
    };
    if starts {
        return Ok(());
    }
    let why = NotLoadable::OtherMachine(format, theirs, here);
    Err(Failure::Kernel { path: path.to_os_string(), why }.into())
}

/// The bytes inside a layer, and the file that holds exactly them, when there is one.
struct Place<'f> {
    bytes: &'f [u8],
    file: Option<&'f OwnedFd>,
}

impl<'f> From<&'f Input> for Place<'f> {
    fn from(input: &'f Input) -> Place<'f> {
        Place { bytes: input.bytes(), file: Some(&input.file) }
    }
}

/// Decodes a compressed kernel into a memory file. The size in a zboot header is not used: kernels
/// do not agree on where it is.
fn decoded<'f>(
    files: &'f Files,
    path: &OsStr,
    compression: Compression,
    payload: &[u8],
) -> Result<Place<'f>> {
    let limit = memory::memory_for_images()?;
    in_memory(files, path, &mut |sink| match decode::unpack(compression, payload, limit, sink) {
        Ok(_) | Err(decode::Defect::Stopped) => Ok(()),
        Err(defect) => Err(NotLoadable::Packed(compression, defect)),
    })
    .map(Place::from)
}

/// Makes an image of a vmlinux, as the kernel's own build does, in a memory file.
fn flattened<'f>(files: &'f Files, path: &OsStr, mut vmlinux: Vmlinux, bytes: &[u8]) -> Result<Place<'f>> {
    let refused = |why| Failure::Kernel { path: path.to_os_string(), why };
    // Any program is an ELF file; the banner says that this one is a Linux.
    let version = image::version_in(bytes)
        .ok_or_else(|| refused(NotLoadable::Known("an ELF file without a Linux kernel")))?;
    let limit = memory::memory_for_images()?;
    if vmlinux.flat_size() > limit {
        return Err(refused(NotLoadable::TooLarge(limit)).into());
    }
    // No header says whether this kernel can be entered with five-level paging on. The running
    // kernel was, so one of the same build can.
    let is_running = kernel::release().is_ok_and(|release| release == version);
    vmlinux.five_level = is_running && machine::five_level_paging()?;
    in_memory(files, path, &mut |sink| {
        let _ = vmlinux.flatten(sink);
        Ok(())
    })
    .map(Place::from)
}

/// Receives decoded bytes; returns false when it cannot keep them.
type Sink<'s> = &'s mut dyn FnMut(&[u8]) -> bool;

/// A sealed memory file with all bytes that `write` hands to the sink.
fn in_memory<'f>(
    files: &'f Files,
    path: &OsStr,
    write: &mut dyn FnMut(Sink<'_>) -> Result<(), NotLoadable>,
) -> Result<&'f Input> {
    let failed = |errno| Failure::Unpack { path: path.to_os_string(), errno };
    let memfd = memfd(c"rc-kexec-kernel").map_err(failed)?;
    let mut result = Ok(());
    let written = write(&mut |piece| {
        result = write_all(&memfd, piece);
        result.is_ok()
    });
    result.map_err(failed)?;
    written.map_err(|why| Failure::Kernel { path: path.to_os_string(), why })?;
    seal(&memfd).map_err(failed)?;
    let input = Input::of(memfd).and_then(|input| files.keep(input));
    input.map_err(|why| Failure::unusable(path, why))
}
