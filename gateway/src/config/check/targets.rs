//! From the names that routes give to what is defined under them.

use std::collections::BTreeMap;

use crate::config::error::{ConfigError, Location};
use crate::config::reader::Sink;
use crate::config::target::{Reference, SplitConfig, SplitDraft, TargetDraft};
use crate::config::{Name, TargetConfig, suggest};
use crate::limits;

/// Every name that a route may give.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) components: &'a BTreeMap<String, Location>,
    pub(super) upstreams: &'a BTreeMap<String, Location>,
    /// What is missing may stand in a text that could not be read.
    pub(super) incomplete: bool,
    pub(super) sink: &'a Sink,
}

impl Known<'_> {
    /// The target itself, if all its names are defined; reports those that are not.
    pub(super) fn resolve(&self, draft: TargetDraft) -> Option<TargetConfig> {
        match draft {
            TargetDraft::Fixed(target) => Some(target),
            TargetDraft::Component(reference) => self.find(Kind::Component, &reference).map(TargetConfig::Component),
            TargetDraft::Upstream(reference) => self.find(Kind::Upstream, &reference).map(TargetConfig::Upstream),
            TargetDraft::Split(SplitDraft { targets, sticky }) => {
                let count = targets.len();
                let resolve = |(target, weight)| Some((self.resolve(target)?, weight));
                // Every one is looked up, so that every unknown name is reported.
                let targets: Vec<_> = targets.into_iter().filter_map(resolve).collect();
                (targets.len() == count).then_some(TargetConfig::Split(SplitConfig { targets, sticky }))
            }
        }
    }

    fn find(&self, kind: Kind, reference: &Reference) -> Option<Name> {
        let name = &reference.name;
        let known = self.of(kind);
        if known.contains_key(name) {
            return name.parse().ok();
        }
        if self.incomplete {
            return None;
        }
        let word = kind.word();
        let error = ConfigError::new(reference.location.clone(), format!("there is no {word} `{name}`"));
        let other = kind.other();
        if self.of(other).contains_key(name) {
            let other = other.word();
            let error = error.label(format!("did you mean {other} = \"{name}\"?"));
            self.sink
                .report(error.help(format!("it is defined as [{other}.{name}]")));
            return None;
        }
        // A report is cut long before the last of so many: looking each of them up would take minutes.
        let shown = self.sink.count() < limits::CONFIG_ERRORS_COUNT;
        let candidates = known.keys().map(String::as_str).filter(|_| shown);
        let error = match suggest::closest(name, candidates) {
            Some(meant) => error.label(format!("did you mean `{meant}`?")),
            None => error.label("not defined"),
        };
        self.sink
            .report(error.help(format!("define it: [{word}.{name}] with {}", kind.example())));
        None
    }

    fn of(&self, kind: Kind) -> &BTreeMap<String, Location> {
        match kind {
            Kind::Component => self.components,
            Kind::Upstream => self.upstreams,
        }
    }
}

/// What a name may stand for.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Component,
    Upstream,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Component => "component",
            Self::Upstream => "upstream",
        }
    }

    fn example(self) -> &'static str {
        match self {
            Self::Component => "source = \"..\"",
            Self::Upstream => "servers = [\"127.0.0.1:9001\"]",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Component => Self::Upstream,
            Self::Upstream => Self::Component,
        }
    }
}
