//! The birth of an instance, and what watches over it while it runs.

use std::sync::Arc;

use nisse_model::{Fuel, InstanceId, TrapKind};
use wasmtime::{PoolConcurrencyLimitError, Store, UpdateDeadline};

use super::LiveInstance;
use crate::guest_state::GuestState;
use crate::program::Program;
use crate::trap::Trap;

/// Why no instance came to life.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The guest was stopped in its own start functions.
    #[error(transparent)]
    Trap(Trap),
    /// As many instances live as the engine has places for. Nothing of the guest ran, and it is not its fault.
    #[error("find a place for an instance: all are taken")]
    Full,
}

impl LiveInstance {
    pub(crate) async fn start(program: Arc<Program>, birth: InstanceId) -> Result<Self, StartError> {
        let mut store = program.store();
        let limits = &program.limits;
        watch(&mut store, program.clone());
        begin_fuel(&mut store, limits.fuel_per_call);
        let instance = {
            let _running = program.engine.running();
            let instantiating = program.pre.instantiate_async(&mut store);
            tokio::time::timeout(limits.http_time, instantiating).await
        };
        let failed = |error: &wasmtime::Error, store: &Store<GuestState>| match error.is::<PoolConcurrencyLimitError>()
        {
            true => StartError::Full,
            false => StartError::Trap(Trap::from_error(error, store.data().limiter.refused)),
        };
        let instance = match instance {
            Ok(instance) => instance.map_err(|error| failed(&error, &store))?,
            Err(_) => return Err(StartError::Trap(Trap::new(TrapKind::Deadline, "it did not start in time"))),
        };
        let load = |store: &mut Store<GuestState>| {
            let handler = program.handler.as_ref().map(|indices| indices.load(&mut *store, &instance)).transpose()?;
            let proxy = program.proxy.as_ref().map(|indices| indices.load(&mut *store, &instance)).transpose()?;
            Ok::<_, wasmtime::Error>((handler, proxy))
        };
        let (handler, proxy) = load(&mut store).map_err(|error| failed(&error, &store))?;
        let last_used = program.clock.elapsed();
        Ok(Self { program, store, handler, proxy, birth, calls: 0, running: false, ended: false, last_used })
    }
}

/// Gives a call its fuel. A store always counts fuel, so this cannot fail.
pub(super) fn begin_fuel(store: &mut Store<GuestState>, fuel: Fuel) {
    store.set_fuel(fuel.0).expect("the engine counts fuel");
    store.data_mut().call.fuel_charged_at = fuel.0;
    store.set_epoch_deadline(1);
}

/// At each beat of the epoch: charge the processor share, and let others run or wait until the share allows more.
/// Between calls wasmtime writes the fuel counter down only where a slice of fuel ends, so what is charged here is
/// right to a slice; [`LiveInstance::leave`] charges the rest.
fn watch(store: &mut Store<GuestState>, program: Arc<Program>) {
    store.epoch_deadline_callback(move |mut store| {
        let left = store.get_fuel()?;
        let charged_at = std::mem::replace(&mut store.data_mut().call.fuel_charged_at, left);
        let burnt = charged_at.saturating_sub(left).saturating_add(store.data_mut().dispatcher().take_work());
        let wait = program.cpu.charge(Fuel(burnt), program.clock.elapsed());
        Ok(UpdateDeadline::YieldCustom(
            1,
            match wait.is_zero() {
                true => Box::pin(tokio::task::yield_now()),
                false => Box::pin(tokio::time::sleep(wait)),
            },
        ))
    });
}
