//! Which core does what: the server has one to itself and the loader has another.

use crate::error::{Context, Error};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Runs `work` on a thread bound to `cpu`. A process spawned by `work` inherits the binding, and everything that
/// process later starts does too, so it sees a machine with one core from its first instruction.
pub(crate) fn on_cpu<T: Send>(cpu: usize, work: impl FnOnce() -> T + Send) -> Result<T, Error> {
    std::thread::scope(|scope| {
        let bound = scope.spawn(|| bind(cpu).map(|()| work()));
        bound.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Fails unless this process may run on `cpu`.
pub(crate) fn check(cpu: usize) -> Result<(), Error> {
    let allowed = allowed()?;
    if allowed.contains(&cpu) {
        return Ok(());
    }
    let allowed = allowed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Err(Error::Cpu { cpu, allowed })
}

/// The cores this process may run on.
pub(crate) fn allowed() -> Result<Vec<usize>, Error> {
    let set = sched_getaffinity(None).context(|| "reading the CPU affinity".to_owned())?;
    Ok((0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect())
}

/// Binds this thread to `cpu`.
pub(crate) fn bind(cpu: usize) -> Result<(), Error> {
    check(cpu)?;
    let mut only = CpuSet::new();
    only.set(cpu);
    sched_setaffinity(None, &only).context(|| format!("binding a thread to CPU {cpu}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_runs_on_the_core_asked_for_and_the_caller_keeps_its_own() {
        let before = allowed().unwrap();
        for &cpu in &before {
            let seen = on_cpu(cpu, || allowed().unwrap()).unwrap();
            assert_eq!(seen, vec![cpu]);
        }
        assert_eq!(allowed().unwrap(), before);
    }

    #[test]
    fn a_core_that_is_not_there_is_refused_by_name() {
        let error = on_cpu(CpuSet::MAX_CPU + 1, || ()).unwrap_err();
        assert!(
            matches!(error, Error::Cpu { cpu, .. } if cpu == CpuSet::MAX_CPU + 1),
            "{error}"
        );
    }
}
