use super::compare::{Case, cases, flattering, judge};
use super::config::{Config, Isolation};
use super::peers::{Duty, Peer};
use super::warm_start::{leb128, with_custom_section};
use super::*;
use crate::rounds::{Row, Sample, rows};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

pub(super) fn setup() -> Setup {
    Setup {
        tidegate: "/bin/true".into(),
        wasmtime: Some("/opt/wasmtime".into()),
        nginx: None,
        guests: "/no/guests".into(),
        rounds: 10,
        measure: Duration::from_secs(1),
        warm_up: Duration::from_secs(1),
        connections: 8,
        server_cpu: 0,
        loader_cpu: 1,
        stream_bytes: 1 << 30,
        components: 200,
        idle_connections: 5000,
    }
}

/// A folder with an empty file for each guest the comparisons name.
fn guests() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in ["hello", "hello-min", "hello-p3", "outbound-proxy"] {
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
fn isolation_grants_and_connections_follow_the_contract() {
    let address: SocketAddr = "127.0.0.1:20001".parse().unwrap();
    let component = |isolation| -> toml::Value {
        let config = Config::new(address, Path::new("/d")).serve("guest", Path::new("/g"), "/");
        let config = config
            .isolation(isolation)
            .grant_http("127.0.0.1:3000".parse().unwrap());
        let read: toml::Value = toml::from_str(&config.to_toml().unwrap()).unwrap();
        read["component"]["guest"].clone()
    };
    let expected = |text: &str| -> toml::Value {
        let grants = r#"grants = { http = ["http://127.0.0.1:3000"] }"#;
        toml::from_str(&format!("source = \"/g\"\n{grants}\n{text}")).unwrap()
    };
    assert_eq!(component(Isolation::Fresh), expected(""));
    assert_eq!(
        component(Isolation::Reuse { requests: 128 }),
        expected("isolation = \"reuse\"\nreuse = { requests = 128 }")
    );
    let concurrent = Isolation::Concurrent {
        requests: 128,
        at_once: 16,
    };
    assert_eq!(
        component(concurrent),
        expected("isolation = \"concurrent\"\nreuse = { requests = 128, concurrent = 16 }")
    );
}

/// The value behind a flag of `wasmtime serve`.
fn flag<'a>(peer: Option<&Peer>, flag: &str) -> Option<&'a str> {
    let Some(Peer::Wasmtime { args, .. }) = peer else {
        panic!("{peer:?} is not wasmtime");
    };
    let pair = args.windows(2).find(|pair| pair[0] == flag)?;
    Some(pair[1])
}

#[test]
fn like_is_compared_with_like() {
    const REQUESTS: &str = "--max-instance-reuse-count";
    for scenario in Scenario::all() {
        for case in cases(*scenario) {
            // The native peer answers what a guest answered before it in the same round.
            assert!(case.peers.first() != Some(&Peer::Native));
            let Some(&Peer::Tidegate { isolation, .. }) = case.peers.first() else {
                panic!("{}: tidegate is not the first peer", case.scenario);
            };
            let requests = match isolation {
                Isolation::Fresh => "1",
                Isolation::Reuse { requests: 128 } if case.calls_out => "1",
                Isolation::Reuse { requests: 128 } | Isolation::Concurrent { requests: 128, .. } => "128",
                other => panic!("{}: {other:?}", case.scenario),
            };
            let baseline = case.peers.get(case.baseline);
            assert_eq!(flag(baseline, REQUESTS), Some(requests), "{}", case.scenario);
            if let Isolation::Concurrent { at_once, .. } = isolation {
                let most = flag(baseline, "--max-instance-concurrent-reuse-count");
                assert_eq!(most, Some(at_once.to_string().as_str()));
            }
        }
    }
    for scenario in [Scenario::Memory, Scenario::WarmStart, Scenario::IdleConnections] {
        assert!(cases(scenario).is_empty() && !scenario.needs_wasmtime());
    }
    assert!(Scenario::Outgoing.needs_wasmtime());
    // Whatever a goal is measured over, its ratios can be read from the table.
    for case in Scenario::all().iter().copied().flat_map(cases) {
        for goal in &case.goals {
            let shown = goal.over == case.baseline || case.beside.contains(&(goal.over, goal.figure));
            assert!(shown && goal.over < case.peers.len(), "{}: {goal:?}", case.scenario);
        }
    }
    // The second figure of `reuse` is against an instance per request.
    for case in cases(Scenario::Reuse) {
        assert_eq!(flag(case.peers.get(case.goals[1].over), REQUESTS), Some("1"));
    }
}

#[test]
fn peers_are_started_on_the_servers_core_with_their_own_arguments() {
    let (dir, guests) = (tempfile::tempdir().unwrap(), guests());
    let setup = Setup {
        guests: guests.path().to_owned(),
        ..setup()
    };
    let address: SocketAddr = "127.0.0.1:20002".parse().unwrap();
    let args = |peer: &Peer, case: &Case| -> Vec<String> {
        let duty = Duty {
            guest: case.guest,
            address,
            dir: dir.path(),
            body: Some(b"Hello"),
            upstream: case.calls_out.then(|| "127.0.0.1:3000".parse().unwrap()),
        };
        let spec = peer.spec(&setup, duty).unwrap();
        assert_eq!((spec.cpu, spec.address), (Some(0), address));
        spec.args.iter().map(|arg| arg.to_str().unwrap().to_owned()).collect()
    };
    let all = [
        Scenario::FreshScan,
        Scenario::Reuse,
        Scenario::Concurrent,
        Scenario::Outgoing,
    ];
    for case in all.into_iter().flat_map(cases) {
        for peer in &case.peers {
            let args = args(peer, &case);
            match peer {
                Peer::Tidegate { .. } => {
                    let config = std::fs::read_to_string(&args[1]).unwrap();
                    assert_eq!(args[0], "run");
                    let scan = case.scenario == "fresh-scan";
                    assert_eq!(config.contains("pool_reset = \"scan\""), scan, "{config}");
                    assert_eq!(config.contains("requests = 128"), !scan, "{config}");
                    assert_eq!(config.contains("http://127.0.0.1:3000"), case.calls_out, "{config}");
                    assert!(config.contains(&format!("{}.wasm", case.guest)), "{config}");
                }
                Peer::Wasmtime { .. } => {
                    assert_eq!(args[..3], ["serve", "--addr", "127.0.0.1:20002"]);
                    let last = args.last().unwrap();
                    assert!(last.ends_with(&format!("{}.wasm", case.guest)), "{args:?}");
                    let scan = args.iter().any(|arg| arg.contains("pooling-pagemap-scan=y"));
                    assert_eq!(scan, case.scenario == "fresh-scan", "{args:?}");
                }
                Peer::Native => assert_eq!(args, ["native", "--address", "127.0.0.1:20002", "--body", "Hello"]),
            }
        }
    }
}

#[test]
fn what_is_missing_names_its_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let duty = Duty {
        guest: "hello",
        address: "127.0.0.1:20003".parse().unwrap(),
        dir: dir.path(),
        body: None,
        upstream: None,
    };
    let tidegate = Peer::Tidegate {
        name: "tidegate",
        pool_reset: None,
        isolation: Isolation::Fresh,
    };
    let error = tidegate.spec(&setup(), duty).unwrap_err().to_string();
    assert!(error.contains("cargo xtask guests"), "{error}");

    let guests = guests();
    let setup = Setup {
        guests: guests.path().to_owned(),
        tidegate: "/no/tidegate".into(),
        ..setup()
    };
    let error = tidegate.spec(&setup, duty).unwrap_err().to_string();
    assert!(error.contains("--profile dist"), "{error}");
}

#[test]
fn a_verdict_is_reached_up_to_its_figure() {
    let most = |measured| Verdict::new("x", measured, Bound::AtMost(0.75), Some(0.5)).reached;
    assert!(most(0.75) && most(0.1) && !most(0.751) && !most(f64::NAN));
    let least = |measured| Verdict::new("x", measured, Bound::AtLeast(5.0), None).reached;
    assert!(least(5.0) && least(9.0) && !least(4.999) && !least(f64::NAN));
}

/// Two rounds of each peer, all alike: CPU per request and requests per second.
fn rows_of(figures: &[(f64, f64)], baseline: usize) -> Vec<Row> {
    let sample = |&(cpu_us_per_request, requests_per_second): &(f64, f64)| Sample {
        cpu_us_per_request,
        requests_per_second,
        latency_p50_us: 1.0,
        latency_p99_us: 1.0,
        latency_max_us: 1.0,
        server_busy: 1.0,
        loader_busy: 0.5,
    };
    let names: Vec<String> = (0..figures.len()).map(|peer| format!("peer {peer}")).collect();
    let samples: Vec<_> = figures.iter().map(|figure| vec![sample(figure); 2]).collect();
    rows(&names, &samples, baseline).unwrap()
}

#[test]
fn a_second_baseline_has_its_own_goal_and_its_own_column() {
    let case = cases(Scenario::Reuse).remove(0);
    let rows = rows_of(&[(30.0, 1.0), (40.0, 1.0), (100.0, 1.0), (8.0, 1.0)], case.baseline);
    let (others, verdicts) = judge(&case, &rows).unwrap();
    let seen: Vec<_> = verdicts
        .iter()
        .map(|verdict| (verdict.measured, verdict.reached))
        .collect();
    assert_eq!(seen, [(0.75, true), (0.3, true)]);
    assert_eq!(
        (verdicts[0].reach, verdicts[1].reach),
        (Bound::AtMost(0.92), Bound::AtMost(0.33))
    );
    // The baseline has its column already.
    assert_eq!(others.len(), 1);
    assert_eq!(others[0].peer, "peer 2");
    let medians: Vec<f64> = others[0].ratios.iter().map(|ratio| ratio.median).collect();
    assert_eq!(medians, [0.3, 0.4, 1.0, 0.08]);

    // One reached, the other not.
    let rows = rows_of(&[(36.0, 1.0), (40.0, 1.0), (100.0, 1.0), (8.0, 1.0)], case.baseline);
    let (_, verdicts) = judge(&case, &rows).unwrap();
    let seen: Vec<_> = verdicts.iter().map(|verdict| verdict.reached).collect();
    assert_eq!(seen, [true, false]);
    assert!(judge(&case, &rows[..2]).is_none(), "a goal without its peer");
}

#[test]
fn calling_out_is_judged_by_requests_per_second() {
    let case = cases(Scenario::Outgoing).remove(0);
    for (rps, reached) in [(5_000.0, true), (4_990.0, false)] {
        // A CPU ratio that would pass as well, or not: it is not what is asked for.
        let rows = rows_of(&[(900.0, rps), (100.0, 1_000.0), (50.0, 2_000.0)], case.baseline);
        let (others, verdicts) = judge(&case, &rows).unwrap();
        assert_eq!(verdicts.len(), 1);
        assert_eq!((verdicts[0].measured, verdicts[0].reached), (rps / 1_000.0, reached));
        assert!(verdicts[0].what.contains("requests per second"), "{:?}", verdicts[0]);
        // Beside it, with the same reuse on both sides: recorded, not judged.
        let medians: Vec<f64> = others[0].ratios.iter().map(|ratio| ratio.median).collect();
        assert_eq!((others.len(), &others[0].peer[..]), (1, "peer 2"));
        assert_eq!(medians, [rps / 2_000.0, 0.5, 1.0]);
    }
}

#[test]
fn a_row_of_the_other_peer_that_the_loaders_core_held_back_is_refused() {
    let sample = |server_busy, loader_busy| {
        let mut sample = rows_of(&[(1.0, 1.0)], 0)[0].samples[0];
        (sample.server_busy, sample.loader_busy) = (server_busy, loader_busy);
        sample
    };
    let [tidegate, wasmtime, ..] = cases(Scenario::Outgoing).remove(0).peers[..] else {
        panic!("two peers at least");
    };
    assert!(flattering(wasmtime, &sample(0.5, 0.9)).is_some_and(|fault| fault.contains("0.90")));
    assert_eq!(flattering(wasmtime, &sample(0.9, 0.5)), None);
    assert_eq!(flattering(tidegate, &sample(0.5, 0.9)), None);
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
