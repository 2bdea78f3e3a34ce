use super::*;
use std::net::TcpStream;

fn spec(dir: &Path, program: &str, args: &[&str]) -> Spec {
    Spec {
        name: "peer".to_owned(),
        program: PathBuf::from(program),
        args: args.iter().map(OsString::from).collect(),
        address: free_address().unwrap(),
        cpu: None,
        timeout: Duration::from_secs(20),
        logs: dir.to_owned(),
    }
}

/// A real listener in another process without another program to install: this test binary runs one of its own tests.
fn listener(dir: &Path, cpu: Option<usize>) -> Spec {
    let address = free_address().unwrap();
    let program = std::env::current_exe().unwrap();
    // The port travels as one more test name, which matches none.
    let port = format!("port={}", address.port());
    let args = ["--ignored", "--exact", "server::tests::listen_for_the_parent", &port];
    Spec {
        address,
        cpu,
        ..spec(dir, program.to_str().unwrap(), &args)
    }
}

/// Not a test: what [`listener`] starts. It listens on the port among its arguments and spends CPU on each connection.
#[test]
#[ignore = "started by the other tests as a process of its own"]
fn listen_for_the_parent() {
    // Without a port there is nobody to listen for: `cargo test -- --ignored` passes by.
    let Some(port) = std::env::args().find_map(|arg| arg.strip_prefix("port=")?.parse::<u16>().ok()) else {
        return;
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    loop {
        let (stream, _) = listener.accept().unwrap();
        let begin = this_thread().unwrap();
        while this_thread().unwrap() - begin < Duration::from_millis(100) {}
        drop(stream);
    }
}

#[test]
fn a_peer_is_up_when_it_listens_counts_its_cpu_and_ends_on_sigterm() {
    let dir = tempfile::tempdir().unwrap();
    let cpu = affinity::allowed().unwrap().first().copied();
    let spec = listener(dir.path(), cpu);
    let server = Server::start(&spec).unwrap();
    assert!(server.started_in > Duration::ZERO);
    assert!(server.rss_bytes().unwrap() > 0);
    server.reset_peak().unwrap();
    assert!(server.rss_peak_bytes().unwrap() > 0);

    let before = server.cpu().unwrap();
    // It spends 100 ms of CPU on a connection and closes it when it is done.
    let mut stream = TcpStream::connect(spec.address).unwrap();
    std::io::Read::read_to_end(&mut stream, &mut Vec::new()).unwrap();
    let spent = server.cpu().unwrap().since(&before);
    assert!(
        spent >= Duration::from_millis(80) && spent < Duration::from_secs(2),
        "{spent:?}"
    );

    server.stop().unwrap();
    assert!(TcpStream::connect(spec.address).is_err());
}

#[test]
fn a_dropped_peer_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let spec = listener(dir.path(), None);
    drop(Server::start(&spec).unwrap());
    assert!(TcpStream::connect(spec.address).is_err());
}

#[test]
fn a_peer_that_ends_shows_what_it_wrote() {
    let dir = tempfile::tempdir().unwrap();
    let error = Server::start(&spec(dir.path(), "sh", &["-c", "echo no such guest >&2; exit 78"])).unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, Error::ServerEnded { status, .. } if status.code() == Some(78)),
        "{text}"
    );
    assert!(text.contains("no such guest"), "{text}");
}

#[test]
fn a_peer_that_never_listens_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let spec = Spec {
        timeout: Duration::from_millis(50),
        ..spec(dir.path(), "sleep", &["60"])
    };
    assert!(matches!(Server::start(&spec), Err(Error::ServerSilent { .. })));
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = Server::start(&spec(dir.path(), "/no/such/program", &[]))
        .unwrap_err()
        .to_string();
    assert!(error.contains("/no/such/program"), "{error}");
}

#[test]
fn free_addresses_differ_and_can_be_bound() {
    let (one, two) = (free_address().unwrap(), free_address().unwrap());
    assert_ne!(one, two);
    let _held = TcpListener::bind(one).unwrap();
    TcpListener::bind(two).unwrap();
}
