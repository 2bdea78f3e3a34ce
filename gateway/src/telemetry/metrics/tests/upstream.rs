//! Upstreams and servers: which series each call reaches, and that a server's end with it.

use super::value;
use crate::error::UpstreamFault;
use crate::limits;
use crate::telemetry::metrics::Registry;
use std::sync::Arc;
use std::time::Duration;

const FAULTS: [UpstreamFault; 10] = [
    UpstreamFault::Connect,
    UpstreamFault::Tls,
    UpstreamFault::Closed,
    UpstreamFault::Protocol,
    UpstreamFault::ConnectTimeout,
    UpstreamFault::FirstByteTimeout,
    UpstreamFault::WriteTimeout,
    UpstreamFault::IdleTimeout,
    UpstreamFault::Unavailable,
    UpstreamFault::Busy,
];

#[test]
fn an_upstream_counts_by_its_name() {
    let registry = Registry::new();
    let upstream = registry.upstream("api");
    upstream.retried();
    upstream.retried();
    upstream.retry_refused();
    FAULTS.into_iter().for_each(|kind| upstream.refused(kind));
    upstream.refused(UpstreamFault::Busy);
    upstream.interim(0);
    upstream.interim(3);
    upstream.lookup_failed();
    upstream.tunnel_bytes(10, 0);
    upstream.tunnel_bytes(0, 7);
    let open = upstream.tunnel();
    drop(upstream.tunnel());
    let text = registry.render();
    for (series, expected) in [
        ("retries_total{upstream=\"api\"}", 2.0),
        ("retries_refused_total{upstream=\"api\"}", 1.0),
        ("refused_total{upstream=\"api\",code=\"upstream-unavailable\"}", 1.0),
        ("refused_total{upstream=\"api\",code=\"upstream-busy\"}", 2.0),
        ("interim_responses_total{upstream=\"api\"}", 3.0),
        ("lookup_failures_total{upstream=\"api\"}", 1.0),
        ("tunnel_bytes_total{upstream=\"api\",direction=\"to\"}", 10.0),
        ("tunnel_bytes_total{upstream=\"api\",direction=\"from\"}", 7.0),
        ("tunnels_total{upstream=\"api\"}", 2.0),
        ("tunnels_open{upstream=\"api\"}", 1.0),
    ] {
        let series = format!("tidegate_upstream_{series}");
        assert_eq!(value(&text, &series), Some(expected), "{series}\n{text}");
    }
    drop(open);
    let open = value(&registry.render(), "tidegate_upstream_tunnels_open{upstream=\"api\"}");
    assert_eq!(open, Some(0.0));
}

#[test]
fn a_server_counts_by_its_address_and_its_time_by_the_upstream() {
    let registry = Registry::new();
    let one = registry.server("api", "10.0.0.1:80");
    let other = registry.server("api", "10.0.0.2:80");
    one.answered(200, Duration::from_millis(3));
    one.answered(503, Duration::from_millis(30));
    one.answered(700, Duration::ZERO);
    other.answered(204, Duration::from_millis(3));
    for (n, kind) in FAULTS.into_iter().enumerate() {
        (0..=n).for_each(|_| one.failed(kind));
    }
    one.ejected();
    one.healthy(false);
    one.in_flight(4);
    one.connections(9);
    let text = registry.render();
    let of = |family: &str, server: &str, code: &str| {
        let series = format!("tidegate_upstream_{family}{{upstream=\"api\",server=\"{server}\"{code}}}");
        value(&text, &series)
    };
    for (family, code, expected, others) in [
        ("responses_total", ",code=\"2xx\"", 1.0, 1.0),
        ("responses_total", ",code=\"4xx\"", 0.0, 0.0),
        ("responses_total", ",code=\"5xx\"", 2.0, 0.0),
        ("ejections_total", "", 1.0, 0.0),
        ("server_healthy", "", 0.0, 1.0),
        ("requests_in_flight", "", 4.0, 0.0),
        ("connections_open", "", 9.0, 0.0),
    ] {
        assert_eq!(of(family, "10.0.0.1:80", code), Some(expected), "{family}{code}");
        assert_eq!(of(family, "10.0.0.2:80", code), Some(others), "{family}{code}");
    }
    for (n, kind) in FAULTS.into_iter().enumerate() {
        let code = format!(",code=\"{}\"", kind.code());
        // No server fails for want of a server.
        let expected = (kind != UpstreamFault::Unavailable).then_some((n + 1) as f64);
        assert_eq!(of("failures_total", "10.0.0.1:80", &code), expected, "{code}");
    }
    let seconds = |part: &str| value(&text, &format!("tidegate_upstream_first_byte_seconds_{part}"));
    assert_eq!(seconds("bucket{upstream=\"api\",le=\"0.005\"}"), Some(3.0));
    assert_eq!(seconds("count{upstream=\"api\"}"), Some(4.0));
}

#[test]
fn a_server_that_is_gone_is_no_longer_shown() {
    let registry = Registry::new();
    let (stays, goes) = (
        registry.server("api", "10.0.0.1:80"),
        registry.server("api", "10.0.0.2:80"),
    );
    goes.answered(200, Duration::ZERO);
    let held = registry.server("api", "10.0.0.2:80");
    assert!(Arc::ptr_eq(&goes, &held), "one series for whoever asks");
    drop(goes);
    let series = "tidegate_upstream_responses_total{upstream=\"api\",server=\"10.0.0.2:80\",code=\"2xx\"}";
    assert_eq!(value(&registry.render(), series), Some(1.0), "somebody holds it");
    drop(held);
    let text = registry.render();
    assert!(!text.contains("10.0.0.2"), "{text}");
    assert!(text.contains("10.0.0.1"), "{text}");
    drop(stays);
    let text = registry.render();
    assert!(!text.contains("tidegate_upstream_server_healthy"), "{text}");
    registry.server("api", "10.0.0.2:80");
    assert!(!registry.render().contains(series), "nobody holds what it gave");
}

#[test]
fn servers_are_bounded_at_a_time_and_not_over_time() {
    let registry = Registry::new();
    for n in 0..2 * limits::SERVER_METRICS_COUNT {
        registry.server("api", &format!("s{n}")).ejected();
    }
    let held: Vec<_> = (0..limits::SERVER_METRICS_COUNT + 5)
        .map(|n| registry.server("api", &format!("t{n}")))
        .collect();
    held.iter().for_each(|server| server.ejected());
    let text = registry.render();
    let series = "tidegate_upstream_ejections_total{upstream=\"api\",server=";
    assert_eq!(value(&text, &format!("{series}\"t0\"}}")), Some(1.0));
    assert_eq!(value(&text, &format!("{series}\"other\"}}")), Some(5.0));
    let count = text.lines().filter(|line| line.starts_with(series)).count();
    assert_eq!(count, limits::SERVER_METRICS_COUNT + 1);
}

#[test]
fn names_are_escaped() {
    let registry = Registry::new();
    let _server = registry.server("a\"b", "c\\d\ne");
    let text = registry.render();
    let series = "tidegate_upstream_server_healthy{upstream=\"a\\\"b\",server=\"c\\\\d\\ne\"} 1\n";
    assert!(text.contains(series), "{text}");
}
