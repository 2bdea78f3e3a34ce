//! Looking through the whole linear memory: stack, globals, and what was freed and not overwritten.

const PAGE_BYTES: usize = 64 * 1024;

/// Whether the bytes of `first` and then `second` stand next to each other anywhere. The two are
/// compared in place, byte by byte, and never joined. An empty needle is nowhere.
pub(crate) fn holds(first: &[u8], second: &[u8]) -> bool {
    let needle_bytes = first.len() + second.len();
    // A page of the last possible address would make the product one more than a usize holds.
    let end = core::arch::wasm32::memory_size::<0>().saturating_mul(PAGE_BYTES);
    let Some(last) = end.checked_sub(needle_bytes) else {
        return false;
    };
    let needle = || first.iter().chain(second);
    needle_bytes > 0 && (0..=last).any(|start| needle().zip(start..).all(|(byte, address)| peek(address) == *byte))
}

/// The byte at an address below the end of the memory.
#[allow(
    unsafe_code,
    reason = "memory that no Rust value owns can only be read through a raw pointer; every address below \
              memory_size is there in linear memory, and a volatile read assumes nothing of what it finds"
)]
fn peek(address: usize) -> u8 {
    // The address is not null to WebAssembly even when it is 0.
    unsafe { core::ptr::with_exposed_provenance::<u8>(address).read_volatile() }
}
