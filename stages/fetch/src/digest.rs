//! [`digests`]: hashes a file with several algorithms at once.

use fs_err as fs;
use md5::Md5;
use pipe_schemas::stages::fetch::Algorithm;
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::Path;

/// Number of bytes to read at once.
const CHUNK_BYTES: usize = 1 << 20;

enum Hasher {
    Sha256(Sha256),
    Blake3(Box<blake3::Hasher>),
    Md5(Md5),
}

impl Hasher {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Blake3 => Self::Blake3(Box::default()),
            Algorithm::Md5 => Self::Md5(Md5::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Blake3(hasher) => {
                hasher.update(bytes);
            }
            Self::Md5(hasher) => hasher.update(bytes),
        }
    }

    fn hex(self) -> String {
        match self {
            Self::Sha256(hasher) => hex(&hasher.finalize()),
            Self::Blake3(hasher) => hasher.finalize().to_hex().to_string(),
            Self::Md5(hasher) => hex(&hasher.finalize()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}

/// Returns the digest of a file for each of `algorithms`, in lower-case hexadecimal. Calls `check_cancelled` after each chunk.
pub(crate) fn digests<E: From<std::io::Error>>(
    path: &Path,
    algorithms: &[Algorithm],
    mut check_cancelled: impl FnMut() -> Result<(), E>,
) -> Result<Vec<String>, E> {
    let mut file = fs::File::open(path)?;
    let mut hashers: Vec<Hasher> = algorithms.iter().map(|&algorithm| Hasher::new(algorithm)).collect();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            return Ok(hashers.into_iter().map(Hasher::hex).collect());
        }
        for hasher in &mut hashers {
            hasher.update(&chunk[..count]);
        }
        check_cancelled()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_match_published_test_vectors() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("abc");
        fs::write(&path, "abc").expect("written");
        let all = [Algorithm::Md5, Algorithm::Sha256, Algorithm::Blake3];
        let found = digests(&path, &all, || Ok::<_, std::io::Error>(())).expect("read");
        // From RFC 1321, FIPS 180-4 and `b3sum`.
        assert_eq!(found[0], "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(found[1], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(found[2], "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
    }
}
