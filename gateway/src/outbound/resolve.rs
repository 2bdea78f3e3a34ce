//! From a name to the addresses a connection may go to.

use super::destination::{Destination, Host};
use super::policy::{LOCALHOST, Reach};
use super::{Dns, SendError};
use crate::limits;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::Name;
use smallvec::SmallVec;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;
use tokio::time::Instant;

/// Addresses to try, in order.
pub(super) type Addresses = SmallVec<[SocketAddr; limits::OUTGOING_ADDRESSES_COUNT]>;

/// Looks names up, and keeps the answers as long as they live. Made at the first lookup: reading the system's
/// settings is not the start's business, and may fail where nothing is ever looked up.
pub(super) struct Resolver {
    dns: Dns,
    resolver: OnceLock<Result<TokioResolver, String>>,
}

impl Resolver {
    pub(super) fn new(dns: Dns) -> Self {
        Self {
            dns,
            resolver: OnceLock::new(),
        }
    }

    /// The addresses of `to` that `reach` covers; what it does not cover is dropped. Denied where nothing is left.
    pub(super) async fn addresses(
        &self,
        to: &Destination<'_>,
        reach: Reach,
        deadline: Instant,
    ) -> Result<Addresses, SendError> {
        let found = match (&to.host, reach) {
            (Host::Address(address), _) => SmallVec::from_slice(&[*address]),
            (Host::Name(_), Reach::Localhost) => SmallVec::from_slice(&LOCALHOST),
            (Host::Name(name), _) => self.look_up(name, deadline).await?,
        };
        allowed(&found, to.port, reach)
    }

    pub(super) async fn look_up(&self, name: &str, deadline: Instant) -> Result<SmallVec<[IpAddr; 4]>, SendError> {
        let resolver = self.resolver.get_or_init(|| self.make());
        let resolver = resolver.as_ref().map_err(|reason| {
            SendError::Configuration(format!("names cannot be looked up: {reason}; check /etc/resolv.conf"))
        })?;
        let name = Name::from_ascii(name).map_err(|_| SendError::Uri("its host is no domain name"))?;
        let until = deadline.min(Instant::now() + limits::DNS_TIMEOUT);
        match tokio::time::timeout_at(until, resolver.lookup_ip(name)).await {
            Err(_) => Err(SendError::DnsTimeout),
            Ok(Err(error)) => Err(failed(&error)),
            Ok(Ok(found)) => Ok(found.iter().collect()),
        }
    }

    fn make(&self) -> Result<TokioResolver, String> {
        let mut builder = match &self.dns {
            Dns::System => TokioResolver::builder_tokio().map_err(|error| error.to_string())?,
            Dns::Servers(servers) => {
                let servers = servers.iter().map(name_server).collect();
                let config = ResolverConfig::from_parts(None, Vec::new(), servers);
                let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
                builder.options_mut().use_hosts_file = hickory_resolver::config::ResolveHosts::Never;
                builder
            }
        };
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.timeout = options.timeout.min(limits::DNS_ATTEMPT_TIME);
        options.cache_size = limits::DNS_CACHE_COUNT;
        options.positive_max_ttl = Some(limits::DNS_TTL_MAX);
        options.negative_max_ttl = Some(limits::DNS_NEGATIVE_TTL_MAX);
        builder.build().map_err(|error| error.to_string())
    }
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}

fn failed(error: &NetError) -> SendError {
    match error {
        NetError::Timeout => SendError::DnsTimeout,
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            hickory_resolver::proto::op::ResponseCode::NoError
            | hickory_resolver::proto::op::ResponseCode::NXDomain => SendError::NameNotFound {
                rcode: none.response_code.to_str().to_owned(),
            },
            other => SendError::Dns {
                rcode: Some(other.to_str().to_owned()),
                reason: error.to_string(),
            },
        },
        NetError::Dns(DnsError::ResponseCode(code)) => SendError::Dns {
            rcode: Some(code.to_str().to_owned()),
            reason: error.to_string(),
        },
        _ => SendError::Dns {
            rcode: None,
            reason: error.to_string(),
        },
    }
}

/// Those of `found` that may be connected to, the two families taking turns (RFC 8305 §4): where one of them leads
/// nowhere, the other is tried next.
fn allowed(found: &[IpAddr], port: u16, reach: Reach) -> Result<Addresses, SendError> {
    let mut denied = None;
    let (mut first, mut second): (SmallVec<[IpAddr; 8]>, SmallVec<[IpAddr; 8]>) = Default::default();
    let is_v4_first = found.first().is_none_or(IpAddr::is_ipv4);
    for address in found {
        match reach.judge(*address) {
            Err(reason) => denied = denied.or(Some(reason)),
            Ok(()) if address.is_ipv4() == is_v4_first => first.push(*address),
            Ok(()) => second.push(*address),
        }
    }
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut addresses = Addresses::new();
    while addresses.len() < limits::OUTGOING_ADDRESSES_COUNT {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            break;
        }
        addresses.extend(pair.into_iter().flatten().map(|address| SocketAddr::new(address, port)));
    }
    match (addresses.is_empty(), denied) {
        (false, _) => Ok(addresses),
        (true, Some(reason)) => Err(SendError::Denied(reason)),
        (true, None) => Err(SendError::NameNotFound {
            rcode: "NOERROR".to_owned(),
        }),
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("dns", &self.dns)
            .finish_non_exhaustive()
    }
}
