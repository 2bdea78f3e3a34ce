//! The requests of one instance that works on several at a time: which guest task is whose, and which computes too much.

use super::run::{Meter, Shared, Stopped};
use super::store::StoreCtx;
use crate::error::Fault;
use crate::limits;
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::GuestTaskId;
use wasmtime::{StoreContextMut, UpdateDeadline};

/// Tasks of a call stack, youngest first; most calls are made by the task of a request itself.
pub(super) type Stack = SmallVec<[GuestTaskId; 4]>;

/// What an instance's store knows of its requests.
pub(super) struct Sharing {
    meter: Arc<Meter>,
    /// Few at a time, so they are searched one by one.
    tasks: Vec<Task>,
    /// Whom the instance was stopped for.
    culprit: Option<Arc<Shared>>,
    /// CPU time of the instance that is on its requests' accounts already.
    accounted_ns: u64,
}

struct Task {
    id: GuestTaskId,
    shared: Arc<Shared>,
    /// What it has computed since nobody waits for it.
    unwanted_ns: u64,
}

impl Sharing {
    pub(super) fn new(meter: Arc<Meter>) -> Self {
        Self {
            meter,
            tasks: Vec::new(),
            culprit: None,
            accounted_ns: 0,
        }
    }

    /// From now on `id` works for this request.
    pub(super) fn enter(&mut self, id: GuestTaskId, shared: Arc<Shared>) {
        // The ends of tasks are not told; those of their calls are.
        if self.tasks.len() >= limits::REUSE_TASKS_COUNT {
            self.tasks.retain(|task| task.shared.end().is_none());
        }
        let task = Task {
            id,
            shared,
            unwanted_ns: 0,
        };
        // The number of a task that has ended is given to another.
        match self.find(&[id]) {
            Some(ended) => *ended = task,
            None => self.tasks.push(task),
        }
    }

    /// Nothing is under way any more.
    pub(super) fn forget(&mut self) -> impl Iterator<Item = Arc<Shared>> + use<> {
        std::mem::take(&mut self.tasks).into_iter().map(|task| task.shared)
    }

    pub(super) fn take_culprit(&mut self) -> Option<Arc<Shared>> {
        self.culprit.take()
    }

    fn find(&mut self, stack: &[GuestTaskId]) -> Option<&mut Task> {
        self.tasks.iter_mut().find(|task| stack.contains(&task.id))
    }

    /// The request whose task, or the task that called whose, is on this stack.
    pub(super) fn request(&mut self, stack: &[GuestTaskId]) -> Option<&Arc<Shared>> {
        self.find(stack).map(|task| &task.shared)
    }

    /// One of the requests computes at a tick: `first` while the instance starts, for it.
    fn on_tick(&mut self, stack: &[GuestTaskId], first: Option<&Arc<Shared>>) -> wasmtime::Result<UpdateDeadline> {
        let turn = self.meter.turn();
        let cpu = self.meter.cpu_ns();
        let spent = cpu.saturating_sub(self.accounted_ns);
        self.accounted_ns = cpu;
        let is_starting = self.tasks.is_empty();
        let (shared, unwanted_ns) = match self.find(stack) {
            Some(task) => (Arc::clone(&task.shared), Some(&mut task.unwanted_ns)),
            None => match first {
                Some(first) if is_starting => (Arc::clone(first), None),
                _ => return Ok(turn),
            },
        };
        shared.meter.add(spent);
        let fault = match (shared.cx.call().cause(), unwanted_ns) {
            (None, _) => (shared.meter.cpu_ns() > shared.cpu_limit_ns).then_some(Fault::Cpu),
            // Nobody else has begun in an instance that starts.
            (Some(cause), None) => Some(cause.fault()),
            (Some(cause), Some(unwanted_ns)) => {
                *unwanted_ns = unwanted_ns.saturating_add(spent);
                (Duration::from_nanos(*unwanted_ns) >= limits::UNWANTED_GRACE).then(|| cause.fault())
            }
        };
        match fault {
            Some(fault) => {
                self.culprit = Some(shared);
                Err(Stopped(fault).into())
            }
            None => Ok(turn),
        }
    }
}

/// Called at every epoch tick while a guest computes: may stop it, or make it yield.
pub(super) fn on_tick(mut store: StoreContextMut<'_, StoreCtx>) -> wasmtime::Result<UpdateDeadline> {
    if store.data_mut().sharing().is_none() {
        return match store.data().request() {
            Some(request) => request.on_tick(),
            // No code runs between two requests.
            None => Ok(UpdateDeadline::Continue(1)),
        };
    }
    let stack: Stack = store.async_call_stack()?.collect();
    let data = store.data_mut();
    let first = data.request().map(Arc::clone);
    match data.sharing() {
        Some(sharing) => sharing.on_tick(&stack, first.as_ref()),
        None => Ok(UpdateDeadline::Continue(1)),
    }
}
