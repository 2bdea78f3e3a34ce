//! `tidegate routes`: the routes a running gateway serves, in the order of their declaration.

use super::ask::Ask;
use super::table::Table;
use super::{Done, print, print_json};
use serde_json::Value;

/// Print the routes of a running gateway
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tidegate routes                        # the gateway of ./config\n  \
    tidegate routes edge.toml --json\n  tidegate routes --admin 127.0.0.1:9180\n\n\
    `tidegate explain` says which of them takes a request."
)]
pub(super) struct Routes {
    #[command(flatten)]
    ask: Ask,
}

impl Routes {
    pub(super) fn run(self) -> Done {
        let answer = self.ask.get("/api/routes")?;
        if self.ask.json {
            return print_json(&answer);
        }
        print(&text(&answer))
    }
}

fn text(answer: &Value) -> String {
    let mut table = Table::new(["ROUTE", "HOSTS", "PATH", "METHODS", "WHEN", "TARGET"]);
    for route in list(answer, "routes") {
        let matches = route.get("match").unwrap_or_default();
        let words = |key| list(matches, key).iter().filter_map(Value::as_str).map(str::to_owned);
        let headers = words("headers").map(|header| format!("header {header}"));
        let query = words("query").map(|query| format!("query {query}"));
        let source = words("source").map(|source| format!("from {source}"));
        let when: Vec<_> = headers.chain(query).chain(source).collect();
        table.row([
            word(route, "name"),
            words("hosts").collect::<Vec<_>>().join(","),
            word(matches, "path"),
            words("methods").collect::<Vec<_>>().join(","),
            when.join(", "),
            target(route.get("target").unwrap_or_default()),
        ]);
    }
    table.text()
}

/// A target in a few words; one of another version as it came.
fn target(one: &Value) -> String {
    let Some((kind, of)) = one.as_object().and_then(|fields| fields.iter().next()) else {
        return String::new();
    };
    match (kind.as_str(), of) {
        ("component" | "upstream", Value::String(name)) => format!("{kind} {name}"),
        ("redirect", _) => format!("redirect {} {}", of.get("status").unwrap_or_default(), word(of, "to")),
        ("respond", _) => format!("respond {}", of.get("status").unwrap_or_default()),
        ("external", _) => "external".to_owned(),
        ("split", Value::Array(shares)) => {
            let share = |share: &Value| {
                let of = target(share.get("target").unwrap_or_default());
                format!("{} to {of}", share.get("weight").unwrap_or_default())
            };
            format!("split {}", shares.iter().map(share).collect::<Vec<_>>().join(", "))
        }
        _ => one.to_string(),
    }
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn word(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_route_is_a_line() {
        let matches = json!({
            "hosts": ["a.example", "*.b.example"], "path": "/x/*", "methods": ["GET", "POST"],
            "headers": ["x-a: 1"], "query": ["q=1"], "source": ["10.0.0.0/8"],
        });
        let split = json!({ "split": [
            { "weight": 9, "target": { "upstream": "api" } },
            { "weight": 1, "target": { "component": "next" } },
        ] });
        let answer = json!({ "version": 1, "routes": [
            { "name": "one", "match": matches, "target": split },
            { "name": "two", "match": null, "target": { "external": true } },
            { "name": "three", "match": { "path": "/go" }, "target": { "redirect": { "to": "/there", "status": 308 } } },
            { "name": "four", "match": {}, "target": { "respond": { "status": 204 } } },
            { "name": "five", "match": {}, "target": { "later": "kind" } },
        ] });
        let lines: Vec<String> = text(&answer)
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            lines,
            [
                "ROUTE HOSTS PATH METHODS WHEN TARGET",
                "one a.example,*.b.example /x/* GET,POST header x-a: 1, query q=1, from 10.0.0.0/8 \
                 split 9 to upstream api, 1 to component next",
                "two - - - - external",
                "three - /go - - redirect 308 /there",
                "four - - - - respond 204",
                "five - - - - {\"later\":\"kind\"}",
            ]
        );
    }
}
