//! What Linux says about a process: CPU time, memory, listening sockets.

use crate::error::{Context, Error};
use rustix::param::clock_ticks_per_second;
use rustix::process::Pid;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::time::Duration;

/// CPU time (user and system) of a process at one moment.
///
/// `/proc/PID/task/*/schedstat` counts nanoseconds, but forgets a thread when it ends. `/proc/PID/stat` remembers
/// those, in ticks of 10 ms. Both are read, and [`CpuTimes::since`] takes the fine one unless it has lost a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CpuTimes {
    threads_ns: BTreeMap<i32, u64>,
    process_ticks: u64,
    tick_ns: u64,
}

impl CpuTimes {
    pub(crate) fn read(pid: Pid) -> Result<Self, Error> {
        let tasks = format!("/proc/{pid}/task");
        let mut threads_ns = BTreeMap::new();
        for entry in fs::read_dir(&tasks).context(|| format!("reading {tasks}"))? {
            let name = entry.context(|| format!("reading {tasks}"))?.file_name();
            let Some(thread) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            let path = format!("{tasks}/{thread}/schedstat");
            match fs::read_to_string(&path) {
                Ok(text) => drop(threads_ns.insert(thread, schedstat_ns(&text).ok_or_else(|| odd(&path, &text))?)),
                // It ended between the listing and the reading.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound) || error.raw_os_error() == Some(3) => {}
                Err(error) => return Err(error).context(|| format!("reading {path}")),
            }
        }
        let path = format!("/proc/{pid}/stat");
        let text = read(&path)?;
        let process_ticks = stat_ticks(&text).ok_or_else(|| odd(&path, &text))?;
        Ok(Self {
            threads_ns,
            process_ticks,
            tick_ns: 1_000_000_000 / clock_ticks_per_second().max(1),
        })
    }

    /// CPU time spent between `earlier` and now.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let fine: u64 = self
            .threads_ns
            .iter()
            .map(|(thread, now)| now.saturating_sub(earlier.threads_ns.get(thread).copied().unwrap_or_default()))
            .sum();
        let coarse = self.process_ticks.saturating_sub(earlier.process_ticks) * self.tick_ns;
        // User and system time are each rounded down, so the coarse value is right to two ticks. Beyond that, a
        // thread ended and took its nanoseconds with it.
        Duration::from_nanos(if coarse > fine + 2 * self.tick_ns { coarse } else { fine })
    }
}

/// One memory figure of `/proc/PID/status`, in bytes.
pub(super) fn memory(pid: Pid, key: &str) -> Result<u64, Error> {
    let path = format!("/proc/{pid}/status");
    let text = read(&path)?;
    status_bytes(&text, key).ok_or_else(|| odd(&path, &text))
}

/// Makes VmHWM start again from the present VmRSS (proc(5): clear_refs, 5).
pub(super) fn reset_peak(pid: Pid) -> Result<(), Error> {
    let path = format!("/proc/{pid}/clear_refs");
    fs::write(&path, "5").context(|| format!("writing {path}"))
}

/// Whether an IPv4 socket listens on `port` in that process' network.
pub(super) fn listens(pid: Pid, port: u16) -> Result<bool, Error> {
    match fs::read_to_string(format!("/proc/{pid}/net/tcp")) {
        Ok(table) => Ok(table_listens(&table, port)),
        // A process that has ended has no network any more; its exit status says the rest.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => Ok(false),
        Err(error) => Err(error).context(|| format!("reading /proc/{pid}/net/tcp")),
    }
}

/// The time this thread has spent on a core.
pub(crate) fn this_thread() -> Result<Duration, Error> {
    on_core("/proc/thread-self/schedstat")
}

/// The time a thread of this process has spent on a core.
pub(crate) fn thread_cpu(thread: Pid) -> Result<Duration, Error> {
    on_core(&format!("/proc/self/task/{thread}/schedstat"))
}

fn on_core(path: &str) -> Result<Duration, Error> {
    let text = read(path)?;
    schedstat_ns(&text)
        .map(Duration::from_nanos)
        .ok_or_else(|| odd(path, &text))
}

fn schedstat_ns(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// utime + stime. The command name before them may hold spaces and brackets, so fields count from the last `)`.
fn stat_ticks(text: &str) -> Option<u64> {
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn status_bytes(text: &str, key: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kibibytes * 1024)
}

fn table_listens(table: &str, port: u16) -> bool {
    const LISTEN: &str = "0A";
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_ascii_whitespace();
        let local = fields.nth(1).and_then(|local| local.rsplit_once(':'));
        let bound = local.and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
        bound == Some(port) && fields.nth(1) == Some(LISTEN)
    })
}

fn read(path: &str) -> Result<String, Error> {
    fs::read_to_string(path).context(|| format!("reading {path}"))
}

fn odd(path: &str, text: &str) -> Error {
    let start: String = text.chars().take(80).collect();
    Error::Premise {
        name: path.to_owned(),
        detail: format!("not in the known form: {start:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_texts_are_read() {
        assert_eq!(schedstat_ns("123456789 42 7\n"), Some(123_456_789));
        assert_eq!(schedstat_ns("\n"), None);
        let stat = "77 (a (b) c d) S 1 77 77 0 -1 4194304 100 0 0 0 250 31 9 9 20 0 5 0 12345 0 0";
        assert_eq!(stat_ticks(stat), Some(281));
        assert_eq!(stat_ticks("77 (x) S 1"), None);
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t3\n";
        assert_eq!(status_bytes(status, "VmRSS"), Some(1024 * 1024));
        assert_eq!(status_bytes(status, "VmHWM"), Some(2 * 1024 * 1024));
        assert_eq!(status_bytes(status, "Threads"), None);
        assert_eq!(status_bytes(status, "VmR"), None);
    }

    #[test]
    fn only_a_listening_socket_on_that_port_counts() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue\n\
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n\
             1: 0100007F:1F91 0100007F:C350 01 00000000:00000000\n\
             2: 0100007F:C350 0100007F:1F92 01 00000000:00000000\n";
        assert!(table_listens(table, 8080));
        assert!(!table_listens(table, 8081), "established, not listening");
        assert!(!table_listens(table, 8082), "the remote side's port");
    }

    fn times(threads: &[(i32, u64)], process_ticks: u64) -> CpuTimes {
        CpuTimes {
            threads_ns: threads.iter().copied().collect(),
            process_ticks,
            tick_ns: 10_000_000,
        }
    }

    #[test]
    fn threads_are_summed_and_new_ones_count_whole() {
        let before = times(&[(1, 5_000_000), (2, 1_000_000)], 1);
        let after = times(&[(1, 9_000_000), (2, 1_500_000), (3, 2_000_000)], 1);
        assert_eq!(after.since(&before), Duration::from_nanos(6_500_000));
    }

    #[test]
    fn a_thread_that_ended_is_found_again_in_the_process_total() {
        let before = times(&[(1, 0), (2, 900_000_000)], 90);
        let after = times(&[(1, 400_000_000)], 190);
        // 400 ms are seen on thread 1; the process spent 1000 ms, the rest on thread 2 before it ended.
        assert_eq!(after.since(&before), Duration::from_secs(1));
        // Within two ticks the fine count stands.
        assert_eq!(
            times(&[(1, 400_000_000)], 132).since(&before),
            Duration::from_millis(400)
        );
    }
}
