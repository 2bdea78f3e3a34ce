mod upstream;

use super::listener::REJECTION_CODES_COUNT;
use super::names::{SERVER_COUNTERS, SERVER_GAUGES};
use super::*;

/// The value of one rendered line, or nothing when there is no such line.
fn value(text: &str, series: &str) -> Option<f64> {
    text.lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn a_request_shows_in_every_series_of_its_route() {
    let registry = Registry::new();
    let route = registry.route("hello");
    let under_way = route.enter();
    assert_eq!(
        value(&registry.render(), "tidegate_requests_in_flight{route=\"hello\"}"),
        Some(1.0)
    );
    drop(under_way);
    route.finished(204, Duration::from_millis(3), 10, 0);
    route.finished(503, Duration::from_millis(30), 0, 7);
    let text = registry.render();
    for (series, expected) in [
        ("tidegate_requests_in_flight{route=\"hello\"}", 0.0),
        ("tidegate_requests_total{route=\"hello\",code=\"2xx\"}", 1.0),
        ("tidegate_requests_total{route=\"hello\",code=\"5xx\"}", 1.0),
        ("tidegate_requests_total{route=\"hello\",code=\"4xx\"}", 0.0),
        ("tidegate_request_body_bytes_total{route=\"hello\"}", 10.0),
        ("tidegate_response_body_bytes_total{route=\"hello\"}", 7.0),
        (
            "tidegate_request_duration_seconds_bucket{route=\"hello\",le=\"0.005\"}",
            1.0,
        ),
        (
            "tidegate_request_duration_seconds_bucket{route=\"hello\",le=\"0.05\"}",
            2.0,
        ),
        ("tidegate_request_duration_seconds_count{route=\"hello\"}", 2.0),
        ("tidegate_request_duration_seconds_sum{route=\"hello\"}", 0.033),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series}\n{text}");
    }
}

#[test]
fn every_status_has_a_class() {
    let registry = Registry::new();
    let route = registry.route("r");
    for status in [100, 199, 200, 301, 404, 499, 500, 599, 0, 99, 600, u16::MAX] {
        route.finished(status, Duration::ZERO, 0, 0);
    }
    let text = registry.render();
    let class = |code: &str| {
        value(
            &text,
            &format!("tidegate_requests_total{{route=\"r\",code=\"{code}\"}}"),
        )
    };
    let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"].map(class);
    assert_eq!(classes, [Some(2.0), Some(1.0), Some(1.0), Some(2.0), Some(6.0)]);
}

#[test]
fn causes_and_kinds_reach_the_counter_of_their_name() {
    let registry = Registry::new();
    let component = registry.component("c");
    for (n, cause) in CancelCause::ALL.into_iter().enumerate() {
        (0..=n).for_each(|_| component.cancelled(cause));
    }
    let listener = registry.listener("public");
    for (n, kind) in TimeoutKind::ALL.into_iter().enumerate() {
        (0..=n).for_each(|_| listener.timed_out(kind));
    }
    let text = registry.render();
    for (n, cause) in CancelCause::ALL.into_iter().enumerate() {
        let series = format!(
            "tidegate_component_cancels_total{{component=\"c\",cause=\"{}\"}}",
            cause.as_str()
        );
        assert_eq!(value(&text, &series), Some((n + 1) as f64), "{series}");
    }
    for (n, kind) in TimeoutKind::ALL.into_iter().enumerate() {
        let series = format!(
            "tidegate_timeouts_total{{listener=\"public\",kind=\"{}\"}}",
            kind.as_str()
        );
        assert_eq!(value(&text, &series), Some((n + 1) as f64), "{series}");
    }
}

#[test]
fn a_name_is_the_same_series_for_every_snapshot() {
    let registry = Registry::new();
    let first = registry.component("c");
    first.calls.increment(1);
    let again = registry.component("c");
    assert!(Arc::ptr_eq(&first, &again));
    drop(first);
    again.calls.increment(1);
    assert_eq!(
        value(&registry.render(), "tidegate_component_calls_total{component=\"c\"}"),
        Some(2.0)
    );
}

#[test]
fn registries_do_not_share() {
    let (one, other) = (Registry::new(), Registry::new());
    one.gateway().reloads_failed.increment(1);
    let series = "tidegate_reloads_total{result=\"failed\"}";
    assert_eq!(value(&one.render(), series), Some(1.0));
    assert_eq!(value(&other.render(), series), Some(0.0));
}

#[test]
fn rejection_codes_are_bounded() {
    let registry = Registry::new();
    let listener = registry.listener("public");
    listener.rejected("bare-lf");
    listener.rejected("bare-lf");
    let codes: Vec<&'static str> = (0..200)
        .map(|n| -> &'static str { Box::leak(format!("code-{n}").into_boxed_str()) })
        .collect();
    for code in &codes {
        listener.rejected(code);
    }
    let text = registry.render();
    assert_eq!(
        value(&text, "tidegate_rejected_total{listener=\"public\",code=\"bare-lf\"}"),
        Some(2.0)
    );
    let other = value(&text, "tidegate_rejected_total{listener=\"public\",code=\"other\"}");
    assert_eq!(other, Some((201 - REJECTION_CODES_COUNT) as f64));
    let series = text
        .lines()
        .filter(|line| line.starts_with("tidegate_rejected_total{"))
        .count();
    assert_eq!(series, REJECTION_CODES_COUNT + 1);
}

#[test]
fn names_are_bounded_across_reloads() {
    let registry = Registry::new();
    for n in 0..LISTENERS_COUNT + 50 {
        registry.listener(&format!("l{n}")).accepted.increment(1);
    }
    let text = registry.render();
    assert_eq!(
        value(&text, "tidegate_connections_total{listener=\"other\"}"),
        Some(50.0)
    );
    assert_eq!(value(&text, "tidegate_connections_total{listener=\"l0\"}"), Some(1.0));
    let series = text
        .lines()
        .filter(|line| line.starts_with("tidegate_connections_total{"))
        .count();
    assert_eq!(series, LISTENERS_COUNT + 1);
}

#[test]
fn every_series_is_described_and_declared_once() {
    let registry = Registry::new();
    registry.route("r").finished(200, Duration::ZERO, 1, 1);
    registry.component("c").cancelled(CancelCause::ClientGone);
    registry.listener("l").rejected("bare-lf");
    let server = registry.server("u", "127.0.0.1:1");
    server.answered(200, Duration::ZERO);
    let text = registry.render();
    let mut names: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .filter(|name| !name.is_empty())
        .collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|suffix| name.strip_suffix(suffix))
            .find(|family| text.contains(&format!("# TYPE {family} histogram\n")))
            .unwrap_or(name);
        let declared = |kind: &str| text.matches(&format!("# {kind} {family} ")).count();
        assert_eq!((declared("HELP"), declared("TYPE")), (1, 1), "{family}\n{text}");
        assert!(family.starts_with("tidegate_"), "{family}");
    }
    let described = COUNTERS
        .iter()
        .chain(GAUGES)
        .chain(&SERVER_COUNTERS)
        .chain(&SERVER_GAUGES);
    for (name, _) in described {
        assert!(
            text.contains(&format!("# TYPE {name} ")),
            "{name} is described but never made\n{text}"
        );
    }
}

#[test]
fn label_values_are_escaped() {
    let registry = Registry::new();
    registry.route("a\"b\\c\nd").finished(200, Duration::ZERO, 0, 0);
    let text = registry.render();
    assert!(text.contains("route=\"a\\\"b\\\\c\\nd\",code=\"2xx\"} 1\n"), "{text}");
    assert!(text.lines().all(|line| !line.starts_with('d')), "{text}");
}

#[test]
fn guards_come_off_the_gauge_wherever_they_are_dropped() {
    let registry = Registry::new();
    let component = registry.component("c");
    let series = "tidegate_component_instances{component=\"c\"}";
    let guards: Vec<GaugeGuard> = (0..4).map(|_| component.instance()).collect();
    assert_eq!(value(&registry.render(), series), Some(4.0));
    std::thread::scope(|scope| {
        for guard in guards {
            scope.spawn(move || drop(guard));
        }
    });
    assert_eq!(value(&registry.render(), series), Some(0.0));
}
