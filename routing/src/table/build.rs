//! From specifications to a table, with everything wrong collected on the way.

use std::{cmp::Reverse, collections::HashMap};

use crate::{
    conditions::{Conditions, MethodBits, Value, plain_nets},
    error::{BuildError, PatternProblem, ValueProblem},
    host::{HostIndex, HostPattern},
    pattern::{Pattern, path_regex},
    spec::{PathSpec, RouteIndex, RouteSpec},
    table::{Candidate, Level, Path, Route, RouteTable, conflicts::Conflicts},
    trie::{Leaf, TrieBuilder},
};

/// What a route without a path is shown with.
const EVERY_PATH: &str = "/*";

pub(super) fn build(specs: &[RouteSpec]) -> Result<RouteTable, Vec<BuildError>> {
    let mut errors = Vec::new();
    let routes: Vec<Route> = specs
        .iter()
        .enumerate()
        .map(|(index, spec)| compile(RouteIndex::new(index), spec, &mut errors))
        .collect();
    // A route in error would only raise more errors against its neighbours.
    if !errors.is_empty() {
        return Err(errors);
    }
    let too_large = || vec![BuildError::TooLarge { count: specs.len() }];
    let (table, conflicts) = assemble(routes, specs).ok_or_else(too_large)?;
    let errors = conflicts.into_errors(&table.routes);
    if errors.is_empty() { Ok(table) } else { Err(errors) }
}

/// Parses one route. What is in error is left out of the result, which is then never used.
fn compile(index: RouteIndex, spec: &RouteSpec, errors: &mut Vec<BuildError>) -> Route {
    let hosts = compile_hosts(index, spec, errors);
    let (path_text, path) = match &spec.path {
        None => (EVERY_PATH, Ok(Path::Pattern(Pattern::every_path()))),
        Some(PathSpec::Pattern(text)) => (text.as_str(), Pattern::parse(text).map(Path::Pattern)),
        Some(PathSpec::Regex(text)) => (
            text.as_str(),
            path_regex(text).map(Path::Regex).map_err(PatternProblem::Regex),
        ),
    };
    let path = path.unwrap_or_else(|problem| {
        errors.push(BuildError::Path {
            route: index,
            name: spec.name.clone(),
            path: path_text.to_owned(),
            problem,
        });
        Path::Pattern(Pattern::every_path())
    });
    let mut methods = spec.methods.clone();
    methods.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    methods.dedup();
    Route {
        name: spec.name.clone(),
        hosts,
        path,
        path_text: path_text.to_owned(),
        methods,
        conditions: compile_conditions(index, spec, errors),
    }
}

fn compile_hosts(index: RouteIndex, spec: &RouteSpec, errors: &mut Vec<BuildError>) -> Vec<HostPattern> {
    if spec.hosts.is_empty() {
        return vec![HostPattern::Any];
    }
    let mut hosts = Vec::new();
    for (position, text) in spec.hosts.iter().enumerate() {
        match HostPattern::parse(text) {
            // The same name twice, or in two spellings, asks for nothing new.
            Ok(host) if hosts.contains(&host) => {}
            Ok(host) => hosts.push(host),
            Err(problem) => errors.push(BuildError::Host {
                route: index,
                name: spec.name.clone(),
                position,
                host: text.clone(),
                problem,
            }),
        }
    }
    hosts
}

fn compile_conditions(index: RouteIndex, spec: &RouteSpec, errors: &mut Vec<BuildError>) -> Conditions {
    let mut conditions = Conditions {
        source: plain_nets(spec),
        ..Conditions::default()
    };
    for (position, (header, value)) in spec.headers.iter().enumerate() {
        let repeated = conditions.headers.iter().any(|(known, _)| known == header);
        match Value::for_header(value).and_then(|value| once(value, repeated)) {
            Ok(value) => conditions.headers.push((header.clone(), value)),
            Err(problem) => errors.push(BuildError::Header {
                route: index,
                name: spec.name.clone(),
                position,
                header: header.to_string(),
                problem,
            }),
        }
    }
    for (position, (parameter, value)) in spec.query.iter().enumerate() {
        let repeated = conditions.query.iter().any(|(known, _)| known == parameter);
        match Value::for_query(parameter, value).and_then(|value| once(value, repeated)) {
            Ok(value) => conditions.query.push((parameter.clone(), value)),
            Err(problem) => errors.push(BuildError::Query {
                route: index,
                name: spec.name.clone(),
                position,
                parameter: parameter.clone(),
                problem,
            }),
        }
    }
    conditions
}

fn once(value: Value, repeated: bool) -> Result<Value, ValueProblem> {
    if repeated {
        Err(ValueProblem::Repeated)
    } else {
        Ok(value)
    }
}

/// Puts compiled routes together. None when a number outgrows 32 bits.
fn assemble<'s>(routes: Vec<Route>, specs: &'s [RouteSpec]) -> Option<(RouteTable, Conflicts<'s>)> {
    let count = u32::try_from(routes.len()).ok().filter(|count| *count < u32::MAX)?;
    let mut trie = TrieBuilder::default();
    let mut hosts: Vec<HostPattern> = Vec::new();
    let mut known: HashMap<HostPattern, usize> = HashMap::new();
    // Of each level: its root, and its routes with a regular expression.
    let mut drafts: Vec<(u32, Vec<u32>)> = Vec::new();
    for (number, route) in (0..count).zip(&routes) {
        for host in &route.hosts {
            let level = match known.get(host) {
                Some(level) => *level,
                None => {
                    known.insert(host.clone(), drafts.len());
                    hosts.push(host.clone());
                    drafts.push((trie.root()?, Vec::new()));
                    drafts.len() - 1
                }
            };
            let (root, regexes) = drafts.get_mut(level)?;
            match &route.path {
                Path::Pattern(pattern) => trie.insert(*root, pattern, number)?,
                Path::Regex(_) => regexes.push(number),
            }
        }
    }
    let mut conflicts = Conflicts::new(specs);
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut place = |mut numbers: Vec<u32>| -> Option<Leaf> {
        numbers.sort_by_cached_key(|number| routes.get(*number as usize).map(|route| rank(route, *number)));
        conflicts.inspect(&numbers);
        let start = u32::try_from(candidates.len()).ok()?;
        for number in &numbers {
            let route = routes.get(*number as usize)?;
            candidates.push(Candidate {
                route: *number,
                methods: MethodBits::of_route(&route.methods),
                conditional: matches!(route.path, Path::Regex(_)) || !route.conditions.is_empty(),
            });
        }
        Some(Leaf {
            start,
            length: u32::try_from(numbers.len()).ok()?,
        })
    };
    let trie = trie.build(&mut place)?;
    let levels: Option<Vec<Level>> = drafts
        .into_iter()
        .map(|(root, regexes)| {
            Some(Level {
                root,
                regexes: place(regexes)?,
            })
        })
        .collect();
    let table = RouteTable {
        hosts: HostIndex::build(hosts),
        levels: levels?.into_boxed_slice(),
        trie,
        candidates: candidates.into_boxed_slice(),
        routes: routes.into_boxed_slice(),
    };
    Some((table, conflicts))
}

/// The order of candidates whose host and path say the same.
fn rank(route: &Route, number: u32) -> (bool, Reverse<usize>, Reverse<usize>, u32) {
    let conditions = &route.conditions;
    (
        route.methods.is_empty(),
        Reverse(conditions.headers.len()),
        Reverse(conditions.query.len()),
        number,
    )
}
