//! wasi:logging/logging@0.1.0-draft: a guest's log lines, with its component and request.

use super::{Host, Imports, Linked, Tasks, look_at_request};
use crate::http::RequestId;
use crate::limits;
use std::marker::PhantomData;
use std::sync::Arc;
use wasmtime::AsContextMut;
use wasmtime::component::{Access, HasData, Linker};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit/logging",
        world: "imports",
        imports: { default: store },
    });
}

use bindings::wasi::logging::logging::{self, Level};

const NAME: &str = "wasi:logging/logging@0.1.0-draft";

/// Whose line it is.
#[derive(Clone, Debug)]
pub struct LogScope {
    /// The component's configured name.
    pub component: Arc<str>,
    /// The request it works on; `None` where an instance works on several and it cannot be told which.
    pub request: Option<RequestId>,
}

impl LogScope {
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        let client = crate::http::Client {
            address,
            local: address,
            tls: false,
        };
        Self {
            component: "test".into(),
            request: Some(crate::http::RequestCx::new(client).id()),
        }
    }
}

/// Store data that knows whose log lines its guest writes.
pub trait LogView: Send {
    /// The scope of the line about to be written.
    fn log_scope(&self) -> LogScope;
}

/// The logging interface.
#[derive(Clone, Copy, Debug, Default)]
pub struct WasiLogging;

impl<T: LogView + Tasks + 'static> Host<T> for WasiLogging {
    fn link(&self, linker: &mut Linker<T>, imports: &Imports) -> wasmtime::Result<Linked> {
        let linked = Linked::those(imports, |import| import.name == NAME);
        if !linked.is_empty() {
            logging::add_to_linker::<T, HasLog<T>>(linker, |data| View(data))?;
        }
        Ok(linked)
    }

    fn serves(&self) -> &'static [&'static str] {
        &[NAME]
    }
}

/// The store data as this interface sees it.
struct View<'a, T>(&'a mut T);

struct HasLog<T>(PhantomData<T>);

impl<T: LogView + 'static> HasData for HasLog<T> {
    type Data<'a> = View<'a, T>;
}

impl<T: LogView> logging::Host for View<'_, T> {}

impl<T: LogView + Tasks + 'static> logging::HostWithStore<T> for HasLog<T> {
    fn log(mut store: Access<'_, T, Self>, level: Level, context: String, message: String) {
        if let Err(error) = look_at_request(store.as_context_mut()) {
            tracing::debug!("whose log line this is cannot be told: {error:#}");
        }
        let LogScope { component, request } = store.get().0.log_scope();
        let request = request.map(tracing::field::display);
        let message = shorten(&message);
        // tracing fixes the level of a call site, so each level is a call site of its own.
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(target: "tidegate::guest", %component, request, context, "{message}")
            };
        }
        match level {
            Level::Trace => line!(trace),
            Level::Debug => line!(debug),
            Level::Info => line!(info),
            Level::Warn => line!(warn),
            Level::Error | Level::Critical => line!(error),
        }
    }
}

/// The message up to its bound, on a character boundary.
fn shorten(message: &str) -> &str {
    message
        .get(..message.floor_char_boundary(limits::GUEST_LOG_LINE_BYTES))
        .unwrap_or(message)
}
