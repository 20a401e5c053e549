//! Where an Image goes on arm64: Documentation/arch/arm64/booting.rst.
//!
//! One segment, the parameters, holds all that this program writes: the trampoline and the
//! device tree, in this order. The kernel and each initrd are segments whose bytes are the
//! mapped files themselves.

mod trampoline;

use crate::base::range::{Range, RangeSet, align_up};
use crate::image::arm64::{Arm64Image, BASE_ALIGNMENT, COMMAND_LINE_SIZE};
use crate::plan::crash::CrashKernel;
use crate::plan::device_tree::{self, Chosen};
use crate::plan::placer::{Initrds, Placer};
use crate::plan::{NoPlan, Plan, Purpose, Segments, Source, push};

/// 64 KiB, the largest page of any arm64 kernel. A multiple of it is whole pages, whatever
/// the running kernel's pages are.
pub const UNIT: u64 = 64 << 10;

/// "If an initrd/initramfs is passed to the kernel at boot, it must reside entirely within a
/// 1 GB aligned physical memory window of up to 32 GB in size that fully covers the kernel
/// Image as well."
const WINDOW_ALIGNMENT: u64 = 1 << 30;
const WINDOW: u64 = 32 << 30;

/// "2MB aligned base such that all image_size bytes counted from the start of the image are
/// within the 48-bit addressable range of physical memory". The other segments stay there
/// too: a kernel may have been built for 48-bit addresses, whatever its processor has.
const ADDRESSABLE: u64 = 1 << 48;

/// "versions prior to v4.2 also require that the DTB be placed within the 512 MB region
/// starting at text_offset bytes below the kernel Image."
const NEAR: u64 = 512 << 20;

/// What the layout needs to know of the running machine.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'m> {
    /// The RAM that may be overwritten.
    pub usable: &'m RangeSet,
    /// The RAM that the running kernel found when it started.
    pub settled: &'m RangeSet,
    /// How much RAM the running kernel counts, in pages of 4 KiB.
    pub total_pages: u64,
    /// The device tree for the next kernel (/sys/firmware/fdt, or the user's).
    pub tree: &'m [u8],
    /// The running kernel's device tree, if `tree` is another.
    pub running: Option<&'m [u8]>,
    /// Random bytes for the next kernel, if the running kernel has good ones.
    pub seed: Option<&'m [u8; 40]>,
    /// Bounds for every segment, from the user.
    pub bounds: Range,
}

/// Lays out `kernel`, the initrds in their order, and the command line (without a NUL); and for a crash
/// kernel its ELF core header.
pub fn plan<'a>(
    kernel: &Arm64Image<'a>,
    initrds: &[&'a [u8]],
    command_line: &[u8],
    crash: Option<&'a CrashKernel>,
    inputs: &Inputs<'_>,
) -> Result<Plan<'a>, NoPlan> {
    NoPlan::of_line(command_line.len(), COMMAND_LINE_SIZE)?;
    let mut known = inputs.usable.clone();
    keep_to_known_memory(&mut known, inputs)?;
    if let Some(crash) = crash {
        known.remove(crash.header_at)?;
    }
    let mut free = known.clone();
    let mut placer = Placer::new(&mut free, UNIT, inputs.bounds, ADDRESSABLE)?;

    let mut kernel_place = place_kernel(kernel, true, &mut placer)?;
    let mut initrds_at = place_initrds(initrds, kernel_place, &mut placer);
    // A window that covers the highest place may have no room, and the one of the lowest place have it.
    if initrds_at.is_err() && kernel.anywhere {
        free = known;
        placer = Placer::new(&mut free, UNIT, inputs.bounds, ADDRESSABLE)?;
        kernel_place = place_kernel(kernel, false, &mut placer)?;
        initrds_at = place_initrds(initrds, kernel_place, &mut placer).or(initrds_at);
    }
    let initrds_at = initrds_at?;
    let mut parameters = write_parameters(command_line, initrds_at, crash, inputs)?;
    let base = kernel_place.start().saturating_sub(kernel.text_offset);
    let place = place_parameters(parameters.len(), base, kernel_place.end(), &mut placer)?;

    let entry = place.start();
    let tree_at = entry.saturating_add(trampoline::SIZE as u64);
    trampoline::write(&mut parameters, tree_at, kernel_place.start())
        .ok_or(NoPlan::Broken("no room for the trampoline"))?;

    let mut segments = Segments::new();
    push(&mut segments, Purpose::Kernel, Source::File(kernel.bytes()), kernel_place)?;
    push(&mut segments, Purpose::Parameters, Source::Parameters, place)?;
    placer.push_initrds(&mut segments, initrds, initrds_at)?;
    if let Some(crash) = crash {
        push(&mut segments, Purpose::CoreHeader, Source::File(&crash.header), crash.header_at)?;
    }
    Plan::new(entry, parameters, segments, inputs.usable, inputs.total_pages)
}

/// Leaves only the memory that the next kernel will know of: what its device tree says, or,
/// if it goes by EFI's memory map, what the running kernel found when it started.
fn keep_to_known_memory(free: &mut RangeSet, inputs: &Inputs) -> Result<(), NoPlan> {
    let mut known = RangeSet::new();
    let by_tree = device_tree::memory(inputs.tree, inputs.running, &mut known)?;
    Ok(free.intersect(if by_tree { &known } else { inputs.settled })?)
}

/// "The Image must be placed text_offset bytes from a 2MB aligned base address anywhere in
/// usable system RAM".
///
/// The Image goes as high as possible. The running kernel's allocator hands out low pages
/// first; if they are some segment's destination, kexec_load sets them aside, and gets slower
/// with the square of their number (kimage_alloc_page, kernel/kexec_core.c): 7 to 29 s
/// instead of 0.2 s in an emulated machine.
fn place_kernel(kernel: &Arm64Image, high: bool, placer: &mut Placer) -> Result<Range, NoPlan> {
    let broken = NoPlan::Broken("image_size");
    if !kernel.text_offset.is_multiple_of(UNIT) {
        return Err(NoPlan::Broken("text_offset is not of whole pages"));
    }
    // The place begins at the base address, and includes what lies below the Image.
    let size = kernel.image_size.checked_add(kernel.text_offset).and_then(|size| align_up(size, UNIT));
    let (purpose, size) = (Purpose::Kernel, size.ok_or(broken)?);
    let whole = if kernel.anywhere && high {
        placer.highest(purpose, size, BASE_ALIGNMENT, 0, u64::MAX)?
    } else {
        // "2MB aligned base should be as close as possible to the base of DRAM, since
        // memory below it is not accessible via the linear mapping"
        placer.lowest(purpose, size, BASE_ALIGNMENT, 0, u64::MAX)?
    };
    Range::new(whole.start().saturating_add(kernel.text_offset), whole.end()).ok_or(broken)
}

/// As high as possible in a window that covers the kernel. Of all such windows it is the one
/// that ends first: the kernel, which goes high, has most of the RAM below it.
fn place_initrds(initrds: &[&[u8]], kernel: Range, placer: &mut Placer) -> Result<Option<Initrds>, NoPlan> {
    let end = align_up(kernel.end(), WINDOW_ALIGNMENT).unwrap_or(u64::MAX);
    placer.initrds(initrds, end.saturating_sub(WINDOW), end)
}

/// The parameters: zeros where the trampoline will be, and the device tree.
fn write_parameters(
    command_line: &[u8],
    initrds: Option<Initrds>,
    crash: Option<&CrashKernel>,
    inputs: &Inputs,
) -> Result<Vec<u8>, NoPlan> {
    let initrd = initrds.map(|at| (at.start, at.start.saturating_add(at.length)));
    let (seed, running) = (inputs.seed, inputs.running);
    let chosen = Chosen { bootargs: command_line, initrd, seed, running, crash };
    let room = device_tree::room(inputs.tree.len(), command_line.len());
    let mut parameters = vec![0; trampoline::SIZE.saturating_add(room)];
    let target = parameters.get_mut(trampoline::SIZE..).unwrap_or_default();
    let length = device_tree::edit(inputs.tree, &chosen, target)?;
    parameters.truncate(trampoline::SIZE.saturating_add(length));
    Ok(parameters)
}

/// Near the kernel, whose image ends at `end` and whose text_offset counts from `base`, if there is
/// room, otherwise anywhere; in free blocks of 2 MiB, if there are any. "Since the dtb will be mapped
/// cacheable using blocks of up to 2 megabytes in size, it must not be placed within any 2M region
/// which must be mapped with any specific attributes": beside a part that is not free may be such a
/// region.
fn place_parameters(length: usize, base: u64, end: u64, placer: &mut Placer) -> Result<Range, NoPlan> {
    let broken = NoPlan::Broken("the device tree's size");
    let size = align_up(length as u64, UNIT).ok_or(broken)?;
    let blocks = align_up(size, BASE_ALIGNMENT).ok_or(broken)?;
    let near = base.saturating_add(NEAR);
    let mut lowest = |size, align, min, max| placer.lowest(Purpose::Parameters, size, align, min, max);
    let place = lowest(blocks, BASE_ALIGNMENT, end, near)
        .or_else(|_| lowest(blocks, BASE_ALIGNMENT, 0, u64::MAX))
        .or_else(|_| lowest(size, UNIT, end, near))
        .or_else(|_| lowest(size, UNIT, 0, u64::MAX))?;
    Range::sized(place.start(), size).ok_or(broken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::bytes::u64_at;
    use crate::image::arm64::tests::sample;
    use crate::plan::device_tree::tests::{VIRT, efi_tree, read};
    use crate::plan::memory_map::Iomem;
    use crate::plan::placer::MAX_INITRDS;

    /// /proc/iomem of that machine, with 768 MiB, as its kernel was run.
    const VIRT_IOMEM: &[u8] = include_bytes!("../captured/virt.iomem");

    struct Laid {
        kernel: Range,
        initrds: Vec<Range>,
        parameters: Range,
        bytes: Vec<u8>,
        entry: u64,
    }

    fn usable() -> RangeSet {
        let mut iomem = Iomem::new();
        iomem.parse(VIRT_IOMEM).unwrap();
        iomem.usable
    }

    fn laid(image: &[u8], initrds: &[&[u8]], usable: &RangeSet, bounds: Range) -> Result<Laid, NoPlan> {
        let kernel = Arm64Image::parse(image).unwrap();
        // Another machine's memory is what its EFI says.
        let efi = efi_tree();
        let tree = if usable.iter().all(|ram| ram.end() <= 0x7000_0000) { VIRT } else { &efi };
        let inputs =
            Inputs { usable, settled: usable, total_pages: 6 << 20, tree, running: None, seed: None, bounds };
        let plan = plan(&kernel, initrds, b"root=/dev/vda", None, &inputs)?;
        let find = |purpose| plan.segments().find(|segment| segment.purpose == purpose).unwrap();
        Ok(Laid {
            kernel: find(Purpose::Kernel).place,
            initrds: (0..initrds.len()).map(|number| find(Purpose::Initrd(number)).place).collect(),
            parameters: find(Purpose::Parameters).place,
            bytes: find(Purpose::Parameters).bytes.to_vec(),
            entry: plan.entry(),
        })
    }

    fn plan_of(image: &[u8], initrds: &[&[u8]], usable: &RangeSet) -> Result<Laid, NoPlan> {
        laid(image, initrds, usable, Range::ALL)
    }

    fn with(offset: usize, field: &[u8]) -> Vec<u8> {
        let mut image = sample(4096);
        image[offset..offset + field.len()].copy_from_slice(field);
        image
    }

    #[test]
    fn everything_keeps_to_booting_rst_on_a_captured_machine() {
        let initrds: [&[u8]; 2] = [&[1; 70_000], &[2; 10]];
        let laid = laid(&sample(4096), &initrds, &usable(), Range::ALL).unwrap();
        // The highest 2 MiB boundary with 30.4 MiB behind it that is free: above are the
        // running kernel's own tables and its crash memory.
        assert_eq!((laid.kernel.start(), laid.kernel.size()), (0x6900_0000, 0x1e7_0000));
        assert_eq!(laid.initrds[0].end(), laid.initrds[1].start());
        assert_eq!(laid.initrds[0].size(), 0x2_0000);
        assert!(usable().contains(laid.initrds[1]));
        assert!(laid.parameters.start().is_multiple_of(8));
        assert_eq!(laid.entry, laid.parameters.start());

        let tree_at = u64_at(&laid.bytes, 32).unwrap();
        assert_eq!(tree_at, laid.entry + 64);
        assert_eq!(u64_at(&laid.bytes, 40), Some(laid.kernel.start()));
        let tree = read(&laid.bytes[64..]);
        assert_eq!(tree["/chosen/bootargs"], b"root=/dev/vda\0");
        assert_eq!(tree["/chosen/linux,initrd-start"], laid.initrds[0].start().to_be_bytes());
        assert_eq!(tree["/chosen/linux,initrd-end"], (laid.initrds[0].start() + 0x2_0000 + 10).to_be_bytes());
    }

    #[test]
    fn text_offset_is_kept_to() {
        let laid = laid(&with(8, &0x8_0000u64.to_le_bytes()), &[], &usable(), Range::ALL).unwrap();
        assert_eq!(laid.kernel.start() % BASE_ALIGNMENT, 0x8_0000);
        assert_eq!(u64_at(&laid.bytes, 40), Some(laid.kernel.start()));
        assert!(!read(&laid.bytes[64..]).contains_key("/chosen/linux,initrd-start"));
    }

    #[test]
    fn the_initrd_is_within_32_gib_of_the_kernel() {
        let mut ram = RangeSet::new();
        ram.insert(Range::new(0x8000_0000, 0x40_0000_0000).unwrap()).unwrap();
        let laid = laid(&sample(4096), &[&[1; 10]], &ram, Range::ALL).unwrap();
        assert_eq!(laid.kernel.end(), 0x40_0000_0000 - 0x19_0000);
        // What the kernel's alignment leaves above it is room for a small one.
        assert_eq!(laid.initrds[0].end(), 0x40_0000_0000);
        // The device tree gets a block of 2 MiB that is free as a whole, where there is one.
        assert_eq!(laid.parameters.start(), 0x8000_0000);
        let mut pieces = RangeSet::new();
        pieces.insert(Range::new(0x8000_0000, 0x8200_0000).unwrap()).unwrap();
        pieces.insert(Range::new(0x8210_0000, 0x8230_0000).unwrap()).unwrap();
        let laid = plan_of(&sample(4096), &[], &pieces).unwrap();
        assert_eq!(laid.kernel.start(), 0x8000_0000);
        assert_eq!(laid.parameters.start(), 0x81e7_0000);
        // The space between two such windows is none.
        let mut ram = RangeSet::new();
        ram.insert(Range::new(0x8000_0000, 0x8000_0000 + (10 << 20)).unwrap()).unwrap();
        ram.insert(Range::new(0x30_0000_0000, 0x30_0000_0000 + (31 << 20)).unwrap()).unwrap();
        let far: &[&[u8]] = &[&[1; 4 << 20]];
        assert!(matches!(
            plan_of(&sample(4096), far, &ram),
            Err(NoPlan::NoRoom { purpose: Purpose::Initrd(0), .. })
        ));
        // With room for both below, the kernel goes there.
        ram.insert(Range::new(0x8000_0000, 0xa000_0000).unwrap()).unwrap();
        let low = plan_of(&sample(4096), far, &ram).unwrap();
        assert_eq!(low.kernel.start(), 0x8000_0000);
        assert_eq!(low.initrds[0].end(), 0xa000_0000);
        // A kernel that has to be low is.
        let low = plan_of(&with(24, &[2]), &[], &usable()).unwrap();
        assert_eq!(low.kernel.start(), 0x41e0_0000);
    }

    #[test]
    fn what_cannot_be_is_refused_in_words() {
        let no_room = |laid: Result<Laid, NoPlan>| matches!(laid, Err(NoPlan::NoRoom { .. }));
        let image = sample(4096);
        let small = Range::new(0, 0x4100_0000).unwrap();
        assert!(no_room(laid(&image, &[], &usable(), small)));
        assert!(matches!(laid(&image, &[], &RangeSet::new(), Range::ALL), Err(NoPlan::NoMemory)));
        assert!(matches!(
            laid(&with(8, &0x100u64.to_le_bytes()), &[], &usable(), Range::ALL),
            Err(NoPlan::Broken(_))
        ));
        let many = vec![&b"x"[..]; MAX_INITRDS + 1];
        assert_eq!(laid(&image, &many, &usable(), Range::ALL).err(), Some(NoPlan::TooManySegments));
        assert!(laid(&image, &many[1..], &usable(), Range::ALL).is_ok());
        let kernel = Arm64Image::parse(&image).unwrap();
        let ram = usable();
        let inputs = Inputs {
            usable: &ram,
            settled: &ram,
            total_pages: 1 << 20,
            tree: b"no tree",
            running: None,
            seed: None,
            bounds: Range::ALL,
        };
        let refused = plan(&kernel, &[], b"", None, &inputs).unwrap_err();
        assert!(matches!(refused, NoPlan::DeviceTree(device_tree::Defect::Damaged(_))));
        let long = vec![b'x'; 2048];
        let refused = plan(&kernel, &[], &long, None, &inputs).unwrap_err();
        assert_eq!(refused, NoPlan::CommandLineTooLong { length: 2048, limit: 2047 });
    }
}
