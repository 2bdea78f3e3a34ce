//! `balance` and `hash`: how one of an upstream's servers is chosen.

use http::HeaderName;

use crate::config::key;
use crate::config::reader::Table;

/// How a server is chosen for a request, in each mode by weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balance {
    /// One after the other.
    #[default]
    RoundRobin,
    /// Of two drawn at random the one with fewer requests in flight.
    LeastLoaded,
    /// The one with the fewest requests in flight of all.
    LeastConnections,
    /// Any.
    Random,
    /// By a part of the request, on a ring (ketama): few requests change their server when one comes or goes.
    Hash,
}

impl Balance {
    /// As it is written in a configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::LeastLoaded => "least-loaded",
            Self::LeastConnections => "least-connections",
            Self::Random => "random",
            Self::Hash => "hash",
        }
    }
}

/// The part of a request that decides, under [`Balance::Hash`]. A request without it goes to any server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashKey {
    /// The value of a header field.
    Header(HeaderName),
    /// The value of a cookie.
    Cookie(String),
    /// The client's address.
    Address,
    /// The path, without its query.
    Path,
}

const WORDS: [(&str, Balance); 5] = [
    (Balance::RoundRobin.as_str(), Balance::RoundRobin),
    (Balance::LeastLoaded.as_str(), Balance::LeastLoaded),
    (Balance::LeastConnections.as_str(), Balance::LeastConnections),
    (Balance::Random.as_str(), Balance::Random),
    (Balance::Hash.as_str(), Balance::Hash),
];

/// Takes both keys of an upstream's table, which only make sense together.
pub(super) fn take(table: &mut Table<'_>) -> (Balance, Option<HashKey>) {
    let field = table.take("balance");
    let hash = table.take("hash");
    // A word that could not be read has been reported, and says nothing about `hash`.
    let balance = match &field {
        Some(field) => field.one_of(&WORDS),
        None => Some(Balance::default()),
    };
    match (&field, &hash, balance) {
        (Some(field), None, Some(Balance::Hash)) => {
            field.fail::<()>(
                format!("`{}` is \"hash\", and nothing is named to hash", field.path()),
                "needs `hash`",
                "add hash = { header = \"x-user\" }, { cookie = \"sid\" }, \"address\" or \"path\"",
            );
        }
        (_, Some(hash), Some(other)) if other != Balance::Hash => {
            let word = WORDS.iter().find(|(_, balance)| *balance == other);
            let word = word.map_or("", |(word, _)| word);
            hash.fail::<()>(
                format!("`{}` is given, but balance is \"{word}\"", hash.path()),
                "nothing is hashed",
                "write balance = \"hash\", or remove `hash`",
            );
        }
        _ => {}
    }
    let words = [("address", HashKey::Address), ("path", HashKey::Path)];
    let hash = hash.and_then(|field| key::read(&field, &words, HashKey::Header, HashKey::Cookie));
    (balance.unwrap_or_default(), hash)
}
