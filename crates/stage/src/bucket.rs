//! [`bucket`]: assigns files to parts. [`content_of`]: the properties of a file that determine what FFmpeg reads from it.

use std::path::Path;

/// Returns the number of the part that something named `id` belongs to: the first eight bytes of its BLAKE3, as a
/// little-endian number, modulo `buckets`. Adding or removing a file changes no other part.
pub fn bucket(id: &str, buckets: u32) -> u32 {
    let hash = blake3::hash(id.as_bytes());
    let (words, _) = hash.as_bytes().as_chunks::<8>();
    (u64::from_le_bytes(words[0]) % u64::from(buckets.max(1))) as u32
}

/// Returns the digest of a file and the extension of its path: where the content is ambiguous, FFmpeg guesses the container
/// from the extension.
pub fn content_of(digest: &str, path: &str) -> String {
    let extension = Path::new(path).extension().map(|extension| extension.to_string_lossy().into_owned());
    format!("{digest} {}", extension.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_never_change() {
        // BLAKE3 of the empty string begins af1349b9f5f9a1a6.
        assert_eq!(u64::from(bucket("", u32::MAX)), 0xa6a1_f9f5_b949_13af % u64::from(u32::MAX));
        assert_eq!(bucket("anything", 1), 0);
    }

    #[test]
    fn videos_spread_over_buckets() {
        let mut counts = [0; 8];
        (0..8000).for_each(|number| counts[bucket(&format!("v_{number}"), 8) as usize] += 1);
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
