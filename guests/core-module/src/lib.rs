//! `core-module`: a WebAssembly core module and not a component. The gateway refuses it and says how
//! to make a component of it.
//!
//! The build script tells the linker to leave the component step out.

#![no_std]

/// One export, so that the module is not empty.
#[expect(
    unsafe_code,
    reason = "exporting a name is `unsafe` in edition 2024; nothing else has it"
)]
#[unsafe(no_mangle)]
pub extern "C" fn add(left: i32, right: i32) -> i32 {
    left.wrapping_add(right)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
