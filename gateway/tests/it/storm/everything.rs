//! A minute of everything at once: every bad guest in every isolation mode, clients of all bad kinds, an origin that
//! fails, a pool that runs out, and reloads. The good routes never fail, and nothing of it is left.

mod census;
mod echo;
mod origin;
mod scene;
mod storm;

use self::census::Census;
use self::origin::Origin;
use self::scene::Case;
use self::storm::{Account, Storm};
use super::lasts as pause;
use crate::support::config::{entry, inline, list};
use crate::support::loader::{Answer, Load, Loader, Report, allow_descriptors};
use crate::support::{Gateway, turn};
use rustix::process::Signal;
use std::fmt::Write;
use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use toml::Table;

/// How long the storm lasts.
const STORM: Duration = Duration::from_secs(60);
/// A storm of the same kind before it: what a process takes once and keeps is taken there.
const WARM_UP: Duration = Duration::from_secs(20);
/// From one reload to the next.
const RELOADS: Duration = Duration::from_millis(2500);
/// Longer than an unused outgoing connection is kept.
const PATIENCE: Duration = Duration::from_secs(60);
/// What `hello` says.
const HELLO: &[u8] = b"Hello, world!\n";

/// The good routes that answer the same each time, and what that is.
const GOOD: [(&str, &[u8]); 4] = [
    ("hello-fresh", HELLO),
    ("hello-reuse", HELLO),
    ("hello-shared", HELLO),
    ("respond", b"pong"),
];

fn good_load(gateway: &Gateway, component: &str, body: &'static [u8]) -> Load {
    let check = move |answer: &Answer| {
        if answer.status == 200 && answer.body == body {
            return Ok(());
        }
        let code = answer.code.as_deref().unwrap_or_default();
        Err(format!(
            "{} {code}: {}",
            answer.status,
            String::from_utf8_lossy(&answer.body)
        ))
    };
    Load {
        address: gateway.address(),
        component: component.to_owned(),
        target: "/{n}".to_owned(),
        connections: 2,
        pause: Duration::from_millis(20),
        check: Arc::new(check),
    }
}

/// Reloads under way: each second one replaces components, the others change nothing, and some are broken.
struct Reloads<'a> {
    gateway: &'a Gateway,
    config: Table,
    number: usize,
}

impl<'a> Reloads<'a> {
    fn new(gateway: &'a Gateway) -> Self {
        let text = fs::read_to_string(gateway.folder().join("gateway.toml")).expect("a configuration");
        Self {
            gateway,
            config: toml::from_str(&text).expect("a table"),
            number: 0,
        }
    }

    fn write(&self, config: &Table) {
        let text = toml::to_string(config).expect("a table is TOML");
        self.gateway.overwrite_config(&text);
    }

    fn version(&self) -> f64 {
        self.gateway.metric("tidegate_snapshot_version", &[])
    }

    /// The next one, and what kind it was.
    fn next(&mut self) -> &'static str {
        self.number += 1;
        let before = self.version();
        match self.number % 4 {
            1 => {
                let mut broken = self.config.clone();
                list(&mut broken, "route").push(inline("{ path = '/y', component = 'nobody' }"));
                self.write(&broken);
                self.gateway.reload().is(422);
                assert_eq!(self.version(), before, "a broken configuration changes nothing");
                self.write(&self.config);
                "refused"
            }
            2 => {
                let mut broken = self.config.clone();
                let guest = crate::support::guest("not-http").display().to_string();
                let other = entry(entry(&mut broken, "component"), "other");
                other.insert("source".to_owned(), guest.into());
                self.write(&broken);
                self.gateway.reload().is(422);
                assert_eq!(
                    self.version(),
                    before,
                    "a component that cannot be served changes nothing"
                );
                self.write(&self.config);
                "refused"
            }
            3 => {
                scene::replaced(&mut self.config, self.number);
                self.write(&self.config);
                self.gateway.reload().is(200);
                assert!(self.version() > before, "another version serves");
                "by the admin API"
            }
            _ => {
                scene::replaced(&mut self.config, self.number);
                self.write(&self.config);
                self.gateway.signal(Signal::HUP);
                crate::support::wait::until_true("the reload by SIGHUP", || self.version() > before);
                "by SIGHUP"
            }
        }
    }
}

/// Everything at once, for so long.
fn rage(gateway: &Gateway, cases: &[Case], reloads: &mut Reloads<'_>, time: Duration) -> Account {
    let storm = Storm::new(gateway, cases);
    let good: Vec<_> = GOOD
        .into_iter()
        .map(|(name, body)| (name, Loader::start(&good_load(gateway, name, body))))
        .collect();
    thread::scope(|scope| {
        storm.start(scope);
        let end = Instant::now() + time;
        while Instant::now() < end {
            storm.count("reloads", reloads.next());
            pause(RELOADS.min(end.saturating_duration_since(Instant::now())));
        }
        storm.stop();
    });
    for (name, loader) in good {
        check_good(&storm, name, &loader.stop());
    }
    storm.account()
}

/// All answers right, none lost, none cut, no connection closed.
fn check_good(storm: &Storm<'_>, name: &str, report: &Report) {
    println!(
        "{name}: {} answers, p50 {:?}, p99 {:?}, at most {:?}",
        report.answered(),
        report.quantile(0.5),
        report.quantile(0.99),
        report.quantile(1.0)
    );
    report
        .failures
        .iter()
        .for_each(|why| storm.fail(format!("{name}: {why}")));
    let closed = report.closed_idle + report.closed_announced;
    let lost = (report.unanswered.len(), closed, report.refused);
    if lost != (0, 0, 0) {
        storm.fail(format!("{name}: {lost:?} unanswered, closed, refused"));
    }
    if report.answered() < 50 {
        storm.fail(format!("{name}: only {} answers", report.answered()));
    }
    (0..report.answered()).for_each(|_| storm.count(&format!("good: {name}"), "200"));
}

/// Every bad request once, one after the other, and every good route.
fn one_by_one(gateway: &Gateway, cases: &[Case]) {
    let storm = Storm::new(gateway, cases);
    for (name, body) in GOOD {
        assert_eq!(gateway.get(name, "/").is(200).body, body, "{name}");
    }
    thread::scope(|scope| {
        // A few at a time: most of them wait.
        for part in 0..8 {
            let storm = &storm;
            scope.spawn(move || cases.iter().skip(part).step_by(8).for_each(|case| storm.ask(case)));
        }
    });
    is_well(&storm.account(), gateway);
}

#[track_caller]
fn is_well(account: &Account, gateway: &Gateway) {
    let failures = &account.failures;
    if failures.is_empty() {
        return;
    }
    // What the gateway says of the components that failed, but for what is said of them in every storm.
    let is_told = |line: &serde_json::Value| {
        let component = line["component"].as_str().unwrap_or("-");
        let is_ordinary =
            ["client-gone", "deadline", "body-deadline"].contains(&line["code"].as_str().unwrap_or_default());
        !is_ordinary && failures.iter().any(|failure| failure.contains(component))
    };
    let log: Vec<_> = gateway
        .log()
        .into_iter()
        .filter(is_told)
        .map(|line| line.to_string())
        .collect();
    panic!(
        "{} failures, such as {:#?}\n{}",
        failures.len(),
        &failures[..failures.len().min(12)],
        log[log.len().saturating_sub(40)..].join("\n")
    );
}

/// The table of docs/operations.md.
fn table(account: &Account) -> String {
    let mut table = "| tried | times | came to |\n|---|---|---|\n".to_owned();
    for (attack, outcomes) in &account.outcomes {
        let times: usize = outcomes.values().sum();
        let came = outcomes.iter().map(|(outcome, times)| format!("{outcome} ({times})"));
        let came = came.collect::<Vec<_>>().join(", ");
        writeln!(table, "| {attack} | {times} | {came} |").expect("a String takes text");
    }
    table
}

/// Each attack met what it is for.
fn has_raged(account: &Account, gateway: &Gateway, origin: &Origin) {
    let count = |attack: &str, outcome: &str| account.outcomes.get(attack).and_then(|all| all.get(outcome)).copied();
    for (attack, outcome) in [
        ("more calls than places", "503 saturated"),
        ("calls that fill the pool", "200"),
        ("clients that left", "within its answer"),
        ("readers that stopped", "cut"),
        ("slow readers", "200"),
        ("slow writers", "200"),
        ("stuck writers", "408 header-timeout"),
        ("silent connections", "closed"),
        ("bodies over the limit", "413 body-too-large"),
        ("HTTP/2 streams", "reset"),
        ("reloads", "by SIGHUP"),
        ("reloads", "refused"),
    ] {
        assert!(count(attack, outcome).is_some(), "no {attack} came to {outcome}");
    }
    for cause in [
        "requests",
        "idle",
        "trap",
        "cancelled",
        "handles",
        "memory",
        "reclaimed",
        "replaced",
        "lane",
    ] {
        let retired = gateway.metric("tidegate_component_retirements_total", &[("cause", cause)]);
        println!("instances retired for {cause}: {retired}");
        assert!(retired > 0.0, "no instance was retired for {cause}");
    }
    println!("connections the origin had: {}", origin.connections());
    assert!(origin.connections() > 0);
}

#[test]
fn everything_at_once_for_a_minute_leaves_nothing() {
    let _alone = turn::alone();
    allow_descriptors(8 * scene::CROWD as u64);
    let began = Instant::now();
    let origin = Origin::start();
    let gateway = scene::gateway(origin.address);
    let cases = scene::cases(origin.address);
    let mut reloads = Reloads::new(&gateway);
    println!("started after {:?}", began.elapsed());

    one_by_one(&gateway, &cases);
    println!("each was asked once after {:?}", began.elapsed());
    is_well(&rage(&gateway, &cases, &mut reloads, WARM_UP), &gateway);
    println!("warm after {:?}", began.elapsed());
    origin.hang_up();
    let before = Census::settled(&gateway, &origin, None, PATIENCE);
    println!("at rest after {:?}", began.elapsed());

    let account = rage(&gateway, &cases, &mut reloads, STORM);
    println!("over after {:?}\n\n{}", began.elapsed(), table(&account));
    println!("{} failures: {:#?}", account.failures.len(), account.failures.first());
    let after = Census::settled(&gateway, &origin, Some(&before), PATIENCE);
    println!("at rest after {:?}\n\n{}", began.elapsed(), after.table(Some(&before)));
    is_well(&account, &gateway);
    has_raged(&account, &gateway, &origin);

    one_by_one(&gateway, &cases);
    println!("asked once more after {:?}", began.elapsed());
}
