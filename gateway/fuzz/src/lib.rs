//! What the fuzz targets of the guards assert. Run one with `cargo +nightly fuzz run guard` in `gateway/`.

// The gateway's own files; what a target does not use of them is used there.
#[allow(dead_code)]
#[path = "../../src/limits.rs"]
mod limits;
#[allow(dead_code, unused_imports)]
#[path = "../../src/http"]
mod http {
    pub(crate) mod guard;
}
#[path = "../../src/http/guard/tests"]
mod tests {
    pub(crate) mod oracle;
    pub(crate) mod response {
        pub(crate) mod oracle;
    }
}

use http::guard::HeadLimits;
use http::guard::response::{Asked, ResponseLimits};
use tests::oracle::{self, outcome, whole};
use tests::response::oracle as answers;

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

/// The same bounds for responses.
const SMALL_RESPONSES: ResponseLimits = ResponseLimits {
    head_bytes: 128,
    header_count: 4,
    interim_count: 2,
    chunk_line_bytes: 16,
    trailer_bytes: 48,
};

/// The guard of responses judges an answer alike however it is cut into reads, and httparse and hyper's client find the
/// same response in what passed.
pub fn answered_alike(data: &[u8]) {
    let [kind, stride, bytes @ ..] = data else {
        return;
    };
    let asked = Asked {
        is_head: kind % 3 == 1,
        may_upgrade: kind % 3 == 2,
    };
    for limits in [ResponseLimits::default(), SMALL_RESPONSES] {
        let expected = answers::outcome(limits, asked, bytes, []);
        assert_eq!(answers::outcome(limits, asked, bytes, 0..bytes.len()), expected);
        let ends = (0..bytes.len()).step_by(usize::from(*stride) + 1);
        assert_eq!(answers::outcome(limits, asked, bytes, ends), expected);
        answers::agreed(asked, &bytes[..expected.passed]);
    }
}
