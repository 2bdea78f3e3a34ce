//! A gateway with many components, started a second time: everything is in its compiled cache.

use super::config::Config;
use super::peers::{run_arguments, spec};
use super::{Bound, Outcome, Setup, Verdict, guest, scratch, tidegate, write};
use crate::error::{Context, Error};
use crate::loader::probe;
use crate::rounds::Spread;
use crate::server::{Server, Spec, free_address};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const GUEST: &str = "hello";
const LISTENING_MS_MAX: f64 = 300.0;
/// The first start compiles every component.
const COLD_TIMEOUT: Duration = Duration::from_secs(1800);
const SECTION: &str = "tidegate-bench-variant";

pub(super) fn run(setup: &Setup) -> Result<Outcome, Error> {
    let dir = scratch()?;
    let sources = variants(&guest(setup, GUEST)?, dir.path(), setup.components)?;
    eprintln!("warm-start: first start, compiling {} components", sources.len());
    let cold = start(setup, dir.path(), &sources)?;
    let compiled = count_files(&dir.path().join("data/compiled"))?;
    if compiled < sources.len() {
        let detail = format!(
            "{compiled} files in the compiled cache for {} components",
            sources.len()
        );
        return Err(Error::Premise {
            name: "warm-start".to_owned(),
            detail,
        });
    }
    let mut starts = Vec::new();
    for round in 1..=setup.rounds {
        let warm = start(setup, dir.path(), &sources)?;
        eprintln!(
            "warm-start round {round}/{}: listening after {:.0} ms",
            setup.rounds, warm.listening_ms
        );
        starts.push(warm);
    }
    if count_files(&dir.path().join("data/compiled"))? != compiled {
        let detail = "a warm start added to the compiled cache".to_owned();
        return Err(Error::Premise {
            name: "warm-start".to_owned(),
            detail,
        });
    }
    let spread = |get: fn(&Start) -> f64| {
        let values: Vec<f64> = starts.iter().map(get).collect();
        Spread::of(&values).ok_or_else(|| Error::Usage("at least one round is needed".to_owned()))
    };
    let listening_ms = spread(|start| start.listening_ms)?;
    let what = format!(
        "warm-start with {} components: ms from exec to listening",
        sources.len()
    );
    Ok(Outcome::WarmStart {
        scenario: "warm-start".to_owned(),
        guest: GUEST.to_owned(),
        components: sources.len(),
        cold_ms: cold.listening_ms,
        listening_ms,
        answered_ms: spread(|start| start.answered_ms)?,
        verdict: Verdict::new(&what, listening_ms.median, Bound::AtMost(LISTENING_MS_MAX), None),
    })
}

struct Start {
    listening_ms: f64,
    answered_ms: f64,
}

/// Starts, asks three of the components, ends. The process may use every core: that is how a gateway is started.
fn start(setup: &Setup, dir: &Path, sources: &[PathBuf]) -> Result<Start, Error> {
    let address = free_address()?;
    let mut config = Config::new(address, &dir.join("data"));
    for (index, source) in sources.iter().enumerate() {
        config = config.serve(&format!("hello-{index}"), source, &format!("/{index}"));
    }
    let args = run_arguments(&config, dir)?;
    let spec = Spec {
        timeout: COLD_TIMEOUT,
        ..spec("tidegate", tidegate(setup)?, args, address, dir, None)
    };

    let begin = Instant::now();
    let server = Server::start(&spec)?;
    let last = sources.len().saturating_sub(1);
    let mut answered = None;
    for index in [last, last / 2, 0] {
        let answer = probe(address, &address.to_string(), &format!("/{index}"))?;
        answered.get_or_insert_with(|| begin.elapsed());
        if answer.status != 200 || !answer.body.starts_with(b"Hello") {
            let detail = format!(
                "/{index} answered {} {:?}",
                answer.status,
                String::from_utf8_lossy(&answer.body)
            );
            return Err(Error::Premise {
                name: "warm-start".to_owned(),
                detail,
            });
        }
    }
    let started = Start {
        listening_ms: server.started_in.as_secs_f64() * 1e3,
        answered_ms: answered.unwrap_or_default().as_secs_f64() * 1e3,
    };
    server.stop()?;
    Ok(started)
}

/// Components that behave alike and are not the same bytes, so nothing can be shared between them by content.
fn variants(original: &Path, dir: &Path, count: usize) -> Result<Vec<PathBuf>, Error> {
    let wasm = fs::read(original).context(|| format!("reading {}", original.display()))?;
    let variant = |index: usize| {
        let path = dir.join(format!("variant-{index}.wasm"));
        write(&path, with_custom_section(&wasm, SECTION, index.to_string().as_bytes()))?;
        Ok(path)
    };
    (0..count).map(variant).collect()
}

/// Custom sections (id 0, size, name, content) may stand anywhere between sections, the end included; nobody runs them.
pub(super) fn with_custom_section(wasm: &[u8], name: &str, content: &[u8]) -> Vec<u8> {
    let mut section = leb128(name.len());
    section.extend_from_slice(name.as_bytes());
    section.extend_from_slice(content);
    let mut all = wasm.to_vec();
    all.push(0);
    all.extend(leb128(section.len()));
    all.extend(section);
    all
}

pub(super) fn leb128(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn count_files(dir: &Path) -> Result<usize, Error> {
    let what = || format!("reading {}", dir.display());
    let mut count = 0;
    for entry in fs::read_dir(dir).context(what)? {
        let entry = entry.context(what)?;
        count += if entry.file_type().context(what)?.is_dir() {
            count_files(&entry.path())?
        } else {
            1
        };
    }
    Ok(count)
}
