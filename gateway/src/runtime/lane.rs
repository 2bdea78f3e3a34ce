//! The CPU lane: where guests go that compute for longer than a tick, so that they hold up no connection.
//!
//! Its threads have a lower priority than the doors'. Each component has a queue of its own and the threads go
//! round the queues, one tick a turn: a component with a hundred loops gets no more than one with a single one.

use super::run::{self, Run};
use super::worker::Call;
use crate::error::Fault;
use crate::http::Cause;
use crate::limits;
use async_task::Runnable;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use wasmtime_wasi_http::WasiBody;

/// The lane and its threads; dropping it ends them.
pub struct Lane {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    queues: Mutex<Queues>,
    work: Condvar,
    guests: AtomicUsize,
    /// Instances that work on several requests, and have work left.
    busy: AtomicUsize,
    runtime: tokio::runtime::Handle,
}

/// An instance has work left until this is dropped.
pub(super) struct Busy(Arc<Shared>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A component, by its address: equal while any of its guests is here, since each guest holds it.
type Key = usize;

#[derive(Default)]
struct Queues {
    turns: VecDeque<Key>,
    of: HashMap<Key, VecDeque<Runnable>>,
    closed: bool,
}

impl Lane {
    /// A lane of `threads` threads. Timers and sockets of its guests run on `runtime`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(threads: usize, runtime: tokio::runtime::Handle) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queues: Mutex::new(Queues::default()),
            work: Condvar::new(),
            guests: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            runtime,
        });
        let spawn = |n: usize| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name(format!("tidegate-cpu-{n}"))
                .spawn(move || work(&shared))
        };
        let threads = (0..threads.max(1)).map(spawn).collect::<io::Result<_>>()?;
        Ok(Self { shared, threads })
    }

    /// Guests in the lane now.
    pub fn guests(&self) -> usize {
        self.shared.guests.load(Ordering::Relaxed)
    }

    /// Guests that go on without a connection: those here, and those with calls of several requests.
    pub fn unfinished(&self) -> usize {
        self.guests() + self.shared.busy.load(Ordering::Acquire)
    }

    /// An instance elsewhere has begun to work; an orderly end waits for it.
    pub(super) fn busy(&self) -> Busy {
        self.shared.busy.fetch_add(1, Ordering::AcqRel);
        Busy(Arc::clone(&self.shared))
    }

    /// Takes a guest in. It runs until it ends or its call is stopped; its news come through its shared part.
    pub(super) fn take(&self, run: Run) -> Result<(), Fault> {
        let key = key(&run);
        let mut run = self.admit(run)?;
        self.spawn(key, async move {
            // How it ended is in its shared part.
            let _ = std::future::poll_fn(|cx| run.poll(cx)).await;
        });
        Ok(())
    }

    /// Takes a guest in whose answer is complete: it has this long for the rest of its work, and what it still writes
    /// is thrown away.
    pub(super) fn finish(&self, run: Run, body: Option<WasiBody>, time: Duration) {
        let key = key(&run);
        // A full lane stops the guest and counts it; nobody waits for its news.
        let Ok(mut run) = self.admit(run) else { return };
        self.spawn(key, async move {
            let mut rest = body.map(|body| Box::pin(drain(body)));
            let end = std::future::poll_fn(|cx| {
                if rest.as_mut().is_some_and(|rest| rest.as_mut().poll(cx).is_ready()) {
                    rest = None;
                }
                run.poll(cx)
            });
            if tokio::time::timeout(time, end).await.is_err() {
                run.stop(Fault::BodyDeadline);
            }
        });
    }

    /// Bounds the rest of a guest's work that is here already, its answer complete since.
    pub(super) fn end_after(&self, guest: &Arc<run::Shared>, body: Option<WasiBody>, time: Duration) {
        // Weak, so that a guest that ends by itself leaves nothing behind but a timer.
        let guest = Arc::downgrade(guest);
        self.shared.runtime.spawn(async move {
            let rest = async {
                if let Some(body) = body {
                    drain(body).await;
                }
                std::future::pending::<()>().await;
            };
            // Never done before its time: the guest may have work left when its body has ended.
            let _ = tokio::time::timeout(time, rest).await;
            if let Some(guest) = guest.upgrade() {
                guest.cx.call().cancel(Cause::BodyDeadline);
            }
        });
    }

    /// Takes the guest of a worker in, with all its calls; `key` is its component's.
    pub(super) fn work(&self, key: usize, work: impl Future<Output = ()> + Send + 'static) -> Result<(), Fault> {
        self.join()?;
        self.spawn(key, work);
        Ok(())
    }

    /// Takes what is left of a worker's answer, for this long, though nobody wants it.
    pub(super) fn finish_call(&self, mut call: Call, body: WasiBody, time: Duration) {
        self.shared.runtime.spawn(async move {
            // A call dropped before it is complete is given up.
            if tokio::time::timeout(time, drain(body)).await.is_ok() {
                call.complete();
            }
        });
    }

    /// A place in the lane.
    fn join(&self) -> Result<(), Fault> {
        let join = |now| (now < limits::LANE_COUNT).then_some(now + 1);
        let joined = self
            .shared
            .guests
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, join);
        joined.map(drop).map_err(|_| Fault::Saturated)
    }

    /// A place in the lane, or the guest's end.
    fn admit(&self, run: Run) -> Result<Run, Fault> {
        if let Err(fault) = self.join() {
            run.stop(fault.clone());
            return Err(fault);
        }
        run.shared.meter.enter_lane();
        Ok(run)
    }

    /// Runs an admitted guest's work in its component's queue.
    fn spawn(&self, key: Key, work: impl Future<Output = ()> + Send + 'static) {
        let leaving = Leaving(Arc::clone(&self.shared));
        let guest = async move {
            let _leaving = leaving;
            work.await;
        };
        let shared = Arc::clone(&self.shared);
        let (runnable, task) = async_task::spawn(guest, move |runnable| shared.push(key, runnable));
        task.detach();
        runnable.schedule();
    }
}

fn key(run: &Run) -> Key {
    Arc::as_ptr(&run.component) as Key
}

/// Takes everything of a body that nobody wants.
async fn drain(mut body: WasiBody) {
    while let Some(Ok(_)) = http_body_util::BodyExt::frame(&mut body).await {}
}

/// Counts a guest out when its task is dropped, however it ended.
struct Leaving(Arc<Shared>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.guests.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, key: Key, runnable: Runnable) {
        let mut queues = self.lock();
        if queues.closed {
            drop(queues);
            // Dropping it cancels the task: the gateway is gone.
            drop(runnable);
            return;
        }
        let queue = queues.of.entry(key).or_default();
        queue.push_back(runnable);
        if queue.len() == 1 {
            queues.turns.push_back(key);
        }
        drop(queues);
        self.work.notify_one();
    }

    /// The next guest's turn; waits for one, and is `None` when the lane closes.
    fn next(&self) -> Option<Runnable> {
        let mut queues = self.lock();
        loop {
            if queues.closed {
                return None;
            }
            if let Some(runnable) = queues.pop() {
                return Some(runnable);
            }
            queues = self.work.wait(queues).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Queues {
    fn pop(&mut self) -> Option<Runnable> {
        let key = self.turns.pop_front()?;
        let queue = self.of.get_mut(&key)?;
        let runnable = queue.pop_front();
        if queue.is_empty() {
            self.of.remove(&key);
        } else {
            self.turns.push_back(key);
        }
        runnable
    }
}

fn work(shared: &Shared) {
    // Lower than the doors, so that a connection is served first. Where the system refuses, the lane still works.
    if let Err(error) = rustix::process::nice(10) {
        tracing::debug!("the CPU lane runs at ordinary priority: {error}");
    }
    let _runtime = shared.runtime.enter();
    while let Some(runnable) = shared.next() {
        runnable.run();
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let left = {
            let mut queues = self.shared.lock();
            queues.closed = true;
            std::mem::take(&mut queues.of)
        };
        // Outside the lock: a dropped guest may wake another, which is pushed.
        drop(left);
        self.shared.work.notify_all();
        let here = std::thread::current().id();
        for thread in self.threads.drain(..) {
            if thread.thread().id() != here {
                // A panic there was printed when it happened.
                let _ = thread.join();
            }
        }
    }
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane")
            .field("threads", &self.threads.len())
            .field("guests", &self.guests())
            .finish()
    }
}
