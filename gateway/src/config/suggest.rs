//! Did-you-mean: the name someone probably meant.

/// Names that other gateways, or first guesses, use for keys of ours.
const SYNONYMS: &[(&str, &str)] = &[
    ("addr", "address"),
    ("bind", "address"),
    ("listen", "address"),
    ("certificate", "cert"),
    ("private_key", "key"),
    ("ca", "client_ca"),
    ("module", "source"),
    ("wasm", "source"),
    ("file", "source"),
    ("path", "source"),
    ("environment", "env"),
    ("vars", "env"),
    ("permissions", "grants"),
    ("capabilities", "grants"),
    ("allowed_hosts", "http"),
    ("allowed_outbound_hosts", "http"),
    ("https", "http"),
    ("outbound", "http"),
    ("mounts", "dirs"),
    ("preopens", "dirs"),
    ("filesystem", "dirs"),
    ("tcp", "sockets"),
    ("max_requests", "requests"),
    ("idle_timeout", "idle"),
    ("resolver", "dns"),
    ("resolvers", "dns"),
    ("nameservers", "dns"),
    ("timeout", "deadline"),
    ("max_body", "body"),
    ("max_body_size", "body"),
    ("body_size", "body"),
    ("max_connections", "connections"),
    ("max_memory", "memory"),
    ("cpu_time", "cpu"),
    ("instances", "concurrency"),
    ("keep_alive", "idle_timeout"),
    ("keepalive_timeout", "idle_timeout"),
    ("threads", "workers"),
    ("state_dir", "data_dir"),
    ("server", "listener"),
    ("servers", "listener"),
    ("handler", "component"),
    ("location", "route"),
    ("backend", "upstream"),
    ("backends", "upstream"),
    ("cluster", "upstream"),
    ("proxy_pass", "upstream"),
    ("reverse_proxy", "upstream"),
    ("hosts", "servers"),
    ("endpoints", "servers"),
    ("targets", "servers"),
    ("nodes", "servers"),
    ("lb", "balance"),
    ("policy", "balance"),
    ("algorithm", "balance"),
    ("health_check", "health"),
    ("outlier_detection", "ejection"),
    ("circuit_breaker", "limits"),
    ("retries", "attempts"),
    ("max_retries", "attempts"),
    ("retries", "retry"),
    ("sni", "server_name"),
    ("read", "first_byte"),
    ("response", "first_byte"),
    ("whitelist", "allow"),
    ("blacklist", "deny"),
    ("block", "deny"),
    ("set_headers", "request_headers"),
    ("headers_up", "request_headers"),
    ("headers_down", "response_headers"),
    ("replace_path", "path"),
    ("verb", "methods"),
    ("hostname", "host"),
    ("domain", "host"),
    ("url", "path"),
    ("prefix", "path"),
    ("code", "status"),
    ("status_code", "status"),
    ("content", "body"),
    ("url", "to"),
    ("location", "to"),
    ("target", "to"),
];

/// The candidate that `given` was probably meant to be, if one is near enough to say so.
pub(super) fn closest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A longer name forgives more slips; with one letter in three wrong it is another word.
    let allowed = (given.chars().count() / 3).clamp(1, 3);
    let given = given.to_lowercase().replace('-', "_");
    candidates
        .into_iter()
        .map(|candidate| {
            let normal = candidate.to_lowercase().replace('-', "_");
            (strsim::damerau_levenshtein(&given, &normal), candidate)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// As [`closest`] for a key, which may also have been called as elsewhere.
pub(super) fn closest_key<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    closest(given, known.iter().copied()).or_else(|| {
        let given = given.to_lowercase().replace('-', "_");
        SYNONYMS
            .iter()
            .filter(|(other, _)| *other == given)
            .find_map(|(_, ours)| known.iter().copied().find(|key| key == ours))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_understood() {
        let keys = ["address", "name", "limits", "client_ca", "tls"];
        for (given, meant) in [
            ("adress", "address"),
            ("Address", "address"),
            ("limit", "limits"),
            ("client-ca", "client_ca"),
            ("tsl", "tls"),
            ("bind", "address"),
        ] {
            assert_eq!(closest_key(given, &keys), Some(meant), "{given}");
        }
    }

    #[test]
    fn other_words_are_not() {
        for given in ["", "x", "banana", "nickname"] {
            assert_eq!(closest_key(given, &["address", "name", "limits"]), None, "{given}");
        }
    }

    #[test]
    fn the_nearest_of_several_wins() {
        assert_eq!(closest("hell", ["hello-next", "hello", "shell"]), Some("hello"));
    }
}
