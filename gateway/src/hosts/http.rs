//! wasi:http, 0.2 and 0.3: its types, and outgoing requests to the destinations that are granted.

mod error;
mod outgoing;

pub(crate) use outgoing::{Destinations, Outgoing};

use super::{Host, Imports, Linked, Tasks, look_at_request};
use crate::limits;
use http::HeaderName;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};
use wasmtime::AsContextMut;
use wasmtime::component::{Accessor, HasData, Linker, Resource};
use wasmtime_wasi::TrappableError;
use wasmtime_wasi_http::p3::bindings::http::{client, types};
use wasmtime_wasi_http::p3::{Request, Response};
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpCtxView, WasiHttpHooks,
    WasiHttpView,
};

/// wasi:http/types, outgoing-handler (0.2) and client (0.3).
#[derive(Clone, Copy, Debug, Default)]
pub struct WasiHttp;

impl<T: WasiHttpView + Tasks + 'static> Host<T> for WasiHttp {
    fn link(&self, linker: &mut Linker<T>, imports: &Imports) -> wasmtime::Result<Linked> {
        let of = |series: &str| Linked::those(imports, |i| i.package() == "wasi:http" && i.is_series(series));
        let (p2, p3) = (of("0.2"), of("0.3"));
        if !p2.is_empty() {
            wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
        }
        if !p3.is_empty() {
            types::add_to_linker::<T, wasmtime_wasi_http::WasiHttp>(linker, T::http)?;
            client::add_to_linker::<T, HasClient<T>>(linker, T::http)?;
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

/// wasmtime's own client, which is told first whose request it sends.
struct HasClient<T>(PhantomData<T>);

impl<T: 'static> HasData for HasClient<T> {
    type Data<'a> = WasiHttpCtxView<'a>;
}

impl<T: WasiHttpView + Tasks + 'static> client::HostWithStore<T> for HasClient<T> {
    async fn send(
        store: &Accessor<T, Self>,
        request: Resource<Request>,
    ) -> Result<Resource<Response>, TrappableError<types::ErrorCode>> {
        // Asked before anything is awaited: the request is sent off in the first poll of what follows.
        store
            .with(|mut access| look_at_request(access.as_context_mut()))
            .map_err(TrappableError::trap)?;
        let http = store.with_getter::<wasmtime_wasi_http::WasiHttp>(T::http);
        <wasmtime_wasi_http::WasiHttp as client::HostWithStore<T>>::send(&http, request).await
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

/// How wasi:http behaves for store data that sends nothing: requests are denied, small answers need not wait.
#[derive(Clone, Copy, Debug, Default)]
pub struct OutgoingDenied;

/// What both hooks have in common.
macro_rules! common_hooks {
    () => {
        fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
            // One filter for the process: this is asked for with every request.
            static FILTER: OnceLock<ForbiddenHeaderFilter> = OnceLock::new();
            Arc::clone(FILTER.get_or_init(|| Arc::new(is_forbidden)))
        }

        fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
            is_forbidden(name)
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
    };
}

impl WasiHttpHooks for OutgoingDenied {
    common_hooks!();

    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _sent: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Sending {
        Box::new(std::future::ready(Err(Error::HttpRequestDenied)))
    }
}

impl WasiHttpHooks for Outgoing {
    common_hooks!();

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _sent: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Sending {
        self.send(request, options)
    }
}

/// Hop-by-hop fields and the host, which belong to the gateway (RFC 9110 §7.6.1).
fn is_forbidden(name: &HeaderName) -> bool {
    DEFAULT_FORBIDDEN_HEADERS.contains(name)
}
