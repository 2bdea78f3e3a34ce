//! A component as it comes from outside: bytes, and the digest that names them.

use super::load_error::LoadError;
use crate::limits;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// A component's bytes with their digest.
#[derive(Clone)]
pub struct Artifact {
    wasm: Vec<u8>,
    digest: String,
}

impl Artifact {
    /// Reads a component file.
    ///
    /// # Errors
    /// When it cannot be read or is too large.
    pub fn read(path: &Path) -> Result<Self, LoadError> {
        let error = |source| LoadError::Read {
            path: path.to_owned(),
            source,
        };
        let bytes = fs::metadata(path).map_err(error)?.len();
        if bytes > limits::COMPONENT_BYTES {
            return Err(LoadError::TooLarge {
                path: path.to_owned(),
                bytes,
            });
        }
        Ok(Self::new(fs::read(path).map_err(error)?))
    }

    /// Bytes that are here already.
    pub fn new(wasm: Vec<u8>) -> Self {
        let digest = hex(&Sha256::digest(&wasm));
        Self { wasm, digest }
    }

    /// The bytes.
    pub(super) fn wasm(&self) -> &[u8] {
        &self.wasm
    }

    /// sha256, hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

impl std::fmt::Debug for Artifact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Artifact")
            .field("digest", &self.digest)
            .field("bytes", &self.wasm.len())
            .finish()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
