//! wasi:sockets/ip-name-lookup, 0.2 and 0.3: the names that are granted, and no other.

use super::sockets::{Found, SocketNames};
use std::sync::Arc;
use wasmtime::component::{HasData, Linker};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::sockets::{WasiSocketsCtxView, WasiSocketsView};

/// Store data whose guest may look up names.
pub trait NamesView: WasiView {
    /// The names this instance is granted; `None` is none.
    fn socket_names(&mut self) -> Option<Arc<SocketNames>> {
        None
    }
}

/// The store data as these interfaces see it.
struct Names<'a> {
    sockets: WasiSocketsCtxView<'a>,
    names: Option<Arc<SocketNames>>,
}

struct HasNames;

impl HasData for HasNames {
    type Data<'a> = Names<'a>;
}

fn names<T: NamesView>(data: &mut T) -> Names<'_> {
    Names {
        names: data.socket_names(),
        sockets: data.sockets(),
    }
}

/// Puts other definitions in the place of those that wasmtime-wasi has linked.
fn replace<T: 'static>(
    linker: &mut Linker<T>,
    add: impl FnOnce(&mut Linker<T>) -> wasmtime::Result<()>,
) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let added = add(linker);
    linker.allow_shadowing(false);
    added
}

pub(super) mod p2 {
    use super::*;
    use crate::hosts::wasi::sockets::LookupError;
    use std::net::IpAddr;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};
    use wasmtime::component::Resource;
    use wasmtime_wasi::async_trait;
    use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{
        self, Host, HostResolveAddressStream, ResolveAddressStream,
    };
    use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, IpAddress, Network};
    use wasmtime_wasi::p2::{DynPollable, IoError, Pollable, SocketError, subscribe};

    pub(in crate::hosts::wasi) fn link<T: NamesView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        replace(linker, |linker| {
            ip_name_lookup::add_to_linker::<T, HasNames>(linker, names)
        })
    }

    /// A lookup, and then its addresses one by one. The guest's handle is of wasmtime's type, which only wasmtime can
    /// make: it is the number of this one's place in the table, and nobody but this interface ever takes it.
    struct Lookup {
        finding: Option<Pin<Box<dyn Future<Output = Found> + Send>>>,
        found: Result<smallvec::IntoIter<[IpAddr; crate::limits::OUTGOING_ADDRESSES_COUNT]>, LookupError>,
    }

    impl Lookup {
        fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
            if let Some(finding) = &mut self.finding {
                let Poll::Ready(found) = finding.as_mut().poll(cx) else {
                    return Poll::Pending;
                };
                self.finding = None;
                self.found = found.map(IntoIterator::into_iter);
            }
            Poll::Ready(())
        }
    }

    #[async_trait]
    impl Pollable for Lookup {
        async fn ready(&mut self) {
            std::future::poll_fn(|cx| self.poll(cx)).await;
        }
    }

    fn ours(handle: &Resource<ResolveAddressStream>) -> Resource<Lookup> {
        Resource::new_borrow(handle.rep())
    }

    fn code(error: LookupError) -> ErrorCode {
        match error {
            LookupError::Denied => ErrorCode::AccessDenied,
            LookupError::Invalid => ErrorCode::InvalidArgument,
            LookupError::NotFound => ErrorCode::NameUnresolvable,
            LookupError::Temporary => ErrorCode::TemporaryResolverFailure,
            LookupError::Permanent => ErrorCode::PermanentResolverFailure,
        }
    }

    /// The errors of all of wasi:sockets, which stay wasmtime's.
    impl network::Host for Names<'_> {
        fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
            self.sockets.convert_error_code(error)
        }

        fn network_error_code(&mut self, error: Resource<IoError>) -> wasmtime::Result<Option<ErrorCode>> {
            self.sockets.network_error_code(error)
        }
    }

    impl network::HostNetwork for Names<'_> {
        fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
            network::HostNetwork::drop(&mut self.sockets, network)
        }
    }

    impl Host for Names<'_> {
        fn resolve_addresses(
            &mut self,
            network: Resource<Network>,
            name: String,
        ) -> Result<Resource<ResolveAddressStream>, SocketError> {
            // A guest without the network's handle may not ask.
            self.sockets.table.get(&network)?;
            let names = self.names.take().ok_or(ErrorCode::AccessDenied)?;
            let mut lookup = Lookup {
                finding: Some(Box::pin(async move { names.look_up(&name).await })),
                found: Err(LookupError::Permanent),
            };
            // What needs no server is known at once, denials above all. Whoever waits polls again.
            if lookup.poll(&mut Context::from_waker(Waker::noop())).is_ready()
                && let Err(error) = lookup.found
            {
                return Err(code(error).into());
            }
            let lookup = self.sockets.table.push(lookup)?;
            Ok(Resource::new_own(lookup.rep()))
        }
    }

    impl HostResolveAddressStream for Names<'_> {
        fn resolve_next_address(
            &mut self,
            handle: Resource<ResolveAddressStream>,
        ) -> Result<Option<IpAddress>, SocketError> {
            let lookup = self.sockets.table.get_mut(&ours(&handle))?;
            if lookup.poll(&mut Context::from_waker(Waker::noop())).is_pending() {
                return Err(ErrorCode::WouldBlock.into());
            }
            match &mut lookup.found {
                Ok(found) => Ok(found.next().map(IpAddress::from)),
                Err(error) => Err(code(*error).into()),
            }
        }

        fn subscribe(&mut self, handle: Resource<ResolveAddressStream>) -> wasmtime::Result<Resource<DynPollable>> {
            subscribe(self.sockets.table, ours(&handle))
        }

        fn drop(&mut self, handle: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
            self.sockets.table.delete(Resource::<Lookup>::new_own(handle.rep()))?;
            Ok(())
        }
    }
}

pub(super) mod p3 {
    use super::*;
    use crate::hosts::wasi::sockets::LookupError;
    use wasmtime::component::Accessor;
    use wasmtime_wasi::p3::bindings::sockets::ip_name_lookup::{self, ErrorCode, Host, HostWithStore};
    use wasmtime_wasi::p3::bindings::sockets::types::IpAddress;

    pub(in crate::hosts::wasi) fn link<T: NamesView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        replace(linker, |linker| {
            ip_name_lookup::add_to_linker::<T, HasNames>(linker, names)
        })
    }

    fn code(error: LookupError) -> ErrorCode {
        match error {
            LookupError::Denied => ErrorCode::AccessDenied,
            LookupError::Invalid => ErrorCode::InvalidArgument,
            LookupError::NotFound => ErrorCode::NameUnresolvable,
            LookupError::Temporary => ErrorCode::TemporaryResolverFailure,
            LookupError::Permanent => ErrorCode::PermanentResolverFailure,
        }
    }

    impl Host for Names<'_> {}

    impl<T> HostWithStore<T> for HasNames {
        async fn resolve_addresses(
            store: &Accessor<T, Self>,
            name: String,
        ) -> wasmtime::Result<Result<Vec<IpAddress>, ErrorCode>> {
            let Some(names) = store.with(|mut access| access.get().names) else {
                return Ok(Err(ErrorCode::AccessDenied));
            };
            let found: Found = names.look_up(&name).await;
            Ok(found
                .map(|found| found.into_iter().map(IpAddress::from).collect())
                .map_err(code))
        }
    }
}
