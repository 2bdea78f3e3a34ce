//! What the fuzz targets of the door assert. Run one with `cargo +nightly fuzz run guard` in `gateway/`.

// The gateway's own files; what a target does not use of them is used there.
#[allow(dead_code)]
#[path = "../../src/limits.rs"]
mod limits;
#[allow(dead_code, unused_imports)]
#[path = "../../src/door"]
mod door {
    pub(crate) mod guard;
}
#[path = "../../src/door/guard/tests"]
mod tests {
    pub(crate) mod oracle;
}

use door::guard::HeadLimits;
use tests::oracle::{self, outcome, whole};

/// Bounds that a fuzzer's short inputs can reach.
const SMALL: HeadLimits = HeadLimits {
    head_bytes: 128,
    header_count: 4,
    uri_bytes: 24,
    chunk_line_bytes: 16,
    trailer_bytes: 48,
};

/// The guard judges a stream alike however it is cut into reads, and httparse finds the same requests in what passed.
pub fn judged_alike(data: &[u8]) {
    let Some((&stride, bytes)) = data.split_first() else {
        return;
    };
    for limits in [HeadLimits::default(), SMALL] {
        let expected = outcome(limits, bytes, []);
        assert_eq!(outcome(limits, bytes, 0..bytes.len()), expected);
        assert_eq!(
            outcome(limits, bytes, (0..bytes.len()).step_by(usize::from(stride) + 1)),
            expected
        );
        oracle::agrees_with_httparse(&bytes[..expected.passed], expected.heads);
    }
}

/// hyper serves the requests that passed, as httparse reads them, and refuses none.
pub fn served_alike(bytes: &[u8]) {
    let expected = whole(bytes);
    oracle::agrees_with_hyper(&bytes[..expected.passed], expected.heads);
}
