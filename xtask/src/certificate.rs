//! The demo's self-signed certificate: for this machine's names only, short-lived, renewed before it expires.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

use crate::files;

const NAMES: [&str; 4] = ["localhost", "demo.localhost", "127.0.0.1", "::1"];
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const VALID: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// A certificate this old is made anew, so that a demo left running does not outlive it.
const RENEW_AFTER: Duration = Duration::from_secs(60 * 24 * 60 * 60);

/// The two files `config/demo/gateway.toml` names.
pub(crate) struct Pair {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Pair {
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self {
            cert: folder.join("cert.pem"),
            key: folder.join("key.pem"),
        }
    }
}

/// Makes the pair where one of its files is missing or the certificate is old. Answers whether it did.
pub(crate) fn ensure(pair: &Pair) -> Result<bool> {
    let now = SystemTime::now();
    if pair.key.is_file() && is_young(&pair.cert, now) {
        return Ok(false);
    }
    let folder = pair.cert.parent().context("the certificate needs a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let (cert, key) = make(now)?;
    // The certificate last: its age decides whether the pair is made again, so it must never vouch for an
    // older key.
    files::place(&pair.key, key.as_bytes(), 0o600)?;
    files::place(&pair.cert, cert.as_bytes(), 0o644)?;
    Ok(true)
}

/// Every certificate here lives equally long, so the file's age says when it expires. One from the future
/// tells of a clock that was set back, and cannot be trusted for that.
fn is_young(cert: &Path, now: SystemTime) -> bool {
    let made = fs::metadata(cert).and_then(|m| m.modified());
    made.is_ok_and(|made| now.duration_since(made).is_ok_and(|age| age < RENEW_AFTER))
}

/// A certificate and its key, both PEM.
fn make(now: SystemTime) -> Result<(String, String)> {
    let since_1970 = now.duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
    let mut params = CertificateParams::new(NAMES.map(str::to_owned))?;
    params.distinguished_name.push(DnType::CommonName, "Tidegate demo");
    // A day of grace for clients whose clock is behind, a virtual machine's for one.
    params.not_before = date_time_ymd(1970, 1, 1) + since_1970.saturating_sub(DAY);
    params.not_after = date_time_ymd(1970, 1, 1) + since_1970 + VALID;
    let key = KeyPair::generate()?;
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn pair() -> (tempfile::TempDir, Pair) {
        let folder = tempfile::tempdir().unwrap();
        let pair = Pair::in_folder(&folder.path().join("demo"));
        (folder, pair)
    }

    fn set_age(path: &Path, age: Duration) {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }

    #[test]
    fn a_pair_is_made_once_with_a_private_key_only_its_owner_reads() {
        let (_folder, pair) = pair();
        assert!(ensure(&pair).unwrap());
        let cert = fs::read_to_string(&pair.cert).unwrap();
        assert!(cert.starts_with("-----BEGIN CERTIFICATE-----"), "{cert}");
        assert!(
            fs::read_to_string(&pair.key)
                .unwrap()
                .starts_with("-----BEGIN PRIVATE KEY-----")
        );
        assert_eq!(fs::metadata(&pair.key).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!ensure(&pair).unwrap());
        assert_eq!(fs::read_to_string(&pair.cert).unwrap(), cert);
    }

    #[test]
    fn a_pair_is_made_anew_when_a_file_is_missing_or_the_certificate_is_old() {
        let (_folder, pair) = pair();
        ensure(&pair).unwrap();
        fs::remove_file(&pair.key).unwrap();
        assert!(ensure(&pair).unwrap());
        fs::remove_file(&pair.cert).unwrap();
        assert!(ensure(&pair).unwrap());
        set_age(&pair.cert, RENEW_AFTER - DAY);
        assert!(!ensure(&pair).unwrap());
        set_age(&pair.cert, RENEW_AFTER + DAY);
        assert!(ensure(&pair).unwrap());
    }

    #[test]
    fn a_certificate_from_the_future_is_not_trusted() {
        let (_folder, pair) = pair();
        ensure(&pair).unwrap();
        let file = fs::File::options().write(true).open(&pair.cert).unwrap();
        file.set_modified(SystemTime::now() + DAY).unwrap();
        assert!(ensure(&pair).unwrap());
    }
}
