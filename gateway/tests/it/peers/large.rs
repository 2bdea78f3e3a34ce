//! Bodies that are larger than any memory they may take: one GiB each way, with equal checksums.

use super::native::{Content, Native, hex};
use super::one;
use super::programs::{curl, output};
use crate::support::origin::{Origin, chunk};
use crate::support::{Gateway, turn};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{Read, Write};
use std::process::Stdio;
use std::thread;
use std::time::Instant;

const MIB: u64 = 1024 * 1024;
const BYTES: u64 = 1024 * MIB;
/// Seconds that curl may take for it; ten do where nothing else runs.
const PATIENCE: &str = "300";
/// What the gateway's memory may grow by: some windows and buffers, and no part of a body.
const GROWTH_BYTES: u64 = 32 * MIB;

/// Memory of the gateway's process in bytes: `VmRSS` for now, `VmHWM` for the most since [`forget_peak`].
fn memory(gateway: &Gateway, what: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.pid())).expect("the process is there");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
    let kib = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .expect("Linux tells it");
    kib.parse::<u64>().expect("a number") * 1024
}

/// Lets Linux count the most memory from now on (proc_pid_clear_refs(5)).
fn forget_peak(gateway: &Gateway) {
    fs::write(format!("/proc/{}/clear_refs", gateway.pid()), "5").expect("the process is ours");
}

struct Carrier {
    gateway: Gateway,
    server: Native,
}

impl Carrier {
    #[track_caller]
    fn start() -> Self {
        let alone = turn::alone();
        let server = Native::start("large");
        let mut gateway = Gateway::with()
            .upstream("large", &one(server.address, ""))
            .route("{ upstream = 'large', limits = { body = '2GiB' } }")
            .start();
        gateway.keep(Some(alone));
        Self { gateway, server }
    }

    fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.gateway.address())
    }

    /// Carries once what is little, then lets `carry` take its time, and looks what memory that took.
    #[track_caller]
    fn in_flat_memory(&self, what: &str, carry: impl Fn(u64)) {
        carry(4 * MIB);
        forget_peak(&self.gateway);
        let before = memory(&self.gateway, "VmRSS");
        let began = Instant::now();
        carry(BYTES);
        let seconds = began.elapsed().as_secs_f64();
        let grown = memory(&self.gateway, "VmHWM").saturating_sub(before);
        println!(
            "{what}: {} MiB in {seconds:.1} s, {} KiB more memory",
            BYTES / MIB,
            grown / 1024
        );
        assert!(grown < GROWTH_BYTES, "{what}: {grown} bytes more");
        assert!(self.server.accepted() > 0);
    }

    #[track_caller]
    fn down(&self, switch: &str, bytes: u64) {
        let mut command = curl([switch, "--max-time", PATIENCE, &self.url(&format!("/down/{bytes}"))]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("curl can be started");
        let mut from = child.stdout.take().expect("it is piped");
        let (mut digest, mut piece, mut count) = (Sha256::new(), vec![0; 256 * 1024], 0);
        loop {
            let read = from.read(&mut piece).expect("a pipe can be read");
            if read == 0 {
                break;
            }
            digest.update(&piece[..read]);
            count += read as u64;
        }
        assert!(child.wait().expect("curl ends").success());
        assert_eq!((count, hex(digest)), (bytes, Content::checksum(bytes)));
    }

    #[track_caller]
    fn up(&self, switch: &str, bytes: u64) {
        let mut command = curl([switch, "--max-time", PATIENCE, "--upload-file", "-", &self.url("/up")]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("curl can be started");
        let mut to = child.stdin.take().expect("it is piped");
        let writing = thread::spawn(move || {
            for block in Content::new(bytes) {
                to.write_all(&block)?;
            }
            std::io::Result::Ok(())
        });
        let said = child.wait_with_output().expect("curl ends");
        assert!(said.status.success(), "{said:?}");
        writing.join().expect("the writer ends").expect("curl takes all of it");
        let said = String::from_utf8(said.stdout).expect("it is text");
        assert_eq!(said, format!("{bytes} {}", Content::checksum(bytes)));
    }
}

#[test]
fn a_gib_goes_down() {
    let carrier = Carrier::start();
    for switch in ["--http1.1", "--http2-prior-knowledge"] {
        carrier.in_flat_memory(&format!("down {switch}"), |bytes| carrier.down(switch, bytes));
    }
}

#[test]
fn a_gib_goes_up() {
    let carrier = Carrier::start();
    for switch in ["--http1.1", "--http2-prior-knowledge"] {
        carrier.in_flat_memory(&format!("up {switch}"), |bytes| carrier.up(switch, bytes));
    }
}

/// A server that answers at once and reads nothing: the client, who sends all it has before it listens, hears the answer.
#[test]
fn an_early_answer_reaches_who_still_sends() {
    let origin = Origin::start(|visit| {
        visit.head();
        visit.raw.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly");
        visit.until_closed();
    });
    let gateway = Gateway::with()
        .upstream("early", &one(origin.address, ""))
        .route("{ upstream = 'early', limits = { body = '1GiB' } }")
        .start();
    let blocks = || Content::new(30 * MIB);
    for is_chunked in [false, true] {
        let mut raw = gateway.connect();
        let framing = if is_chunked {
            "transfer-encoding: chunked".to_owned()
        } else {
            format!("content-length: {}", 30 * MIB)
        };
        raw.write(format!("POST / HTTP/1.1\r\nhost: any.test\r\n{framing}\r\n\r\n"));
        for block in blocks() {
            let bytes = if is_chunked { chunk(&block) } else { block.to_vec() };
            raw.try_write(bytes).expect("it is taken");
        }
        if is_chunked {
            raw.try_write("0\r\n\r\n").expect("it is taken");
        }
        let answer = raw.response();
        assert_eq!((answer.status, answer.text().as_str()), (200, "early"));
        raw.is_closed();
    }
}

/// A client that stops reading stops the server: nothing piles up between them.
#[test]
fn a_client_that_does_not_read_stops_the_server() {
    let carrier = Carrier::start();
    output(&mut curl([
        carrier.url("/down/1000000"),
        "--output".into(),
        "/dev/null".into(),
    ]));
    for switch in ["--http1.1", "--http2-prior-knowledge"] {
        forget_peak(&carrier.gateway);
        let before = memory(&carrier.gateway, "VmRSS");
        let mut command = curl([switch, "--limit-rate", "4M", "--max-time", "3"]);
        let slow = command
            .args([&carrier.url(&format!("/down/{BYTES}")), "--output", "/dev/null"])
            .output();
        // 28: its own time was up.
        assert_eq!(slow.expect("curl can be started").status.code(), Some(28), "{switch}");
        let grown = memory(&carrier.gateway, "VmHWM").saturating_sub(before);
        assert!(grown < GROWTH_BYTES, "{switch}: {grown} bytes more");
    }
}
