//! HPACK (RFC 7541): field blocks that may be wrong on purpose, and a decoder that takes nothing but what is right.

use std::collections::VecDeque;

/// What an entry of a table counts beyond its name and value (§4.1).
const ENTRY_BYTES: usize = 32;
/// The dynamic table's size as long as no SETTINGS say otherwise (RFC 9113 §6.5.2).
pub(crate) const TABLE_BYTES: usize = 4096;

/// A field block, made piece by piece.
#[derive(Clone, Debug, Default)]
pub(crate) struct Block(Vec<u8>);

impl Block {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The pseudo-header fields of a request, each a literal.
    pub(crate) fn request(method: &str, authority: &str, path: &str) -> Self {
        Self::new()
            .field(":method", method)
            .field(":scheme", "http")
            .field(":authority", authority)
            .field(":path", path)
    }

    /// A literal that is not indexed, with a name of its own (§6.2.2).
    pub(crate) fn field(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.literal(&[0x00], name.as_ref(), value.as_ref())
    }

    /// A literal that must never be indexed, with a name of its own (§6.2.3).
    pub(crate) fn never_indexed(self, name: &str, value: &str) -> Self {
        self.literal(&[0x10], name.as_ref(), value.as_ref())
    }

    /// A literal that enters the dynamic table, with a name of its own (§6.2.1).
    pub(crate) fn inserted(self, name: &str, value: &str) -> Self {
        self.literal(&[0x40], name.as_ref(), value.as_ref())
    }

    /// A literal that enters the dynamic table, with the name of another entry (§6.2.1).
    pub(crate) fn inserted_by_name(self, index: usize, value: &str) -> Self {
        self.raw(integer(0x40, 6, index)).string(value.as_ref())
    }

    /// A literal that is not indexed, with the name of an entry (§6.2.2).
    pub(crate) fn by_name(self, index: usize, value: &str) -> Self {
        self.raw(integer(0x00, 4, index)).string(value.as_ref())
    }

    /// An entry of the static table or, above [`STATIC`]'s length, of the dynamic one (§6.1).
    pub(crate) fn indexed(self, index: usize) -> Self {
        self.raw(integer(0x80, 7, index))
    }

    /// A literal that is not indexed, its name and its value compressed (§5.2).
    pub(crate) fn compressed(self, name: &str, value: &str) -> Self {
        self.raw([0x00])
            .compressed_bytes(&huffman(name.as_ref()))
            .compressed_bytes(&huffman(value.as_ref()))
    }

    /// A string of these bytes, said to be compressed (§5.2).
    pub(crate) fn compressed_bytes(self, bytes: &[u8]) -> Self {
        self.raw(integer(0x80, 7, bytes.len())).raw(bytes)
    }

    /// A string as it is (§5.2).
    pub(crate) fn string(self, bytes: &[u8]) -> Self {
        self.raw(integer(0x00, 7, bytes.len())).raw(bytes)
    }

    /// A change of the dynamic table's size (§6.3).
    pub(crate) fn table_size(self, bytes: usize) -> Self {
        self.raw(integer(0x20, 5, bytes))
    }

    pub(crate) fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    fn literal(self, first: &[u8], name: &[u8], value: &[u8]) -> Self {
        self.raw(first).string(name).string(value)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// An integer behind the bits of `first`, in its last `prefix` bits and as many more bytes as it needs (§5.1).
pub(crate) fn integer(first: u8, prefix: u32, value: usize) -> Vec<u8> {
    let most = (1 << prefix) - 1;
    let byte = |value: usize| u8::try_from(value).expect("a byte");
    if value < most {
        return vec![first | byte(value)];
    }
    let mut bytes = vec![first | byte(most)];
    let mut rest = value - most;
    while rest >= 0x80 {
        bytes.push(byte(rest & 0x7f) | 0x80);
        rest >>= 7;
    }
    bytes.push(byte(rest));
    bytes
}

/// `text` in the code of appendix B, filled up to a byte with the first bits of EOS.
pub(crate) fn huffman(text: &[u8]) -> Vec<u8> {
    let codes = codes();
    pack(text.iter().map(|byte| codes[usize::from(*byte)]))
}

/// The whole of EOS, which no string may hold, filled up to a byte.
pub(crate) fn end_of_string() -> Vec<u8> {
    pack([codes()[256]].into_iter())
}

fn pack(codes: impl Iterator<Item = (u32, u32)>) -> Vec<u8> {
    let mut bits: Vec<bool> = codes
        .flat_map(|(code, length)| (0..length).rev().map(move |bit| code >> bit & 1 == 1))
        .collect();
    bits.resize(bits.len().next_multiple_of(8), true);
    let byte = |bits: &[bool]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    bits.chunks(8).map(byte).collect()
}

/// Each symbol's code and its length in bits. The code is canonical: the lengths say all of it.
fn codes() -> Vec<(u32, u32)> {
    let mut order: Vec<usize> = (0..LENGTHS.len()).collect();
    order.sort_by_key(|symbol| LENGTHS[*symbol]);
    let mut codes = vec![(0, 0); LENGTHS.len()];
    let (mut next, mut last) = (0, 0);
    for symbol in order {
        let length = u32::from(LENGTHS[symbol]);
        next <<= length - last;
        codes[symbol] = (next, length);
        (next, last) = (next + 1, length);
    }
    codes
}

/// The gateway's field blocks, read.
#[derive(Debug)]
pub(crate) struct Decoder {
    /// The newest entry first.
    table: VecDeque<(String, String)>,
    /// The size the encoder has chosen.
    table_bytes: usize,
    /// The largest size it may choose.
    limit_bytes: usize,
    /// Whether the limit fell below the chosen size, which the next block has to begin with.
    must_shrink: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            table: VecDeque::new(),
            table_bytes: TABLE_BYTES,
            limit_bytes: TABLE_BYTES,
            must_shrink: false,
        }
    }
}

type Fields = Vec<(String, String)>;

impl Decoder {
    /// SETTINGS_HEADER_TABLE_SIZE, from the moment it was acknowledged (§4.2).
    pub(crate) fn limit(&mut self, bytes: usize) {
        self.limit_bytes = bytes;
        self.must_shrink = self.table_bytes > bytes;
    }

    pub(crate) fn decode(&mut self, block: &[u8]) -> Result<Fields, String> {
        let mut rest = block;
        let mut fields = Fields::new();
        while let Some(first) = rest.first().copied() {
            if first & 0xe0 == 0x20 {
                if !fields.is_empty() {
                    return Err("a table size behind a field".to_owned());
                }
                self.resize(take_integer(&mut rest, 5)?)?;
                continue;
            }
            if self.must_shrink {
                return Err("no table size, and the table is larger than its limit".to_owned());
            }
            fields.push(self.field(first, &mut rest)?);
        }
        Ok(fields)
    }

    fn field(&mut self, first: u8, rest: &mut &[u8]) -> Result<(String, String), String> {
        if first & 0x80 != 0 {
            let index = take_integer(rest, 7)?;
            return self.entry(index);
        }
        let is_inserted = first & 0xc0 == 0x40;
        let name = match take_integer(rest, if is_inserted { 6 } else { 4 })? {
            0 => take_string(rest)?,
            index => self.entry(index)?.0,
        };
        let field = (name, take_string(rest)?);
        if is_inserted {
            self.table.push_front(field.clone());
            self.evict();
        }
        Ok(field)
    }

    fn entry(&self, index: usize) -> Result<(String, String), String> {
        let index = index.checked_sub(1).ok_or("index 0")?;
        if let Some((name, value)) = STATIC.get(index) {
            return Ok(((*name).to_owned(), (*value).to_owned()));
        }
        let entry = self.table.get(index - STATIC.len());
        entry.cloned().ok_or(format!("index {} is in no table", index + 1))
    }

    fn resize(&mut self, bytes: usize) -> Result<(), String> {
        if bytes > self.limit_bytes {
            return Err(format!("a table of {bytes} bytes, above {}", self.limit_bytes));
        }
        self.table_bytes = bytes;
        self.must_shrink = false;
        self.evict();
        Ok(())
    }

    fn evict(&mut self) {
        let size = |table: &VecDeque<(String, String)>| -> usize {
            let entry = |(name, value): &(String, String)| name.len() + value.len() + ENTRY_BYTES;
            table.iter().map(entry).sum()
        };
        while size(&self.table) > self.table_bytes {
            self.table.pop_back();
        }
    }
}

fn take_integer(rest: &mut &[u8], prefix: u32) -> Result<usize, String> {
    let mut next = || {
        let (first, tail) = rest.split_first().ok_or("an integer is cut off")?;
        *rest = tail;
        Ok::<usize, String>(usize::from(*first))
    };
    let most = (1 << prefix) - 1;
    let mut value = next()? & most;
    if value < most {
        return Ok(value);
    }
    for shift in (0..28).step_by(7) {
        let byte = next()?;
        value += (byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("an integer that is too long".to_owned())
}

fn take_string(rest: &mut &[u8]) -> Result<String, String> {
    let is_compressed = rest.first().is_some_and(|first| first & 0x80 != 0);
    let length = take_integer(rest, 7)?;
    let (bytes, tail) = rest.split_at_checked(length).ok_or("a string is cut off")?;
    *rest = tail;
    let bytes = if is_compressed { expand(bytes)? } else { bytes.to_vec() };
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

fn expand(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let codes = codes();
    let mut text = Vec::new();
    let (mut code, mut length) = (0_u32, 0);
    for bit in bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
    {
        (code, length) = (code << 1 | u32::from(bit), length + 1);
        if let Some(symbol) = codes.iter().position(|known| *known == (code, length)) {
            text.push(u8::try_from(symbol).map_err(|_| "EOS in a string")?);
            (code, length) = (0, 0);
        }
    }
    // What is left is padding: less than a byte, and the first bits of EOS, which are ones.
    let is_padding = length < 8 && code == (1 << length) - 1;
    is_padding
        .then_some(text)
        .ok_or("a string is padded wrongly".to_owned())
}

/// Appendix B: how many bits each byte has, and EOS at the end.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// Appendix A, from index 1.
#[rustfmt::skip]
pub(crate) const STATIC: [(&str, &str); 61] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"),
    (":scheme", "http"), (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"),
    (":status", "304"), (":status", "400"), (":status", "404"), (":status", "500"), ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""), ("accept", ""),
    ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""), ("cache-control", ""),
    ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
    ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""), ("date", ""), ("etag", ""),
    ("expect", ""), ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""), ("if-modified-since", ""),
    ("if-none-match", ""), ("if-range", ""), ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""),
    ("location", ""), ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""),
    ("referer", ""), ("refresh", ""), ("retry-after", ""), ("server", ""), ("set-cookie", ""),
    ("strict-transport-security", ""), ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""), ("via", ""),
    ("www-authenticate", ""),
];
