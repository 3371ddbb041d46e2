//! [`FileDigests`]: the digests of a file, to compare with a published one.

use crate::WeightsError;
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::Path;

/// The digests of a file in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDigests {
    /// As `sha256sum` prints it.
    pub sha256: String,
    /// As `b3sum` prints it.
    pub blake3: String,
}

impl FileDigests {
    /// Reads a file once.
    pub fn of(path: &Path) -> Result<Self, WeightsError> {
        let mut file = fs_err::File::open(path)?;
        let (mut sha256, mut blake3) = (Sha256::new(), blake3::Hasher::new());
        let mut buffer = vec![0; 1 << 20];
        loop {
            let len = file.read(&mut buffer)?;
            if len == 0 {
                break;
            }
            sha256.update(&buffer[..len]);
            blake3.update(&buffer[..len]);
        }
        let sha256 = sha256.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { sha256, blake3: blake3.finalize().to_hex().to_string() })
    }

    /// Returns whether one of them is `expected`: 64 hexadecimal digits, which `sha256:` or `blake3:` may precede.
    pub fn contain(&self, expected: &str) -> bool {
        let expected = expected.to_lowercase();
        match expected.split_once(':') {
            Some(("sha256", digits)) => digits == self.sha256,
            Some(("blake3", digits)) => digits == self.blake3,
            Some(_) => false,
            None => expected == self.sha256 || expected == self.blake3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_programs() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        fs_err::write(&path, "abc").expect("written");
        let digests = FileDigests::of(&path).expect("read");
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let blake3 = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
        assert_eq!((digests.sha256.as_str(), digests.blake3.as_str()), (sha256, blake3));
        for expected in
            [sha256, blake3, &sha256.to_uppercase(), &format!("sha256:{sha256}"), &format!("blake3:{blake3}")]
        {
            assert!(digests.contain(expected), "{expected}");
        }
        for expected in [&format!("blake3:{sha256}"), &format!("md5:{sha256}"), "", &sha256[1..]] {
            assert!(!digests.contain(expected), "{expected}");
        }
    }
}
