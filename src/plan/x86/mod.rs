//! Where a bzImage goes on x86_64 and x86: Documentation/arch/x86/boot.rst, "64-bit Boot
//! Protocol" and "32-bit Boot Protocol".
//!
//! One segment, the parameters, holds all that this program writes: boot_params, the
//! trampoline, the command line, EFI's memory map and the setup_data nodes, in this order.
//! The kernel and each initrd are segments whose bytes are the mapped files themselves.

mod boot_params;
mod check;
mod efi;
mod setup_data;
pub mod trampoline;

pub use boot_params::{E820_MAX_ENTRIES_ZEROPAGE, e820_of, e820_table, framebuffer, had_initrd, init_size};
pub use efi::{Efi, EfiRange, EfiState, MAX_EFI_RANGES, untold_rsdp};
pub use setup_data::SETUP_E820_EXT;

use crate::base::range::{Range, RangeSet, align_up};
use crate::base::table::Table;
use crate::image::bzimage::BzImage;
use crate::plan::crash::CrashKernel;
use crate::plan::memory_map::MemoryMap;
use crate::plan::placer::{Initrds, Placer};
use crate::plan::{NoPlan, PAGE, Plan, Purpose, Segments, Source, push};

/// boot.rst: "the start address of loaded 64-bit kernel plus 0x200".
const ENTRY64: u64 = 0x200;

const MIB: u64 = 1 << 20;
const FOUR_GIB: u64 = 1 << 32;
/// Nothing goes below 1 MiB: the firmware and the kernel's real-mode trampolines use it.
const LOWEST: u64 = MIB;
/// Initrds stay above the first 16 MiB, which old DMA and kernels that unpack low need, as
/// the kernel's own loader does it (MIN_INITRD_LOAD_ADDR, kexec-bzimage64.c).
const LOWEST_INITRD: u64 = 16 * MIB;

/// The parameters hold the trampoline directly behind boot_params.
const TRAMPOLINE: usize = boot_params::SIZE;
/// The command line follows the trampoline.
const COMMAND_LINE: usize = TRAMPOLINE + trampoline::SIZE;

/// The most bytes that the parameters may have.
pub const PARAMETERS_SIZE: usize = 96 * 1024;

/// The bytes of the parameters, while they are written.
type Parameters = Table<u8, PARAMETERS_SIZE>;

/// What the layout needs to know of the running machine.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'m> {
    /// The memory map that the next kernel receives.
    pub firmware_map: &'m MemoryMap,
    /// The RAM that may be overwritten.
    pub usable: &'m RangeSet,
    /// How much RAM the running kernel counts, in pages of 4 KiB.
    pub total_pages: u64,
    /// The running kernel's boot_params (/sys/kernel/boot_params/data).
    pub boot_params: Option<&'m [u8]>,
    /// EFI, if it started the running kernel.
    pub efi: Option<&'m Efi>,
    /// Whether the next kernel is to have it.
    pub efi_is_wanted: bool,
    /// Whether the screen still shows the firmware's framebuffer.
    pub framebuffer_live: bool,
    /// Random bytes for the next kernel, if the running kernel has good ones.
    pub rng_seed: Option<&'m [u8; 32]>,
    /// Whether five-level paging is on.
    pub five_level_paging: bool,
    /// Bounds for every segment, from the user.
    pub bounds: Range,
    /// Whether the running kernel is a 32-bit one. Its kexec ends in protected mode
    /// without paging, a 64-bit kernel's in long mode.
    pub protected_mode: bool,
}

/// The physical addresses of what boot_params points to.
#[derive(Clone, Copy)]
struct Places {
    parameters: u64,
    kernel: u64,
    initrds: Option<Initrds>,
}

/// Lays out `kernel`, the initrds in their order, and the command line (without a NUL); and for a crash
/// kernel its ELF core header. The answer also says whether the next kernel gets EFI's runtime services.
pub fn plan<'a>(
    kernel: &BzImage<'a>,
    initrds: &[&'a [u8]],
    command_line: &[u8],
    crash: Option<&'a CrashKernel>,
    inputs: &Inputs<'_>,
) -> Result<(Plan<'a>, EfiState), NoPlan> {
    check(kernel, command_line, inputs)?;
    let above_4g = kernel.above_4g() && !enters_32(kernel, inputs);
    let highest = if above_4g { u64::MAX } else { FOUR_GIB };
    let mut free = inputs.usable.clone();
    if let Some(crash) = crash {
        free.remove(crash.header_at)?;
    }
    let mut placer = Placer::new(&mut free, PAGE, inputs.bounds, highest)?;

    let kernel_place = place_kernel(kernel, &mut placer)?;
    // "The maximum address that may be occupied by the initial ramdisk/ramfs contents." A
    // kernel that can be loaded above 4 GiB is not bound by it (nor does kexec-bzimage64.c
    // read it).
    let max = if above_4g { u64::MAX } else { kernel.initrd_addr_max.saturating_add(1) };
    let initrds_at = placer.initrds(initrds, LOWEST_INITRD, max)?;

    let efi = efi::state(kernel, inputs);
    let full = NoPlan::ParametersTooLarge(PARAMETERS_SIZE);
    let mut parameters = size_parameters(command_line, inputs, efi).ok_or(full)?;
    let checks = crash.is_some() && !inputs.protected_mode;
    // Behind all else: what is in each segment, these parameters included.
    let table = if checks { check::reserve(&mut parameters, initrds.len()).ok_or(full)? } else { 0 };
    let size = align_up(parameters.len() as u64, PAGE).ok_or(full)?;
    let place = placer.lowest(Purpose::Parameters, size, PAGE, LOWEST, u64::MAX)?;

    let at = Places { parameters: place.start(), kernel: kernel_place.start(), initrds: initrds_at };
    fill_parameters(&mut parameters, kernel, inputs, at).ok_or(NoPlan::Broken("boot_params is too small"))?;

    let mut segments = Segments::new();
    push(&mut segments, Purpose::Kernel, Source::File(kernel.protected_mode()), kernel_place)?;
    placer.push_initrds(&mut segments, initrds, initrds_at)?;
    let push_header = |segments: &mut Segments<'a>, is_followed| match crash {
        Some(crash) if crash.is_followed() == is_followed => {
            push(segments, Purpose::CoreHeader, Source::File(&crash.header), crash.header_at)
        }
        _ => Ok(()),
    };
    push_header(&mut segments, false)?;
    if checks {
        let broken = NoPlan::Broken("the check does not fit");
        check::write(&mut parameters, table, place.start(), &segments).ok_or(broken)?;
    }
    // A header that the running kernel writes again cannot be compared with what was loaded.
    push_header(&mut segments, true)?;
    // Keep this segment last: the kernel's swap page retains the last page copied
    // (relocate_kernel_64.S, swap_pages), and an initrd may hold a key.
    push(&mut segments, Purpose::Parameters, Source::Parameters, place)?;
    let first = if checks { TRAMPOLINE + trampoline::CHECK_AT } else { TRAMPOLINE };
    let entry = place.start().saturating_add(first as u64);
    let plan = Plan::new(entry, parameters.into_vec(), segments, inputs.usable, inputs.total_pages)?;
    Ok((plan, efi))
}

/// Whether the kernel is entered at its 32-bit entry point, in protected mode.
fn enters_32(kernel: &BzImage, inputs: &Inputs) -> bool {
    inputs.protected_mode || !kernel.is_64_bit()
}

/// Refuses what no layout can make good.
fn check(kernel: &BzImage, command_line: &[u8], inputs: &Inputs) -> Result<(), NoPlan> {
    NoPlan::of_line(command_line.len(), kernel.cmdline_size)?;
    // The way to a 32-bit entry leaves long mode, and five-level paging with it.
    if inputs.five_level_paging && !enters_32(kernel, inputs) && !kernel.five_level() {
        return Err(NoPlan::FiveLevelPaging);
    }
    Ok(())
}

fn place_kernel(kernel: &BzImage, placer: &mut Placer) -> Result<Range, NoPlan> {
    // init_size: "the amount of linear contiguous memory starting at the kernel runtime
    // start address that the kernel needs before it is capable of examining its memory
    // map".
    let size = align_up(kernel.init_size, PAGE).ok_or(NoPlan::Broken("init_size"))?;
    let min = kernel.pref_address.max(LOWEST);
    if !kernel.relocatable {
        return placer.lowest(Purpose::Kernel, size, PAGE, min, min.saturating_add(size));
    }
    placer.lowest(Purpose::Kernel, size, kernel.kernel_alignment, min, u64::MAX)
}

/// The parameters with their final length: everything behind the trampoline is written.
/// boot_params has only the links to it, and they are offsets, not yet addresses. `None` if
/// the parameters would be larger than [`PARAMETERS_SIZE`].
fn size_parameters(command_line: &[u8], inputs: &Inputs, efi: EfiState) -> Option<Parameters> {
    let mut parameters = Parameters::new();
    parameters.resize(COMMAND_LINE, 0).ok()?;
    parameters.extend_from_slice(command_line).ok()?;
    parameters.push(0).ok()?;
    if efi == EfiState::Kept {
        efi::write(&mut parameters, inputs)?;
    }
    setup_data::push_e820(&mut parameters, inputs.firmware_map)?;
    setup_data::push_seed(&mut parameters, inputs.rng_seed)?;
    Some(parameters)
}

/// Fills in the rest, now that it is known where everything goes. `None` if the parameters
/// are too small, or if an address needs more bits than its field has.
fn fill_parameters(parameters: &mut Parameters, kernel: &BzImage, inputs: &Inputs, at: Places) -> Option<()> {
    boot_params::fill(parameters, kernel, inputs)?;
    setup_data::put_addresses(parameters, at.parameters)?;
    boot_params::put_pointers(parameters, at)?;
    let trampoline_at = at.parameters.checked_add(TRAMPOLINE as u64)?;
    let target = parameters.get_mut(TRAMPOLINE..)?;
    if enters_32(kernel, inputs) {
        let from_protected = inputs.protected_mode;
        return trampoline::write_32(target, trampoline_at, at.parameters, at.kernel, from_protected);
    }
    trampoline::write_64(target, trampoline_at, at.parameters, at.kernel.checked_add(ENTRY64)?)
}

/// Appends zeros up to a multiple of `align` bytes, and answers the new length. `None` if
/// the parameters would get too large.
fn pad(parameters: &mut Parameters, align: usize) -> Option<usize> {
    let length = parameters.len().checked_next_multiple_of(align)?;
    parameters.resize(length, 0).ok()?;
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::boot_params as bp;
    use super::*;
    use crate::base::bytes::{self, u32_at, u64_at};
    use crate::image::bzimage::tests::sample;
    use crate::plan::memory_map::{Entry, Kind};
    use crate::plan::placer::MAX_INITRDS;

    /// A machine with 2 GiB below and 4 GiB above the hole, and its old boot_params.
    pub struct Fixture {
        pub map: MemoryMap,
        pub usable: RangeSet,
        pub old: Vec<u8>,
        pub efi: Option<Efi>,
        pub efi_is_wanted: bool,
        pub seed: Option<[u8; 32]>,
        pub live: bool,
        pub five_level: bool,
        pub bounds: Range,
        pub protected: bool,
    }

    impl Fixture {
        pub fn new() -> Fixture {
            let mut fixture = Fixture {
                map: MemoryMap::new(),
                usable: RangeSet::new(),
                old: (0..bp::SIZE).map(|i| (i % 251) as u8 | 1).collect(),
                efi: None,
                efi_is_wanted: true,
                seed: None,
                live: true,
                five_level: false,
                bounds: Range::ALL,
                protected: false,
            };
            fixture.add(0x1000, 0x9_fc00, Kind::Ram);
            fixture.add(0x9_fc00, 0xa_0000, Kind::Reserved);
            fixture.add(0x10_0000, 0x7fee_0000, Kind::Ram);
            fixture.add(0x7fee_0000, 0x7ff0_0000, Kind::Acpi);
            fixture.add(0x1_0000_0000, 0x2_0000_0000, Kind::Ram);
            fixture.map.ram(&mut fixture.usable).unwrap();
            fixture
        }

        pub fn add(&mut self, start: u64, end: u64, kind: Kind) {
            self.map.insert(Entry { range: Range::new(start, end).unwrap(), kind }).unwrap();
        }

        pub fn with_efi(mut self) -> Fixture {
            bytes::put(&mut self.old, bp::EFI_LOADER_SIGNATURE, b"EL64").unwrap();
            bytes::put(&mut self.old, bp::EFI_MEMDESC_SIZE, &48u32.to_le_bytes()).unwrap();
            let range = EfiRange {
                kind: 5,
                phys_addr: 0x7fe0_0000,
                virt_addr: 0xffff_fffe_0000_0000,
                num_pages: 16,
                attribute: 1 << 63,
            };
            let mut runtime_map = Table::new();
            assert_eq!((runtime_map.push(range), runtime_map.push(range)), (Ok(()), Ok(())));
            self.efi = Some(Efi {
                is_64_bit: true,
                fw_vendor: Some(0x7f00_0018),
                config_table: Some(0x7f00_0098),
                smbios: Some(0x7f00_1000),
                acpi_rsdp: Some(0x7f00_2014),
                runtime_map,
            });
            self
        }

        pub fn plan(&self, file: &[u8], initrds: &[&[u8]], line: &[u8]) -> Result<Laid, NoPlan> {
            let kernel = BzImage::parse(file).unwrap();
            let inputs = Inputs {
                firmware_map: &self.map,
                usable: &self.usable,
                total_pages: 6 << 18,
                boot_params: Some(&self.old),
                efi: self.efi.as_ref(),
                efi_is_wanted: self.efi_is_wanted,
                framebuffer_live: self.live,
                rng_seed: self.seed.as_ref(),
                five_level_paging: self.five_level,
                bounds: self.bounds,
                protected_mode: self.protected,
            };
            let (plan, efi) = plan(&kernel, initrds, line, None, &inputs)?;
            let place = |purpose| plan.segments().find(|s| s.purpose == purpose).map(|s| s.place);
            Ok(Laid {
                kernel: place(Purpose::Kernel).unwrap(),
                at: place(Purpose::Parameters).unwrap().start(),
                initrds: (0..initrds.len()).map(|i| place(Purpose::Initrd(i)).unwrap()).collect(),
                entry: plan.entry(),
                efi,
                untold_rsdp: untold_rsdp(&kernel, &inputs),
                page: plan.segments().find(|s| s.purpose == Purpose::Parameters).unwrap().bytes.to_vec(),
            })
        }
    }

    pub struct Laid {
        pub kernel: Range,
        pub at: u64,
        pub initrds: Vec<Range>,
        pub entry: u64,
        pub efi: EfiState,
        pub untold_rsdp: Option<u64>,
        pub page: Vec<u8>,
    }

    impl Laid {
        pub fn u32(&self, offset: usize) -> u32 {
            u32_at(&self.page, offset).unwrap()
        }

        pub fn u64(&self, offset: usize) -> u64 {
            u64_at(&self.page, offset).unwrap()
        }

        pub fn split(&self, low: usize, high: usize) -> u64 {
            u64::from(self.u32(low)) | u64::from(self.u32(high)) << 32
        }

        /// The setup_data list: type and data of each node.
        pub fn setup_data(&self) -> Vec<(u32, &[u8])> {
            let mut nodes = Vec::new();
            let mut next = self.u64(bp::SETUP_DATA);
            while next != 0 {
                let node = (next - self.at) as usize;
                let length = self.u32(node + 12) as usize;
                nodes.push((self.u32(node + 8), &self.page[node + 16..node + 16 + length]));
                next = self.u64(node);
            }
            nodes
        }
    }

    #[test]
    fn kernel_low_initrds_high_and_end_to_end() {
        let initrds: [&[u8]; 3] = [&[1; 4097], &[2; 4096], &[3; 10]];
        let laid = Fixture::new().plan(&sample(), &initrds, b"root=/dev/vda").unwrap();
        assert_eq!((laid.kernel.start(), laid.kernel.size()), (0x100_0000, 0x200_0000));
        // Four bytes of zeros follow each at the least.
        assert_eq!(laid.initrds[0].start(), 0x2_0000_0000 - 5 * PAGE);
        assert_eq!(laid.initrds[0].end(), laid.initrds[1].start());
        assert_eq!(laid.initrds[1].end(), laid.initrds[2].start());
        assert_eq!(laid.split(bp::RAMDISK_IMAGE, bp::EXT_RAMDISK_IMAGE), laid.initrds[0].start());
        assert_eq!(laid.split(bp::RAMDISK_SIZE, bp::EXT_RAMDISK_SIZE), 4 * PAGE + 10);
        assert_eq!(laid.at, 0x10_0000);
        assert_eq!(laid.entry, laid.at + 0x1000);
        let line = (laid.split(bp::CMD_LINE_PTR, bp::EXT_CMD_LINE_PTR) - laid.at) as usize;
        assert_eq!(&laid.page[line..line + 14], b"root=/dev/vda\0");
        assert_eq!(laid.u32(bp::CODE32_START), 0x100_0000);
    }

    #[test]
    fn a_kernel_that_cannot_go_above_4g_stays_below_with_all_it_needs() {
        let mut file = sample();
        bytes::put(&mut file, 0x236, &1u16.to_le_bytes()).unwrap();
        let laid = Fixture::new().plan(&file, &[&[1; 4096]], b"").unwrap();
        // initrd_addr_max is 0x7fffffff, and RAM ends before.
        assert_eq!(laid.initrds[0].end(), 0x7fee_0000);
        bytes::put(&mut file, 0x22c, &0x37ff_ffffu32.to_le_bytes()).unwrap();
        let laid = Fixture::new().plan(&file, &[&[1; 4096]], b"").unwrap();
        assert_eq!(laid.initrds[0].end(), 0x3800_0000);
        let mut fixture = Fixture::new();
        fixture.bounds = Range::new(1 << 32, u64::MAX).unwrap();
        assert!(matches!(
            fixture.plan(&file, &[], b""),
            Err(NoPlan::NoRoom { purpose: Purpose::Kernel, .. })
        ));
        let laid = fixture.plan(&sample(), &[], b"").unwrap();
        assert_eq!(laid.kernel.start(), 1 << 32);
        assert_eq!(laid.split(bp::CMD_LINE_PTR, bp::EXT_CMD_LINE_PTR) >> 32, 1);
        assert_eq!(laid.u32(bp::CODE32_START), 0);
    }

    /// A 32-bit kernel: without the 64-bit entry, and with 895 MiB for its initrd.
    fn sample_32() -> Vec<u8> {
        let mut file = sample();
        bytes::put(&mut file, 0x236, &[0, 0]).unwrap();
        bytes::put(&mut file, 0x22c, &0x37ff_ffffu32.to_le_bytes()).unwrap();
        file
    }

    #[test]
    fn what_is_entered_in_32_bit_mode_lies_below_4g_with_all_it_needs() {
        // From a 64-bit kernel, a 32-bit one; from a 32-bit kernel, either.
        for (protected, file) in [(false, sample_32()), (true, sample_32()), (true, sample())] {
            let mut fixture = Fixture::new().with_efi();
            (fixture.protected, fixture.five_level) = (protected, true);
            let laid = fixture.plan(&file, &[&[1; 4096]], b"x").unwrap();
            let limit = u64::from(u32_at(&file, 0x22c).unwrap()) + 1;
            assert_eq!(laid.initrds[0].end(), limit.min(0x7fee_0000), "{protected}");
            assert!(laid.kernel.end() <= FOUR_GIB && laid.at < FOUR_GIB);
            assert_eq!((laid.u32(bp::EXT_CMD_LINE_PTR), laid.u32(bp::EXT_RAMDISK_IMAGE)), (0, 0));
            assert!(matches!(laid.efi, EfiState::Left(_)));
            // The trampoline jumps to the beginning of the protected-mode code, with
            // boot_params in esi: the addresses in ENTER_32.
            let trampoline = &laid.page[TRAMPOLINE..TRAMPOLINE + trampoline::SIZE];
            let before =
                if protected { trampoline::PROTECTED.len() } else { trampoline::LONG_TO_PROTECTED.len() };
            assert_eq!(u32_at(trampoline, before + 21).map(u64::from), Some(laid.at));
            assert_eq!(u32_at(trampoline, before + 32).map(u64::from), Some(laid.kernel.start()));
            assert_eq!(u32_at(trampoline, before + 16).map(u64::from), Some(laid.entry + 512));
            // The table's base and its code segment: 32 bits, 4 GiB.
            assert_eq!(u64_at(trampoline, 258), Some(laid.entry + 272));
            assert_eq!(u64_at(trampoline, 272 + 0x10), Some(0x00cf_9b00_0000_ffff));
            if protected {
                assert_eq!(u32_at(trampoline, 5).map(u64::from), Some(laid.entry + 256));
                assert_eq!(u32_at(trampoline, 10).map(u64::from), Some(laid.entry + 16));
            }
        }
        let mut high = Fixture::new();
        high.bounds = Range::new(1 << 32, u64::MAX).unwrap();
        assert!(matches!(high.plan(&sample_32(), &[], b""), Err(NoPlan::NoRoom { .. })));
    }

    #[test]
    fn a_kernel_that_cannot_move_goes_where_it_wants_or_nowhere() {
        let mut file = sample();
        bytes::put(&mut file, 0x234, &[0]).unwrap();
        let mut fixture = Fixture::new();
        assert_eq!(fixture.plan(&file, &[], b"").unwrap().kernel.start(), 0x100_0000);
        fixture.usable.remove(Range::new(0x180_0000, 0x180_1000).unwrap()).unwrap();
        assert!(matches!(fixture.plan(&file, &[], b""), Err(NoPlan::NoRoom { .. })));
        assert_eq!(fixture.plan(&sample(), &[], b"").unwrap().kernel.start(), 0x1a0_0000);
    }

    #[test]
    fn what_cannot_be_is_refused_in_words() {
        let fixture = Fixture::new();
        let long = vec![b'x'; 2048];
        assert_eq!(
            fixture.plan(&sample(), &[], &long).err(),
            Some(NoPlan::CommandLineTooLong { length: 2048, limit: 2047 })
        );
        assert!(fixture.plan(&sample(), &[], &long[1..]).is_ok());
        let mut five = Fixture::new();
        five.five_level = true;
        assert!(five.plan(&sample(), &[], b"").is_ok());
        let mut file = sample();
        bytes::put(&mut file, 0x236, &0x1fu16.to_le_bytes()).unwrap();
        assert_eq!(five.plan(&file, &[], b"").err(), Some(NoPlan::FiveLevelPaging));
        let many = vec![&b"x"[..]; MAX_INITRDS + 1];
        assert_eq!(fixture.plan(&sample(), &many, b"").err(), Some(NoPlan::TooManySegments));
        assert!(fixture.plan(&sample(), &many[1..], b"").is_ok());
        let mut none = Fixture::new();
        none.usable = RangeSet::new();
        assert_eq!(none.plan(&sample(), &[], b"").err(), Some(NoPlan::NoMemory));
    }
}
