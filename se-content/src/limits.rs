/// How much a package may ask for. Every limit is inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size of the zip in bytes.
    pub package_bytes: u64,
    /// Size of everything in it, unpacked, in bytes.
    pub unpacked_bytes: u64,
    /// How many times larger than in the zip a file may become.
    pub ratio: u64,
    /// How many files and folders there may be.
    pub entries: usize,
    /// Size of one document in bytes.
    pub document_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            package_bytes: 2 << 30,
            unpacked_bytes: 4 << 30,
            ratio: 200,
            entries: 50_000,
            document_bytes: 64 << 20,
        }
    }
}
