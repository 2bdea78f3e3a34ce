//! `tidegate explain`: which route takes a request, and why the better-ranked ones do not.

use super::{Done, Exit, Failed, load, print, print_json};
use crate::config::Options;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use std::net::IpAddr;
use std::path::PathBuf;
use tidegate_routing::{NormalizeOptions, Query, RouteTable, normalize_path};

/// Say which route takes a request, and why each better-ranked one does not
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tidegate explain GET https://shop.example.com/cart\n  \
    tidegate explain -c edge.toml POST http://localhost/v1/items -H 'x-tenant: acme' --from 10.0.0.7")]
pub(super) struct Explain {
    /// The method
    method: Method,
    /// The whole URL
    url: Uri,
    /// A request header
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The client's address
    #[arg(long, value_name = "ADDRESS")]
    from: Option<IpAddr>,
    /// The configuration: a TOML or JSON file, or a folder of TOML files
    #[arg(short, long, value_name = "CONFIG", default_value = "config")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write NAME: VALUE")?;
    let name = HeaderName::try_from(name.trim()).map_err(|error| error.to_string())?;
    Ok((
        name,
        HeaderValue::from_str(value.trim()).map_err(|error| error.to_string())?,
    ))
}

impl Explain {
    pub(super) fn run(self) -> Done {
        let options = Options {
            check_files: false,
            ..Options::default()
        };
        let config = load(&self.config, options)?;
        let specs: Vec<_> = config.routes.iter().map(|route| route.spec.clone()).collect();
        let table = RouteTable::build(&specs).map_err(|errors| {
            let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
            Failed::new(Exit::Config, errors.join("\n"))
        })?;
        let host = self
            .url
            .authority()
            .map(http::uri::Authority::as_str)
            .ok_or_else(|| Failed::new(Exit::Usage, "error: give the whole URL, such as http://localhost/path"))?;
        let path = normalize_path(self.url.path(), NormalizeOptions::default())
            .map_err(|error| Failed::new(Exit::Data, format!("refused with 400: {error}")))?;
        let headers: HeaderMap = self.headers.iter().cloned().collect();
        let explanation = table.explain(&Query {
            host,
            path: &path,
            query: self.url.query(),
            method: &self.method,
            headers: &headers,
            source: self.from,
        });
        if self.json {
            let json = serde_json::to_value(&explanation);
            return print_json(&json.map_err(|error| Failed::new(Exit::System, error.to_string()))?);
        }
        print(&format!("{explanation}\n"))
    }
}
