use super::compare::cases;
use super::config::Config;
use super::peers::Peer;
use super::warm_start::{leb128, with_custom_section};
use super::*;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

fn setup() -> Setup {
    Setup {
        tidegate: "/bin/true".into(),
        wasmtime: Some("/opt/wasmtime".into()),
        guests: "/no/guests".into(),
        rounds: 10,
        measure: Duration::from_secs(1),
        warm_up: Duration::from_secs(1),
        connections: 8,
        server_cpu: 0,
        loader_cpu: 1,
        stream_bytes: 1 << 30,
        components: 200,
    }
}

/// A folder with an empty file for each guest the comparisons name.
fn guests() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in ["hello", "hello-min", "hello-p3"] {
        std::fs::write(dir.path().join(format!("{name}.wasm")), b"").unwrap();
    }
    dir
}

#[test]
fn the_config_follows_the_contract() {
    let address: SocketAddr = "127.0.0.1:20001".parse().unwrap();
    let config = Config::new(address, Path::new("/d/data"))
        .pool_reset(Some("scan"))
        .serve("guest", Path::new("/g/a \"b\".wasm"), "/");
    let read: toml::Value = toml::from_str(&config.allow_body(1 << 30).to_toml().unwrap()).unwrap();
    let expected: toml::Value = toml::from_str(
        r#"
        [gateway]
        data_dir = "/d/data"
        workers = 1
        pool_reset = "scan"
        [admin]
        address = "127.0.0.1:0"
        [[listener]]
        name = "public"
        address = "127.0.0.1:20001"
        [component.guest]
        source = "/g/a \"b\".wasm"
        limits = { cpu = "300s" }
        [[route]]
        name = "to-guest"
        path = "/"
        component = "guest"
        limits = { body = "1024MiB" }
        "#,
    )
    .unwrap();
    assert_eq!(read, expected);
}

#[test]
fn what_is_not_asked_for_is_left_to_the_defaults() {
    let address: SocketAddr = "127.0.0.1:20001".parse().unwrap();
    let text = Config::new(address, Path::new("/d"))
        .serve("guest", Path::new("/g"), "/")
        .to_toml()
        .unwrap();
    assert!(!text.contains("pool_reset") && !text.contains("limits"), "{text}");
}

#[test]
fn fresh_is_compared_with_fresh() {
    for scenario in [Scenario::FreshDefault, Scenario::FreshScan, Scenario::HelloP3] {
        for case in cases(scenario) {
            let Some(Peer::Wasmtime { args, .. }) = case.peers.get(case.baseline) else {
                panic!("{}: the baseline is not wasmtime", case.scenario);
            };
            assert!(
                args.windows(2).any(|pair| pair == ["--max-instance-reuse-count", "1"]),
                "{args:?}"
            );
            // The native peer answers what a guest answered before it in the same round.
            assert!(case.peers.first() != Some(&Peer::Native));
        }
    }
    assert!(cases(Scenario::Memory).is_empty() && cases(Scenario::WarmStart).is_empty());
}

#[test]
fn peers_are_started_on_the_servers_core_with_their_own_arguments() {
    let (dir, guests) = (tempfile::tempdir().unwrap(), guests());
    let setup = Setup {
        guests: guests.path().to_owned(),
        ..setup()
    };
    let address: SocketAddr = "127.0.0.1:20002".parse().unwrap();
    for case in cases(Scenario::FreshScan) {
        for peer in &case.peers {
            let spec = peer
                .spec(&setup, case.guest, address, dir.path(), Some(b"Hello"))
                .unwrap();
            assert_eq!((spec.cpu, spec.address), (Some(0), address));
            let args: Vec<&str> = spec.args.iter().map(|arg| arg.to_str().unwrap()).collect();
            match peer {
                Peer::Tidegate { .. } => {
                    let config = std::fs::read_to_string(args[1]).unwrap();
                    assert_eq!(args[0], "run");
                    assert!(
                        config.contains("pool_reset = \"scan\"") && config.contains(case.guest),
                        "{config}"
                    );
                }
                Peer::Wasmtime { .. } => {
                    assert_eq!(args[..3], ["serve", "--addr", "127.0.0.1:20002"]);
                    assert!(
                        args.last().unwrap().ends_with(&format!("{}.wasm", case.guest)),
                        "{args:?}"
                    );
                    assert!(
                        args.iter().any(|arg| arg.contains("pooling-pagemap-scan=y")),
                        "{args:?}"
                    );
                }
                Peer::Native => assert_eq!(args, ["native", "--address", "127.0.0.1:20002", "--body", "Hello"]),
            }
        }
    }
}

#[test]
fn what_is_missing_names_its_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let address: SocketAddr = "127.0.0.1:20003".parse().unwrap();
    let tidegate = Peer::Tidegate { pool_reset: None };
    let error = tidegate
        .spec(&setup(), "hello", address, dir.path(), None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("cargo xtask guests"), "{error}");

    let guests = guests();
    let setup = Setup {
        guests: guests.path().to_owned(),
        tidegate: "/no/tidegate".into(),
        ..setup()
    };
    let error = tidegate
        .spec(&setup, "hello", address, dir.path(), None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("--profile dist"), "{error}");
}

#[test]
fn a_verdict_is_reached_up_to_its_figure() {
    assert!(Verdict::at_most("x", 0.75, 0.75, None).reached);
    assert!(!Verdict::at_most("x", 0.751, 0.75, Some(0.5)).reached);
    assert!(!Verdict::at_most("x", f64::NAN, 0.75, None).reached);
}

#[test]
fn a_variant_is_the_same_component_with_one_more_section() {
    assert_eq!(leb128(0), [0]);
    assert_eq!(leb128(127), [127]);
    assert_eq!(leb128(128), [0x80, 1]);
    assert_eq!(leb128(624_485), [0xe5, 0x8e, 0x26]);
    let header = b"\0asm\x0d\0\x01\0";
    let variant = with_custom_section(header, "v", b"42");
    assert_eq!(variant, [&header[..], &[0, 4, 1, b'v', b'4', b'2']].concat());
    assert_ne!(variant, with_custom_section(header, "v", b"43"));
    // A size of two bytes.
    let long = with_custom_section(header, "v", &[7; 200]);
    assert_eq!(long[8..12], [0, 0xca, 1, 1]);
    assert_eq!(long.len(), 8 + 1 + 2 + 202);
}

/// Answers one request with its own body as it comes, changed by `change` once `after` bytes have gone by.
fn echo_server(after: usize, change: fn(&mut Vec<u8>)) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut held, mut piece) = (Vec::new(), [0; 1000]);
        let end = loop {
            let count = stream.read(&mut piece).unwrap();
            held.extend_from_slice(&piece[..count]);
            if let Some(at) = held.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
        };
        held.drain(..end);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            .unwrap();
        let (mut echoed, mut changed) = (0, false);
        loop {
            echoed += held.len();
            if echoed > after && !changed {
                changed = true;
                change(&mut held);
            }
            let mut chunk = format!("{:x}\r\n", held.len()).into_bytes();
            chunk.append(&mut held);
            chunk.extend_from_slice(b"\r\n");
            if chunk.len() > 5 && stream.write_all(&chunk).is_err() {
                return;
            }
            if echoed >= STREAM {
                break;
            }
            match stream.read(&mut piece) {
                Ok(0) | Err(_) => return,
                Ok(count) => held.extend_from_slice(&piece[..count]),
            }
        }
        let _ = stream.write_all(b"0\r\n\r\n");
    });
    address
}

const STREAM: usize = 3_000_000;

#[test]
fn a_whole_echo_is_accepted() {
    let address = echo_server(STREAM, |_| ());
    memory::echo("echo", address, STREAM as u64).unwrap();
}

#[test]
fn a_changed_lost_or_doubled_piece_is_seen() {
    let changes: [fn(&mut Vec<u8>); 3] = [
        |held| held.iter_mut().for_each(|byte| *byte ^= 1),
        |held| held.truncate(held.len() - 1),
        |held| held.extend_from_within(..1),
    ];
    for change in changes {
        let error = memory::echo("echo", echo_server(1_000_000, change), STREAM as u64).unwrap_err();
        assert!(matches!(error, Error::Premise { .. }), "{error}");
    }
}

#[test]
fn a_refusal_is_reported_as_its_status() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .write_all(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
        // Kept open: the client has to leave by itself.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let error = memory::echo("echo", address, 1000).unwrap_err().to_string();
    assert!(error.contains("status 413"), "{error}");
}
