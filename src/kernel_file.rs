//! A kernel file, opened and unwrapped until what is left is an image that can be laid
//! out: a unified image holds a zboot image holds an Image.
//!
//! What is unpacked goes to memory files, never to a disk. What is opened here stays
//! open and mapped until the program ends, which it does right after the load.

use crate::base::text::Size;
use crate::failure::{Failure, Result};
use crate::host::files::Input;
use crate::host::{facts, sys};
use crate::image::decode::{self, Compression};
use crate::image::machine::Machine;
use crate::image::pe::Unified;
use crate::image::{self, Content, Image, NotLoadable};
use std::ffi::{OsStr, OsString};
use std::fmt::{self, Display, Formatter};
use std::os::fd::OwnedFd;

/// A kernel inside a kernel inside a kernel is the most that is made: unified, zboot,
/// Image; or unified, zstd, vmlinux.
const MOST_LAYERS: usize = 3;

/// What a kernel was taken out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// A unified kernel image.
    Unified,
    /// An EFI zboot image.
    Zboot(Compression),
    /// A compressed file.
    Compressed(Compression),
    /// An ELF file.
    Vmlinux,
}

/// A kernel file and the kernel in it.
#[derive(Debug)]
pub struct KernelFile {
    /// As the user named it, or as it was found.
    pub path: OsString,
    /// What is laid out.
    pub image: Image<'static>,
    /// The image's bytes.
    bytes: &'static [u8],
    /// The file that holds these bytes and no others, when there is one.
    file: Option<&'static OwnedFd>,
    /// What the image was taken out of, the outermost first.
    layers: heapless::Vec<Layer, MOST_LAYERS>,
    /// What else a unified image holds.
    pub unified: Option<Unified<'static>>,
    /// The file's size, in bytes.
    size: u64,
}

/// Keeps `value` until the program ends.
fn keep<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// Opens a file of the user's, until the program ends.
pub fn open(path: &OsStr) -> Result<&'static Input> {
    Ok(keep(Input::open(path).map_err(|why| Failure::unusable(path, why))?))
}

/// Whether a file is a unified kernel image.
pub fn is_unified(path: &OsStr) -> Result<bool> {
    Ok(Unified::looks_like(open(path)?.bytes()))
}

impl KernelFile {
    /// Opens a kernel file, and unpacks it where it has to be unpacked.
    pub fn open(path: &OsStr) -> Result<KernelFile> {
        let input = open(path)?;
        let refused = |why: NotLoadable| Failure::Kernel { path: path.to_os_string(), why };
        let mut kernel_bytes = input.bytes();
        let mut file = Some(&input.file);
        let mut layers = heapless::Vec::new();
        let mut unified = None;
        loop {
            let content = image::recognise(kernel_bytes).map_err(refused)?;
            let (layer, unpacked) = match content {
                Content::Kernel(image) => {
                    let size = input.bytes().len() as u64;
                    let path = path.to_os_string();
                    return Ok(KernelFile { path, image, bytes: kernel_bytes, file, layers, unified, size });
                }
                Content::Unified(found) => {
                    unified = Some(found);
                    kernel_bytes = found.linux;
                    file = None;
                    (Layer::Unified, None)
                }
                Content::Zboot(zboot) => {
                    let unpacked = decoded(path, zboot.compression, zboot.payload)?;
                    (Layer::Zboot(zboot.compression), Some(unpacked))
                }
                Content::Compressed(compression) => {
                    (Layer::Compressed(compression), Some(decoded(path, compression, kernel_bytes)?))
                }
                Content::Vmlinux(mut vmlinux) => {
                    // Any program is an ELF file; this says that it is a Linux.
                    let version = image::version_in(kernel_bytes);
                    if version.is_none() {
                        return Err(refused(NotLoadable::Known("an ELF file, without a Linux in it")).into());
                    }
                    let limit = facts::memory_for_images()?;
                    if vmlinux.flat_size() > limit {
                        return Err(refused(NotLoadable::TooLarge(limit)).into());
                    }
                    // No header says whether it can be entered with five-level paging on.
                    // The running kernel was, so one of the same build can.
                    let release = facts::release().ok().map(|(_, release)| release);
                    vmlinux.five_level = facts::five_level_paging() && version == release.as_deref();
                    let unpacked = in_memory(path, &mut |sink| {
                        let _ = vmlinux.flatten(sink);
                        Ok(())
                    });
                    (Layer::Vmlinux, Some(unpacked?))
                }
            };
            if let Some(unpacked) = unpacked {
                kernel_bytes = unpacked.bytes();
                file = Some(&unpacked.file);
            }
            layers.push(layer).map_err(|_| refused(NotLoadable::Nested))?;
        }
    }

    /// Refuses a kernel of another machine than `here`. A 64-bit x86 machine starts
    /// 32-bit kernels, too, and a 32-bit kernel 64-bit ones where the processor can.
    pub fn check_machine(&self, here: Machine) -> Result<()> {
        let x86 = |machine| matches!(machine, Machine::X86 | Machine::X86_64);
        let theirs = self.image.machine();
        let starts = match (theirs, here) {
            (Machine::X86_64, Machine::X86) => facts::has_long_mode(),
            (theirs, here) => theirs == here || x86(theirs) && x86(here),
        };
        if starts {
            return Ok(());
        }
        let why = NotLoadable::OtherMachine(self.format(), theirs, here);
        Err(Failure::Kernel { path: self.path.clone(), why }.into())
    }

    /// The image as a file for kexec_file_load: the user's own, or one in memory.
    pub fn file(&self) -> Result<&OwnedFd> {
        match self.file {
            Some(file) => Ok(file),
            None => Ok(&in_memory(&self.path, &mut |sink| {
                let _ = sink(self.bytes);
                Ok(())
            })?
            .file),
        }
    }

    /// How long that file is, in bytes.
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

    /// Whether `--type`, as kexec(8) spells types, agrees.
    pub fn is_of_type(&self, wanted: &OsStr) -> bool {
        let types: &[&str] = match (&self.image, self.layers.last()) {
            (_, Some(Layer::Vmlinux)) => &["vmlinux", "elf-x86_64", "elf"],
            (_, Some(Layer::Zboot(_))) => &["vmlinuz", "pez", "Image"],
            (Image::BzImage(_), _) => &["bzImage", "bzImage64", "bzImage-x86", "bzImage-x86_64"],
            (Image::Arm64(_), _) => &["Image"],
        };
        let same = |name: &&str| wanted.eq_ignore_ascii_case(name);
        same(&"auto") || types.iter().any(same) || self.unified.is_some() && same(&"uki")
    }

    /// The kernel's version, when it is known.
    pub fn version(&self) -> Option<&str> {
        self.unified.and_then(|unified| unified.uname).or_else(|| self.image.version())
    }
}

impl Display for KernelFile {
    /// What it is, for which machine, its version and size: `a unified kernel image of a
    /// bzImage, Linux 6.12.31-0-virt, for x86_64, ...`.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for layer in self.layers.iter().filter(|layer| **layer != Layer::Vmlinux) {
            match layer {
                Layer::Zboot(compression) => write!(f, "an EFI zboot image ({compression}) of ")?,
                Layer::Compressed(compression) => write!(f, "{compression} of ")?,
                _ => f.write_str("a unified kernel image of ")?,
            }
        }
        let version = self.version().unwrap_or("of no known version");
        write!(f, "{}, Linux {version}, for {}", self.format(), self.image.machine())?;
        if let (Image::BzImage(image), false) = (&self.image, self.layers.contains(&Layer::Vmlinux)) {
            let [minor, major] = image.protocol.to_le_bytes();
            write!(f, ", boot protocol {major}.{minor:02}")?;
        }
        write!(f, ", {}", Size(self.size))
    }
}

/// A compressed kernel, decoded into a memory file. What a zboot header says of the
/// size is not gone by: not all kernels put it where the others do.
fn decoded(path: &OsStr, compression: Compression, payload: &[u8]) -> Result<&'static Input> {
    let limit = facts::memory_for_images()?;
    in_memory(path, &mut |sink| match decode::unpack(compression, payload, limit, sink) {
        Ok(_) | Err(decode::Defect::Stopped) => Ok(()),
        Err(defect) => Err(NotLoadable::Packed(compression, defect)),
    })
}

/// Where decoded bytes go; false when they cannot go there.
type Sink<'s> = &'s mut dyn FnMut(&[u8]) -> bool;

/// A memory file with what `write` writes to the sink that it is given.
fn in_memory(
    path: &OsStr,
    write: &mut dyn FnMut(Sink<'_>) -> Result<(), NotLoadable>,
) -> Result<&'static Input> {
    let failed = |errno| Failure::Unpack { path: path.to_os_string(), errno };
    let memfd = sys::memfd(c"rc-kexec-kernel").map_err(failed)?;
    let mut result = Ok(());
    let written = write(&mut |piece| {
        result = sys::write_all(&memfd, piece);
        result.is_ok()
    });
    result.map_err(failed)?;
    written.map_err(|why| Failure::Kernel { path: path.to_os_string(), why })?;
    sys::seal(&memfd).map_err(failed)?;
    Ok(keep(Input::of(path, memfd).map_err(|why| Failure::unusable(path, why))?))
}
