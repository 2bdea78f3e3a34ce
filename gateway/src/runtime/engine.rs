//! The two engines and the clock that interrupts their guests.
//!
//! Guests of WASI 0.2 run on an engine without concurrency support: with it every call goes through task tables
//! (docs/decisions/0001). Both pool their instances and check the epoch at every loop and call.

use super::inspect::Dialect;
use crate::config::PoolReset;
use crate::limits;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// What the engines are made from.
#[derive(Clone, Copy, Debug)]
pub struct EngineOptions {
    /// How a pool slot is cleaned.
    pub reset: PoolReset,
    /// Instances alive at once, per engine.
    pub instances: u32,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            reset: PoolReset::default(),
            instances: limits::INSTANCES_COUNT,
        }
    }
}

/// The engines could not be made.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// `pool_reset = "scan"` could let a guest read an earlier guest's swapped-out page.
    #[error("pool_reset = \"scan\" needs a machine without swap, and {0} is on: turn it off, or use \"decommit\"")]
    Swap(String),
    /// The kernel has no `PAGEMAP_SCAN` (Linux 6.7).
    #[error("pool_reset = \"scan\" needs Linux 6.7 or newer (the PAGEMAP_SCAN ioctl): use \"decommit\"")]
    NoPagemapScan,
    /// wasmtime refused, for example for want of address space.
    #[error("the WebAssembly engine cannot start: {0}")]
    Engine(String),
}

/// Both engines, and the thread that moves their epoch while guests run.
pub struct Engines {
    p2: Engine,
    p3: Engine,
    options: EngineOptions,
    clock: Arc<Clock>,
    ticker: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Engines {
    /// Makes both engines and starts their clock.
    pub fn new(options: EngineOptions) -> Result<Self, EngineError> {
        if options.reset == PoolReset::Scan {
            check_scan()?;
        }
        let engine = |concurrency| {
            Engine::new(&config(options, concurrency)).map_err(|error| EngineError::Engine(format!("{error:#}")))
        };
        let (p2, p3) = (engine(false)?, engine(true)?);
        let stop = Arc::new(AtomicBool::new(false));
        let clock = Arc::new(Clock::default());
        let ticker = std::thread::Builder::new().name("tidegate-epoch".into()).spawn({
            let (p2, p3, stop, clock) = (p2.clone(), p3.clone(), Arc::clone(&stop), Arc::clone(&clock));
            move || tick(&p2, &p3, &stop, &clock)
        });
        let ticker = ticker.map_err(|error| EngineError::Engine(error.to_string()))?;
        clock.set_thread(ticker.thread().clone());
        Ok(Self {
            p2,
            p3,
            options,
            clock,
            ticker: Some((stop, ticker)),
        })
    }

    /// The engine that runs guests of `dialect`.
    pub fn get(&self, dialect: Dialect) -> &Engine {
        match dialect {
            Dialect::P2 => &self.p2,
            Dialect::P3 => &self.p3,
        }
    }

    /// What the engines were made from.
    pub fn options(&self) -> EngineOptions {
        self.options
    }

    pub(crate) fn clock(&self) -> Arc<Clock> {
        Arc::clone(&self.clock)
    }
}

impl std::fmt::Debug for Engines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engines")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Drop for Engines {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.ticker.take() {
            stop.store(true, Ordering::Release);
            thread.thread().unpark();
            // The thread sleeps for one tick at most; a panic in it was already printed.
            let _ = thread.join();
        }
    }
}

fn config(options: EngineOptions, concurrency: bool) -> Config {
    let mut config = Config::new();
    config
        .concurrency_support(concurrency)
        .epoch_interruption(true)
        .max_wasm_stack(limits::WASM_STACK_BYTES)
        .async_stack_size(limits::ASYNC_STACK_BYTES)
        // Else a stack keeps what the deepest of its guests ever touched, for as long as the process lives.
        .async_stack_zeroing(true)
        .memory_init_cow(true)
        .generate_address_map(true)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(options)));
    if concurrency {
        config.wasm_component_model_async(true);
    }
    config
}

fn pool(options: EngineOptions) -> PoolingAllocationConfig {
    // The places that calls take are fewer: a slot is given back before it is clean, and cannot be had meanwhile.
    let instances = options.instances.saturating_add(spare_slots());
    let batch = limits::POOL_CLEANED_COUNT as usize;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(limits::CORE_INSTANCES_PER_COMPONENT_COUNT))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(2))
        .total_stacks(instances)
        .total_gc_heaps(instances)
        .max_core_instances_per_component(limits::CORE_INSTANCES_PER_COMPONENT_COUNT)
        .max_memories_per_component(limits::MEMORIES_PER_COMPONENT_COUNT)
        .max_tables_per_component(limits::TABLES_PER_COMPONENT_COUNT)
        .table_elements(limits::TABLE_ELEMENTS_COUNT)
        .async_stack_keep_resident(limits::STACK_RESIDENT_BYTES)
        .max_memory_size(usize::try_from(limits::MEMORY_BYTES_MAX).unwrap_or(usize::MAX));
    match options.reset {
        PoolReset::Decommit => pool.decommit_batch_size(batch),
        PoolReset::Scan => pool
            .linear_memory_keep_resident(2 << 20)
            .table_keep_resident(64 << 10)
            .pagemap_scan(Enabled::Yes)
            .decommit_batch_size(batch),
    };
    pool
}

/// Slots that may be in cleaning at once: a door, a lane thread and one for control, for each core.
fn spare_slots() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX));
    cores.saturating_mul(3).saturating_mul(limits::POOL_SPARE_COUNT)
}

/// `PAGEMAP_SCAN` misses pages that are swapped out at that moment: refuse where there is swap.
fn check_scan() -> Result<(), EngineError> {
    if let Some(device) = swap_in_use() {
        return Err(EngineError::Swap(device));
    }
    if !PoolingAllocationConfig::is_pagemap_scan_available() {
        return Err(EngineError::NoPagemapScan);
    }
    Ok(())
}

/// The first swap device in use, as `/proc/swaps` says.
pub(crate) fn swap_in_use() -> Option<String> {
    let swaps = std::fs::read_to_string("/proc/swaps").ok()?;
    swaps.lines().nth(1)?.split_whitespace().next().map(str::to_owned)
}

/// Time for guests: an anchor that turns instants into numbers, and the ticker's sleep.
#[derive(Debug)]
pub(crate) struct Clock {
    anchor: Instant,
    /// Set by every call; the ticker sleeps when it was not set for a while.
    busy: AtomicBool,
    asleep: AtomicBool,
    thread: std::sync::OnceLock<Thread>,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            anchor: Instant::now(),
            busy: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
            thread: std::sync::OnceLock::new(),
        }
    }
}

impl Clock {
    fn set_thread(&self, thread: Thread) {
        let _ = self.thread.set(thread);
    }

    /// Nanoseconds since the engines were made; never zero.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.anchor.elapsed().as_nanos())
            .unwrap_or(u64::MAX)
            .max(1)
    }

    /// A guest is about to be polled: the epoch has to move.
    pub(crate) fn guest_runs(&self) {
        if !self.busy.load(Ordering::Relaxed) {
            self.busy.store(true, Ordering::SeqCst);
        }
        if self.asleep.load(Ordering::SeqCst)
            && self.asleep.swap(false, Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }
}

/// Moves both epochs every [`limits::EPOCH_TICK`]; after a quiet second it sleeps until a guest runs.
fn tick(p2: &Engine, p3: &Engine, stop: &AtomicBool, clock: &Clock) {
    let quiet_max = Duration::from_secs(1).as_millis() / limits::EPOCH_TICK.as_millis().max(1);
    let mut quiet = 0;
    while !stop.load(Ordering::Acquire) {
        std::thread::park_timeout(limits::EPOCH_TICK);
        p2.increment_epoch();
        p3.increment_epoch();
        quiet = if clock.busy.swap(false, Ordering::SeqCst) {
            0
        } else {
            quiet + 1
        };
        if quiet < quiet_max {
            continue;
        }
        clock.asleep.store(true, Ordering::SeqCst);
        // A call that came between the look and the sleep has set `busy` and may not have seen `asleep`.
        while clock.asleep.load(Ordering::SeqCst) && !clock.busy.load(Ordering::SeqCst) && !stop.load(Ordering::Acquire)
        {
            std::thread::park();
        }
        clock.asleep.store(false, Ordering::SeqCst);
        quiet = 0;
    }
}
