//! Which of several weighted targets a request goes to, the same one each time for the same key.
//!
//! Weighted rendezvous hashing: every target draws a number from the hash of (key, target), scaled by its
//! weight, and the largest wins. When one weight changes, only keys that move to or from that target move at all;
//! a canary raised from 5 to 10 keeps everyone it had.
//!
//! The hash is part of the contract, because a sticky client must land on the same version after a restart, and
//! on every node: FNV-1a (64 bit) of the identity, and of the key, mixed by the finaliser of SplitMix64. The
//! logarithm is computed from IEEE additions, multiplications and divisions alone, so that no platform's libm
//! can differ.

/// Targets with weights, to pick one of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    targets: Box<[Target]>,
    total: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    identity: u64,
    weight: u32,
}

/// Why a split was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// There is nothing to pick.
    #[error("a split needs at least one target")]
    Empty,
    /// Nothing may be picked.
    #[error("every weight of the split is 0: give at least one target a weight")]
    NoWeight,
    /// Two targets could not be told apart by a key.
    #[error("target `{0}` stands twice in the split: add the weights up")]
    Repeated(String),
}

impl Split {
    /// Makes a split of targets, each an identity and a weight. The identity (a component's name, say) is what
    /// keys stick to: the order of the targets does not matter, and others may come and go.
    ///
    /// # Errors
    /// No target, no weight above 0, or an identity given twice.
    pub fn new<'a>(targets: impl IntoIterator<Item = (&'a str, u32)>) -> Result<Self, SplitError> {
        let mut names: Vec<&str> = Vec::new();
        let mut all = Vec::new();
        for (name, weight) in targets {
            if names.contains(&name) {
                return Err(SplitError::Repeated(name.to_owned()));
            }
            names.push(name);
            all.push(Target {
                identity: fnv1a(name.as_bytes()),
                weight,
            });
        }
        if all.is_empty() {
            return Err(SplitError::Empty);
        }
        let total = all.iter().map(|target| u64::from(target.weight)).sum();
        if total == 0 {
            return Err(SplitError::NoWeight);
        }
        Ok(Self {
            targets: all.into_boxed_slice(),
            total,
        })
    }

    /// The weights, in the order of the targets.
    pub fn weights(&self) -> impl Iterator<Item = u32> {
        self.targets.iter().map(|target| target.weight)
    }

    /// The target for a sticky key (a cookie's value, a header's, an address): its place in the order given.
    #[must_use]
    pub fn pick(&self, key: &[u8]) -> usize {
        let key = fnv1a(key);
        let mut best = (0, f64::INFINITY);
        for (place, target) in self.targets.iter().enumerate() {
            // The smallest -ln(u) / weight is the first arrival of Poisson processes with these rates, so each
            // target wins in proportion to its weight. One of weight 0 never arrives.
            let arrival = minus_ln(split_mix(key ^ split_mix(target.identity))) / f64::from(target.weight);
            if arrival < best.1 {
                best = (place, arrival);
            }
        }
        best.0
    }

    /// The target for a request without a key; `random` is uniform over all of `u64`.
    #[must_use]
    pub fn pick_random(&self, random: u64) -> usize {
        let mut point = ((u128::from(random) * u128::from(self.total)) >> 64) as u64;
        for (place, target) in self.targets.iter().enumerate() {
            match point.checked_sub(u64::from(target.weight)) {
                Some(left) => point = left,
                None => return place,
            }
        }
        // Not reached: the point is below the sum of the weights.
        0
    }
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

fn split_mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// -ln of `hash` read as a fraction in (0, 1).
fn minus_ln(hash: u64) -> f64 {
    // 52 bits and a half: neither 0 nor 1 can come out, and the number is exact in an f64.
    let doubled = 2 * (hash >> 12) + 1;
    // doubled / 2^53 = mantissa * 2^-exponent with the mantissa in [1, 2).
    let exponent = doubled.leading_zeros() - 10;
    let mantissa = doubled as f64 / (1u64 << (53 - exponent)) as f64;
    // ln(m) = 2 artanh((m - 1) / (m + 1)); the argument is at most 1/3, so 17 terms reach the last bit.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let series = (0..17)
        .rev()
        .fold(0.0, |sum, term| sum * square + 1.0 / f64::from(2 * term + 1));
    f64::from(exponent) * std::f64::consts::LN_2 - 2.0 * s * series
}

#[cfg(test)]
mod tests;
