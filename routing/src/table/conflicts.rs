//! Routes that stand in each other's way: two that take the same requests, and one that another hides.

use std::collections::{BTreeMap, HashMap};

use http::Method;
use ipnet::IpNet;

use crate::{
    conditions::plain_nets,
    error::BuildError,
    spec::{PathSpec, RouteIndex, RouteSpec, ValueMatch},
    table::Route,
};

/// Candidates of one place looked at for one hiding another: every pair of them is compared. Equal ones are found
/// among any number.
const HIDING_COUNT_MAX: usize = 256;

/// What tells routes at the same place apart, in an order that does not depend on how it was written.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Print<'s> {
    /// Regular expressions share one place.
    regex: Option<&'s str>,
    methods: Vec<&'s Method>,
    headers: Vec<(&'s str, &'s ValueMatch)>,
    query: Vec<(&'s str, &'s ValueMatch)>,
    source: Vec<IpNet>,
}

impl<'s> Print<'s> {
    fn of(spec: &'s RouteSpec) -> Self {
        let mut methods: Vec<&Method> = spec.methods.iter().collect();
        methods.sort_by_key(|method| method.as_str());
        methods.dedup();
        let mut headers: Vec<_> = spec
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        headers.sort_by_key(|(name, _)| *name);
        let mut query: Vec<_> = spec.query.iter().map(|(name, value)| (name.as_str(), value)).collect();
        query.sort_by_key(|(name, _)| *name);
        let regex = match &spec.path {
            Some(PathSpec::Regex(text)) => Some(text.as_str()),
            Some(PathSpec::Pattern(_)) | None => None,
        };
        Self {
            regex,
            methods,
            headers,
            query,
            source: plain_nets(spec),
        }
    }

    /// Whether whatever `other` takes, this takes. Says no where it cannot tell.
    fn covers(&self, other: &Self) -> bool {
        let methods = self.methods.is_empty()
            || (!other.methods.is_empty() && other.methods.iter().all(|method| self.methods.contains(method)));
        let source = self.source.is_empty()
            || (!other.source.is_empty()
                && other
                    .source
                    .iter()
                    .all(|net| self.source.iter().any(|wider| wider.contains(net))));
        self.regex == other.regex
            && methods
            && source
            && values_cover(&self.headers, &other.headers)
            && values_cover(&self.query, &other.query)
    }
}

/// Each condition of `wide` holds where those of `narrow` do.
fn values_cover(wide: &[(&str, &ValueMatch)], narrow: &[(&str, &ValueMatch)]) -> bool {
    wide.iter().all(|(name, value)| {
        narrow
            .iter()
            .any(|(other, found)| name == other && (value == found || **value == ValueMatch::Present))
    })
}

/// The conflicts found so far.
#[derive(Debug)]
pub(super) struct Conflicts<'s> {
    prints: Vec<Print<'s>>,
    /// From a route to the first one equal to it.
    equal: BTreeMap<u32, u32>,
    /// From a route to one that hides it, and at how many places something does.
    hidden: BTreeMap<u32, (u32, usize)>,
}

impl<'s> Conflicts<'s> {
    pub(super) fn new(specs: &'s [RouteSpec]) -> Self {
        Self {
            prints: specs.iter().map(Print::of).collect(),
            equal: BTreeMap::new(),
            hidden: BTreeMap::new(),
        }
    }

    /// Looks at the routes of one place, given in rank order.
    pub(super) fn inspect(&mut self, place: &[u32]) {
        if place.len() < 2 {
            return;
        }
        let mut seen: HashMap<&Print<'s>, u32> = HashMap::new();
        for (at, number) in place.iter().enumerate() {
            let Some(print) = self.prints.get(*number as usize) else {
                continue;
            };
            if let Some(first) = seen.get(print) {
                self.equal.entry(*number).or_insert(*first);
                continue;
            }
            seen.insert(print, *number);
            let above = place.get(..at.min(HIDING_COUNT_MAX)).unwrap_or_default();
            let hiding = above.iter().find(|above| {
                self.prints
                    .get(**above as usize)
                    .is_some_and(|wider| wider.covers(print))
            });
            if let Some(by) = hiding {
                self.hidden.entry(*number).or_insert((*by, 0)).1 += 1;
            }
        }
    }

    pub(super) fn into_errors(self, routes: &[Route]) -> Vec<BuildError> {
        let name = |number: u32| {
            routes
                .get(number as usize)
                .map(|route| route.name.clone())
                .unwrap_or_default()
        };
        let mut errors: Vec<BuildError> = Vec::new();
        for (second, first) in &self.equal {
            let (host, path) = place_of(routes, *first, *second);
            errors.push(BuildError::Indistinguishable {
                first: RouteIndex::from_raw(*first),
                first_name: name(*first),
                second: RouteIndex::from_raw(*second),
                second_name: name(*second),
                host,
                path,
            });
        }
        for (number, (by, places)) in &self.hidden {
            // A route that still takes requests of another host is in order.
            let everywhere = routes
                .get(*number as usize)
                .is_some_and(|route| route.hosts.len() == *places);
            if everywhere && !self.equal.contains_key(number) {
                let (host, path) = place_of(routes, *by, *number);
                errors.push(BuildError::Unreachable {
                    route: RouteIndex::from_raw(*number),
                    name: name(*number),
                    by: RouteIndex::from_raw(*by),
                    by_name: name(*by),
                    host,
                    path,
                });
            }
        }
        errors.sort_by_key(BuildError::route);
        errors
    }
}

/// A host both routes have, and the second one's path.
fn place_of(routes: &[Route], first: u32, second: u32) -> (String, String) {
    let (Some(first), Some(second)) = (routes.get(first as usize), routes.get(second as usize)) else {
        return Default::default();
    };
    let host = second.hosts.iter().find(|host| first.hosts.contains(host));
    (
        host.map(ToString::to_string).unwrap_or_default(),
        second.path_text.clone(),
    )
}
