//! Writes newc cpio archives, as an initramfs is made of
//! (Documentation/driver-api/early-userspace/buffer-format.rst).

/// An archive being written.
#[derive(Clone, Default)]
pub struct Cpio {
    bytes: Vec<u8>,
    inode: u32,
}

impl Cpio {
    pub fn dir(self, name: &str) -> Cpio {
        self.entry(name, 0o040755, &[], (0, 0))
    }

    pub fn file(self, name: &str, mode: u32, data: &[u8]) -> Cpio {
        self.entry(name, 0o100000 | mode, data, (0, 0))
    }

    pub fn link(self, name: &str, target: &str) -> Cpio {
        self.entry(name, 0o120777, target.as_bytes(), (0, 0))
    }

    pub fn char_device(self, name: &str, number: (u32, u32)) -> Cpio {
        self.entry(name, 0o020600, &[], number)
    }

    fn entry(mut self, name: &str, mode: u32, data: &[u8], device: (u32, u32)) -> Cpio {
        self.inode += 1;
        let fields = [
            self.inode,
            mode,
            0,
            0,
            1,
            0,
            data.len() as u32,
            0,
            0,
            device.0,
            device.1,
            name.len() as u32 + 1,
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad(4);
        self.bytes.extend_from_slice(data);
        self.pad(4);
        self
    }

    fn pad(&mut self, align: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(align), 0);
    }

    /// The archive, with its trailer.
    pub fn finish(self) -> Vec<u8> {
        let mut whole = self.entry("TRAILER!!!", 0, &[], (0, 0));
        whole.pad(512);
        whole.bytes
    }
}
