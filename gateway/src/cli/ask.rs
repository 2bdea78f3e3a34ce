//! Asking a running gateway through its admin API.

use super::{ConfigArg, Exit, Failed, load};
use crate::config::{AdminAddress, Options};
use crate::limits;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// Which gateway is asked, and how its answer is printed.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Ask {
    #[command(flatten)]
    config: ConfigArg,
    /// Where the gateway's admin API is, `127.0.0.1:9180` or `unix:/path`; left out, as CONFIG says
    #[arg(long, value_name = "ADDR", value_parser = admin_address, conflicts_with = "path")]
    admin: Option<AdminAddress>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Why there is no answer.
type Unanswered = Box<dyn std::error::Error + Send + Sync>;

fn admin_address(text: &str) -> Result<AdminAddress, String> {
    match text.strip_prefix("unix:") {
        Some(path) if !path.is_empty() => Ok(AdminAddress::Unix(path.into())),
        Some(_) => Err("write unix: and a path".to_owned()),
        None => text
            .parse::<SocketAddr>()
            .map(AdminAddress::Tcp)
            .map_err(|_| "write an address and a port, or unix: and a path".to_owned()),
    }
}

impl Ask {
    /// What the gateway answers to GET of `path`.
    pub(super) fn get(&self, path: &str) -> Result<Value, Failed> {
        let address = self.address()?;
        let unavailable = |what: String| Failed::new(Exit::Unavailable, format!("error: {what}"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failed::new(Exit::System, format!("error: {error}")))?;
        let asked = runtime.block_on(async {
            let asked = tokio::time::timeout(limits::ADMIN_ANSWER_TIME, ask(&address, path)).await;
            asked.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
        });
        let (status, body) = asked.map_err(|error| {
            unavailable(format!(
                "no gateway answers on {address}: {error}\nStart one with `tidegate run`, or name the admin address \
                 of one that runs with --admin; it is the last line of its start."
            ))
        })?;
        let answer = serde_json::from_slice::<Value>(&body);
        match answer {
            Ok(answer) if status == StatusCode::OK => Ok(answer),
            Ok(answer) => {
                let why = answer
                    .get("error")
                    .and_then(Value::as_str)
                    .unwrap_or("without a reason");
                Err(unavailable(format!(
                    "the gateway on {address} answered {status}: {why}"
                )))
            }
            Err(_) => Err(unavailable(format!(
                "what answers on {address} is not a gateway's admin API ({status})\n\
                 Name the admin address, not that of a listener."
            ))),
        }
    }

    fn address(&self) -> Result<AdminAddress, Failed> {
        if let Some(address) = &self.admin {
            return Ok(address.clone());
        }
        let options = Options {
            check_files: false,
            ..Options::default()
        };
        let path = self.config.path.display();
        let config = load(&self.config.path, options).map_err(|mut failed| {
            failed
                .message
                .push_str("\nWithout a configuration, name the gateway's admin address with --admin.");
            failed
        })?;
        match config.admin.map(|admin| admin.address) {
            None => Err(Failed::new(
                Exit::Config,
                format!(
                    "error: a gateway of {path} cannot be asked: it has no admin API\n\
                     Add `[admin]` with address = \"127.0.0.1:9180\", or name the address of another with --admin."
                ),
            )),
            Some(AdminAddress::Tcp(address)) if address.port() == 0 => Err(Failed::new(
                Exit::Config,
                format!(
                    "error: the admin API of {path} is on a port that the system chooses\n\
                     Name it with --admin: it is the last line of the gateway's start."
                ),
            )),
            Some(address) => Ok(address),
        }
    }
}

async fn ask(address: &AdminAddress, path: &str) -> Result<(StatusCode, Bytes), Unanswered> {
    match address {
        AdminAddress::Tcp(address) => exchange(TcpStream::connect(address).await?, path).await,
        AdminAddress::Unix(socket) => exchange(UnixStream::connect(socket).await?, path).await,
    }
}

async fn exchange<S>(stream: S, path: &str) -> Result<(StatusCode, Bytes), Unanswered>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path)
        .header(header::HOST, "localhost")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let asking = async move {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, limits::ADMIN_ANSWER_BYTES).collect().await?;
        Ok((head.status, body.to_bytes()))
    };
    // How the connection ended, its answer says as well.
    let (answer, _) = tokio::join!(asking, connection);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_address_is_an_address_or_a_socket() {
        let tcp = AdminAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 9180)));
        assert_eq!(admin_address("127.0.0.1:9180"), Ok(tcp));
        assert_eq!(admin_address("unix:/run/a"), Ok(AdminAddress::Unix("/run/a".into())));
        for wrong in ["", "unix:", "9180", "localhost:9180", "/run/a"] {
            assert!(admin_address(wrong).is_err(), "{wrong}");
        }
    }
}
