//! `fs-and-sockets`: tries what a program without grants must not be able to do, with the ordinary
//! std, and answers with what happened as JSON: per attempt `ok`, and what was seen or the error.
//!
//! The targets can be chosen: `/?open=PATH&create=PATH&resolve=HOST:PORT&connect=ADDRESS:PORT`.
//! Where something is allowed after all it leaves nothing behind: the file it creates must be new and
//! is removed again, and every socket is closed at once.

use std::fmt::Display;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

use support::json::Value;
use support::wasip2::filesystem::preopens;
use support::{Request, Responder};

support::serve!(answer);

const BYTES_SHOWN: u64 = 64;

fn answer(request: Request, out: Responder) {
    let ask = |name: &str, default: &str| request.query(name).unwrap_or(default.to_owned());
    let file = ask("open", "/etc/passwd");
    let new_file = ask("create", "/tidegate-guest");
    let host = ask("resolve", "localhost:80");
    let peer = ask("connect", "127.0.0.1:80");
    let attempts = Value::object([
        ("preopens", list_preopens()),
        ("open", attempt(open(&file))),
        ("create", attempt(create(&new_file))),
        ("list", attempt(list("/"))),
        ("resolve", attempt(resolve(&host))),
        ("connect", attempt(connect(&peer))),
        (
            "listen",
            attempt(TcpListener::bind("127.0.0.1:0").and_then(|at| shown(at.local_addr()))),
        ),
        (
            "udp",
            attempt(UdpSocket::bind("127.0.0.1:0").and_then(|at| shown(at.local_addr()))),
        ),
    ]);
    out.json(200, &attempts.to_string());
}

fn list_preopens() -> Value {
    let paths = preopens::get_directories()
        .into_iter()
        .map(|(_, path)| Value::Text(path));
    Value::List(paths.collect())
}

fn open(path: &str) -> io::Result<String> {
    let mut start = Vec::new();
    std::fs::File::open(path)?.take(BYTES_SHOWN).read_to_end(&mut start)?;
    Ok(String::from_utf8_lossy(&start).into_owned())
}

fn create(path: &str) -> io::Result<String> {
    drop(std::fs::File::create_new(path)?);
    std::fs::remove_file(path)?;
    Ok(path.to_owned())
}

fn list(path: &str) -> io::Result<String> {
    let names: io::Result<Vec<_>> = std::fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect();
    Ok(format!("{:?}", names?))
}

fn resolve(host: &str) -> io::Result<String> {
    let addresses: Vec<SocketAddr> = host.to_socket_addrs()?.collect();
    Ok(format!("{addresses:?}"))
}

fn connect(peer: &str) -> io::Result<String> {
    let address = peer.parse::<SocketAddr>().map_err(io::Error::other)?;
    shown(TcpStream::connect(address)?.local_addr())
}

fn shown(value: io::Result<impl Display>) -> io::Result<String> {
    value.map(|value| value.to_string())
}

fn attempt(result: io::Result<String>) -> Value {
    match result {
        Ok(saw) => Value::object([("ok", Value::Bool(true)), ("saw", Value::Text(saw))]),
        Err(error) => Value::object([
            ("ok", Value::Bool(false)),
            ("kind", Value::text(format!("{:?}", error.kind()))),
            ("error", Value::text(error.to_string())),
        ]),
    }
}
