//! A server of HTTP/2 that says what it is told to, frame by frame.

use crate::support::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS, frame,
    settings, value,
};
use crate::support::hpack::{Block, Decoder};
use crate::support::origin::Visit;
use h2::Reason;

/// A server's side of one connection.
pub(super) struct Peer<'v> {
    pub(super) visit: &'v mut Visit,
    decoder: Decoder,
}

/// A request's head.
pub(super) struct Head {
    pub(super) stream: u32,
    pub(super) method: String,
    pub(super) target: String,
}

impl<'v> Peer<'v> {
    /// Takes the client's preface, and says its own.
    pub(super) fn greet(visit: &'v mut Visit, values: &[(u16, u32)]) -> Option<Self> {
        (visit.raw.take(PREFACE.len()) == PREFACE).then_some(())?;
        visit.raw.write(frame(SETTINGS, 0, 0, &settings(values)));
        let decoder = Decoder::default();
        Some(Self { visit, decoder })
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.visit.raw.write(frame(kind, flags, stream, payload));
    }

    pub(super) fn head(&mut self, stream: u32, flags: u8, block: &Block) {
        self.send(HEADERS, flags | END_HEADERS, stream, block.bytes());
    }

    pub(super) fn data(&mut self, stream: u32, flags: u8, text: &str) {
        self.send(DATA, flags, stream, text.as_bytes());
    }

    pub(super) fn reset(&mut self, stream: u32, reason: Reason) {
        self.send(RST_STREAM, 0, stream, &u32::from(reason).to_be_bytes());
    }

    /// Nothing beyond the stream `last` is or will be looked at.
    pub(super) fn go_away(&mut self, last: u32) {
        self.send(GOAWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat());
    }

    pub(super) fn answer(&mut self, stream: u32, text: &str) {
        self.head(stream, 0, &ok());
        self.data(stream, END_STREAM, text);
    }

    /// The next frame that needs no answer by itself; `None` at the end.
    fn frame(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        loop {
            let head = self.visit.raw.take(9);
            let &[a, b, c, kind, flags, s0, s1, s2, s3] = head.as_slice() else {
                return None;
            };
            let bytes = u32::from_be_bytes([0, a, b, c]) as usize;
            let payload = self.visit.raw.take(bytes);
            match kind {
                SETTINGS if flags == 0 => self.send(SETTINGS, ACK, 0, b""),
                PING if flags == 0 => self.send(PING, ACK, 0, &payload),
                _ => return Some((kind, flags, u32::from_be_bytes([s0, s1, s2, s3]), payload)),
            }
        }
    }

    /// The next request's head; what else comes is passed over.
    pub(super) fn request(&mut self) -> Option<Head> {
        loop {
            let (kind, flags, stream, mut block) = self.frame()?;
            if kind != HEADERS {
                continue;
            }
            let mut is_over = flags & END_HEADERS != 0;
            while !is_over {
                let (kind, flags, _, more) = self.frame()?;
                assert_eq!(kind, CONTINUATION);
                block.extend(more);
                is_over = flags & END_HEADERS != 0;
            }
            let fields = self.decoder.decode(&block).expect("hyper's HPACK is right");
            return Some(Head {
                stream,
                method: value(&fields, ":method").unwrap_or_default().to_owned(),
                target: value(&fields, ":path").unwrap_or_default().to_owned(),
            });
        }
    }
}

/// A head that is good.
pub(super) fn ok() -> Block {
    Block::new().field(":status", "200")
}
