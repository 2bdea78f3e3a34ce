//! The metrics that exist, with what `# HELP` says of each. A name here is a promise to dashboards.

pub(super) const REQUEST_SECONDS: (&str, &str) = (
    "tidegate_request_duration_seconds",
    "From a request's head to the last byte of its response, by route.",
);
pub(super) const QUEUE_SECONDS: (&str, &str) = (
    "tidegate_component_queue_seconds",
    "How long calls waited for a place, by component.",
);
pub(super) const INSTANTIATE_SECONDS: (&str, &str) = (
    "tidegate_component_instantiate_seconds",
    "Time to make an instance, by component.",
);
pub(super) const CPU_SECONDS: (&str, &str) = (
    "tidegate_component_cpu_seconds",
    "CPU of one call, time inside its polls, by component.",
);

pub(super) const FIRST_BYTE_SECONDS: (&str, &str) = (
    "tidegate_upstream_first_byte_seconds",
    "From an attempt at a server to the head of its response, by upstream.",
);

/// Of each server of an upstream, by class of status, by code of the fault, and alone.
pub(super) const SERVER_COUNTERS: [(&str, &str); 3] = [
    (
        "tidegate_upstream_responses_total",
        "Attempts that a server answered, by upstream, server and status class.",
    ),
    (
        "tidegate_upstream_failures_total",
        "Attempts that failed, by upstream, server and code.",
    ),
    (
        "tidegate_upstream_ejections_total",
        "Times a server was left out for its failures, by upstream and server.",
    ),
];

pub(super) const SERVER_GAUGES: [(&str, &str); 3] = [
    (
        "tidegate_upstream_server_healthy",
        "1 where the server's health checks pass or it has none, else 0.",
    ),
    (
        "tidegate_upstream_requests_in_flight",
        "Requests under way at a server, by upstream and server.",
    ),
    (
        "tidegate_upstream_connections_open",
        "Connections open to a server, by upstream and server.",
    ),
];

pub(super) const COUNTERS: &[(&str, &str)] = &[
    (
        "tidegate_requests_total",
        "Requests answered, by route and status class.",
    ),
    (
        "tidegate_request_body_bytes_total",
        "Request body bytes received, by route.",
    ),
    (
        "tidegate_response_body_bytes_total",
        "Response body bytes sent, by route.",
    ),
    ("tidegate_component_calls_total", "Calls of a component's handler."),
    ("tidegate_component_traps_total", "Calls that ended in a trap."),
    (
        "tidegate_component_memory_failures_total",
        "Calls that failed at the component's memory limit.",
    ),
    (
        "tidegate_component_saturated_total",
        "Calls refused because no place came free in time.",
    ),
    (
        "tidegate_component_lane_moves_total",
        "Calls that moved to the CPU lane.",
    ),
    (
        "tidegate_component_cancels_total",
        "Calls stopped before they were done, by cause.",
    ),
    (
        "tidegate_component_retirements_total",
        "Reusable instances that are gone, by cause.",
    ),
    (
        "tidegate_component_outgoing_total",
        "Outgoing requests of a component, by result.",
    ),
    (
        "tidegate_upstream_retries_total",
        "Further attempts of requests that had one, by upstream.",
    ),
    (
        "tidegate_upstream_retries_refused_total",
        "Further attempts not made because the retry budget was spent, by upstream.",
    ),
    (
        "tidegate_upstream_refused_total",
        "Requests that no server was asked for, by upstream and code.",
    ),
    (
        "tidegate_upstream_tunnels_total",
        "Tunnels opened through upgrades and extended CONNECT, by upstream.",
    ),
    (
        "tidegate_upstream_tunnel_bytes_total",
        "Bytes carried through tunnels, by upstream and direction: to its servers, or from them.",
    ),
    (
        "tidegate_upstream_interim_responses_total",
        "Interim responses (1xx) received, by upstream.",
    ),
    (
        "tidegate_upstream_lookup_failures_total",
        "Server names that could not be looked up, by upstream.",
    ),
    ("tidegate_connections_total", "Connections accepted, by listener."),
    (
        "tidegate_connections_refused_total",
        "Connections closed at once, over a limit or for their PROXY header, by listener and reason.",
    ),
    ("tidegate_accept_errors_total", "Failed accepts, by listener."),
    (
        "tidegate_tls_handshake_failures_total",
        "TLS handshakes that failed, by listener.",
    ),
    (
        "tidegate_timeouts_total",
        "Connection timers that ran out, by listener and kind.",
    ),
    (
        "tidegate_rejected_total",
        "Requests refused before they reached a handler, by listener and code.",
    ),
    ("tidegate_reloads_total", "Reloads of the configuration, by result."),
    ("tidegate_access_log_lines_total", "Access-log lines written."),
    (
        "tidegate_access_log_dropped_total",
        "Access-log lines dropped because the queue was full.",
    ),
    (
        "tidegate_access_log_failed_total",
        "Access-log lines lost because the sink failed.",
    ),
];

pub(super) const GAUGES: &[(&str, &str)] = &[
    ("tidegate_requests_in_flight", "Requests under way, by route."),
    ("tidegate_component_instances", "Component instances in use."),
    (
        "tidegate_component_idle_instances",
        "Component instances kept for the next call.",
    ),
    (
        "tidegate_component_outgoing_connections",
        "Connections open for a component's outgoing requests.",
    ),
    ("tidegate_upstream_tunnels_open", "Tunnels open, by upstream."),
    ("tidegate_component_queue_length", "Calls waiting for a place."),
    (
        "tidegate_pool_free",
        "Places free in the instance pool, by dialect; idle instances hold theirs.",
    ),
    ("tidegate_tasks", "Tasks alive, by runtime."),
    ("tidegate_connections_open", "Open connections, by listener."),
    (
        "tidegate_snapshot_version",
        "The version of the configuration that serves.",
    ),
    (
        "tidegate_snapshot_versions_alive",
        "Versions that still hold memory: the serving one and those draining.",
    ),
    ("tidegate_build_info", "Always 1; the label is the running version."),
];
