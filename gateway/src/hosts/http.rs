//! wasi:http, 0.2 and 0.3: its types, and outgoing requests.
//!
//! No component is granted a destination in this version, so every outgoing request ends with the guest's
//! `HTTP-request-denied` error.

use super::{Host, Imports, Linked};
use crate::limits;
use http::HeaderName;
use std::sync::{Arc, OnceLock};
use wasmtime::component::Linker;
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks, WasiHttpView,
};

/// wasi:http/types, outgoing-handler (0.2) and client (0.3).
#[derive(Clone, Copy, Debug, Default)]
pub struct WasiHttp;

impl<T: WasiHttpView + 'static> Host<T> for WasiHttp {
    fn link(&self, linker: &mut Linker<T>, imports: &Imports) -> wasmtime::Result<Linked> {
        let of = |series: &str| Linked::those(imports, |i| i.package() == "wasi:http" && i.is_series(series));
        let (p2, p3) = (of("0.2"), of("0.3"));
        if !p2.is_empty() {
            wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
        }
        if !p3.is_empty() {
            wasmtime_wasi_http::p3::add_to_linker(linker)?;
        }
        Ok(Linked(p2.0.into_iter().chain(p3.0).collect()))
    }

    fn serves(&self) -> &'static [&'static str] {
        &[
            "wasi:http/types@0.2.6",
            "wasi:http/outgoing-handler@0.2.6",
            "wasi:http/types@0.3.0",
            "wasi:http/client@0.3.0",
        ]
    }
}

type Sending = Box<
    dyn Future<
            Output = wasmtime_wasi_http::Result<(
                http::Response<WasiBody>,
                Box<dyn Future<Output = Result<(), Error>> + Send>,
            )>,
        > + Send,
>;

/// How wasi:http behaves for a component without a grant: requests are denied, small answers need not wait.
#[derive(Clone, Copy, Debug, Default)]
pub struct OutgoingDenied;

impl WasiHttpHooks for OutgoingDenied {
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        // One filter for the process: this is asked for with every request.
        static FILTER: OnceLock<ForbiddenHeaderFilter> = OnceLock::new();
        Arc::clone(FILTER.get_or_init(|| Arc::new(is_forbidden)))
    }

    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        is_forbidden(name)
    }

    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _sent: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Sending {
        Box::new(std::future::ready(Err(Error::HttpRequestDenied)))
    }

    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        limits::GUEST_CHUNKS_COUNT
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        limits::GUEST_CHUNK_BYTES
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        limits::GUEST_CHUNK_BYTES
    }
}

/// Hop-by-hop fields and the host, which belong to the gateway (RFC 9110 §7.6.1).
fn is_forbidden(name: &HeaderName) -> bool {
    DEFAULT_FORBIDDEN_HEADERS.contains(name)
}
