//! `not-http`: a good component that exports `wasi:cli/run` and no handler. The gateway refuses it
//! and says what it looked for.

fn main() {
    println!("this is a command, not a handler");
}
