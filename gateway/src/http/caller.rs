//! What requests that are made on behalf of another one carry of it: its trace, and how often it came by.

use super::cx::RequestId;
use crate::limits;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt::Write;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// RFC 8586: each intermediary adds itself, and none takes another out.
const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");
/// This gateway in [`CDN_LOOP`].
const NAME: &str = "tidegate";

/// The part of a request's head that its outgoing requests pass on.
#[derive(Clone, Debug)]
pub struct Caller {
    trace: Trace,
    state: Option<HeaderValue>,
    /// What `CDN-Loop` said, this gateway added.
    passed: HeaderValue,
}

/// The request came by too often: it goes round between gateways, or this one calls itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loop;

impl Caller {
    /// Reads a request's head.
    ///
    /// # Errors
    /// When it has passed more than [`limits::HOPS_COUNT`] times.
    pub fn of(headers: &HeaderMap, id: RequestId) -> Result<Self, Loop> {
        let trace = headers.get(TRACEPARENT).and_then(Trace::read);
        Ok(Self {
            // A trace that cannot be read is left, and its state with it (W3C Trace Context §3.2.3).
            state: trace.and_then(|_| headers.get(TRACESTATE).cloned()),
            trace: trace.unwrap_or_else(|| Trace::begin(id)),
            passed: passed(headers)?,
        })
    }

    /// Marks an outgoing request. What the guest has set itself stays, but for the loop's mark.
    pub fn mark(&self, headers: &mut HeaderMap) {
        if !headers.contains_key(TRACEPARENT) {
            if let Some(state) = &self.state
                && !headers.contains_key(TRACESTATE)
            {
                headers.insert(TRACESTATE, state.clone());
            }
            headers.insert(TRACEPARENT, self.trace.child());
        }
        headers.insert(CDN_LOOP, self.passed.clone());
    }
}

/// Marks a request that goes on as it came, but for having come by here.
///
/// # Errors
/// When it has come by [`limits::HOPS_COUNT`] times.
pub(crate) fn pass_on(headers: &mut HeaderMap) -> Result<(), Loop> {
    let passed = passed(headers)?;
    headers.insert(CDN_LOOP, passed);
    Ok(())
}

/// `CDN-Loop` with this gateway added to it.
fn passed(headers: &HeaderMap) -> Result<HeaderValue, Loop> {
    let mut before = headers.get_all(CDN_LOOP).iter().peekable();
    if before.peek().is_none() {
        return Ok(HeaderValue::from_static(NAME));
    }
    let (mut text, mut hops) = (String::new(), 0);
    for value in before {
        let value = value.to_str().map_err(|_| Loop)?;
        let is_this = |member: &&str| member.split(';').next().is_some_and(|name| name.trim() == NAME);
        hops += value.split(',').filter(is_this).count();
        text.push_str(value);
        text.push_str(", ");
    }
    if hops >= limits::HOPS_COUNT {
        return Err(Loop);
    }
    text.push_str(NAME);
    HeaderValue::try_from(text).map_err(|_| Loop)
}

/// A trace that a request is part of (W3C Trace Context, level 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Trace {
    id: u128,
    flags: u8,
}

impl Trace {
    /// A new trace, named as its first request; whether it is sampled is for others to say.
    fn begin(id: RequestId) -> Self {
        Self {
            id: id.as_u128(),
            flags: 0,
        }
    }

    /// `00-<32 hex>-<16 hex>-<2 hex>`; of later versions, what is the same.
    fn read(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?;
        let mut parts = text.split('-');
        let version = hex(parts.next()?, 2)?;
        let id = hex(parts.next()?, 32)?;
        let parent = hex(parts.next()?, 16)?;
        let flags = hex(parts.next()?, 2)?;
        let is_whole = version > 0 || parts.next().is_none();
        (is_whole && version != 0xff && id != 0 && parent != 0).then_some(Self {
            id,
            flags: u8::try_from(flags).ok()?,
        })
    }

    /// What a request made within it carries: a span of its own.
    fn child(self) -> HeaderValue {
        let span = rand::random::<u64>().max(1);
        let mut text = String::with_capacity(55);
        // Writing to a String cannot fail, and hexadecimal digits are a field value.
        let _ = write!(text, "00-{:032x}-{span:016x}-{:02x}", self.id, self.flags);
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
    }
}

/// Lower-case hexadecimal of exactly this many digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == digits && text.bytes().all(is_hex)).then(|| u128::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Client, RequestCx};

    fn id() -> RequestId {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        let client = Client {
            address,
            local: address,
            tls: false,
        };
        RequestCx::new(client).id()
    }

    fn marked(fields: &[(&'static str, &str)], own: &[(&'static str, &str)]) -> HeaderMap {
        let map = |fields: &[(&'static str, &str)]| -> HeaderMap {
            let field = |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
            fields.iter().map(field).collect()
        };
        let mut headers = map(own);
        Caller::of(&map(fields), id()).unwrap().mark(&mut headers);
        headers
    }

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_trace_goes_on_with_a_span_of_its_own() {
        let headers = marked(&[("traceparent", PARENT), ("tracestate", "a=1")], &[]);
        let child = headers["traceparent"].to_str().unwrap();
        assert!(child.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{child}");
        assert!(
            child.ends_with("-01") && child.len() == 55 && child != PARENT,
            "{child}"
        );
        assert_eq!(headers["tracestate"], "a=1");
    }

    #[test]
    fn what_is_no_trace_begins_one() {
        for bad in [
            "",
            "00-0-0-0",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            &PARENT.to_uppercase(),
        ] {
            let headers = marked(&[("traceparent", bad), ("tracestate", "a=1")], &[]);
            let own = Trace::read(&headers["traceparent"]).expect("a valid one");
            assert_ne!(own.id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
            assert!(!headers.contains_key("tracestate"), "{bad:?}");
        }
    }

    #[test]
    fn a_guest_that_traces_itself_is_left_to_it() {
        let headers = marked(&[("tracestate", "a=1")], &[("traceparent", PARENT)]);
        assert_eq!(headers["traceparent"], PARENT);
        assert!(!headers.contains_key("tracestate"));
    }

    #[test]
    fn a_request_that_goes_round_is_stopped() {
        let headers = marked(
            &[("cdn-loop", "other; v=1"), ("cdn-loop", "tidegate")],
            &[("cdn-loop", "forged")],
        );
        assert_eq!(headers["cdn-loop"], "other; v=1, tidegate, tidegate");
        let mut often = HeaderMap::new();
        let value = vec![NAME; limits::HOPS_COUNT].join(",");
        often.insert(CDN_LOOP, value.parse().unwrap());
        assert_eq!(Caller::of(&often, id()).unwrap_err(), Loop);
    }
}
