//! Classes of bytes, and how long a run of one class is.

/// `tchar`, RFC 9110 §5.6.2.
pub(super) const TOKEN: u8 = 1;
/// What a target may hold before its query. VCHAR without `#`, and without `<`, `>`, `` ` `` and `?`: RFC 3986 allows
/// none of them raw, and `http::Uri` refuses them, so hyper would answer in the guard's place. `"`, `{`, `}`, `|`,
/// `\`, `^`, `[` and `]` are as little allowed, but browsers and JSON-minded clients send them.
pub(super) const PATH: u8 = 2;
/// What a query may hold: VCHAR without `"`, `#`, `<` and `>`, for the same reasons.
pub(super) const QUERY: u8 = 4;
/// What a registered name or IPv4 address may hold. RFC 3986 also allows sub-delims and percent-encoding; no DNS name
/// has them, and `a,b` would be how an intermediary merges two Host fields.
pub(super) const HOST: u8 = 8;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte: u8 = 0x21;
    while byte <= 0x7e {
        let mut class = 0;
        if byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            )
        {
            class |= TOKEN;
        }
        if !matches!(byte, b'#' | b'<' | b'>' | b'`' | b'?') {
            class |= PATH;
        }
        if !matches!(byte, b'"' | b'#' | b'<' | b'>') {
            class |= QUERY;
        }
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            class |= HOST;
        }
        set(&mut table, byte, class);
        byte += 1;
    }
    table
}

// `get_mut` is not const for arrays, and the index is below 256 by its type; evaluated at compile time, where a fault
// would be a compile error.
#[allow(clippy::indexing_slicing)]
const fn set(table: &mut [u8; 256], byte: u8, class: u8) {
    table[byte as usize] = class;
}

/// Whether `byte` is of one of the classes.
#[inline]
pub(super) fn is(byte: u8, class: u8) -> bool {
    CLASSES
        .get(usize::from(byte))
        .is_some_and(|classes| classes & class != 0)
}

/// How many bytes at the front are of the class.
#[inline]
pub(super) fn run(bytes: &[u8], class: u8) -> usize {
    bytes.iter().position(|&byte| !is(byte, class)).unwrap_or(bytes.len())
}

/// How many bytes at the front may stand in a field value: HTAB, SP, VCHAR and obs-text, RFC 9110 §5.5.
///
/// Values are most of a head, so they are looked at eight bytes at a time.
#[inline]
pub(super) fn value_run(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(&word) = rest.first_chunk::<8>() else {
            return at + rest.iter().position(|&byte| ends_value(byte)).unwrap_or(rest.len());
        };
        let word = u64::from_le_bytes(word);
        // The high bit of each byte that is below 0x20 or is 0x7f. A borrow can only mark bytes behind the first
        // true mark, and only the first is used.
        let below_space = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let delete = word ^ (ONES * 0x7f);
        let marks = below_space | (delete.wrapping_sub(ONES) & !delete & HIGH);
        if marks == 0 {
            at += 8;
            continue;
        }
        at += (marks.trailing_zeros() / 8) as usize;
        if bytes.get(at).is_none_or(|&byte| ends_value(byte)) {
            return at;
        }
        at += 1;
    }
}

fn ends_value(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}

/// How many spaces and tabs stand at the front.
#[inline]
pub(super) fn blank_run(bytes: &[u8]) -> usize {
    bytes.iter().position(|&byte| !is_blank(byte)).unwrap_or(bytes.len())
}

/// SP or HTAB.
#[inline]
pub(super) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}
