//! A stack of 8 KiB instead of 1 MiB, so that the whole linear memory is one 64 KiB page: the less
//! memory an instance has, the less there is to map and to clean for the next request.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-cdylib=-zstack-size=8192");
}
