//! An HTTP/2 client of single frames (RFC 9113): it sends whatever it is told to, and reads strictly.

use super::hpack::{Block, Decoder};
use super::raw::{Raw, Stream};
use super::wait::PATIENCE;
use h2::Reason;
use std::collections::VecDeque;
use std::fmt::{self, Display, Formatter};
use std::io::{ErrorKind, Read, Write};

// Frame types, §6.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
/// None of them.
pub(crate) const UNKNOWN: u8 = 0xbe;

// Their flags.
pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const ACK: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;
pub(crate) const PADDED: u8 = 0x8;
pub(crate) const WITH_PRIORITY: u8 = 0x20;

// Settings, §6.5.2, and RFC 8441 §3.
pub(crate) const HEADER_TABLE_SIZE: u16 = 1;
pub(crate) const ENABLE_PUSH: u16 = 2;
pub(crate) const MAX_CONCURRENT_STREAMS: u16 = 3;
pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;
pub(crate) const MAX_FRAME_SIZE: u16 = 5;
pub(crate) const ENABLE_CONNECT_PROTOCOL: u16 = 8;

/// What a connection begins with (§3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The largest payload that either side takes as long as its SETTINGS say nothing else.
pub(crate) const PAYLOAD_BYTES: usize = 1 << 14;
/// A flow-control window as long as no SETTINGS say otherwise (§6.9.2).
pub(crate) const WINDOW_BYTES: usize = (1 << 16) - 1;
/// The largest window there may be (§6.9.1).
pub(crate) const WINDOW_BYTES_MAX: u32 = (1 << 31) - 1;

/// What went wrong, in a sentence.
pub(crate) type Wrong = String;
/// What a step of a conversation came to.
pub(crate) type Done<T = ()> = Result<T, Wrong>;

/// What the gateway sent: a frame, a whole field block, or the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Settings(Vec<(u16, u32)>),
    SettingsAck,
    Head {
        stream: u32,
        fields: Vec<(String, String)>,
        ends: bool,
    },
    Data {
        stream: u32,
        bytes: Vec<u8>,
        ends: bool,
    },
    Reset {
        stream: u32,
        reason: Reason,
    },
    Pong(Vec<u8>),
    GoAway {
        last: u32,
        reason: Reason,
    },
    Window {
        stream: u32,
        bytes: u32,
    },
    /// The end of the connection, by FIN or RST.
    Closed,
}

impl Event {
    /// Its stream; `None` for what concerns the connection.
    pub(crate) fn stream(&self) -> Option<u32> {
        match self {
            Self::Head { stream, .. }
            | Self::Data { stream, .. }
            | Self::Reset { stream, .. }
            | Self::Window { stream, .. } => Some(*stream).filter(|stream| *stream != 0),
            _ => None,
        }
    }

    /// Whether its stream ends with it, as a whole message.
    pub(crate) fn ends(&self) -> bool {
        matches!(self, Self::Head { ends: true, .. } | Self::Data { ends: true, .. })
    }
}

impl Display for Event {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        let end = if self.ends() { " END_STREAM" } else { "" };
        match self {
            Self::Settings(_) => write!(to, "SETTINGS"),
            Self::SettingsAck => write!(to, "SETTINGS ACK"),
            Self::Head { stream, fields, .. } => {
                let (name, value) = fields.first().cloned().unwrap_or_default();
                write!(to, "HEADERS({stream}) {name} {value}{end}")
            }
            Self::Data { stream, bytes, .. } => write!(to, "DATA({stream}) {} bytes{end}", bytes.len()),
            Self::Reset { stream, reason } => write!(to, "RST_STREAM({stream}) {reason:?}"),
            Self::Pong(_) => write!(to, "PING ACK"),
            Self::GoAway { last, reason } => write!(to, "GOAWAY {reason:?}, last {last}"),
            Self::Window { stream, bytes } => write!(to, "WINDOW_UPDATE({stream}) {bytes}"),
            Self::Closed => write!(to, "the end"),
        }
    }
}

/// A response that came to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Interim heads are left out.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        value(&self.fields, name)
    }

    pub(crate) fn trailer(&self, name: &str) -> Option<&str> {
        value(&self.trailers, name)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A field's value; of several the first.
pub(crate) fn value<'f>(fields: &'f [(String, String)], name: &str) -> Option<&'f str> {
    let field = fields.iter().find(|(known, _)| known == name);
    field.map(|(_, value)| value.as_str())
}

/// A frame's bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a payload is small").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// The payload of SETTINGS.
pub(crate) fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let pair = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
    values.iter().flat_map(pair).collect()
}

/// `bytes` between a pad length and so many bytes of padding (§6.1).
pub(crate) fn padded(bytes: &[u8], padding: u8) -> Vec<u8> {
    [&[padding], bytes, &vec![0; usize::from(padding)]].concat()
}

/// The fields that WITH_PRIORITY announces, and the payload of PRIORITY (§6.3).
pub(crate) fn priority(dependency: u32, weight: u8) -> Vec<u8> {
    [&dependency.to_be_bytes()[..], &[weight]].concat()
}

/// A frame's type, flags, stream and payload.
type Parts = (u8, u8, u32, Vec<u8>);

/// One connection.
pub(crate) struct Frames {
    stream: Box<dyn Stream>,
    /// Read, and not yet part of a frame.
    held: Vec<u8>,
    decoder: Decoder,
    /// SETTINGS_HEADER_TABLE_SIZE of the SETTINGS that are not acknowledged yet.
    table_sizes: VecDeque<Option<usize>>,
    /// The gateway's first SETTINGS.
    pub(crate) settings: Vec<(u16, u32)>,
    /// All that came, for whoever asks what happened.
    pub(crate) seen: Vec<Event>,
}

impl Frames {
    /// A connection on which nothing was said yet.
    pub(crate) fn over(raw: Raw) -> Self {
        let patience = Some(PATIENCE);
        raw.tcp().set_write_timeout(patience).expect("a TCP option");
        Self {
            stream: raw.into_stream(),
            held: Vec::new(),
            decoder: Decoder::default(),
            table_sizes: VecDeque::new(),
            settings: Vec::new(),
            seen: Vec::new(),
        }
    }

    /// Exchanges the prefaces, with these settings of the client's (§3.4).
    pub(crate) fn greet(&mut self, values: &[(u16, u32)]) -> Done {
        self.write(PREFACE)?;
        self.set(values)?;
        let first = self.next()?;
        let Event::Settings(settings) = first else {
            return Err(format!("the gateway's preface is {first}"));
        };
        self.settings = settings;
        self.send(SETTINGS, ACK, 0, b"")?;
        self.wait(|event| *event == Event::SettingsAck).map(drop)
    }

    /// A setting of the gateway's, where it sent one.
    pub(crate) fn setting(&self, id: u16) -> Option<u32> {
        let of_id = |(known, _): &&(u16, u32)| *known == id;
        self.settings.iter().rfind(of_id).map(|(_, value)| *value)
    }

    /// Writes bytes. That the gateway has closed is no failure here: what counts is what can be read. An `Ok` all the
    /// same, so that a conversation is written as a row of `?`.
    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) -> Done {
        let _ = self.stream.write_all(bytes.as_ref()).and_then(|()| self.stream.flush());
        Ok(())
    }

    pub(crate) fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Done {
        self.write(frame(kind, flags, stream, payload))
    }

    pub(crate) fn set(&mut self, values: &[(u16, u32)]) -> Done {
        let size = values.iter().rfind(|(id, _)| *id == HEADER_TABLE_SIZE);
        let size = size.map(|(_, size)| usize::try_from(*size).expect("a size is no larger than memory"));
        self.table_sizes.push_back(size);
        self.send(SETTINGS, 0, 0, &settings(values))
    }

    /// A whole head, with the stream's end or without it.
    pub(crate) fn head(&mut self, stream: u32, flags: u8, block: &Block) -> Done {
        self.send(HEADERS, flags | END_HEADERS, stream, block.bytes())
    }

    /// A whole GET.
    pub(crate) fn get(&mut self, stream: u32, authority: &str, path: &str) -> Done {
        self.head(stream, END_STREAM, &Block::request("GET", authority, path))
    }

    /// The head of a POST, its body still to come.
    pub(crate) fn post(&mut self, stream: u32, authority: &str, path: &str) -> Done {
        self.head(stream, 0, &Block::request("POST", authority, path))
    }

    /// The head of a GET whose block is complete, and yet does not say so.
    pub(crate) fn open_block(&mut self, stream: u32, authority: &str, path: &str) -> Done {
        let block = Block::request("GET", authority, path);
        self.send(HEADERS, END_STREAM, stream, block.bytes())
    }

    pub(crate) fn window(&mut self, stream: u32, bytes: u32) -> Done {
        self.send(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
    }

    pub(crate) fn reset(&mut self, stream: u32, reason: Reason) -> Done {
        self.send(RST_STREAM, 0, stream, &u32::from(reason).to_be_bytes())
    }

    /// Sends a PING, and waits for its answer: all that was sent before has been taken in.
    pub(crate) fn round_trip(&mut self) -> Done {
        let payload = *b"tidegate";
        self.send(PING, 0, 0, &payload)?;
        self.wait(|event| *event == Event::Pong(payload.to_vec())).map(drop)
    }

    /// The next event that `is_it`. An end of the connection before it, or a frame that announces one, is wrong.
    pub(crate) fn wait(&mut self, is_it: impl Fn(&Event) -> bool) -> Done<Event> {
        loop {
            let event = self.next()?;
            if is_it(&event) {
                return Ok(event);
            }
            if matches!(event, Event::GoAway { .. } | Event::Closed) {
                return Err(format!("{event}, and more was to come"));
            }
        }
    }

    /// The next event of this stream. A reset is wrong.
    pub(crate) fn of_stream(&mut self, number: u32) -> Done<Event> {
        let event = self.wait(|event| event.stream() == Some(number) && !matches!(event, Event::Window { .. }))?;
        match event {
            Event::Reset { .. } => Err(format!("{event}, and more was to come")),
            event => Ok(event),
        }
    }

    /// The next data of this stream, and whether they are its end.
    pub(crate) fn data_of(&mut self, number: u32) -> Done<(Vec<u8>, bool)> {
        match self.of_stream(number)? {
            Event::Data { bytes, ends, .. } => Ok((bytes, ends)),
            event => Err(format!("{event}, and not DATA")),
        }
    }

    /// The head of this stream's response; interim ones are passed over.
    pub(crate) fn head_of(&mut self, number: u32) -> Done<Vec<(String, String)>> {
        loop {
            match self.of_stream(number)? {
                Event::Head { fields, ends, .. } => {
                    let status = value(&fields, ":status").unwrap_or_default().to_owned();
                    if !status.starts_with('1') {
                        return Ok(fields);
                    }
                    if ends {
                        return Err(format!("the stream ends with an interim {status}"));
                    }
                }
                event => return Err(format!("{event}, and not a head")),
            }
        }
    }

    /// This stream's response to its end, where its head was not read yet.
    pub(crate) fn answer(&mut self, number: u32) -> Done<Answer> {
        let fields = self.head_of(number)?;
        let mut answer = Answer {
            fields,
            ..Answer::default()
        };
        // `head_of` gives no word of the end: it is the last event then.
        while !self.seen.last().is_some_and(Event::ends) {
            match self.of_stream(number)? {
                Event::Data { bytes, .. } => answer.body.extend_from_slice(&bytes),
                Event::Head { fields, ends: true, .. } => answer.trailers = fields,
                event => return Err(format!("{event} within a body")),
            }
        }
        Ok(answer)
    }

    /// This stream's response to its end, which must have this status.
    pub(crate) fn answered(&mut self, number: u32, status: &str) -> Done<Answer> {
        let answer = self.answer(number)?;
        match answer.field(":status") {
            Some(known) if known == status => Ok(answer),
            other => Err(format!("status {other:?} on stream {number}, and not {status}")),
        }
    }

    /// The next event.
    pub(crate) fn next(&mut self) -> Done<Event> {
        let event = self.read_event()?;
        self.seen.push(event.clone());
        Ok(event)
    }

    fn read_event(&mut self) -> Done<Event> {
        let Some((kind, flags, stream, payload)) = self.read_frame()? else {
            return Ok(Event::Closed);
        };
        let number = |bytes: Option<&[u8]>| -> Done<u32> {
            let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
            let bytes = bytes.ok_or_else(|| format!("a payload of {} bytes in type {kind}", payload.len()))?;
            Ok(u32::from_be_bytes(bytes))
        };
        let is_ack = flags == ACK;
        let event = match kind {
            DATA if flags & !END_STREAM == 0 && stream != 0 => Event::Data {
                stream,
                bytes: payload,
                ends: flags & END_STREAM != 0,
            },
            HEADERS if flags & !(END_STREAM | END_HEADERS) == 0 && stream != 0 => Event::Head {
                stream,
                fields: self.read_block(flags, stream, payload)?,
                ends: flags & END_STREAM != 0,
            },
            RST_STREAM if stream != 0 => Event::Reset {
                stream,
                reason: number(Some(&payload))?.into(),
            },
            SETTINGS if is_ack && stream == 0 && payload.is_empty() => {
                if let Some(size) = self.table_sizes.pop_front().ok_or("SETTINGS ACK for nothing")? {
                    self.decoder.limit(size);
                }
                Event::SettingsAck
            }
            SETTINGS if flags == 0 && stream == 0 && payload.len() % 6 == 0 => {
                let pair = |pair: &[u8]| Ok((u16::from_be_bytes([pair[0], pair[1]]), number(pair.get(2..))?));
                Event::Settings(payload.chunks(6).map(pair).collect::<Done<_>>()?)
            }
            PING if is_ack && stream == 0 && payload.len() == 8 => Event::Pong(payload),
            GOAWAY if stream == 0 => Event::GoAway {
                last: number(payload.get(..4))?,
                reason: number(payload.get(4..8))?.into(),
            },
            WINDOW_UPDATE => Event::Window {
                stream,
                bytes: number(Some(&payload))?,
            },
            // A server may send others, and this one has no reason to.
            _ => {
                let length = payload.len();
                return Err(format!(
                    "a frame of type {kind}, flags {flags:#x}, {length} bytes on stream {stream}"
                ));
            }
        };
        Ok(event)
    }

    /// The rest of a field block, decoded.
    fn read_block(&mut self, mut flags: u8, stream: u32, mut block: Vec<u8>) -> Done<Vec<(String, String)>> {
        while flags & END_HEADERS == 0 {
            match self.read_frame()? {
                Some((CONTINUATION, more, of, payload)) if of == stream => {
                    flags = more;
                    block.extend(payload);
                }
                _ => return Err("a field block that is not continued".to_owned()),
            }
        }
        self.decoder.decode(&block)
    }

    /// The next frame; `None` at the end of the connection.
    fn read_frame(&mut self) -> Done<Option<Parts>> {
        let Some(head) = self.take(9)? else {
            return Ok(None);
        };
        let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
        let length = number(&head[..3]) as usize;
        if length > PAYLOAD_BYTES {
            return Err(format!("a payload of {length} bytes"));
        }
        let payload = self.take(length)?;
        Ok(payload.map(|payload| (head[3], head[4], number(&head[5..]), payload)))
    }

    /// Exactly `count` bytes; `None` where the connection ends before.
    fn take(&mut self, count: usize) -> Done<Option<Vec<u8>>> {
        while self.held.len() < count {
            if !self.more()? {
                return Ok(None);
            }
        }
        let rest = self.held.split_off(count);
        Ok(Some(std::mem::replace(&mut self.held, rest)))
    }

    /// Everything to the end of the connection, whatever it is.
    pub(crate) fn rest(&mut self) -> Done<Vec<u8>> {
        while self.more()? {}
        Ok(std::mem::take(&mut self.held))
    }

    /// Reads whatever it is up to `end`; false where the connection ends without it.
    pub(crate) fn rest_until(&mut self, end: &[u8]) -> Done<bool> {
        loop {
            if memchr::memmem::find(&self.held, end).is_some() {
                return Ok(true);
            }
            if !self.more()? {
                return Ok(false);
            }
        }
    }

    /// More bytes into `held`; false at the end of the connection, a reset included.
    fn more(&mut self) -> Done<bool> {
        let mut bytes = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return Ok(false),
                Ok(read) => {
                    self.held.extend_from_slice(&bytes[..read]);
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err(format!("nothing more for {PATIENCE:?}"));
                }
                // ECONNRESET, or TLS that ended without its close_notify.
                Err(_) => return Ok(false),
            }
        }
    }
}
