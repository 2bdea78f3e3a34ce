//! A body on its way: how many of the bytes that come belong to it, and where it ends. RFC 9112 §6.3 and §7.

use super::Step;
use super::chunk;
use super::fault::Fault;
use super::fields::Fields;
use super::framing::Framing;

/// The bounds of chunked framing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// A chunk-size line with its extensions and its CRLF.
    pub(super) chunk_line_bytes: usize,
    /// A trailer section with its closing empty line, and apart from it the extensions of all chunks of one body.
    pub(super) trailer_bytes: usize,
    /// Fields of one trailer section.
    pub(super) trailer_count: usize,
}

/// The rest of one body.
#[derive(Debug)]
pub(super) struct Body {
    part: Part,
    /// Bytes of chunk extensions so far.
    extension_bytes: usize,
}

/// What the next byte belongs to.
#[derive(Debug)]
enum Part {
    Fixed {
        left: u64,
    },
    ChunkLine,
    ChunkData {
        left: u64,
    },
    ChunkEnd,
    Trailers {
        fields: Fields,
        at: usize,
    },
    UntilClose,
    /// Nothing: a chunked body ended.
    Behind,
}

impl Body {
    pub(super) fn new(framing: Framing) -> Self {
        let part = match framing {
            Framing::Length(left) => Part::Fixed { left },
            Framing::Chunked => Part::ChunkLine,
            Framing::UntilClose => Part::UntilClose,
        };
        Self {
            part,
            extension_bytes: 0,
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        matches!(self.part, Part::Fixed { left: 0 } | Part::Behind)
    }

    /// Whether only the connection's end can end it.
    pub(super) fn is_until_close(&self) -> bool {
        matches!(self.part, Part::UntilClose)
    }

    /// What Content-Length still promises, where it does.
    pub(super) fn left(&self) -> Option<u64> {
        match self.part {
            Part::Fixed { left } => Some(left),
            _ => None,
        }
    }

    /// One step over the front of `rest`, which is not empty.
    pub(super) fn step(&mut self, rest: &[u8], bounds: &Bounds) -> Result<Step, Fault> {
        match &mut self.part {
            Part::Fixed { left } => Ok(Step::Pass(take(left, rest))),
            Part::ChunkData { left } => {
                let bytes = take(left, rest);
                if *left == 0 {
                    self.part = Part::ChunkEnd;
                }
                Ok(Step::Pass(bytes))
            }
            Part::UntilClose => Ok(Step::Pass(rest.len())),
            Part::ChunkLine | Part::ChunkEnd | Part::Trailers { .. } => self.framing(rest, bounds),
            Part::Behind => Ok(Step::Partial),
        }
    }

    /// The framing of a chunked body, all but its data.
    fn framing(&mut self, rest: &[u8], bounds: &Bounds) -> Result<Step, Fault> {
        let (bytes, next) = match &mut self.part {
            Part::ChunkLine => {
                let Some(line) = chunk::line(rest, bounds.chunk_line_bytes)? else {
                    return Ok(Step::Partial);
                };
                self.extension_bytes += line.extension_bytes;
                if self.extension_bytes > bounds.trailer_bytes {
                    return Err(Fault::ChunkExtensionBytes);
                }
                let next = match line.size {
                    0 => Part::Trailers {
                        fields: Fields::default(),
                        at: 0,
                    },
                    left => Part::ChunkData { left },
                };
                (line.bytes, next)
            }
            Part::ChunkEnd => match rest {
                [b'\r', b'\n', ..] => (2, Part::ChunkLine),
                [b'\r'] => return Ok(Step::Partial),
                _ => return Err(Fault::ChunkEnd),
            },
            Part::Trailers { fields, at } => {
                if !fields.trailers(rest, at, bounds)? {
                    return Ok(Step::Partial);
                }
                (*at, Part::Behind)
            }
            _ => return Ok(Step::Partial),
        };
        self.part = next;
        Ok(Step::Pass(bytes))
    }
}

/// How many of `rest` belong to a run with `left` bytes to come, which are counted off.
fn take(left: &mut u64, rest: &[u8]) -> usize {
    // Where the run is longer than memory can hold, the rest is what there is.
    let bytes = usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
    *left -= bytes as u64;
    bytes
}
