//! [`mutate`]: runs a target on mutated seeds, without libFuzzer. Deterministic: every call runs the same inputs in the same order.

use crate::Target;

/// Inserted by mutations: numbers at the limits of types, and separators of the formats under test.
const TOKENS: [&[u8]; 14] = [
    b"\0",
    b"\n",
    b"\r\n",
    b",",
    b"\"",
    b"{",
    b"[[[[[[[[",
    b"../",
    b"-1",
    b"1e999",
    b"9223372036854775807",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xef\xbb\xbf",
    b"\xf0\x9f\x98\x80",
];

/// Maximum length of an input.
const MAX_LEN: usize = 8 << 10;

/// Makes mutated copies of inputs.
#[derive(Debug, Clone)]
pub struct Mutator {
    state: u64,
}

impl Mutator {
    /// Returns a mutator; equal seeds make equal mutations.
    pub fn new(seed: u64) -> Self {
        Self { state: seed | 1 }
    }

    /// Returns a number below `limit`, or 0 if that is 0.
    fn below(&mut self, limit: usize) -> usize {
        // xorshift64*
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let number = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        if limit == 0 { 0 } else { number as usize % limit }
    }

    /// Returns a copy of `input` with up to four mutations; some copy parts of `other`.
    pub fn mutated(&mut self, input: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = input.to_vec();
        for _ in 0..=self.below(4) {
            let (start, end) = self.range(bytes.len());
            match self.below(7) {
                0 => {
                    let bit = 1 << self.below(8);
                    bytes.iter_mut().skip(start).take(1).for_each(|byte| *byte ^= bit);
                }
                1 => drop(bytes.drain(start..end)),
                2 => bytes.truncate(start),
                3 => {
                    let copy = bytes[start..end].to_vec();
                    bytes.splice(start..start, copy);
                }
                4 => {
                    let (from, to) = self.range(other.len());
                    bytes.splice(start..end, other[from..to].iter().copied());
                }
                5 => {
                    let byte = self.below(256) as u8;
                    bytes[start..end].fill(byte);
                }
                _token => {
                    let token = TOKENS[self.below(TOKENS.len())];
                    bytes.splice(start..start, token.iter().copied());
                }
            }
            bytes.truncate(MAX_LEN);
        }
        bytes
    }

    /// Returns a range of positions, more often a short one.
    fn range(&mut self, len: usize) -> (usize, usize) {
        let start = self.below(len + 1);
        let longest = if self.below(4) == 0 { len - start } else { (len - start).min(8) };
        (start, start + self.below(longest + 1))
    }
}

/// Runs `target` on its seeds and on mutations of them, which are the same on every machine, until there were `num_inputs`.
///
/// # Panics
/// If an input reveals a bug.
pub fn mutate(target: &Target, num_inputs: usize) {
    let seeds = (target.seeds)();
    for seed in &seeds {
        (target.run)(seed);
    }
    let mut mutator = Mutator::new(0x5eed);
    for _ in seeds.len()..num_inputs {
        let (one, other) = (mutator.below(seeds.len()), mutator.below(seeds.len()));
        let input = mutator.mutated(&seeds[one], &seeds[other]);
        (target.run)(&input);
    }
}
