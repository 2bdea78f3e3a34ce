//! The limit of open files: thousands of connections need more than a shell usually grants.

use crate::error::{Context, Error};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Makes sure that this process, and those it starts, may have `needed` files open.
pub(crate) fn ensure(needed: u64) -> Result<(), Error> {
    let limit = getrlimit(Resource::Nofile);
    // None is no limit.
    if limit.current.is_none_or(|soft| soft >= needed) {
        return Ok(());
    }
    if let Some(hard) = limit.maximum.filter(|&hard| hard < needed) {
        return Err(Error::OpenFiles { needed, hard });
    }
    let raised = Rlimit {
        current: Some(needed),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).context(|| format!("allowing {needed} open files"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_goes_up_to_the_hard_one_and_no_further() {
        let before = getrlimit(Resource::Nofile);
        let hard = before.maximum.unwrap_or(u64::from(u32::MAX));
        ensure(hard).unwrap();
        let after = getrlimit(Resource::Nofile);
        assert!(after.current.is_none_or(|soft| soft >= hard), "{after:?}");
        assert_eq!(after.maximum, before.maximum, "the hard limit cannot be had back");
        // Less than there is changes nothing.
        ensure(1).unwrap();
        assert_eq!(getrlimit(Resource::Nofile).current, after.current);

        let Some(hard) = before.maximum else {
            return assert!(ensure(u64::MAX).is_ok(), "nothing is refused without a limit");
        };
        let error = ensure(hard + 1).unwrap_err();
        assert!(
            matches!(error, Error::OpenFiles { needed, hard: told } if needed == hard + 1 && told == hard),
            "{error}"
        );
        assert!(error.to_string().contains("ulimit -Hn"), "{error}");
    }
}
