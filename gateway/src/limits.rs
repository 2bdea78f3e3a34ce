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
/// A chunk-size line with its extension. 400 beyond it.
pub const CHUNK_LINE_BYTES: usize = 256;
/// A trailer section of a chunked request body. 400 beyond it.
pub const TRAILER_BYTES: usize = 8 * 1024;
/// After a failed accept (EMFILE, ENFILE, ENOBUFS): pause this long, then go on.
pub const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);
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
/// How long an idle connection may still bring one more request while draining.
pub const DRAIN_IDLE: Duration = Duration::from_secs(2);
/// Admin connections at once.
pub const ADMIN_CONNECTIONS_COUNT: usize = 64;
/// One configuration file.
pub const CONFIG_FILE_BYTES: u64 = 8 * 1024 * 1024;
/// Routes in one configuration.
pub const ROUTES_COUNT: usize = 100_000;
/// Components in one configuration.
pub const COMPONENTS_COUNT: usize = 10_000;
/// Access-log lines waiting to be written; beyond it lines are dropped and counted, never waited for.
pub const ACCESS_LOG_LINES_COUNT: usize = 16_384;

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
/// Addresses of one name that are tried. Each has its share of the connect timeout.
pub const OUTGOING_ADDRESSES_COUNT: usize = 8;
/// A response head, and a trailer section. On HTTP/1 neither may have more than hyper's 100 fields, which it keeps on
/// its stack: another number would cost an allocation with each response.
pub const OUTGOING_HEAD_BYTES: usize = 64 * 1024;
/// Bytes an HTTP/1 connection may hold that were received and not yet taken, or written and not yet sent.
pub const OUTGOING_BUFFER_BYTES: usize = 128 * 1024;
/// Requests at once on one HTTP/2 connection, where the server allows as many; beyond it another one is opened.
pub const OUTGOING_H2_STREAMS_COUNT: usize = 100;
/// Flow-control window of one response.
pub const OUTGOING_H2_STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// Flow-control window of one HTTP/2 connection.
pub const OUTGOING_H2_CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Request bytes held for one HTTP/2 stream.
pub const OUTGOING_H2_SEND_BUFFER_BYTES: usize = 64 * 1024;
/// How often an HTTP/2 connection with requests under way is asked for a sign of life.
pub const OUTGOING_H2_PING_INTERVAL: Duration = Duration::from_secs(10);
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
