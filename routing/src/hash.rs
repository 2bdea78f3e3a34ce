//! The table's own hash and its immutable open-addressed index.
//!
//! Keys come from the configuration and never from a request, so a keyed hash would buy nothing: a client can
//! only look things up, and the longest probe it can cause is the longest run of the table as built.

const SEED: u64 = 0x9E37_79B9_7F4A_7C15;
const MULTIPLY: u64 = 0xD6E8_FEB8_6659_FD93;
const EMPTY: u32 = u32::MAX;

/// Bytes count as they are.
pub(crate) const CASE_KEPT: u64 = 0;
/// ASCII letters count without their case. Other bytes may fall together too, which a hash is free to do.
pub(crate) const CASE_FOLDED: u64 = 0x2020_2020_2020_2020;

fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

/// The place of the first `byte`. Eight bytes at a time: segments and hosts are a few words long, where a call to
/// a vectorised search costs more than it saves.
#[inline]
pub(crate) fn find_byte(byte: u8, bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let (chunks, rest) = bytes.as_chunks::<8>();
    for (number, chunk) in chunks.iter().enumerate() {
        let differences = u64::from_le_bytes(*chunk) ^ (ONES * u64::from(byte));
        // The lowest byte equal to zero borrows first, so the lowest high bit is the first hit.
        let hits = differences.wrapping_sub(ONES) & !differences & HIGH;
        if hits != 0 {
            return Some(number * 8 + hits.trailing_zeros() as usize / 8);
        }
    }
    let place = rest.iter().position(|found| *found == byte)?;
    Some(bytes.len() - rest.len() + place)
}

/// Whether two keys are equal; for a few words of text, cheaper than a call to the C library.
#[inline]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match (
        a.first_chunk::<8>(),
        a.last_chunk::<8>(),
        b.first_chunk::<8>(),
        b.last_chunk::<8>(),
    ) {
        (Some(a_head), Some(a_tail), Some(b_head), Some(b_tail)) => {
            a_head == b_head && a_tail == b_tail && (a.len() <= 16 || a.get(8..) == b.get(8..))
        }
        _ => match (
            a.first_chunk::<4>(),
            a.last_chunk::<4>(),
            b.first_chunk::<4>(),
            b.last_chunk::<4>(),
        ) {
            (Some(a_head), Some(a_tail), Some(b_head), Some(b_tail)) => a_head == b_head && a_tail == b_tail,
            _ => a.iter().zip(b).all(|(a, b)| a == b),
        },
    }
}

/// Hashes `bytes` under `seed`; `FOLD` is [`CASE_KEPT`] or [`CASE_FOLDED`].
#[inline]
pub(crate) fn hash<const FOLD: u64>(seed: u64, bytes: &[u8]) -> u64 {
    let length = bytes.len() as u64;
    let seed = seed.wrapping_mul(MULTIPLY) ^ SEED ^ length;
    let (low, high) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
        _ => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            // Two overlapping reads cover every byte of a short key.
            (Some(head), Some(tail)) => (
                u64::from(u32::from_le_bytes(*head)),
                u64::from(u32::from_le_bytes(*tail)),
            ),
            _ => (bytes.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)), 0),
        },
    };
    let mut state = mix((low | FOLD) ^ seed, (high | FOLD) ^ MULTIPLY);
    if bytes.len() > 16 {
        // The first and last eight bytes are in; what lies between goes in eight at a time.
        let middle = bytes.get(8..bytes.len() - 8).unwrap_or_default();
        let (chunks, rest) = middle.as_chunks::<8>();
        for chunk in chunks {
            state = mix(state ^ (u64::from_le_bytes(*chunk) | FOLD), MULTIPLY);
        }
        let rest = rest.iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
        state = mix(state ^ (rest | FOLD), MULTIPLY);
    }
    state
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    tag: u32,
    id: u32,
}

/// A set of ids found by hash. It holds no keys: whoever asks compares.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    slots: Box<[Slot]>,
    mask: usize,
}

impl Index {
    /// Builds the index of `entries`, each a hash and an id below `u32::MAX`.
    pub(crate) fn build(entries: &[(u64, u32)]) -> Self {
        if entries.is_empty() {
            return Self {
                slots: Box::default(),
                mask: 0,
            };
        }
        // At most half full, so that a miss ends after a step or two.
        let length = (entries.len() * 2).next_power_of_two();
        let mask = length - 1;
        let mut slots = vec![Slot { tag: 0, id: EMPTY }; length].into_boxed_slice();
        for (hash, id) in entries {
            let mut at = *hash as usize & mask;
            while let Some(slot) = slots.get_mut(at) {
                if slot.id == EMPTY {
                    *slot = Slot {
                        tag: tag(*hash),
                        id: *id,
                    };
                    break;
                }
                at = (at + 1) & mask;
            }
        }
        Self { slots, mask }
    }

    /// The id under `hash` for which `is_it` holds.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut at = hash as usize & self.mask;
        loop {
            // An empty index has no slot at all, and ends here.
            let slot = self.slots.get(at)?;
            if slot.id == EMPTY {
                return None;
            }
            if slot.tag == tag(hash) && is_it(slot.id) {
                return Some(slot.id);
            }
            at = (at + 1) & self.mask;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts() {
        for length in 0..80usize {
            let base: Vec<u8> = (0..length).map(|at| b'a' + (at % 26) as u8).collect();
            let expected = hash::<CASE_KEPT>(7, &base);
            assert_ne!(
                expected,
                hash::<CASE_KEPT>(8, &base),
                "the seed counts at length {length}"
            );
            for at in 0..length {
                let mut other = base.clone();
                other[at] ^= 1;
                assert_ne!(
                    expected,
                    hash::<CASE_KEPT>(7, &other),
                    "byte {at} of {length} does not count"
                );
            }
        }
    }

    #[test]
    fn folding_makes_case_equal_and_nothing_else_of_letters() {
        for length in 0..40usize {
            let lower: Vec<u8> = (0..length).map(|at| b'a' + (at % 26) as u8).collect();
            let upper = lower.to_ascii_uppercase();
            assert_eq!(
                hash::<CASE_FOLDED>(0, &lower),
                hash::<CASE_FOLDED>(0, &upper),
                "length {length}"
            );
            for at in 0..length {
                let mut other = lower.clone();
                other[at] = if other[at] == b'q' { b'r' } else { b'q' };
                assert_ne!(hash::<CASE_FOLDED>(0, &lower), hash::<CASE_FOLDED>(0, &other));
            }
        }
    }

    #[test]
    fn equality_sees_every_byte() {
        for length in 0..40usize {
            let base: Vec<u8> = (0..length).map(|at| b'a' + (at % 26) as u8).collect();
            assert!(same(&base, &base.clone()));
            for at in 0..length {
                let mut other = base.clone();
                other[at] ^= 0x20;
                assert!(!same(&base, &other), "byte {at} of {length} is not compared");
                assert!(!same(&base, &base[..at]), "length {length} is not {at}");
            }
        }
    }

    #[test]
    fn the_first_byte_is_found() {
        for length in 0..40usize {
            for first in 0..=length {
                for second in first..=length {
                    // Neighbours in value on either side, which a borrow could mistake for the byte.
                    let mut bytes: Vec<u8> = (0..length).map(|at| [b'.', b'0', 0xAF, 0][at % 4]).collect();
                    for at in [first, second] {
                        if let Some(byte) = bytes.get_mut(at) {
                            *byte = b'/';
                        }
                    }
                    let expected = bytes.iter().position(|byte| *byte == b'/');
                    assert_eq!(find_byte(b'/', &bytes), expected, "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn an_index_finds_what_was_put_in_and_nothing_else() {
        let entries: Vec<(u64, u32)> = (0..1000u32)
            .map(|id| (hash::<CASE_KEPT>(0, id.to_string().as_bytes()), id))
            .collect();
        let index = Index::build(&entries);
        for (hash, id) in &entries {
            assert_eq!(index.find(*hash, |found| found == *id), Some(*id));
            assert_eq!(index.find(*hash, |_| false), None);
        }
        assert_eq!(Index::build(&[]).find(42, |_| true), None);
    }

    #[test]
    fn equal_hashes_are_told_apart_by_the_comparison() {
        let index = Index::build(&[(5, 1), (5, 2), (5, 3)]);
        assert_eq!(index.find(5, |id| id == 3), Some(3));
        assert_eq!(index.find(5, |_| false), None);
        assert_eq!(
            index.find(5 | 1 << 40, |_| true),
            None,
            "the other half of the hash counts too"
        );
    }
}
