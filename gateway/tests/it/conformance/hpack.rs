//! Field compression (RFC 7541).

use super::expect::COMPRESSION;
use super::expect::Expect::{Alive, Answered};
use super::{Case, ECHO, Site, Start, TEXT};
use crate::support::frames::{DATA, Done, END_STREAM, Frames};
use crate::support::hpack::{Block, Decoder, STATIC, TABLE_BYTES, end_of_string, huffman, integer};

/// The first entry of the dynamic table.
const NEWEST: usize = STATIC.len() + 1;

/// A GET, and behind it what is to be tried.
fn get(host: &str) -> Block {
    Block::request("GET", host, TEXT)
}

/// A POST to ECHO, whose content-type has to come back as this.
fn comes_back(f: &mut Frames, stream: u32, block: &Block, expected: &str) -> Done {
    f.head(stream, 0, block)?;
    f.send(DATA, END_STREAM, stream, b"x")?;
    match f.answered(stream, "200")?.field("content-type") {
        Some(value) if value == expected => Ok(()),
        other => Err(format!("{other:?}, and not {expected}")),
    }
}

fn post(host: &str) -> Block {
    Block::request("POST", host, ECHO)
}

const WRONG: &[Case] = &[
    Case {
        id: "RFC 7541 2.3.3/1",
        what: "an index behind the static table, with nothing in the dynamic one",
        run: |f, host| f.head(1, END_STREAM, &get(host).indexed(NEWEST)),
        expect: COMPRESSION,
    },
    Case {
        id: "RFC 7541 2.3.3/2",
        what: "an index behind the dynamic table",
        run: |f, host| f.head(1, END_STREAM, &get(host).inserted("x-a", "1").indexed(NEWEST + 1)),
        expect: COMPRESSION,
    },
    Case {
        id: "RFC 7541 2.3.3/3",
        what: "the name of an index behind both tables",
        run: |f, host| f.head(1, END_STREAM, &get(host).by_name(NEWEST, "1")),
        expect: COMPRESSION,
    },
    Case {
        id: "RFC 7541 4.2/1",
        what: "a table size behind a field",
        run: |f, host| f.head(1, END_STREAM, &get(host).table_size(0)),
        expect: COMPRESSION,
    },
    Case {
        id: "RFC 7541 4.4/1",
        what: "an entry that was evicted",
        run: |f, host| {
            f.head(1, END_STREAM, &get(host).inserted("x-a", "1"))?;
            f.answered(1, "200")?;
            f.head(3, END_STREAM, &get(host).inserted("x-b", &"b".repeat(TABLE_BYTES - 35)))?;
            f.answered(3, "200")?;
            f.head(5, END_STREAM, &get(host).indexed(NEWEST + 1))
        },
        expect: COMPRESSION,
    },
    Case {
        id: "RFC 7541 4.4/2",
        what: "an entry larger than the table, which empties it",
        run: |f, host| {
            f.head(1, END_STREAM, &get(host).inserted("x-a", "1"))?;
            f.answered(1, "200")?;
            f.head(3, END_STREAM, &get(host).inserted("x-b", &"b".repeat(TABLE_BYTES)))?;
            f.answered(3, "200")?;
            f.head(5, END_STREAM, &get(host).indexed(NEWEST))
        },
        expect: COMPRESSION,
    },
    Case {
        id: "RFC 7541 4.3/1",
        what: "an entry of a table that was made smaller",
        run: |f, host| {
            f.head(1, END_STREAM, &get(host).inserted("x-a", "1"))?;
            f.answered(1, "200")?;
            let block = Block::new()
                .table_size(0)
                .table_size(TABLE_BYTES)
                .raw(get(host).bytes());
            f.head(3, END_STREAM, &block.indexed(NEWEST))
        },
        expect: COMPRESSION,
    },
    Case {
        id: "RFC 7541 5.1/1",
        what: "an integer that does not end",
        run: |f, host| f.head(1, END_STREAM, &get(host).raw([0xff, 0x80, 0x80])),
        expect: COMPRESSION,
    },
    Case {
        id: "RFC 7541 5.1/2",
        what: "an integer beyond every number",
        run: |f, host| {
            let endless = [&[0xff][..], &[0xff; 12], &[0x01]].concat();
            f.head(1, END_STREAM, &get(host).raw(endless))
        },
        expect: COMPRESSION,
    },
    Case {
        id: "RFC 7541 5.2/1",
        what: "a string longer than what is left of the block",
        run: |f, host| f.head(1, END_STREAM, &get(host).raw([0x00, 0x04]).raw("x-a")),
        expect: COMPRESSION,
    },
    Case {
        id: "RFC 7541 5.2/2",
        what: "a name without a value",
        run: |f, host| f.head(1, END_STREAM, &get(host).raw([0x00]).string(b"x-a")),
        expect: COMPRESSION,
    },
    Case {
        id: "RFC 7541 5.2/3",
        what: "padding of more than seven bits",
        run: |f, host| {
            let padded = [&huffman(b"test")[..], &[0xff]].concat();
            f.head(1, END_STREAM, &with_value(host, &padded))
        },
        expect: COMPRESSION,
    },
    Case {
        id: "RFC 7541 5.2/4",
        what: "padding that is not the beginning of EOS",
        run: |f, host| {
            let mut zeros = huffman(b"a");
            // Five bits of `a`, three of padding.
            zeros[0] &= 0xf8;
            f.head(1, END_STREAM, &with_value(host, &zeros))
        },
        expect: COMPRESSION,
    },
    Case {
        id: "RFC 7541 5.2/5",
        what: "EOS in a string",
        run: |f, host| f.head(1, END_STREAM, &with_value(host, &end_of_string())),
        expect: COMPRESSION,
    },
    Case {
        id: "RFC 7541 6.1/1",
        what: "index 0",
        run: |f, host| f.head(1, END_STREAM, &get(host).indexed(0)),
        expect: COMPRESSION,
    },
    Case {
        id: "RFC 7541 6.3/1",
        what: "a table above the size that the gateway allows",
        run: |f, host| {
            f.head(
                1,
                END_STREAM,
                &Block::new().table_size(TABLE_BYTES + 1).raw(get(host).bytes()),
            )
        },
        expect: COMPRESSION,
    },
    Case {
        id: "RFC 7541 6.3/2",
        what: "what is wrong in trailers",
        run: |f, host| {
            f.head(1, 0, &post(host))?;
            f.send(DATA, 0, 1, b"x")?;
            f.head(1, END_STREAM, &Block::new().indexed(NEWEST))
        },
        expect: COMPRESSION,
    },
];

/// A GET with a field whose value is said to be compressed.
fn with_value(host: &str, value: &[u8]) -> Block {
    get(host).raw([0x00]).string(b"x-a").compressed_bytes(value)
}

const RIGHT: &[Case] = &[
    Case {
        id: "RFC 7541 6.1/2",
        what: "fields of the static table",
        run: |f, host| {
            // GET, http and `/`.
            let block = [2, 6, 4].into_iter().fold(Block::new(), Block::indexed);
            f.head(1, END_STREAM, &block.by_name(1, host).indexed(16))?;
            let text = f.answered(1, "200")?.text();
            if text.contains("gzip, deflate") {
                Ok(())
            } else {
                Err(text)
            }
        },
        expect: Alive,
    },
    Case {
        id: "RFC 7541 6.2.1/1",
        what: "literals that are inserted, by a name of their own and by one of either table",
        run: |f, host| {
            comes_back(f, 1, &post(host).inserted("content-type", "a/1"), "a/1")?;
            comes_back(f, 3, &post(host).inserted_by_name(31, "a/2"), "a/2")?;
            comes_back(f, 5, &post(host).inserted_by_name(NEWEST, "a/3"), "a/3")?;
            comes_back(f, 7, &post(host).indexed(NEWEST), "a/3")?;
            comes_back(f, 9, &post(host).indexed(NEWEST + 1), "a/2")?;
            comes_back(f, 11, &post(host).indexed(NEWEST + 2), "a/1")
        },
        expect: Alive,
    },
    Case {
        id: "RFC 7541 6.2.2/1",
        what: "literals that are not inserted",
        run: |f, host| {
            comes_back(f, 1, &post(host).inserted("content-type", "a/1"), "a/1")?;
            comes_back(f, 3, &post(host).field("content-type", "a/2"), "a/2")?;
            comes_back(f, 5, &post(host).by_name(31, "a/3"), "a/3")?;
            comes_back(f, 7, &post(host).by_name(NEWEST, "a/4"), "a/4")?;
            comes_back(f, 9, &post(host).indexed(NEWEST), "a/1")
        },
        expect: Alive,
    },
    Case {
        id: "RFC 7541 6.2.3/1",
        what: "literals that must never be inserted",
        run: |f, host| comes_back(f, 1, &post(host).never_indexed("content-type", "a/1"), "a/1"),
        expect: Alive,
    },
    Case {
        id: "RFC 7541 5.2/6",
        what: "strings that are compressed, of every byte a value may have",
        run: |f, host| {
            let text: String = (b' '..=b'~').map(char::from).collect();
            let text = format!("text{text}text");
            comes_back(f, 1, &post(host).compressed("content-type", &text), &text)
        },
        expect: Alive,
    },
    Case {
        id: "RFC 7541 5.1/3",
        what: "a length that is written longer than it has to be",
        run: |f, host| {
            // 127 and three continuations: 127 + 3, with zeros above.
            let block = get(host).raw([0x00]).string(b"x-a").raw([0x7f, 0x83, 0x80, 0x00]);
            f.head(1, END_STREAM, &block.raw([b'x'; 130]))
        },
        expect: Answered(1),
    },
    Case {
        id: "RFC 7541 4.2/2",
        what: "one and two table sizes at the start of a block",
        run: |f, host| {
            let block = Block::new().table_size(TABLE_BYTES).raw(get(host).bytes());
            f.head(1, END_STREAM, &block)?;
            f.answered(1, "200")?;
            let block = Block::new()
                .table_size(0)
                .table_size(TABLE_BYTES)
                .raw(get(host).bytes());
            f.head(3, END_STREAM, &block)?;
            f.answered(3, "200").map(drop)
        },
        expect: Alive,
    },
    Case {
        id: "RFC 7541 4.4/3",
        what: "an entry as large as the table is in it, and one that is larger is a field all the same",
        run: |f, host| {
            let fits = "a".repeat(TABLE_BYTES - 32 - "content-type".len());
            comes_back(f, 1, &post(host).inserted("content-type", &fits), &fits)?;
            comes_back(f, 3, &post(host).indexed(NEWEST), &fits)?;
            let larger = format!("{fits}a");
            comes_back(f, 5, &post(host).inserted("content-type", &larger), &larger)
        },
        expect: Alive,
    },
    Case {
        id: "RFC 7541 4.3/2",
        what: "a table that was made smaller keeps its newest entries",
        run: |f, host| {
            comes_back(f, 1, &post(host).inserted("content-type", "a/1"), "a/1")?;
            comes_back(f, 3, &post(host).inserted("content-type", "a/2"), "a/2")?;
            let block = Block::new().table_size(60).raw(post(host).bytes());
            comes_back(f, 5, &block.indexed(NEWEST), "a/2")
        },
        expect: Alive,
    },
    Case {
        id: "RFC 7541 2.3.2/1",
        what: "what a malformed request puts into the table is there for the next",
        run: |f, host| {
            f.head(
                1,
                END_STREAM,
                &get(host).field("connection", "close").inserted("content-type", "a/1"),
            )?;
            f.wait(|event| event.stream() == Some(1))?;
            comes_back(f, 3, &post(host).indexed(NEWEST), "a/1")
        },
        expect: Alive,
    },
];

#[test]
fn wrong_compression() {
    Site::clear().hold(Start::Greeted, WRONG);
}

#[test]
fn right_compression() {
    Site::clear().hold(Start::Greeted, RIGHT);
}

/// The conversations are worth as much as the client's own reading. RFC 7541 appendix C: C.1.2, C.4.1 and C.6.
#[test]
fn the_client_reads_the_rfcs_examples() {
    assert_eq!(integer(0, 5, 1337), [31, 154, 10]);
    let host = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
    assert_eq!(huffman(b"www.example.com"), host);

    // A table of 256 bytes, in which the third response evicts fields of the second.
    let mut decoder = Decoder::default();
    decoder.limit(256);
    let hex = |text: &str| -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    };
    let date = |second: &str| ("date".to_owned(), format!("Mon, 21 Oct 2013 20:13:{second} GMT"));
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let first = "3fe101 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 \
                 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3";
    let location = field("location", "https://www.example.com");
    let private = field("cache-control", "private");
    let expected = [field(":status", "302"), private.clone(), date("21"), location.clone()];
    assert_eq!(decoder.decode(&hex(first)), Ok(expected.to_vec()));
    let expected = [field(":status", "307"), private.clone(), date("21"), location.clone()];
    assert_eq!(decoder.decode(&hex("4883 640e ffc1 c0bf")), Ok(expected.to_vec()));
    let third = "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 \
                 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 \
                 3d50 07";
    let cookie = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
    let expected = [
        field(":status", "200"),
        private,
        date("22"),
        location,
        field("content-encoding", "gzip"),
        field("set-cookie", cookie),
    ];
    assert_eq!(decoder.decode(&hex(third)), Ok(expected.to_vec()));

    for wrong in ["80", "ff8080", "ff00", "0003", "4081ff00", "8220"] {
        decoder.decode(&hex(wrong)).unwrap_err();
    }
}
