//! `surroundings-p3`: asks for what a component may have of its surroundings, through WASI 0.3 itself.
//!
//! - `GET /stdin`: how many bytes stdin had
//! - `GET /dirs`: what the folders are called, one a line
//! - `GET /lookup?NAME`: the name's addresses, one a line, or 502 and the error as WIT names it
//! - `GET /connect?HOST:PORT`: looks a name up, connects over TCP, and answers `connected` or 502 and the error

use std::net::{IpAddr, SocketAddr};

use support_p3::wasip3::cli::stdin;
use support_p3::wasip3::exports::http::handler::Guest;
use support_p3::wasip3::filesystem::preopens;
use support_p3::wasip3::http::types::{ErrorCode, Request, Response};
use support_p3::wasip3::sockets::ip_name_lookup;
use support_p3::wasip3::sockets::types::{
    IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress, TcpSocket,
};
use support_p3::{plain, target, text};

struct SurroundingsP3;

support_p3::wasip3::http::service::export!(SurroundingsP3 with_types_in support_p3::wasip3);

impl Guest for SurroundingsP3 {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let (path, query) = target(&request);
        let query = text::percent_decode(&query);
        let said = match path.as_str() {
            "/stdin" => Ok(stdin::read_via_stream().0.collect().await.len().to_string()),
            "/dirs" => Ok(lines(preopens::get_directories().into_iter().map(|(_, name)| name))),
            "/lookup" => match ip_name_lookup::resolve_addresses(query).await {
                Ok(found) => Ok(lines(found.into_iter().map(|address| ip(address).to_string()))),
                Err(error) => Err(format!("{error:?}")),
            },
            "/connect" => connect(&query).await,
            _ => return plain(404, "try /stdin, /dirs, /lookup or /connect\n"),
        };
        match said {
            Ok(said) => plain(200, said),
            Err(error) => plain(502, error),
        }
    }
}

fn lines(texts: impl Iterator<Item = String>) -> String {
    texts.map(|text| text + "\n").collect()
}

fn ip(address: IpAddress) -> IpAddr {
    match address {
        IpAddress::Ipv4((a, b, c, d)) => [a, b, c, d].into(),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => [a, b, c, d, e, f, g, h].into(),
    }
}

/// What an address or a name stands for, with its port.
async fn address_of(to: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = to.parse() {
        return Ok(address);
    }
    let (name, port) = to.rsplit_once(':').ok_or("no port")?;
    let port = port.parse().map_err(|_| "no port")?;
    let found = ip_name_lookup::resolve_addresses(name.to_owned()).await;
    let found = found.map_err(|error| format!("{error:?}"))?;
    let first = found.into_iter().next().ok_or("no address")?;
    Ok(SocketAddr::new(ip(first), port))
}

async fn connect(to: &str) -> Result<String, String> {
    let to = address_of(to).await?;
    let (family, remote) = match to {
        SocketAddr::V4(to) => {
            let [a, b, c, d] = to.ip().octets();
            let address = (a, b, c, d);
            let port = to.port();
            (
                IpAddressFamily::Ipv4,
                IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address }),
            )
        }
        SocketAddr::V6(to) => {
            let [a, b, c, d, e, f, g, h] = to.ip().segments();
            let remote = Ipv6SocketAddress {
                port: to.port(),
                flow_info: 0,
                address: (a, b, c, d, e, f, g, h),
                scope_id: 0,
            };
            (IpAddressFamily::Ipv6, IpSocketAddress::Ipv6(remote))
        }
    };
    let shown = |error| format!("{error:?}");
    let socket = TcpSocket::create(family).map_err(shown)?;
    socket.connect(remote).await.map_err(shown)?;
    Ok("connected".to_owned())
}
