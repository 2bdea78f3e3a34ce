//! Good uploads: whatever else happens, the same bytes come back.

use super::pause;
use super::storm::Storm;
use crate::support::{Client, Protocol};
use std::time::Duration;

pub(super) const PROTOCOLS: [Protocol; 2] = [Protocol::H1, Protocol::H2];
const BODY_BYTES: u32 = 128 * 1024;

/// Bytes that tell when one is lost or out of place, others for each seed.
fn noise(seed: u32) -> Vec<u8> {
    (0..BODY_BYTES)
        .map(|at| ((at ^ seed.wrapping_mul(0x9e37_79b9)).wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

/// Uploads on one connection, until the storm is over.
pub(super) fn run(storm: &Storm<'_>, protocol: Protocol) {
    let name = format!("good-echo over {protocol:?}");
    let mut client = Client::connect(protocol, storm.gateway.address());
    let mut seed = 0;
    while !storm.is_over() {
        seed += 1;
        let body = noise(seed);
        match client.send(client.request("POST", "good-echo", "/"), &body) {
            Ok(answer) if answer.status == 200 && answer.body == body => storm.count(&name, "200"),
            Ok(answer) => storm.fail(format!(
                "{name}: {} with {} bytes: {:?}",
                answer.status,
                answer.body.len(),
                answer.field("tidegate-error")
            )),
            Err(broken) => return storm.fail(format!("{name}: {broken:?}")),
        }
        pause(Duration::from_millis(50));
    }
}
