//! Every bound Tidegate keeps, with its unit and the reason for its default. Nothing else defines one.
//!
//! A name ends in its unit (`_BYTES`, `_COUNT`) unless its type says it (`Duration`). Where a bound can be
//! configured the constant here is its default; docs/operations.md lists the answer given when it is reached.

use std::time::Duration;

// ---- Listener: connections and heads -----------------------------------------------------------------------

/// Open connections per listener. Beyond it a connection is accepted and closed at once, and counted.
pub const CONNECTIONS_COUNT: usize = 10_000;
/// Open connections per client address and listener: one address cannot take every place.
pub const CONNECTIONS_PER_ADDRESS_COUNT: usize = 4_096;
/// A request head: request line and fields together. 431 beyond it.
pub const HEADER_BYTES: usize = 32 * 1024;
/// The smallest head limit that may be configured: below it ordinary browsers cannot send a request.
pub const HEADER_BYTES_MIN: usize = 1024;
/// The largest head limit that may be configured: heads are held in memory whole.
pub const HEADER_BYTES_MAX: usize = 1024 * 1024;
/// Fields in one head. 431 beyond it.
pub const HEADER_COUNT: usize = 100;
/// The request target. 414 beyond it.
pub const URI_BYTES: usize = 8 * 1024;
/// Fields that Connection may name beside `close` and `keep-alive`; what it names beyond them goes on. Clients name one
/// or two, and each costs a look-up.
pub const CONNECTION_OPTIONS_COUNT: usize = 16;
/// Proxies a request may have come by, as X-Forwarded-For or Forwarded tell of them; what is told beyond them is not
/// read.
pub const PROXIES_COUNT: usize = 32;
/// From the first byte of a head to its last. 408 when it passes with a part of the head received.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection between two requests, and an HTTP/2 connection without streams. Closed without an answer.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// An HTTP/1 connection that waits this long for its next request gives its buffers back until a byte comes. As often
/// as the watch looks: between busy requests they are kept, and few connections hold some for nothing.
pub const IDLE_REST: Duration = WATCH_INTERVAL;
/// A TLS handshake. What follows it, a head or an HTTP/2 preface and its first request, has [`HEADER_TIMEOUT`].
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes under way per door runtime: each costs a millisecond of CPU, so a flood may not own the core.
pub const HANDSHAKES_COUNT: usize = 256;
/// A request body as received. 413 beyond it.
pub const BODY_BYTES: u64 = 16 * 1024 * 1024;
/// A request body that brings no byte for this long ends with 408.
pub const BODY_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// A request body must bring on average at least this much each second, measured after the first
/// [`BODY_IDLE_TIMEOUT`]: a byte a second is an attack, not a client.
pub const BODY_RATE_BYTES_MIN: u64 = 64;
/// A client that takes no byte of a response for this long has its connection closed and its guest stopped.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// An answer that came before the end of its request's body: the rest is taken for this long at most, so that the client
/// hears the answer before the connection's end.
pub const LINGER_TIME: Duration = Duration::from_secs(5);
/// A chunk-size line with its extension. 400 beyond it in a request; a response is cut.
pub const CHUNK_LINE_BYTES: usize = 256;
/// A trailer section of a chunked body on HTTP/1, and apart from it the extensions of all its chunks. 400 beyond it in
/// a request; a response is cut.
pub const TRAILER_BYTES: usize = 8 * 1024;
/// After a failed accept (EMFILE, ENFILE, ENOBUFS): pause this long, then go on.
pub const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);
/// A header of the PROXY protocol's version 1, with its line end (proxy-protocol.txt §2.1). Closed beyond it.
pub const PROXY_V1_BYTES: usize = 107;
/// What follows the 16 fixed bytes of version 2: two addresses, and what a balancer tells of the client's TLS beside
/// them. Closed beyond it.
pub const PROXY_V2_REST_BYTES: usize = 4 * 1024;
/// The kernel's queue of connections not yet accepted.
pub const LISTEN_BACKLOG_COUNT: u32 = 4096;

// ---- HTTP/2 -------------------------------------------------------------------------------------------------

/// Concurrent streams on one connection.
pub const H2_STREAMS_COUNT: u32 = 128;
/// Streams reset by the client before they were answered, per connection (rapid reset, CVE-2023-44487).
pub const H2_PENDING_RESETS_COUNT: usize = 20;
/// Streams this side had to reset for the peer's errors (MadeYouReset, CVE-2025-8671).
pub const H2_LOCAL_RESETS_COUNT: usize = 64;
/// Flow-control window of one stream.
pub const H2_STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// Flow-control window of one connection.
pub const H2_CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Response bytes hyper may hold for one stream before the handler is asked to wait.
pub const H2_SEND_BUFFER_BYTES: usize = 64 * 1024;

// ---- Requests in flight -------------------------------------------------------------------------------------

/// How often a request older than this has its socket looked at, and its deadlines checked.
pub const WATCH_INTERVAL: Duration = Duration::from_millis(50);

/// How often a request may come by while components call one another through this gateway. 508 beyond it.
pub const HOPS_COUNT: usize = 16;

// ---- Components ---------------------------------------------------------------------------------------------

/// Linear memory of one instance, all its memories together. 502 `memory` when a guest fails for it.
pub const MEMORY_BYTES: u64 = 64 * 1024 * 1024;
/// The largest memory limit that may be configured: what one pool slot reserves.
pub const MEMORY_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// The smallest: one page.
pub const MEMORY_BYTES_MIN: u64 = WASM_PAGE_BYTES;
/// A page of linear memory (WebAssembly core specification §4.2.8): what memories are counted in.
pub const WASM_PAGE_BYTES: u64 = 64 * 1024;
/// From dispatch to the response head. 504 beyond it.
pub const DEADLINE: Duration = Duration::from_secs(5);
/// From dispatch to the end of the guest's work. Zero: none beyond the write timeout.
pub const BODY_DEADLINE: Duration = Duration::ZERO;
/// CPU time of one call, time inside polls. 504 `cpu` beyond it.
pub const CPU: Duration = Duration::from_secs(1);
/// Calls of one component at a time.
pub const CONCURRENCY_COUNT: usize = 256;
/// Calls waiting for a place. 503 beyond it.
pub const QUEUE_COUNT: usize = 512;
/// How long one waits. 503 beyond it.
pub const QUEUE_TIME: Duration = Duration::from_secs(1);
/// Requests one instance answers where its component allows reuse; then it is retired.
pub const REUSE_REQUESTS_COUNT: u32 = 128;
/// The most that may be configured: what a guest leaks a little of with each request is its neighbours' loss.
pub const REUSE_REQUESTS_COUNT_MAX: u32 = 1_000_000;
/// A reused instance that no request needs for this long gives its slot back.
pub const REUSE_IDLE: Duration = Duration::from_secs(10);
/// Requests inside one instance at a time, where its component allows that.
pub const REUSE_CONCURRENT_COUNT: usize = 16;
/// The most that may be configured: they share the memory limit of one instance.
pub const REUSE_CONCURRENT_COUNT_MAX: usize = 1024;
/// Guest tasks an instance remembers before it looks which of their calls are over.
pub const REUSE_TASKS_COUNT: usize = 64;
/// How long a call that nobody waits for may go on computing in an instance it shares, before all of it is stopped:
/// most are done by then, and the other requests of the instance live.
pub const UNWANTED_GRACE: Duration = Duration::from_millis(100);
/// Handles a reused instance may hold between two requests (its stdout, open files, clocks' pollables). One that holds
/// more, or any that belongs to a request, is retired.
pub const REUSE_HANDLES_COUNT: usize = 64;
/// Component instances alive at once over the whole gateway: the size of each engine's pool.
pub const INSTANCES_COUNT: u32 = 1000;
/// Slots an engine's pool has beyond its places, for each thread that may give instances back: those that it is
/// cleaning, which are no longer used and not yet free.
pub const POOL_SPARE_COUNT: u32 = POOL_CLEANED_COUNT;
/// Slots given back that are cleaned together, in one system call each.
pub const POOL_CLEANED_COUNT: u32 = 32;
/// Core instances one component instance may hold (std guests with an adapter use four).
pub const CORE_INSTANCES_PER_COMPONENT_COUNT: u32 = 32;
/// Linear memories of one component.
pub const MEMORIES_PER_COMPONENT_COUNT: u32 = 8;
/// Tables of one component.
pub const TABLES_PER_COMPONENT_COUNT: u32 = 16;
/// Elements of one table.
pub const TABLE_ELEMENTS_COUNT: usize = 100_000;
/// Resources a guest may hold at once. The call that asks for more traps.
pub const RESOURCES_COUNT: usize = 4_096;
/// A component file. Refused at load beyond it.
pub const COMPONENT_BYTES: u64 = 256 * 1024 * 1024;
/// The guest's own stack.
pub const WASM_STACK_BYTES: usize = 512 * 1024;
/// The fiber's stack: the guest's and the host calls made from it.
pub const ASYNC_STACK_BYTES: usize = 1024 * 1024;
/// The part of a fiber's stack that stays resident for the next guest, zeroed; what is deeper is given back.
pub const STACK_RESIDENT_BYTES: usize = 16 * 1024;
/// Header fields the guest may set, bytes.
pub const GUEST_FIELDS_BYTES: usize = 128 * 1024;
/// One chunk a 0.2 guest may write at once.
pub const GUEST_CHUNK_BYTES: usize = 64 * 1024;
/// Chunks of a 0.2 response waiting for the client, so that small answers finish without suspending.
pub const GUEST_CHUNKS_COUNT: usize = 16;
/// A line of a guest's stdout, stderr or wasi:logging; the rest is cut and said so.
pub const GUEST_LOG_LINE_BYTES: usize = 8 * 1024;
/// How often the epoch moves while guests run.
pub const EPOCH_TICK: Duration = Duration::from_millis(2);
/// One poll of a guest on its connection's thread; a guest that needs longer moves to the CPU lane.
pub const INLINE_POLL: Duration = Duration::from_millis(2);
/// Guests in the CPU lane at once. 503 beyond it.
pub const LANE_COUNT: usize = 1024;

// ---- Control ------------------------------------------------------------------------------------------------

/// From SIGTERM to the end: requests still in flight then are cut.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(30);
/// From the cut at that deadline to the end of the process at the latest: what was cut is still written to the access log.
pub const CUT_TIME: Duration = Duration::from_secs(1);
/// How long an idle connection may still bring one more request while draining.
pub const DRAIN_IDLE: Duration = Duration::from_secs(2);
/// A command that asks a gateway through its admin API waits this long for the answer.
pub const ADMIN_ANSWER_TIME: Duration = Duration::from_secs(10);
/// The answer it takes: all routes and upstreams that a configuration may have fit in.
pub const ADMIN_ANSWER_BYTES: usize = 256 * 1024 * 1024;
/// Admin connections at once.
pub const ADMIN_CONNECTIONS_COUNT: usize = 64;
/// One configuration file.
pub const CONFIG_FILE_BYTES: u64 = 8 * 1024 * 1024;
/// Routes in one configuration.
pub const ROUTES_COUNT: usize = 100_000;
/// Components in one configuration.
pub const COMPONENTS_COUNT: usize = 10_000;
/// Servers of upstreams with metric series of their own at a time; those beyond share one in each upstream.
pub const SERVER_METRICS_COUNT: usize = 16_384;
/// Access-log lines of one door waiting to be written: some 14,000, a quarter of a second of the most a core answers. A
/// door that has as much takes no further line; they are dropped and counted, never waited for.
pub const ACCESS_LOG_DOOR_BYTES: usize = 4 * 1024 * 1024;

// ---- What a configuration may ask for -----------------------------------------------------------------------

/// Errors collected from one configuration; the report says how many more there are.
pub const CONFIG_ERRORS_COUNT: usize = 1_000;
/// The longest duration that may be configured: a longer one is a slip, and clocks overflow on absurd ones.
pub const CONFIG_DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// A name of a listener, component or route: it becomes a metric label and a part of file names.
pub const NAME_BYTES: usize = 64;
/// A secret read from a file.
pub const SECRET_BYTES: u64 = 64 * 1024;
/// Door runtimes that may be configured: more threads than any machine this runs on has cores.
pub const WORKERS_COUNT_MAX: usize = 1_024;
/// Open connections that may be configured for one listener: each needs a file descriptor.
pub const CONNECTIONS_COUNT_MAX: usize = 1_000_000;
/// Places in a component's queue that may be configured: each holds a request and its connection.
pub const QUEUE_COUNT_MAX: usize = 1_000_000;
/// Entries in each list of a component's grants: every destination is held against all of them.
pub const GRANTS_COUNT: usize = 256;
/// Name servers that may be configured: a resolver asks one after the other.
pub const DNS_SERVERS_COUNT: usize = 8;
/// A label of a DNS name (RFC 1035 §2.3.4).
pub const DNS_LABEL_BYTES: usize = 63;
/// A DNS name as text without its last dot, which is 255 octets on the wire (RFC 1035 §2.3.4).
pub const DNS_NAME_BYTES: usize = 253;
/// A body limit that may be configured: what a signed 64-bit length can say.
pub const BODY_BYTES_MAX: u64 = i64::MAX as u64;
/// A unix socket's path, which the kernel holds in a fixed array (sun_path, with its closing NUL).
pub const UNIX_PATH_BYTES: usize = 107;
/// How often snapshots out of force are looked at, to free those no request holds.
pub const REAP_INTERVAL: Duration = Duration::from_millis(100);
/// Every how many of these it is checked again that pools can be cleaned safely (five seconds).
pub const POOL_RECHECK_TICKS: u32 = 50;
/// Every how many of these instances and connections that nobody needs are looked for (one second).
pub const IDLE_CHECK_TICKS: u32 = 10;
/// Lines of the gateway's own log waiting to be written; beyond it lines are lost, never waited for.
pub const LOG_LINES_COUNT: usize = 16_384;

// ---- Outgoing connections -----------------------------------------------------------------------------------

/// Open outgoing HTTP connections of one component; a request that needs one more waits for its connect timeout.
pub const OUTGOING_CONNECTIONS_COUNT: usize = 128;
/// The most that may be configured: each needs a file descriptor and a local port.
pub const OUTGOING_CONNECTIONS_COUNT_MAX: usize = 4_096;
/// An unused connection is kept this long: less than most servers keep theirs (nginx 75 s), so that it is closed from
/// this side and few requests meet a connection that is just being closed.
pub const OUTGOING_IDLE_TIME: Duration = Duration::from_secs(30);
/// How often a server's failures are told in the log, per server; those between are counted.
pub const UPSTREAM_FAULT_LOG_INTERVAL: Duration = Duration::from_secs(10);
/// How often a denied destination is told in the log, per component; those between are counted.
pub const DENIAL_LOG_INTERVAL: Duration = Duration::from_secs(60);
/// From a request without a usable connection to one: the wait for a place, DNS, TCP and TLS together.
pub const OUTGOING_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// From the end of a request, or its last progress, to the head of its response.
pub const OUTGOING_FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two pieces of a response body.
pub const OUTGOING_BETWEEN_BYTES_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest of these a component can ask for; its own deadlines are far shorter.
pub const OUTGOING_TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a connection that was just used may take to be ready again. It needs one turn of its task; one that
/// takes longer still writes to a server that does not read, and is closed.
pub const OUTGOING_READY_TIME: Duration = Duration::from_millis(100);
/// How long a request body is held back for a server that was told to say 100 first (RFC 9110 §10.1.1), as curl does.
pub const CONTINUE_TIME: Duration = Duration::from_secs(1);
/// Addresses of one name that are tried. Each has its share of the connect timeout.
pub const OUTGOING_ADDRESSES_COUNT: usize = 8;
/// A response head, and on HTTP/2 a trailer section.
pub const OUTGOING_HEAD_BYTES: usize = 64 * 1024;
/// Fields of one response head on HTTP/1, and of one trailer section. hyper keeps that many on its stack: another number would cost an allocation with each
/// response.
pub const OUTGOING_HEADER_COUNT: usize = 100;
/// Interim responses (1xx) to one request on HTTP/1. Servers send one or two; hyper would skip them without end.
pub const OUTGOING_INTERIM_COUNT: usize = 16;
/// Bytes an HTTP/1 connection may hold that were received and not yet taken, or written and not yet sent.
pub const OUTGOING_BUFFER_BYTES: usize = 128 * 1024;
/// Requests at once on one HTTP/2 connection, where the server allows as many; beyond it another one is opened.
pub const OUTGOING_H2_STREAMS_COUNT: usize = 100;
/// Flow-control window of one response.
pub const OUTGOING_H2_STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// Flow-control window of one HTTP/2 connection: those of all its responses together, or clients that do not read would
/// keep their neighbours waiting. h2 ends a connection when small frames worth half of it wait, each counted with 256
/// bytes: with this much one client that does not read has none of its neighbours cut off, as long as the server's frames
/// have eight bytes.
pub const OUTGOING_H2_CONNECTION_WINDOW_BYTES: u32 = OUTGOING_H2_STREAM_WINDOW_BYTES * OUTGOING_H2_STREAMS_COUNT as u32;
/// A piece of a request body that is put together with those behind it, where they are there already.
pub const UPLOAD_SMALL_BYTES: usize = 1024;
/// What small pieces are put together to.
pub const UPLOAD_PIECE_BYTES: usize = 16 * 1024;
/// Request bytes held for one HTTP/2 stream.
pub const OUTGOING_H2_SEND_BUFFER_BYTES: usize = 64 * 1024;
/// How often an HTTP/2 connection with requests under way is asked for a sign of life. gRPC servers end connections that are
/// asked more than once in five minutes without data between; what hangs sooner, the times of its requests end.
pub const OUTGOING_H2_PING_INTERVAL: Duration = Duration::from_secs(310);
/// How long it has to give one. Then it is closed.
pub const OUTGOING_H2_PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Destinations per core remembered to speak HTTP/1 over TLS, so that connections to them are made side by side.
pub const OUTGOING_KNOWN_COUNT: usize = 64;
/// The lookup of one name.
pub const DNS_TIMEOUT: Duration = Duration::from_secs(5);
/// One question to one name server; then it is asked again, or another is.
pub const DNS_ATTEMPT_TIME: Duration = Duration::from_secs(2);
/// Answers kept, over the whole gateway.
pub const DNS_CACHE_COUNT: u64 = 8_192;
/// The longest an answer is kept, whatever its own time to live says.
pub const DNS_TTL_MAX: Duration = Duration::from_secs(60 * 60);
/// The longest it is kept that a name does not exist.
pub const DNS_NEGATIVE_TTL_MAX: Duration = Duration::from_secs(10);
/// TLS sessions kept for resumption, over all servers.
pub const OUTGOING_TLS_SESSIONS_COUNT: usize = 1_024;
/// How long a socket may connect to an address that its guest's lookup of a granted name had: as long as the answer
/// itself may be kept. A guest that waits longer looks the name up again.
pub const SOCKET_ADDRESS_TIME: Duration = DNS_TTL_MAX;
/// Such addresses one instance may have at a time; beyond it the oldest is forgotten.
pub const SOCKET_ADDRESSES_COUNT: usize = 64;

// ---- Upstreams ----------------------------------------------------------------------------------------------

/// From a request without a usable connection to a server to one, TLS included. 504 beyond it.
pub const UPSTREAM_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// From the end of a request, or its last progress, to the head of its response, and to a server's taking more of a request
/// body. 504 beyond it.
pub const UPSTREAM_FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(15);
/// Between two pieces of a response body.
pub const UPSTREAM_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// From dispatch to the end of a response, all attempts together. Zero: none, because downloads take what they take.
pub const UPSTREAM_TOTAL_TIMEOUT: Duration = Duration::ZERO;
/// A tunnel without a byte in either direction is closed: quiet WebSockets live for minutes, forgotten ones for ever.
pub const UPSTREAM_TUNNEL_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// An unused connection to a server is kept this long, as are those of components and for the same reason.
pub const UPSTREAM_KEEPALIVE_IDLE: Duration = OUTGOING_IDLE_TIME;
/// Open connections to one server. A request that needs one more waits.
pub const UPSTREAM_CONNECTIONS_COUNT: usize = 1_024;
/// The most that may be configured: a local address has no more ports for one destination.
pub const UPSTREAM_CONNECTIONS_COUNT_MAX: usize = 65_535;
/// Requests waiting for a connection to one server. 503 beyond it.
pub const UPSTREAM_PENDING_COUNT: usize = 1_024;
/// Requests in flight to all servers of one upstream. 503 beyond it.
pub const UPSTREAM_REQUESTS_COUNT: usize = 16_384;
/// The most requests that may be configured to wait or to be in flight: each holds its connection and its head.
pub const UPSTREAM_REQUESTS_COUNT_MAX: usize = 1_000_000;
/// Further attempts at a request after the first has failed, where trying again is safe.
pub const UPSTREAM_RETRIES_COUNT: u32 = 2;
/// The most that may be configured: each one is load on servers that already fail.
pub const UPSTREAM_RETRIES_COUNT_MAX: u32 = 10;
/// Further attempts per hundred requests: a failing upstream gets a fifth more load, never a multiple.
pub const UPSTREAM_RETRY_BUDGET_PERCENT: u8 = 20;
/// Failures of a server in a row after which it is left out for a while.
pub const UPSTREAM_EJECTION_FAILURES_COUNT: u32 = 5;
/// The most that may be configured: beyond it the check is rather turned off, with 0.
pub const UPSTREAM_EJECTION_FAILURES_COUNT_MAX: u32 = 10_000;
/// How long a server is left out, the first time.
pub const UPSTREAM_EJECTION_TIME: Duration = Duration::from_secs(10);
/// Servers per hundred that failures may leave out at once: when most fail, the cause is likely elsewhere.
pub const UPSTREAM_EJECTION_PERCENT: u8 = 50;
/// Each time it fails again right after it came back a server is left out twice as long, up to this many times the
/// first: a minute or three are soon enough for one that never works.
pub const UPSTREAM_EJECTION_GROWTH: u32 = 16;
/// How often a server's health is asked for.
pub const UPSTREAM_HEALTH_INTERVAL: Duration = Duration::from_secs(5);
/// From the beginning of a health check to its answer.
pub const UPSTREAM_HEALTH_TIMEOUT: Duration = Duration::from_secs(2);
/// Checks failed in a row after which a server gets no more requests: one may be lost on the way.
pub const UPSTREAM_UNHEALTHY_AFTER_COUNT: u32 = 2;
/// Checks passed in a row after which it gets them again.
pub const UPSTREAM_HEALTHY_AFTER_COUNT: u32 = 1;
/// The most of either that may be configured: a server that needs more is never found to be what it is.
pub const UPSTREAM_HEALTH_CHECKS_COUNT_MAX: u32 = 100;
/// Health checks of one upstream at once; its others wait for their turn.
pub const UPSTREAM_PROBES_COUNT: usize = 128;
/// What a health check reads of a response body. Then it has seen enough.
pub const UPSTREAM_PROBE_BODY_BYTES: usize = 64 * 1024;
/// How often the names of servers are looked up again. An answer is kept as long as its own time to live says.
pub const UPSTREAM_RESOLVE_INTERVAL: Duration = Duration::from_secs(5);
/// The shortest interval of lookups and health checks that may be configured: below it they are load by themselves.
pub const UPSTREAM_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// Servers of one upstream: every choice and every health check looks at all of them.
pub const UPSTREAM_SERVERS_COUNT: usize = 1_024;
/// Upstreams in one configuration.
pub const UPSTREAMS_COUNT: usize = 10_000;
/// The largest weight of a server: consistent hashing keeps points on its ring for each unit of it.
pub const UPSTREAM_WEIGHT_MAX: u32 = 256;
/// The weights of all servers on a ring together, and each of them is 160 points of eight bytes: beyond it they are
/// halved until they fit. At least as many as servers may be.
pub const UPSTREAM_RING_WEIGHT: usize = 4_096;
/// Points of a ring that are looked at for a server that is fit; then any will do.
pub const UPSTREAM_RING_STEPS_COUNT: usize = 64;
/// Targets of one split: a sticky request draws a number for each of them.
pub const SPLIT_TARGETS_COUNT: usize = 64;
/// The largest weight of a target in a split: enough for one request in a million.
pub const SPLIT_WEIGHT_MAX: u32 = 1_000_000;
/// Networks in each list of them (clients allowed or denied, proxies): every request is held against all of them.
pub const NETWORKS_COUNT: usize = 256;
/// Header fields that one route sets, adds or removes in one direction: each costs a search in every head.
pub const HEADER_EDITS_COUNT: usize = 64;
/// Pieces a tunnel moves in one direction before other tasks of its thread have their turn.
pub const TUNNEL_PIECES_COUNT: usize = 8;
/// Retries an upstream may make before its requests have brought any: what a server costs that has just gone.
pub const UPSTREAM_RETRY_RESERVE_COUNT: i64 = 20;
/// Retries an upstream may save up at most.
pub const UPSTREAM_RETRY_SAVED_COUNT: i64 = 1_000;
