//! The admin token: made at first start, kept in `data_dir/admin.token` for its owner only.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// What a write to the admin API has to carry.
pub(super) struct Token(String);

impl Token {
    /// Reads the token, or makes one.
    pub(super) fn open(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join("admin.token");
        match fs::read_to_string(&path) {
            Ok(token) if !token.trim().is_empty() => {
                // One that others could read is still the only one; from now on they cannot.
                fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
                return Ok(Self(token.trim().to_owned()));
            }
            Ok(_) => fs::remove_file(&path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let random: [u8; 32] = rand::random();
        let token = random.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(token.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        Ok(Self(token))
    }

    /// Whether an `Authorization` value carries this token (RFC 6750 §2.1). The time it takes does not depend on
    /// where they differ.
    pub(super) fn is_in(&self, authorization: &[u8]) -> bool {
        let Some((scheme, given)) = authorization.split_at_checked("Bearer ".len()) else {
            return false;
        };
        let expected = self.0.as_bytes();
        scheme.eq_ignore_ascii_case(b"Bearer ")
            && given.len() == expected.len()
            && given.iter().zip(expected).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_once_and_kept_private() {
        let dir = tempfile::tempdir().unwrap();
        let first = Token::open(dir.path()).unwrap();
        let again = Token::open(dir.path()).unwrap();
        assert_eq!(first.0, again.0);
        assert_eq!(first.0.len(), 64);
        let mode = fs::metadata(dir.path().join("admin.token"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn only_the_whole_token_counts() {
        let token = Token("abcd".to_owned());
        assert!(token.is_in(b"Bearer abcd"));
        assert!(token.is_in(b"bearer abcd"));
        for wrong in [
            "Bearer abc",
            "Bearer abcde",
            "Bearer abce",
            "abcd",
            "Basic abcd",
            "Bearer ",
            "",
        ] {
            assert!(!token.is_in(wrong.as_bytes()), "{wrong:?}");
        }
    }
}
