use super::cases::Case;
use super::peers::Log;
use super::*;
use crate::affinity;
use crate::loader::exchange;
use crate::rounds::Figure;
use crate::scenarios::{Bound, Scenario, tests};
use std::process::Command;
use std::time::Duration;

const NGINX: [Peer; 2] = [Peer::Nginx(Log::Written), Peer::Nginx(Log::Buffered)];

fn all() -> Vec<Case> {
    Scenario::all().iter().filter_map(|scenario| cases(*scenario)).collect()
}

/// Short turns on the cores of this machine.
fn quick() -> Setup {
    let cpus = affinity::allowed().unwrap();
    Setup {
        server_cpu: cpus[0],
        loader_cpu: cpus[cpus.len() - 1],
        nginx: None,
        rounds: 2,
        measure: Duration::from_millis(200),
        warm_up: Duration::from_millis(50),
        connections: 4,
        ..tests::setup()
    }
}

/// A comparison of nginx with itself, its log buffered: what can be measured without a gateway.
fn nginx_alone(work: Work, load: Load) -> Case {
    Case {
        scenario: "test",
        work,
        load,
        peers: NGINX.to_vec(),
        baseline: 0,
        beside: vec![(0, Figure::LatencyP99)],
        goals: Vec::new(),
    }
}

#[test]
fn the_figures_of_the_issue_are_judged_against_nginx_as_it_comes() {
    let goals = all().into_iter().map(|case| {
        let [goal] = case.goals[..] else {
            panic!("{}: one goal", case.scenario);
        };
        assert_eq!(case.peers[goal.peer], Peer::Tidegate);
        assert_eq!(case.peers[goal.over], Peer::Nginx(Log::Written));
        let shown = goal.over == case.baseline && goal.figure == Figure::CpuPerRequest;
        assert!(shown || case.beside.contains(&(goal.over, goal.figure)));
        for &(other, _) in &case.beside {
            assert!(other < case.peers.len());
        }
        (case.scenario, goal.figure, goal.bound)
    });
    let expected = [
        ("local", Figure::CpuPerRequest, Bound::AtMost(1.2)),
        ("local-p99", Figure::LatencyP99, Bound::AtMost(1.5)),
        ("proxy-h1", Figure::CpuPerRequest, Bound::AtMost(1.25)),
        ("proxy-p99", Figure::LatencyP99, Bound::AtMost(1.5)),
    ];
    assert_eq!(goals.collect::<Vec<_>>(), expected);
    for scenario in Scenario::all() {
        assert_eq!(scenario.needs_nginx(), cases(*scenario).is_some());
        assert!(!(scenario.needs_nginx() && scenario.needs_wasmtime()));
    }
}

fn written(peer: Peer, setup: &Setup, dir: &Path, upstream: Option<&str>) -> String {
    let duty = Duty {
        address: "127.0.0.1:20002".parse().unwrap(),
        dir,
        body: LOCAL_BODY,
        upstream: upstream.map(|upstream| upstream.parse().unwrap()),
    };
    let spec = peer.spec(setup, duty).unwrap();
    assert_eq!((spec.cpu, spec.address), (Some(setup.server_cpu), duty.address));
    let file = match peer {
        Peer::Tidegate => "gateway.toml",
        Peer::Nginx(_) => "nginx.conf",
        Peer::Native => return String::new(),
    };
    fs::read_to_string(dir.join(file)).unwrap()
}

#[test]
fn nginx_is_told_what_makes_it_a_keep_alive_proxy_and_nothing_of_its_timeouts() {
    let dir = tempfile::tempdir().unwrap();
    let text = |log, upstream| written(Peer::Nginx(log), &quick(), dir.path(), upstream);
    let local = text(Log::Written, None);
    assert!(local.contains("return 200 \"ok\\n\";"), "{local}");
    assert!(local.contains("access_log access.log;"), "{local}");
    assert!(!local.contains("proxy_pass") && !local.contains("timeout"), "{local}");
    let proxy = text(Log::Buffered, Some("127.0.0.1:3000"));
    for line in [
        "listen 127.0.0.1:20002;",
        "server 127.0.0.1:3000;",
        "keepalive 64;",
        "proxy_http_version 1.1;",
        "proxy_set_header Connection \"\";",
        "access_log access.log combined buffer=64k flush=1s;",
    ] {
        assert!(proxy.lines().any(|own| own.trim() == line), "{line}: {proxy}");
    }
    assert!(!proxy.contains("return") && !proxy.contains("timeout"), "{proxy}");

    // With more requests in flight than the usual pool holds, connections are kept all the same.
    let many = Setup {
        connections: 1000,
        ..quick()
    };
    let many = written(Peer::Nginx(Log::Written), &many, dir.path(), Some("127.0.0.1:3000"));
    assert!(
        many.contains("keepalive 1000;") && many.contains("worker_connections 2064;"),
        "{many}"
    );
}

#[test]
fn tidegate_gets_its_target_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let read = |upstream| -> toml::Table {
        let text = written(Peer::Tidegate, &quick(), dir.path(), upstream);
        let mut all: toml::Table = text.parse().unwrap();
        assert_eq!(all["gateway"]["workers"].as_integer(), Some(1));
        for other in ["gateway", "admin", "listener"] {
            all.remove(other).unwrap();
        }
        all
    };
    let expected = |text: &str| -> toml::Table { text.parse().unwrap() };
    assert_eq!(
        read(None),
        expected("[[route]]\nname = \"local\"\npath = \"/*\"\nrespond = { status = 200, body = \"ok\\n\" }")
    );
    assert_eq!(
        read(Some("127.0.0.1:3000")),
        expected(
            "[upstream.origin]\nservers = [\"127.0.0.1:3000\"]\n\
             [[route]]\nname = \"to-origin\"\npath = \"/*\"\nupstream = \"origin\""
        )
    );
}

#[test]
fn nginx_is_measured_as_proxy_and_by_itself() {
    for work in [Work::Local, Work::Proxy] {
        let outcome = run(&nginx_alone(work, Load::Saturating), &quick()).unwrap();
        let Outcome::Comparison { rows, paced, .. } = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(paced, None);
        let peers: Vec<_> = rows.iter().map(|row| &row.peer[..]).collect();
        assert_eq!(peers, ["nginx", "nginx, buffered log"]);
        for row in &rows {
            assert_eq!(row.samples.len(), 2);
            assert!(row.cpu_us_per_request.min > 0.5, "{row:?}");
            assert!((0.1..10.0).contains(&row.cpu_ratio.median), "{row:?}");
        }
    }
}

#[test]
fn the_rate_of_a_round_is_a_share_of_what_the_slower_one_did_in_it() {
    let setup = quick();
    let case = nginx_alone(Work::Proxy, Load::Share(0.3));
    let dir = scratch().unwrap();
    let (closed, open) = paced(&case, 0.3, &setup, dir.path()).unwrap();
    assert_eq!((closed.len(), open.len()), (2, 2));
    for round in 0..setup.rounds {
        let rps = |peer: usize| closed[peer][round].sample.requests_per_second;
        let rate = 0.3 * rps(0).min(rps(1));
        for peer in &open {
            // Of each part, warm-up and measurement, what was due was answered: one request every 1 / rate seconds.
            let due = [setup.warm_up, setup.measure].map(|part| (part.as_secs_f64() * rate).ceil());
            let off = peer[round].answers as f64 - due[0] - due[1];
            assert!(off.abs() <= 2.0, "{off} of {due:?}");
            assert!(peer[round].late_p99_us > 0.0);
        }
    }
    let Some(rates) = rates(0.3, &closed, &open) else {
        panic!("two rounds have a median");
    };
    let lists = [&rates.closed_rps, &rates.closed_server_busy, &rates.late_p99_us];
    assert!(lists.iter().all(|list| list.len() == 2), "{rates:?}");

    let outcome = run(&case, &setup).unwrap();
    let Outcome::Comparison { others, paced, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(others[0].figure, Figure::LatencyP99);
    assert_eq!(others[0].ratios[0].median, 1.0);
    assert_eq!(paced.map(|paced| paced.share), Some(0.3));
}

#[test]
fn a_server_that_answers_something_else_is_not_measured() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("nginx");
    let real = crate::nginx::find().unwrap();
    // `nginx -p FOLDER -c nginx.conf ..`, with one letter of the answer changed.
    let script = format!(
        "#!/bin/sh\nsed -i 's/200 \"ok/200 \"oh/' \"$2/nginx.conf\"\nexec {} \"$@\"\n",
        real.display()
    );
    let source = dir.path().join("script");
    fs::write(&source, script).unwrap();
    // Another process writes what is to be run: a file open for writing here, and so in every process that another test
    // forks at that moment, could not be.
    let installed = Command::new("install").args([&source, &program]).status().unwrap();
    assert!(installed.success());
    let setup = Setup {
        nginx: Some(program),
        ..quick()
    };
    let error = run(&nginx_alone(Work::Local, Load::Saturating), &setup)
        .unwrap_err()
        .to_string();
    assert!(error.contains("nginx: 200 \"oh\\n\""), "{error}");
}

#[test]
fn what_the_upstream_did_not_get_is_told() {
    let setup = quick();
    let upstream = Upstream::start(setup.loader_cpu, Work::Proxy.body()).unwrap();
    // Asked directly: nobody has added what a proxy adds.
    let answer = probe(upstream.address, "h", "/").unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, PROXIED_BYTES));
    let told = passed_on(&upstream, 1, &setup).unwrap();
    assert!(
        told.contains("no x-forwarded-for") && told.contains("[\"host\"]"),
        "{told}"
    );
}

#[test]
fn an_upstream_that_saw_other_numbers_is_told() {
    let (setup, dir) = (quick(), tempfile::tempdir().unwrap());
    let upstream = Upstream::start(setup.loader_cpu, Work::Proxy.body()).unwrap();
    let address = free_address().unwrap();
    let duty = Duty {
        address,
        dir: dir.path(),
        body: LOCAL_BODY,
        upstream: Some(upstream.address),
    };
    let server = Server::start(&NGINX[0].spec(&setup, duty).unwrap()).unwrap();
    let mut kept = crate::loader::connect(address).unwrap();
    for _ in 0..3 {
        exchange(&mut kept, address, "h", "/").unwrap();
    }
    server.stop().unwrap();
    assert_eq!(passed_on(&upstream, 3, &setup), None);
    assert_eq!(upstream.seen().connections, 1);
    let told = passed_on(&upstream, 4, &setup).unwrap();
    assert!(told.contains("saw 3 requests, the loader 4"), "{told}");
    // And the log has a line for each.
    assert_eq!(logged(NGINX[0], dir.path(), 3).unwrap(), None);
    let told = logged(NGINX[0], dir.path(), 4).unwrap().unwrap();
    assert!(told.contains("3 lines in the access log for 4 requests"), "{told}");
    assert_eq!(logged(Peer::Native, dir.path(), 4).unwrap(), None);
}
