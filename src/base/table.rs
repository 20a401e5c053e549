//! Lists with a limit, on the heap: they may become long, and hardly ever do.
//!
//! An array on the stack would have its full length from the beginning. The program touches
//! every page of a large stack frame when it enters the function, and for every page that is
//! touched the kernel has to find and clear one.

use core::ops::{Deref, DerefMut};

/// A list of at most `MOST` entries. Holding one proves that it has no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table<T, const MOST: usize> {
    entries: Vec<T>,
}

/// The list has no room for so many more entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl<T, const MOST: usize> Table<T, MOST> {
    /// An empty list.
    pub const fn new() -> Table<T, MOST> {
        Table { entries: Vec::new() }
    }

    fn room_for(&self, more: usize) -> Result<(), Full> {
        let length = self.entries.len().checked_add(more);
        if length.is_some_and(|length| length <= MOST) { Ok(()) } else { Err(Full) }
    }

    /// Adds an entry at the end.
    pub fn push(&mut self, entry: T) -> Result<(), Full> {
        self.room_for(1)?;
        self.entries.push(entry);
        Ok(())
    }

    /// Inserts an entry before the one with the index `at`, or at the end.
    pub fn insert(&mut self, at: usize, entry: T) -> Result<(), Full> {
        self.room_for(1)?;
        self.entries.insert(at.min(self.entries.len()), entry);
        Ok(())
    }

    /// Removes all entries for which `stays` is false.
    pub fn retain(&mut self, stays: impl FnMut(&T) -> bool) {
        self.entries.retain(stays);
    }

    /// The entries, as a vector without a limit.
    pub fn into_vec(self) -> Vec<T> {
        self.entries
    }

    /// Removes all entries.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

impl<const MOST: usize> Table<u8, MOST> {
    /// Adds `bytes` at the end: all of them, or none.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.room_for(bytes.len())?;
        self.entries.extend_from_slice(bytes);
        Ok(())
    }

    /// Sets the length: cuts the list, or appends `value`.
    pub fn resize(&mut self, length: usize, value: u8) -> Result<(), Full> {
        self.room_for(length.saturating_sub(self.entries.len()))?;
        self.entries.resize(length, value);
        Ok(())
    }
}

impl<T, const MOST: usize> Default for Table<T, MOST> {
    fn default() -> Table<T, MOST> {
        Table::new()
    }
}

impl<T, const MOST: usize> Deref for Table<T, MOST> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.entries
    }
}

impl<T, const MOST: usize> DerefMut for Table<T, MOST> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_takes_no_more_than_its_limit() {
        let mut table = Table::<u8, 4>::new();
        assert_eq!(table.push(1), Ok(()));
        assert_eq!(table.insert(0, 0), Ok(()));
        // Beyond the end is the end.
        assert_eq!(table.insert(9, 3), Ok(()));
        assert_eq!(table.insert(2, 2), Ok(()));
        assert_eq!(*table, [0, 1, 2, 3]);
        assert_eq!((table.push(4), table.insert(0, 4)), (Err(Full), Err(Full)));
        assert_eq!((table.extend_from_slice(&[4]), table.resize(5, 0)), (Err(Full), Err(Full)));
        assert_eq!(*table, [0, 1, 2, 3]);
        table.retain(|entry| entry % 2 == 1);
        assert_eq!(table.extend_from_slice(&[5, 6, 7]), Err(Full));
        assert_eq!(table.resize(usize::MAX, 0), Err(Full));
        assert_eq!(table.extend_from_slice(&[5]), Ok(()));
        assert_eq!(table.resize(4, 9), Ok(()));
        assert_eq!(*table, [1, 3, 5, 9]);
        assert_eq!(table.resize(1, 9), Ok(()));
        assert_eq!(*table, [1]);
        assert_eq!(table.clone().into_vec(), [1]);
        table.clear();
        assert_eq!(*table, []);
    }
}
