//! `sleep-forever`: waits on the monotonic clock and never answers. It uses no CPU, so only a
//! deadline, or the client leaving, ends it.

use support::{Request, Responder};

support::serve!(answer);

fn answer(_request: Request, _out: Responder) {
    support::clock::sleep_forever()
}
