//! The guest of a worker: its instance, and the requests it works on.

use super::component::Component;
use super::desk::{Desk, Job};
use super::instance::{Instance, p3_fault, p3_request};
use super::lane::{Busy, Lane};
use super::pool::Slot;
use super::run::{Meter, Shared, fault_of};
use super::store::StoreCtx;
use crate::error::Fault;
use crate::telemetry::metrics::Retirement;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use wasmtime::component::Accessor;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p3::bindings::Service;

/// The guest of a worker, from its instance's start to its end.
pub(super) async fn work(
    component: Arc<Component>,
    first: Arc<Shared>,
    meter: Arc<Meter>,
    desk: Arc<Desk>,
    slot: Slot,
) {
    let started = Instance::start(&component, &first, slot, Some(meter)).await;
    let (name, lane) = (Arc::clone(component.name()), Arc::clone(&component.lane));
    // A component out of force may be freed while its workers finish.
    drop((component, first));
    let instance = match started {
        Ok(instance) => instance,
        Err(fault) => return desk.give_up(&fault),
    };
    let mut working = Working {
        instance,
        desk: Arc::clone(&desk),
    };
    let (store, Some(service)) = working.instance.parts() else {
        return desk.give_up(&Fault::Internal("a worker of a component that is not 0.3".to_owned()));
    };
    let ended = store.run_concurrent(async |accessor| answer_all(accessor, service, &desk, &lane).await);
    if let Err(error) = ended.await.and_then(|ended| ended) {
        desk.close(fail_all(store.data_mut(), &name, &error));
    }
    desk.give_back();
}

/// An instance that is retired for its desk's reason, also when it is dropped in the middle of its work.
struct Working {
    instance: Box<Instance>,
    desk: Arc<Desk>,
}

impl Drop for Working {
    fn drop(&mut self) {
        self.instance.retire(self.desk.cause());
    }
}

/// Takes jobs and answers them until the worker is closed and its last call is over.
async fn answer_all(
    accessor: &Accessor<StoreCtx>,
    service: &Service,
    desk: &Desk,
    lane: &Lane,
) -> wasmtime::Result<()> {
    let func = *service.wasi_http_handler().func_handle().func();
    let mut calls = FuturesUnordered::new();
    // From a call's beginning to when nothing of it is left, which its connection does not wait for.
    let mut busy: Option<Busy> = None;
    poll_fn(|cx| {
        loop {
            match calls.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(()))) => {
                    // It may never rest, so this is looked at after every request.
                    if accessor.with(|mut store| store.data_mut().has_grown()) {
                        desk.close(Retirement::Memory);
                    }
                    continue;
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) | Poll::Pending => {}
            }
            desk.guest.register(cx.waker());
            // What a given-up call left running is not waited for; it takes no further ones, so it need not rest.
            if desk.is_abandoned() && desk.is_done() {
                return Poll::Ready(Ok(()));
            }
            let may_rest = calls.is_empty() && desk.is_at_rest() && !desk.is_abandoned();
            if may_rest && accessor.poll_no_interesting_tasks(cx).is_ready() {
                if let Err(cause) = accessor.with(|mut store| store.data_mut().rest()) {
                    desk.close(cause);
                    return Poll::Ready(Ok(()));
                }
                if desk.is_done() {
                    return Poll::Ready(Ok(()));
                }
                busy = None;
            }
            // A guest that takes one call at a time says so by backpressure.
            let is_ready = accessor.poll_ready_for_concurrent_call(func, cx).is_ready();
            if is_ready && let Some(job) = desk.jobs().pop_front() {
                // It may have been given up while it waited here.
                if job.shared.end().is_none() {
                    busy.get_or_insert_with(|| lane.busy());
                    calls.push(answer(accessor, service, job));
                }
                continue;
            }
            return Poll::Pending;
        }
    })
    .await
}

/// Answers one request, up to the head: its body goes on in the guest's task.
async fn answer(accessor: &Accessor<StoreCtx>, service: &Service, job: Job) -> wasmtime::Result<()> {
    let Job { request, shared } = job;
    let handle = service.wasi_http_handler().func_handle();
    let prepared = accessor.with(|mut store| -> wasmtime::Result<_> {
        let (request, sent) = p3_request(store.data_mut(), request, shared.cx.client().tls);
        let request = store.data_mut().http().table.push(request)?;
        let call = handle.start_call_concurrent(&mut store, (request,))?;
        store.data_mut().work_on(call.task(), Arc::clone(&shared));
        Ok((call, sent))
    });
    let (call, sent) = prepared.inspect_err(|error| {
        // The instance does not know of this call yet, and would not end it.
        shared.set_end(Err(Fault::Trap(format!("{error:?}"))));
    })?;
    let (answered,) = handle.finish_call_concurrent(accessor, call).await?;
    let head = match answered {
        Ok(response) => Ok(accessor.with(|mut store| -> wasmtime::Result<_> {
            let response = store.data_mut().http().table.delete(response)?;
            response.into_http(&mut store, sent)
        })?),
        Err(code) => Err(p3_fault(&code)),
    };
    shared.set_head(head);
    Ok(())
}

/// Ends every call of an instance that failed, and says why it is retired. What it failed at is one call's fault, the
/// others share its instance and its end.
fn fail_all(store: &mut StoreCtx, component: &str, error: &wasmtime::Error) -> Retirement {
    let fault = fault_of(error, store);
    let (culprit, tasks) = match store.sharing() {
        Some(sharing) => (sharing.take_culprit(), sharing.forget().collect()),
        None => (None, Vec::new()),
    };
    let calls = tasks.len();
    for shared in tasks {
        if shared.end().is_some() {
            continue;
        }
        let is_its_own = culprit.as_ref().is_none_or(|culprit| Arc::ptr_eq(culprit, &shared));
        let neighbour = || Fault::Trap(format!("another request of the same instance was stopped: {fault}"));
        shared.set_end(Err(if is_its_own { fault.clone() } else { neighbour() }));
    }
    let request = culprit.map(|culprit| tracing::field::display(culprit.cx.id()));
    match &fault {
        Fault::Trap(why) => tracing::error!(component, calls, request, code = fault.code(), "guest trapped: {why}"),
        _ => tracing::warn!(component, calls, request, code = fault.code(), "guest stopped"),
    }
    match fault {
        Fault::Trap(_) => Retirement::Trap,
        Fault::Memory => Retirement::Memory,
        _ => Retirement::Cancelled,
    }
}
