//! `tidegate schema`: the JSON schema of the configuration, for editors.

use super::{Done, print};

/// Print the JSON schema of the configuration
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  tidegate schema > config/schema.json   # then `#:schema ./schema.json` on top of \
    a config file"
)]
pub(super) struct Schema {}

impl Schema {
    pub(super) fn run(self) -> Done {
        print(&crate::config::schema_text())
    }
}
