//! The kernel's log: the records of the printk ring buffer (kernel/printk/printk_ringbuffer.c, whose head
//! describes it), as dmesg(1) shows them.

use super::{Defect, Dump};
use crate::base::bytes::{u16_at, u64_at};
use std::fmt::Write;

/// How many records are read at once.
const BATCH: u64 = 64;
/// The most records that a ring may have, and the size of the ring of texts, as powers of two: log_buf_len= is at
/// most 2 GiB (kernel/printk/printk.c, LOG_BUF_LEN_MAX), and there is a record for each 32 bytes (PRB_AVGBITS).
const MOST_BITS: u64 = 31;
const MOST_RECORD_BITS: u64 = 26;
/// DESC_FLAGS_SHIFT: the state of a record is in the two bits above its number.
const STATE_SHIFT: u32 = 62;
/// "committed by writer, could get reopened", "committed, no further modification allowed".
const COMMITTED: u64 = 1;
const FINALIZED: u64 = 2;

/// The facts of VMCOREINFO about the structs of the ring.
const FACTS: [&str; 18] = [
    "OFFSET(atomic_long_t.counter)",
    "OFFSET(printk_ringbuffer.desc_ring)",
    "OFFSET(printk_ringbuffer.text_data_ring)",
    "OFFSET(prb_desc_ring.count_bits)",
    "OFFSET(prb_desc_ring.descs)",
    "OFFSET(prb_desc_ring.infos)",
    "OFFSET(prb_desc_ring.head_id)",
    "OFFSET(prb_desc_ring.tail_id)",
    "OFFSET(prb_data_ring.size_bits)",
    "OFFSET(prb_data_ring.data)",
    "SIZE(prb_desc)",
    "OFFSET(prb_desc.state_var)",
    "OFFSET(prb_desc.text_blk_lpos)",
    "OFFSET(prb_data_blk_lpos.begin)",
    "OFFSET(prb_data_blk_lpos.next)",
    "SIZE(printk_info)",
    "OFFSET(printk_info.ts_nsec)",
    "OFFSET(printk_info.text_len)",
];

/// The ring: where its parts are, and the offsets of the fields that are read.
struct Ring {
    /// The arrays of struct prb_desc and of struct printk_info.
    descs: u64,
    infos: u64,
    /// log2 of how many there are of each.
    bits: u64,
    /// The numbers of the oldest and the newest record.
    tail: u64,
    head: u64,
    /// The texts, and log2 of their size in bytes.
    data: u64,
    data_bits: u64,
    /// The size of a struct prb_desc, and in it the number and state of a record, and the place of its text.
    desc: usize,
    state: usize,
    begin: usize,
    next: usize,
    /// The size of a struct printk_info, and in it the time of a record and the length of its text.
    info: usize,
    time: usize,
    length: usize,
}

impl Ring {
    fn read(dump: &Dump) -> Result<Ring, Defect> {
        let facts = dump.info.small_numbers(&FACTS)?;
        let [counter, records, texts, bits, descs, infos, head, tail, data_bits, data, rest @ ..] = facts;
        let [desc, state, place, begin, next, info, time, length] = rest;
        let ring = dump.word(dump.info.address("SYMBOL(prb)")?)?;
        let word =
            |part: usize, field: usize| dump.word(ring.wrapping_add(part as u64).wrapping_add(field as u64));
        let ring = Ring {
            descs: word(records, descs)?,
            infos: word(records, infos)?,
            // This and data_bits are of the type unsigned int.
            bits: word(records, bits)? & 0xffff_ffff,
            tail: word(records, tail.saturating_add(counter))?,
            head: word(records, head.saturating_add(counter))?,
            data: word(texts, data)?,
            data_bits: word(texts, data_bits)? & 0xffff_ffff,
            desc,
            state: state.saturating_add(counter),
            begin: place.saturating_add(begin),
            next: place.saturating_add(next),
            info,
            time,
            length,
        };
        if ring.bits > MOST_RECORD_BITS || ring.data_bits > MOST_BITS {
            return Err(Defect::Log("its size is impossible"));
        }
        Ok(ring)
    }

    fn mask(bits: u64) -> u64 {
        (1u64 << (bits & 63)).wrapping_sub(1)
    }

    /// The place of a text: "Regular data block: begin less than next and in same wrap. Wrapping data block:
    /// begin is one wrap behind next", and then it lies at the beginning of the ring. The number of its record
    /// is before it. `None` when there is none.
    fn text(&self, begin: u64, next: u64, length: u64) -> Option<(u64, u64)> {
        let size = 1u64 << (self.data_bits & 63);
        let wrap = |place: u64| place >> (self.data_bits & 63);
        let (start, end) = (begin & Ring::mask(self.data_bits), next & Ring::mask(self.data_bits));
        // LPOS_DATALESS: bit 0 is set when there is no text.
        if begin & next & 1 == 1 {
            return None;
        }
        let (start, end) = if wrap(begin) == wrap(next) {
            (start, end)
        } else if wrap(begin.wrapping_add(size)) == wrap(next) {
            (0, end)
        } else {
            return None;
        };
        let start = start.checked_add(8)?;
        Some((self.data.wrapping_add(start), end.checked_sub(start)?.min(length)))
    }
}

/// Writes the log, the oldest record first, as dmesg(1) does: `[    1.234567] text`. What cannot be read is left
/// out, and the first reason for it is the result.
pub fn write(dump: &Dump, out: &mut dyn Write) -> Result<(), Defect> {
    let ring = Ring::read(dump)?;
    let mut result = Ok(());
    let count = 1u64 << (ring.bits & 63);
    let mut descs = vec![0u8; ring.desc.saturating_mul(BATCH as usize)];
    let mut infos = vec![0u8; ring.info.saturating_mul(BATCH as usize)];
    let mut text = Vec::new();
    let numbers = ring.head.wrapping_sub(ring.tail) & Ring::mask(u64::from(STATE_SHIFT));
    if numbers >= count {
        return Err(Defect::Log("the newest record is before the oldest one"));
    }
    let mut done = 0u64;
    while done <= numbers {
        let first = ring.tail.wrapping_add(done);
        let index = first & Ring::mask(ring.bits);
        // As far as the array goes, and then on from its beginning.
        let batch =
            BATCH.min(count.saturating_sub(index)).min(numbers.saturating_sub(done).saturating_add(1));
        let part = |bytes: &mut Vec<u8>, size: usize, array: u64| {
            let bytes = bytes.get_mut(..size.saturating_mul(batch as usize)).unwrap_or_default();
            dump.read(array.wrapping_add(index.wrapping_mul(size as u64)), bytes)
        };
        let read = part(&mut descs, ring.desc, ring.descs).and(part(&mut infos, ring.info, ring.infos));
        let records = descs.chunks_exact(ring.desc.max(1)).zip(infos.chunks_exact(ring.info.max(1)));
        for (number, (desc, info)) in (first..first.wrapping_add(batch)).zip(records) {
            let wanted = read.and_then(|()| record(&ring, number, desc, info));
            let (seconds, micros) = match wanted {
                Ok(Some((address, length, nanos))) => {
                    text.resize(length, 0);
                    if let Err(why) = dump.read(address, &mut text) {
                        result = result.and(Err(why));
                        continue;
                    }
                    (nanos / 1_000_000_000, nanos / 1000 % 1_000_000)
                }
                Ok(None) => continue,
                Err(why) => {
                    result = result.and(Err(why));
                    break;
                }
            };
            for line in crate::base::bytes::parts(&text, b'\n') {
                let _ = write!(out, "[{seconds:5}.{micros:06}] ");
                write_line(out, line);
            }
        }
        done = done.saturating_add(batch);
    }
    result
}

/// The place, the length and the time of a record's text. `None` when there is no such record now.
fn record(ring: &Ring, number: u64, desc: &[u8], info: &[u8]) -> Result<Option<(u64, usize, u64)>, Defect> {
    let field = |bytes, at| u64_at(bytes, at).ok_or(Defect::Log("its records are smaller than their fields"));
    let (state, nanos) = (field(desc, ring.state)?, field(info, ring.time)?);
    let length = u16_at(info, ring.length).ok_or(Defect::Log("its records are smaller than their fields"))?;
    let is_whole = [COMMITTED, FINALIZED].contains(&(state >> STATE_SHIFT));
    if !is_whole || (state ^ number) & Ring::mask(u64::from(STATE_SHIFT)) != 0 {
        return Ok(None);
    }
    let (begin, next) = (field(desc, ring.begin)?, field(desc, ring.next)?);
    let place = ring.text(begin, next, u64::from(length)).unwrap_or((0, 0));
    Ok(Some((place.0, place.1 as usize, nanos)))
}

/// A line, in which what could move a terminal's cursor is written as `\x1b`, as /dev/kmsg does.
fn write_line(out: &mut dyn Write, line: &[u8]) {
    for chunk in line.utf8_chunks() {
        for letter in chunk.valid().chars() {
            let _ = match letter {
                '\t' => out.write_char(letter),
                _ if letter.is_control() => write!(out, "\\x{:02x}", u32::from(letter)),
                _ => out.write_char(letter),
            };
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    let _ = out.write_str("\n");
}
