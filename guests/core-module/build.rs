//! Stops the linker after the core module, where it would make a component of it.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-cdylib=--skip-wit-component");
}
