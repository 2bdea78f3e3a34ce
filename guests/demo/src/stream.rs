//! `/stream`: a line every quarter of a second, each a chunk of its own.

use std::time::{Duration, Instant};

use support::{Head, Responder, clock};

const LINES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(250);

pub(crate) fn ten_lines(out: Responder) {
    let head = Head::text(200)
        .header("cache-control", "no-store")
        .header("x-content-type-options", "nosniff");
    let started = Instant::now();
    let mut body = out.start(head);
    for number in 1..=LINES {
        clock::sleep(PAUSE);
        let line = line(number, started.elapsed());
        if body.chunk(line.as_bytes()).is_err() {
            return;
        }
    }
    body.finish(&[]);
}

/// The tide comes in over the first half and goes out over the second.
fn line(number: u32, elapsed: Duration) -> String {
    let height = number.min(LINES + 1 - number) as usize;
    format!(
        "{number:>2}/{LINES} {:>5} ms {}\n",
        elapsed.as_millis(),
        "~".repeat(height * 4)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tide_comes_and_goes() {
        let line = |number| line(number, Duration::from_millis(250));
        assert_eq!(line(1), " 1/10   250 ms ~~~~\n");
        assert_eq!(line(5), line(6).replace(" 6/10", " 5/10"));
        assert_eq!(line(10), "10/10   250 ms ~~~~\n");
    }
}
