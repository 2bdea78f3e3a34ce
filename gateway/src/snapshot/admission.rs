//! Who may use a route, with how large a head, and how many at a time.

use crate::config::RouteConfig;
use crate::error::Fault;
use http::request;
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a route asks of a request before anything else looks at it.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
    header_bytes: Option<usize>,
    requests_max: Option<usize>,
    per_address_max: Option<usize>,
    /// Kept from one snapshot to the next: who is in stays in.
    count: Arc<Count>,
}

/// The requests of a route that are under way.
#[derive(Debug, Default)]
pub(crate) struct Count {
    all: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// A request that counts, until it is over.
#[derive(Debug)]
pub(crate) struct Admitted {
    count: Arc<Count>,
    address: Option<IpAddr>,
}

impl Admission {
    /// `before` is the same route's of the snapshot in force.
    pub(crate) fn new(config: &RouteConfig, before: Option<&Self>) -> Self {
        let limits = &config.limits;
        Self {
            allow: config.allow.clone(),
            deny: config.deny.clone(),
            header_bytes: limits.header_bytes,
            requests_max: limits.connections,
            per_address_max: limits.connections_per_address,
            count: before.map(|before| Arc::clone(&before.count)).unwrap_or_default(),
        }
    }

    /// Lets a request in, or says why not. `None` where nothing is counted.
    pub(crate) fn admit(&self, client: IpAddr, head: &request::Parts) -> Result<Option<Admitted>, Fault> {
        if !self.lets_in(client.to_canonical()) {
            return Err(Fault::Denied);
        }
        if let Some(most) = self.header_bytes
            && bytes_of(head) > most
        {
            return Err(Fault::Refused {
                status: 431,
                code: "head-bytes",
            });
        }
        if self.requests_max.is_none() && self.per_address_max.is_none() {
            return Ok(None);
        }
        self.count(client.to_canonical()).map(Some)
    }

    fn lets_in(&self, client: IpAddr) -> bool {
        let is_in = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&client));
        (self.allow.is_empty() || is_in(&self.allow)) && !is_in(&self.deny)
    }

    fn count(&self, client: IpAddr) -> Result<Admitted, Fault> {
        let before = self.count.all.fetch_add(1, Ordering::AcqRel);
        // Made in any case, so that it is counted off again.
        let mut admitted = Admitted {
            count: Arc::clone(&self.count),
            address: None,
        };
        if self.requests_max.is_some_and(|most| before >= most) {
            return Err(Fault::RouteBusy);
        }
        if let Some(most) = self.per_address_max {
            let mut by_address = self.count.by_address.lock().unwrap_or_else(PoisonError::into_inner);
            let count = by_address.entry(client).or_default();
            if *count >= most {
                drop(by_address);
                return Err(Fault::RouteBusy);
            }
            *count += 1;
            drop(by_address);
            admitted.address = Some(client);
        }
        Ok(admitted)
    }
}

/// The bytes of a head as HTTP/1.1 writes it, whichever version it came by.
fn bytes_of(head: &request::Parts) -> usize {
    const LINE: usize = b"  HTTP/1.1\r\n".len();
    let target = head.uri.path_and_query().map_or(1, |target| target.as_str().len());
    let fields: usize = head
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + b": \r\n".len() + value.len())
        .sum();
    LINE + head.method.as_str().len() + target + fields + b"\r\n".len()
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.count.all.fetch_sub(1, Ordering::AcqRel);
        let Some(address) = self.address else { return };
        let mut by_address = self.count.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> request::Parts {
        let request = http::Request::get("/path?q")
            .header("host", "a.example")
            .body(())
            .unwrap();
        request.into_parts().0
    }

    fn code(admitted: Result<Option<Admitted>, Fault>) -> Option<&'static str> {
        admitted.err().map(|fault| fault.code())
    }

    #[test]
    fn networks_are_let_in_or_not_and_mapped_addresses_are_what_they_map() {
        let admission = Admission {
            allow: vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
            deny: vec!["10.9.0.0/16".parse().unwrap()],
            ..Admission::default()
        };
        let asks = |client: &str| code(admission.admit(client.parse().unwrap(), &head()));
        assert_eq!(asks("10.1.2.3"), None);
        assert_eq!(asks("::ffff:10.1.2.3"), None);
        assert_eq!(asks("::1"), None);
        assert_eq!(asks("10.9.2.3"), Some("denied"));
        assert_eq!(asks("::ffff:10.9.2.3"), Some("denied"));
        assert_eq!(asks("11.1.2.3"), Some("denied"));
        let but = Admission {
            deny: vec!["192.0.2.0/24".parse().unwrap()],
            ..Admission::default()
        };
        assert_eq!(code(but.admit("192.0.2.1".parse().unwrap(), &head())), Some("denied"));
        assert_eq!(code(but.admit("192.0.3.1".parse().unwrap(), &head())), None);
    }

    #[test]
    fn a_head_is_measured_as_it_is_written() {
        let written = "GET /path?q HTTP/1.1\r\nhost: a.example\r\n\r\n".len();
        assert_eq!(bytes_of(&head()), written);
        for (most, expected) in [(written, None), (written - 1, Some("head-bytes"))] {
            let admission = Admission {
                header_bytes: Some(most),
                ..Admission::default()
            };
            assert_eq!(code(admission.admit("10.0.0.1".parse().unwrap(), &head())), expected);
        }
    }

    #[test]
    fn requests_are_counted_in_all_and_by_address_and_forgotten() {
        let admission = Admission {
            requests_max: Some(3),
            per_address_max: Some(2),
            ..Admission::default()
        };
        let ask = |client: &str| admission.admit(client.parse().unwrap(), &head());
        let one = ask("10.0.0.1").unwrap();
        let _two = ask("::ffff:10.0.0.1").unwrap();
        assert_eq!(code(ask("10.0.0.1")), Some("route-busy"));
        let _three = ask("10.0.0.2").unwrap();
        assert_eq!(code(ask("10.0.0.3")), Some("route-busy"));
        drop(one);
        drop(ask("10.0.0.1").unwrap());
        drop((_two, _three));
        assert_eq!(admission.count.all.load(Ordering::Relaxed), 0);
        assert!(admission.count.by_address.lock().unwrap().is_empty());
    }
}
