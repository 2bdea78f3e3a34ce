//! Names looked up for sockets: what a name server is asked, and what of its answers a guest gets.

use crate::support::Gateway;
use crate::support::config::inline;
use crate::support::names::{NameServer, Says};
use serde_json::Value;
use std::net::Ipv4Addr;

const GRANTS: &str =
    "{ sockets = ['db.internal:5432', 'inward.example:80', 'missing.example:80', 'failing.example:80'] }";

fn zone(name: &str, _: usize) -> Says {
    match name {
        "db.internal" => Says::Address(Ipv4Addr::new(10, 1, 2, 3), 60),
        "inward.example" => Says::Address(Ipv4Addr::LOCALHOST, 60),
        "failing.example" => Says::Code(2),
        _ => Says::Code(3),
    }
}

fn gateway(server: &NameServer) -> Gateway {
    Gateway::with()
        .set("dns", vec![server.address.to_string()])
        .component_with("surroundings-p3", |guest| guest.set("grants", inline(GRANTS)))
        .component_with("fs-and-sockets", |guest| guest.set("grants", inline(GRANTS)))
        .start()
}

/// What the 0.2 guest's own library says of a lookup.
#[track_caller]
fn resolve(gateway: &Gateway, name: &str) -> Value {
    let answer = gateway.get("fs-and-sockets", &format!("/?resolve={name}:5432"));
    let seen: Value = serde_json::from_slice(&answer.is(200).body).unwrap();
    seen["resolve"].clone()
}

#[test]
fn granted_names_are_asked_for_and_no_others() {
    let server = NameServer::start(zone);
    let gateway = gateway(&server);
    let found = gateway.get("surroundings-p3", "/lookup?db.internal");
    assert_eq!(found.is(200).text(), "10.1.2.3\n");
    let seen = resolve(&gateway, "DB.internal");
    assert_eq!(seen["saw"], "[10.1.2.3:5432]", "{seen}");
    // A secret in a name would be told to whoever serves its zone.
    for name in [
        "secret.attacker.example",
        "secret.db.internal",
        "internal",
        "b\u{fc}cher.example",
    ] {
        let denied = gateway.get(
            "surroundings-p3",
            &format!("/lookup?{}", name.replace('\u{fc}', "%C3%BC")),
        );
        assert_eq!(denied.is(502).text(), "ErrorCode::AccessDenied", "{name}");
    }
    assert_eq!(resolve(&gateway, "secret.attacker.example")["kind"], "PermissionDenied");
    for name in [
        "secret.attacker.example",
        "secret.db.internal",
        "internal",
        "xn--bcher-kva.example",
    ] {
        assert_eq!(server.asked(name), 0, "{name}");
    }
    assert_eq!(
        server.asked("db.internal"),
        1,
        "the answer is kept for its time to live"
    );
}

#[test]
fn an_answer_that_leads_inwards_is_denied_and_a_failure_is_told() {
    let server = NameServer::start(zone);
    let gateway = gateway(&server);
    for (name, error) in [
        ("inward.example", "ErrorCode::AccessDenied"),
        ("missing.example", "ErrorCode::NameUnresolvable"),
        ("failing.example", "ErrorCode::PermanentResolverFailure"),
    ] {
        let denied = gateway.get("surroundings-p3", &format!("/lookup?{name}"));
        assert_eq!(denied.is(502).text(), error, "{name}");
        assert_eq!(resolve(&gateway, name)["ok"], false, "{name}");
    }
    assert_eq!(resolve(&gateway, "inward.example")["kind"], "PermissionDenied");
}
