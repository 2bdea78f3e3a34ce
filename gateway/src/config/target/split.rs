//! `split` and `sticky`: several targets, each with its part of a route's requests.

use http::HeaderName;

use super::{TARGETS, TargetConfig, TargetDraft, exactly_one, take_single};
use crate::config::error::{ConfigError, Location};
use crate::config::key;
use crate::config::reader::Field;
use crate::limits;

/// Several targets with weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitConfig {
    /// At least one, none twice, none of them a split; at least one has a weight above 0.
    pub targets: Vec<(TargetConfig, u32)>,
    /// What keeps a client on its target; `None` is nothing.
    pub sticky: Option<Sticky>,
}

/// The part of a request that decides which target of a split it goes to. One without it goes to any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sticky {
    /// The value of a cookie.
    Cookie(String),
    /// The value of a header field.
    Header(HeaderName),
    /// The client's address.
    Address,
}

/// A split as read.
#[derive(Debug)]
pub(in crate::config) struct SplitDraft {
    /// None of them a split.
    pub(in crate::config) targets: Vec<(TargetDraft, u32)>,
    pub(in crate::config) sticky: Option<Sticky>,
}

/// One target with its weight, and where it is written.
struct Share {
    target: TargetDraft,
    weight: u32,
    location: Location,
}

pub(super) fn read(field: &Field<'_>, sticky: Option<&Field<'_>>) -> Option<SplitDraft> {
    let words = [("address", Sticky::Address)];
    let sticky = sticky.and_then(|field| key::read(field, &words, Sticky::Header, Sticky::Cookie));
    let items = field.list()?;
    if items.is_empty() {
        return field.fail(
            format!("`{}` holds no target", field.path()),
            "empty",
            "such as split = [{ component = \"hello\", weight = 95 }, { component = \"hello-next\", weight = 5 }]",
        );
    }
    let (count, count_max) = (items.len(), limits::SPLIT_TARGETS_COUNT);
    if count > count_max {
        let message = format!("`{}` has {count} targets", field.path());
        return field.fail(message, "too many", format!("at most {count_max}"));
    }
    let shares: Vec<_> = items.iter().filter_map(read_share).collect();
    report_repeated(field, &shares);
    // Of targets that could not be read nobody knows the weights.
    if shares.len() == count && shares.iter().all(|share| share.weight == 0) {
        field.fail::<()>(
            format!("every weight of `{}` is 0", field.path()),
            "nothing would answer",
            "give at least one target a weight",
        );
    }
    let targets = shares.into_iter().map(|share| (share.target, share.weight)).collect();
    Some(SplitDraft { targets, sticky })
}

fn read_share(field: &Field<'_>) -> Option<Share> {
    const HELP: &str = "exactly one of `component`, `upstream`, `redirect` and `respond`";
    let mut table = field.table("SplitTarget")?;
    let mut given = table.present(&TARGETS);
    let target = take_single(&mut table);
    let weight = table.require(
        "weight",
        "its part of the requests beside the others', such as weight = 5",
    );
    let nested = table.refuse(
        "split",
        "a split cannot be a part of a split",
        "a split in a split",
        "write its targets here, each with its own weight",
    );
    table.finish();
    let weight = weight.and_then(|field| field.count(0..=limits::SPLIT_WEIGHT_MAX));
    given.retain(|(key, _)| *key != "split");
    // A split in a split has been reported, and is the target that is meant.
    if (given.is_empty() && nested) || !exactly_one(field, "part of a split", &given, HELP) {
        return None;
    }
    Some(Share {
        target: target?,
        weight: weight?,
        location: field.location(),
    })
}

/// Two targets that no key could tell apart.
fn report_repeated(field: &Field<'_>, shares: &[Share]) {
    let mut seen: Vec<(String, &Location)> = Vec::new();
    for share in shares {
        let identity = share.target.identity();
        if let Some((_, first)) = seen.iter().find(|(known, _)| *known == identity) {
            let message = format!("`{}` has the same target twice, first at {first}", field.path());
            let error = ConfigError::new(share.location.clone(), message).label("the same target");
            let error = error.also((*first).clone(), "first given here");
            field
                .cx()
                .sink
                .report(error.help("keep one of them, with both weights added up"));
        }
        seen.push((identity, &share.location));
    }
}

#[cfg(test)]
mod tests;
