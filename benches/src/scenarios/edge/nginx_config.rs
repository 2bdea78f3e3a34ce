//! The configuration of the nginx that is compared with.

use super::peers::{Duty, Log};

pub(super) const FILE: &str = "nginx.conf";
pub(super) const ACCESS_LOG: &str = "access.log";
/// Idle connections it keeps to the upstream, unless the loader alone has more requests in flight.
const KEEPALIVE: usize = 64;
/// A connection of nginx's is one of these on either side; listeners and logs take some.
const CONNECTIONS_MIN: usize = 1024;
const CONNECTIONS_OTHER: usize = 64;

/// One process, one listener, every timeout and the log format at their defaults. What is set is what a run of
/// millions of requests needs to be one run (connections are not closed after the thousandth request), what a private
/// folder needs, and what an HTTP/1.1 proxy has to be told to keep connections and to say who the client is.
pub(super) fn text(log: Log, duty: Duty<'_>, connections: usize) -> String {
    let log = match log {
        Log::Written => "",
        Log::Buffered => " combined buffer=64k flush=1s",
    };
    let worker_connections = CONNECTIONS_MIN.max(2 * connections + CONNECTIONS_OTHER);
    let (upstream, location) = match duty.upstream {
        None => (String::new(), format!("return 200 \"{}\";", escaped(duty.body))),
        Some(upstream) => {
            let keepalive = KEEPALIVE.max(connections);
            (
                format!(
                    "    upstream origin {{
        server {upstream};
        keepalive {keepalive};
        keepalive_requests 1000000000;
    }}
"
                ),
                "proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Proto $scheme;"
                    .to_owned(),
            )
        }
    };
    format!(
        "daemon off;
master_process off;
worker_processes 1;
pid nginx.pid;
error_log stderr;
events {{
    worker_connections {worker_connections};
}}
http {{
    access_log {ACCESS_LOG}{log};
    default_type text/plain;
    keepalive_requests 1000000000;
    client_body_temp_path temp-body;
    proxy_temp_path temp-proxy;
    fastcgi_temp_path temp-fastcgi;
    uwsgi_temp_path temp-uwsgi;
    scgi_temp_path temp-scgi;
{upstream}    server {{
        listen {};
        location / {{
            {location}
        }}
    }}
}}
",
        duty.address
    )
}

/// In a quoted string of nginx's, where `$` would begin a variable and cannot be escaped: none of our bodies has one.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
