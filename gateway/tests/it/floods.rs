//! Clients that mean harm to everyone else: more connections than descriptors, and the floods HTTP/2 is known for.
//!
//! The frames are made by hand, because no client library sends them.

use crate::support::gateway::Builder;
use crate::support::{Gateway, Raw, turn, wait};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::fs;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tidegate::limits;

// RFC 9113 §6: frame types.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
/// Their flags. ACK has the same bit, on SETTINGS and PING.
const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
/// RFC 9113 §7.
const CANCEL: [u8; 4] = 8_u32.to_be_bytes();
const PROTOCOL_ERROR: u32 = 1;
const ENHANCE_YOUR_CALM: u32 = 11;
/// The largest payload every HTTP/2 server takes.
const PAYLOAD_BYTES: usize = 16 * 1024;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a payload is small").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A GET to the host `NAME.test` in HPACK: three fields of the static table, and a literal `:authority`.
fn block(component: &str) -> Vec<u8> {
    let host = format!("{component}.test");
    let length = u8::try_from(host.len()).expect("a host is short");
    let mut bytes = vec![0x82, 0x86, 0x84, 0x01, length];
    bytes.extend_from_slice(host.as_bytes());
    bytes
}

fn get(component: &str, stream: u32) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(component))
}

fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &CANCEL)
}

/// The numbers a client gives its streams.
fn streams() -> impl Iterator<Item = u32> {
    (1..).step_by(2)
}

/// A frame of the gateway's.
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    /// The reason of a GOAWAY.
    fn reason(&self) -> u32 {
        assert_eq!(self.kind, GOAWAY);
        u32::from_be_bytes(self.payload[4..8].try_into().expect("four bytes"))
    }
}

/// An HTTP/2 connection without opinions.
struct Framed(Raw);

impl Framed {
    #[track_caller]
    fn connect(gateway: &Gateway) -> Self {
        let mut raw = gateway.connect();
        raw.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        raw.write(frame(SETTINGS, 0, 0, &[]));
        Self(raw)
    }

    fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write(bytes);
    }

    /// The next frame; `None` at the end of the connection.
    #[track_caller]
    fn next(&mut self) -> Option<Frame> {
        let head = self.0.take(9);
        if head.len() < 9 {
            return None;
        }
        let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
        let length = number(&head[..3]) as usize;
        let payload = self.0.take(length);
        (payload.len() == length).then_some(Frame {
            kind: head[3],
            flags: head[4],
            stream: number(&head[5..]),
            payload,
        })
    }

    /// The next frame that `is_it`; `None` where the connection ends first.
    #[track_caller]
    fn wait(&mut self, is_it: impl Fn(&Frame) -> bool) -> Option<Frame> {
        loop {
            let frame = self.next()?;
            if is_it(&frame) {
                return Some(frame);
            }
        }
    }

    /// Waits until the gateway has taken in all that was written; false where it closed instead.
    #[track_caller]
    fn round_trip(&mut self) -> bool {
        self.write(frame(PING, 0, 0, &[0; 8]));
        self.wait(|frame| frame.kind == PING && frame.flags & ACK != 0)
            .is_some()
    }

    /// Asserts that the connection ends, and that the gateway said why.
    #[track_caller]
    fn is_calmed(&mut self) {
        let goaway = self
            .wait(|frame| frame.kind == GOAWAY)
            .expect("the gateway says goodbye");
        assert_eq!(goaway.reason(), ENHANCE_YOUR_CALM, "{:?}", goaway.payload);
        self.is_ended();
    }

    #[track_caller]
    fn is_ended(&mut self) {
        assert!(self.wait(|_| false).is_none());
    }
}

/// `hello`, and a guest that nothing but its client's end stops; no time of the gateway's ends a connection.
fn builder() -> Builder {
    Gateway::with()
        .listener_limits("{ header_timeout = '10m', idle_timeout = '10m' }")
        .component("hello")
        .component_with("sleep-forever", |component| {
            component
                .limit("cpu", "0s")
                .limit("deadline", "10m")
                .limit("queue_time", "10m")
        })
}

/// Runs `flood` while another client asks for `hello`, and gets it every time.
#[track_caller]
fn beside_hello(gateway: &Gateway, flood: impl FnOnce() + Send) {
    let is_over = AtomicBool::new(false);
    let mut raw = gateway.connect();
    let mut ask = || {
        raw.write("GET / HTTP/1.1\r\nhost: hello.test\r\n\r\n");
        raw.response().is(200);
    };
    ask();
    let mut answered = 0;
    thread::scope(|scope| {
        let flood = scope.spawn(|| {
            // Set on a panic too, or the other side would ask for ever.
            let _over = Over(&is_over);
            flood();
        });
        while !is_over.load(Ordering::Acquire) {
            ask();
            answered += 1;
        }
        flood.join().expect("the flood went as expected");
    });
    // A flood that ends at once may leave no time for any of them.
    ask();
    println!("hello was answered {answered} times meanwhile");
    gateway.get("hello", "/").is(200);
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// No guest and no request of the flood is left.
#[track_caller]
fn leaves_nothing(gateway: &Gateway) {
    gateway.wait_metric("tidegate_component_instances", &[], 0.0);
    gateway.wait_metric("tidegate_component_queue_length", &[], 0.0);
    gateway.wait_metric("tidegate_requests_in_flight", &[], 0.0);
    gateway.wait_metric("tidegate_connections_open", &[], 0.0);
}

fn descriptors(gateway: &Gateway) -> usize {
    let folder = format!("/proc/{}/fd", gateway.pid());
    fs::read_dir(folder).expect("the process is there").count()
}

/// The most memory the process has held so far.
fn peak_kib(gateway: &Gateway) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.pid())).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let value = line.and_then(|line| line.trim().strip_suffix(" kB"));
    value.expect("a peak").parse().expect("a peak is a number")
}

#[test]
fn more_connections_than_descriptors_are_survived() {
    let _alone = turn::alone();
    let gateway = builder().start();
    gateway.get("hello", "/").is(200);
    let errors = |gateway: &Gateway| gateway.metric("tidegate_accept_errors_total", &[("listener", "public")]);
    assert_eq!(errors(&gateway), 0.0);
    gateway.wait_metric("tidegate_connections_open", &[], 0.0);
    let mut before = gateway.connect();
    let mut ask = || {
        before.write("GET / HTTP/1.1\r\nhost: hello.test\r\n\r\n");
        before.response().is(200);
    };
    ask();

    // The limit is on the number a descriptor may get; each new one gets the lowest that is free.
    let held = descriptors(&gateway);
    let limit = held + 8;
    let rlimit = Rlimit {
        current: Some(limit as u64),
        maximum: Some(limit as u64),
    };
    let pid = Pid::from_raw(i32::try_from(gateway.pid()).expect("a pid fits"));
    prlimit(pid, Resource::Nofile, rlimit).expect("the limit of one's own child can be lowered");
    // The kernel takes them all, and holds those that the gateway cannot accept.
    let clients: Vec<Raw> = (0..limit + 32).map(|_| gateway.connect()).collect();
    // Not asked of the admin API: it has no descriptor to answer with.
    gateway.wait_log("a failed accept", |line| line.to_string().contains("accept failed"));
    ask();
    drop(clients);

    gateway.get("hello", "/").is(200);
    ask();
    let errors = errors(&gateway);
    assert!(errors >= 1.0, "{errors} failed accepts");
    println!("{errors} failed accepts with {held} descriptors of {limit} held");
    drop(before);
    gateway.wait_metric("tidegate_connections_open", &[], 0.0);
    wait::until_true("the descriptors to be given back", || descriptors(&gateway) <= held);
}

/// CVE-2023-44487: streams that are reset before anybody looked at them cost their client nothing.
#[test]
fn a_rapid_reset_ends_its_connection() {
    let _alone = turn::alone();
    const FLOODS: usize = 8;
    const STREAMS: usize = 4_000;
    let gateway = builder().start();
    let flood = streams()
        .take(STREAMS)
        .flat_map(|stream| [get("sleep-forever", stream), reset(stream)])
        .flatten()
        .collect::<Vec<u8>>();
    beside_hello(&gateway, || {
        for _ in 0..FLOODS {
            let mut framed = Framed::connect(&gateway);
            framed.write(&flood);
            framed.is_calmed();
        }
    });
    leaves_nothing(&gateway);
    let calls = gateway.metric("tidegate_component_calls_total", &[("component", "sleep-forever")]);
    println!("{calls} calls of {} streams", FLOODS * STREAMS);
    assert!(calls < (FLOODS * STREAMS / 10) as f64, "{calls} calls");
}

/// Under the bound of the rapid reset: the streams have become calls by the time they are reset, and each is stopped.
#[test]
fn resets_of_streams_at_work_stop_their_guests() {
    let _alone = turn::alone();
    const BATCHES: usize = 64;
    const BATCH: usize = limits::H2_PENDING_RESETS_COUNT / 2;
    let gateway = builder().start();
    beside_hello(&gateway, || {
        let mut framed = Framed::connect(&gateway);
        let mut numbers = streams();
        for _ in 0..BATCHES {
            let batch: Vec<u32> = numbers.by_ref().take(BATCH).collect();
            framed.write(
                batch
                    .iter()
                    .flat_map(|stream| get("sleep-forever", *stream))
                    .collect::<Vec<u8>>(),
            );
            assert!(framed.round_trip(), "a client may cancel what it asked for");
            framed.write(batch.iter().flat_map(|stream| reset(*stream)).collect::<Vec<u8>>());
            assert!(framed.round_trip(), "a client may cancel what it asked for");
        }
        let last = numbers.next().expect("numbers do not end");
        framed.write(get("hello", last));
        let head = framed.wait(|frame| frame.kind == HEADERS && frame.stream == last);
        // 0x88 is `:status: 200` of the static table (RFC 7541, appendix A).
        assert_eq!(head.map(|frame| frame.payload[0]), Some(0x88));
    });
    leaves_nothing(&gateway);
    let labels = [("component", "sleep-forever"), ("cause", "client_gone")];
    let stopped = gateway.metric("tidegate_component_cancels_total", &labels);
    println!("{stopped} guests stopped of {}", BATCHES * BATCH);
    // A reset that comes before its guest has begun leaves none to stop; nearly all come later.
    assert!(stopped > (BATCHES * BATCH / 2) as f64, "{stopped} guests stopped");
}

/// A literal field that is never indexed and fills a frame: a name of one letter, and a value.
fn large_field() -> Vec<u8> {
    let mut field = vec![0x10, 1, b'x', 0x7f];
    // RFC 7541 §5.1: what is above 127, in sevens of bits.
    let length = PAYLOAD_BYTES - 6 - 127;
    let seven = |shift: usize| u8::try_from(length >> shift & 0x7f).expect("seven bits");
    field.extend_from_slice(&[seven(0) | 0x80, seven(7)]);
    field.resize(PAYLOAD_BYTES, b'a');
    field
}

/// CVE-2024-27316 and its kin: a head that never ends.
#[test]
fn endless_continuations_end_their_connection() {
    let _alone = turn::alone();
    let gateway = builder().start();
    gateway.get("hello", "/").is(200);
    let field = large_field();
    let payloads: [(&str, &[u8]); 4] = [
        ("empty", &[]),
        // `accept-encoding: gzip, deflate` of the static table: one byte on the wire, 60 in a list of fields.
        ("indexed fields", &[0x90; PAYLOAD_BYTES]),
        ("a large field each", &field),
        ("one field in pieces", &[b'a'; PAYLOAD_BYTES]),
    ];
    let start = |payload: &str| {
        let mut block = block("hello");
        if payload == "one field in pieces" {
            // Its value is of 2^21 bytes and some, more than any head may have; the frames that follow are its pieces.
            block.extend_from_slice(&[0x10, 1, b'x', 0x7f, 0x80, 0x80, 0x80, 0x01]);
        }
        frame(HEADERS, END_STREAM, 1, &block)
    };
    for (name, payload) in payloads {
        let more = frame(CONTINUATION, 0, 1, payload);
        // Nothing follows these, and no timeout is near: it is their number or size that ends the connection.
        let mut framed = Framed::connect(&gateway);
        framed.write(start(name));
        framed.write(more.repeat(16));
        println!("{name}");
        framed.is_calmed();
    }

    let before = peak_kib(&gateway);
    let endless = 64 * 1024 * 1024;
    beside_hello(&gateway, || {
        for (name, payload) in payloads.iter().cycle().take(32) {
            // Not a system call for nine bytes.
            let more = frame(CONTINUATION, 0, 1, payload);
            let more = more.repeat(1 + PAYLOAD_BYTES / more.len());
            let mut framed = Framed::connect(&gateway);
            framed.write(start(name));
            let patience = Some(wait::PATIENCE);
            framed.0.tcp().set_write_timeout(patience).expect("a TCP option");
            let refusal = (0..endless / more.len()).find_map(|_| framed.0.try_write(&more).err());
            let refusal = refusal.unwrap_or_else(|| panic!("{name}: {endless} bytes were taken"));
            let is_closed = matches!(refusal.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset);
            assert!(is_closed, "{name}: neither read nor closed: {refusal}");
        }
    });
    let grown = peak_kib(&gateway).saturating_sub(before);
    println!("the peak of its memory rose by {grown} KiB, from {before}");
    assert!(grown < 8 * 1024, "{grown} KiB more");
    let labels = [("component", "hello")];
    let calls = gateway.metric("tidegate_component_calls_total", &labels);
    leaves_nothing(&gateway);
    assert_eq!(gateway.metric("tidegate_component_calls_total", &labels), calls);
}

/// CVE-2025-8671: the client makes the gateway reset its streams, which no bound on the client's resets counts.
#[test]
fn provoked_resets_end_their_connection() {
    let _alone = turn::alone();
    type Provoke = fn(u32) -> Vec<u8>;
    let kinds: [(&str, Provoke); 4] = [
        ("a window of nothing more", |stream| {
            frame(WINDOW_UPDATE, 0, stream, &[0; 4])
        }),
        ("a window too large", |stream| {
            frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes())
        }),
        ("a stream that depends on itself", |stream| {
            let mut payload = stream.to_be_bytes().to_vec();
            payload.push(15);
            frame(PRIORITY, 0, stream, &payload)
        }),
        ("data behind the end", |stream| frame(DATA, 0, stream, b"more")),
    ];
    let gateway = builder().start();
    let mut most = 0;
    beside_hello(&gateway, || {
        for (name, provoke) in kinds {
            let mut framed = Framed::connect(&gateway);
            let mut resets = 0;
            let goodbye = streams().take(4 * limits::H2_LOCAL_RESETS_COUNT).find_map(|stream| {
                framed.write(get("sleep-forever", stream));
                assert!(framed.round_trip(), "{name}: a GET is no offence");
                framed.write(provoke(stream));
                let frame =
                    framed.wait(|frame| frame.kind == GOAWAY || (frame.kind, frame.stream) == (RST_STREAM, stream));
                let frame = frame.expect("the gateway says goodbye");
                resets += usize::from(frame.kind == RST_STREAM);
                (frame.kind == GOAWAY).then_some(frame)
            });
            let reason = goodbye
                .unwrap_or_else(|| panic!("{name}: {resets} resets, and no end"))
                .reason();
            println!("{name}: GOAWAY {reason} after {resets} resets");
            framed.is_ended();
            // Some of it is an error of the whole connection, which ends it at the first offence.
            let expected = if resets == 0 { PROTOCOL_ERROR } else { ENHANCE_YOUR_CALM };
            assert_eq!(reason, expected, "{name}: after {resets} resets");
            assert!(resets <= limits::H2_LOCAL_RESETS_COUNT, "{name}: {resets} resets");
            most = most.max(resets);
        }
    });
    assert!(
        most > 0,
        "every kind is an error of the connection: none shows the bound on resets"
    );
    leaves_nothing(&gateway);
}

#[test]
fn a_client_that_closed_its_side_gets_a_quick_answer() {
    let gateway = builder().start();
    gateway.get("hello", "/").is(200);
    // An answer that takes longer than a look of the watch is not sent any more: on a busy machine that may be hello's.
    let answer = wait::until("an answer to a client that closed its side", || {
        let mut raw = gateway.connect();
        raw.write("GET / HTTP/1.1\r\nhost: hello.test\r\n\r\n");
        raw.finish_writing();
        raw.try_response()
    });
    assert!(answer.is(200).text().starts_with("Hello"), "{answer:?}");
    leaves_nothing(&gateway);
}

#[test]
fn a_client_that_closed_its_side_is_not_waited_for_long() {
    let gateway = builder().start();
    let mut raw = gateway.connect();
    raw.write("GET / HTTP/1.1\r\nhost: sleep-forever.test\r\n\r\n");
    raw.finish_writing();
    raw.is_closed();
    gateway.wait_metric(
        "tidegate_component_cancels_total",
        &[("component", "sleep-forever"), ("cause", "client_gone")],
        1.0,
    );
    leaves_nothing(&gateway);
    gateway.get("hello", "/").is(200);
}
