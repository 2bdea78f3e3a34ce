//! Weighted targets of one route, and which of them a request goes to.

use super::Target;
use crate::config::{SplitConfig, Sticky};
use crate::http::cookie;
use http::{HeaderMap, HeaderValue, Response};
use std::fmt::Write;
use std::net::IpAddr;
use tidegate_routing::{Split, SplitError};

/// Several targets, each with its share of the requests.
#[derive(Debug)]
pub struct Shares {
    split: Split,
    targets: Box<[Target]>,
    sticky: Option<Sticky>,
}

/// A cookie that keeps a client on the target it was given.
#[derive(Debug)]
pub(crate) struct Keep(HeaderValue);

impl Shares {
    /// `targets` in the order of the configuration's.
    ///
    /// # Errors
    /// What the configuration's check refuses too: no target, no weight, the same target twice.
    pub(crate) fn new(config: &SplitConfig, targets: Vec<Target>) -> Result<Self, SplitError> {
        let names: Vec<_> = config
            .targets
            .iter()
            .map(|(target, weight)| (target.identity(), *weight))
            .collect();
        Ok(Self {
            split: Split::new(names.iter().map(|(name, weight)| (name.as_str(), *weight)))?,
            targets: targets.into_boxed_slice(),
            sticky: config.sticky.clone(),
        })
    }

    /// The target for a request, and a cookie for its answer where it brought none.
    pub(crate) fn pick(&self, headers: &HeaderMap, client: IpAddr, is_tls: bool) -> (Option<&Target>, Option<Keep>) {
        let mut keep = None;
        let place = match &self.sticky {
            None => self.split.pick_random(rand::random()),
            Some(Sticky::Address) => match client.to_canonical() {
                IpAddr::V4(address) => self.split.pick(&address.octets()),
                IpAddr::V6(address) => self.split.pick(&address.octets()),
            },
            Some(Sticky::Header(name)) => match headers.get(name) {
                Some(value) => self.split.pick(value.as_bytes()),
                None => self.split.pick_random(rand::random()),
            },
            Some(Sticky::Cookie(name)) => match cookie(headers, name) {
                Some(value) if !value.is_empty() => self.split.pick(value),
                _ => {
                    let value = format!("{:016x}", rand::random::<u64>());
                    keep = Keep::new(name, &value, is_tls);
                    self.split.pick(value.as_bytes())
                }
            },
        };
        (self.targets.get(place), keep)
    }

    /// Their weights, in the same order as [`Self::targets`].
    pub(crate) fn weights(&self) -> impl Iterator<Item = u32> {
        self.split.weights()
    }

    /// All targets, in their order.
    pub(crate) fn targets(&self) -> &[Target] {
        &self.targets
    }
}

impl Keep {
    /// For the session, for the whole site, and not for scripts.
    fn new(name: &str, value: &str, is_tls: bool) -> Option<Self> {
        let mut text = String::with_capacity(name.len() + value.len() + 48);
        // Writing to a String cannot fail.
        let _ = write!(text, "{name}={value}; Path=/; HttpOnly; SameSite=Lax");
        if is_tls {
            text.push_str("; Secure");
        }
        HeaderValue::try_from(text).ok().map(Self)
    }

    pub(crate) fn set<B>(self, answer: &mut Response<B>) {
        answer.headers_mut().append(http::header::SET_COOKIE, self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TargetConfig;
    use crate::config::{RedirectConfig, RespondConfig};
    use crate::snapshot::Fixed;
    use http::{HeaderName, StatusCode};

    fn shares(sticky: Option<Sticky>) -> Shares {
        let respond = RespondConfig {
            status: StatusCode::OK,
            body: "a".to_owned(),
            headers: Vec::new(),
        };
        let redirect = RedirectConfig {
            to: HeaderValue::from_static("/b"),
            status: StatusCode::FOUND,
        };
        let targets = vec![
            Target::Respond(Fixed::from(&respond)),
            Target::Redirect(Fixed::from(&redirect)),
        ];
        let config = SplitConfig {
            targets: vec![
                (TargetConfig::Respond(respond), 3),
                (TargetConfig::Redirect(redirect), 1),
            ],
            sticky,
        };
        Shares::new(&config, targets).unwrap()
    }

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().unwrap())])
    }

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn is_first(shares: &Shares, headers: &HeaderMap, client: IpAddr) -> bool {
        matches!(shares.pick(headers, client, false).0, Some(Target::Respond(_)))
    }

    #[test]
    fn shares_are_kept_on_average() {
        let shares = shares(None);
        let first = (0..10_000)
            .filter(|_| is_first(&shares, &HeaderMap::new(), HERE))
            .count();
        assert!((7_000..8_000).contains(&first), "{first}");
    }

    #[test]
    fn a_cookie_is_given_once_and_then_decides() {
        let shares = shares(Some(Sticky::Cookie("v".to_owned())));
        for _ in 0..50 {
            let (target, keep) = shares.pick(&HeaderMap::new(), HERE, true);
            let given = keep.expect("a cookie").0;
            let given = given.to_str().unwrap();
            assert!(given.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{given}");
            let pair = given.split(';').next().unwrap();
            let is_respond = matches!(target, Some(Target::Respond(_)));
            let back = headers("cookie", pair);
            assert!(shares.pick(&back, HERE, true).1.is_none());
            for _ in 0..5 {
                assert_eq!(is_first(&shares, &back, HERE), is_respond);
            }
        }
    }

    #[test]
    fn a_header_or_an_address_decides() {
        let by_header = shares(Some(Sticky::Header(HeaderName::from_static("x-user"))));
        let by_address = shares(Some(Sticky::Address));
        let (mut users, mut addresses) = (0, 0);
        for n in 0..200u8 {
            let user = headers("x-user", &n.to_string());
            let address = IpAddr::from([10, 0, 0, n]);
            let (user_first, address_first) = (
                is_first(&by_header, &user, HERE),
                is_first(&by_address, &HeaderMap::new(), address),
            );
            for _ in 0..3 {
                assert_eq!(is_first(&by_header, &user, HERE), user_first);
                assert_eq!(is_first(&by_address, &HeaderMap::new(), address), address_first);
            }
            let mapped = IpAddr::V6(std::net::Ipv4Addr::from([10, 0, 0, n]).to_ipv6_mapped());
            assert_eq!(is_first(&by_address, &HeaderMap::new(), mapped), address_first);
            users += usize::from(user_first);
            addresses += usize::from(address_first);
        }
        assert!(
            (120..180).contains(&users) && (120..180).contains(&addresses),
            "{users} {addresses}"
        );
    }
}
