use proptest::prelude::*;

use super::*;

fn split(targets: &[(&str, u32)]) -> Split {
    Split::new(targets.iter().copied()).unwrap()
}

/// How many of `count` keys go to each target.
fn shares(split: &Split, targets: usize, count: u32) -> Vec<u32> {
    let mut shares = vec![0; targets];
    for key in 0..count {
        shares[split.pick(format!("client-{key}").as_bytes())] += 1;
    }
    shares
}

#[test]
fn refused() {
    assert_eq!(Split::new([]), Err(SplitError::Empty));
    assert_eq!(Split::new([("a", 0)]), Err(SplitError::NoWeight));
    assert_eq!(Split::new([("a", 0), ("b", 0)]), Err(SplitError::NoWeight));
    assert_eq!(
        Split::new([("a", 1), ("b", 1), ("a", 2)]),
        Err(SplitError::Repeated("a".into()))
    );
}

/// A client must stay on its version through an upgrade of the gateway: these answers may never change.
#[test]
fn the_hash_is_a_contract() {
    assert_eq!(fnv1a(b""), 0xCBF2_9CE4_8422_2325);
    assert_eq!(fnv1a(b"foobar"), 0x8594_4171_F739_67E8);
    assert_eq!(split_mix(0), 0xE220_A839_7B1D_CDAF);
    let split = split(&[("hello", 50), ("hello-next", 30), ("other", 20)]);
    let picks: Vec<usize> = (0..24)
        .map(|key| split.pick(format!("client-{key}").as_bytes()))
        .collect();
    assert_eq!(picks, PINNED);
}

const PINNED: [usize; 24] = [2, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2, 0, 1, 0, 1, 0, 0, 0, 0, 2, 0, 0, 1];

#[test]
fn the_logarithm_is_one() {
    for hash in [
        0,
        1,
        1 << 12,
        1 << 40,
        u64::MAX / 3,
        u64::MAX / 2,
        u64::MAX - 4096,
        u64::MAX,
    ] {
        let fraction = (2 * (hash >> 12) + 1) as f64 / (1u64 << 53) as f64;
        let (ours, expected) = (minus_ln(hash), -fraction.ln());
        // Near 1 the result is the difference of two numbers near ln 2, exact to their last bit.
        assert!(
            (ours - expected).abs() <= expected.abs() * 1e-14 + 3e-16,
            "{hash}: {ours} {expected}"
        );
        assert!(ours > 0.0);
    }
}

#[test]
fn sticky_shares_follow_the_weights() {
    let targets = [("a", 95), ("b", 5), ("c", 0), ("d", 100)];
    let shares = shares(&split(&targets), 4, 40_000);
    for ((name, weight), share) in targets.iter().zip(&shares) {
        let expected = f64::from(*weight) / 200.0 * 40_000.0;
        // Six standard deviations: the keys are fixed, so this holds always or never.
        let room = 6.0 * (expected * (1.0 - expected / 40_000.0)).sqrt();
        assert!(
            (f64::from(*share) - expected).abs() <= room,
            "{name}: {share}, expected {expected}"
        );
    }
}

#[test]
fn a_changed_weight_moves_no_one_else() {
    let before = split(&[("a", 60), ("b", 30), ("canary", 5)]);
    let after = split(&[("a", 60), ("b", 30), ("canary", 20)]);
    let mut moved = 0;
    for key in 0..20_000 {
        let key = format!("client-{key}");
        let (was, is) = (before.pick(key.as_bytes()), after.pick(key.as_bytes()));
        if was != is {
            assert_eq!(is, 2, "{key} moved from {was} to {is}, though only the canary grew");
            moved += 1;
        }
    }
    // The canary's share goes from 5/95 to 20/110, and no more than the difference moves.
    let expected = 20_000.0 * (20.0 / 110.0 - 5.0 / 95.0);
    assert!(
        (f64::from(moved) - expected).abs() < expected * 0.1,
        "{moved} moved, expected {expected}"
    );
}

#[test]
fn identities_count_and_not_their_order() {
    let one = split(&[("a", 1), ("b", 2), ("c", 3)]);
    let names_one = ["a", "b", "c"];
    let other = split(&[("c", 3), ("a", 1), ("b", 2)]);
    let names_other = ["c", "a", "b"];
    for key in 0u32..500 {
        let key = key.to_be_bytes();
        assert_eq!(names_one[one.pick(&key)], names_other[other.pick(&key)]);
    }
}

#[test]
fn unsticky_picks_cover_the_range_in_proportion() {
    let split = split(&[("none", 0), ("a", 1), ("b", 3)]);
    assert_eq!(split.pick_random(0), 1);
    assert_eq!(split.pick_random(u64::MAX / 4), 1);
    assert_eq!(split.pick_random(u64::MAX / 4 + 1), 2);
    assert_eq!(split.pick_random(u64::MAX), 2);
}

proptest! {
    #[test]
    fn a_weight_of_0_is_never_picked(
        weights in prop::collection::vec(prop_oneof![Just(0u32), any::<u32>()], 1..8),
        key: Vec<u8>,
        random: u64,
    ) {
        let names: Vec<String> = (0..weights.len()).map(|at| at.to_string()).collect();
        let made = Split::new(names.iter().map(String::as_str).zip(weights.iter().copied()));
        prop_assert_eq!(made.is_err(), weights.iter().all(|weight| *weight == 0));
        if let Ok(split) = made {
            prop_assert!(weights[split.pick(&key)] > 0);
            prop_assert!(weights[split.pick_random(random)] > 0);
            prop_assert_eq!(split.pick(&key), split.clone().pick(&key));
        }
    }

    /// Whoever a target had, it keeps when its weight grows.
    #[test]
    fn growing_keeps(weights in prop::collection::vec(1u32..1000, 2..6), grown in 0usize..6, by in 1u32..1000, key: Vec<u8>) {
        let grown = grown % weights.len();
        let names: Vec<String> = (0..weights.len()).map(|at| format!("t{at}")).collect();
        let make = |weights: &[u32]| Split::new(names.iter().map(String::as_str).zip(weights.iter().copied())).unwrap();
        let before = make(&weights).pick(&key);
        let mut more = weights.clone();
        more[grown] += by;
        let after = make(&more).pick(&key);
        prop_assert!(after == before || after == grown);
    }
}
