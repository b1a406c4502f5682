//! Ends the pins that updates and destroyed agents leave behind.
//!
//! Nothing is noted of what is left behind: it is what the orchestrator's durable state does not need. So a crash leaves
//! nothing for ever, and whatever is ended is so behind the decision that made it needless.

use std::sync::{Arc, Weak};
use std::time::Duration;

use nisse_content::{LoosePin, PinKind};
use tokio::sync::broadcast::error::RecvError;

use crate::error::{ErrorKind, NodeError};
use crate::node::Node;
use crate::node::orders::Order;
use crate::packages::{self, on_disk, pins_of};
use crate::supervisor::Stop;

/// Rests before further looks at what an end left: what was still being fetched, or was just ending, held on to it. The
/// last one is behind the longest fetch.
const LOOKS_AGAIN: [Duration; 3] = [Duration::from_secs(3), Duration::from_secs(12), Duration::from_secs(90)];

impl Node {
    /// Follows updates and ends, and ends what each of them leaves behind.
    pub(in crate::node) fn follow_updates(self: &Arc<Self>) {
        let node = Arc::downgrade(self);
        // Subscribed before the first look, so that no update falls between the two.
        let mut milestones = self.core.milestones.subscribe();
        self.core.supervisor.spawn("leftovers", |mut stop: Stop| async move {
            // An order that went out before a crash may not be on the market yet, and its package is needed then:
            // packages of this home wait for the next update.
            tidy(&node, false).await;
            let mut again = LOOKS_AGAIN.iter();
            let mut next_look = Box::pin(pause(&mut again));
            loop {
                let milestone = tokio::select! {
                    () = stop.requested() => return,
                    () = &mut next_look => {
                        tidy(&node, false).await;
                        next_look = Box::pin(pause(&mut again));
                        continue;
                    }
                    milestone = milestones.recv() => milestone,
                };
                match milestone.as_ref().map(|step| step.name) {
                    Ok("updated" | "update refused") | Err(RecvError::Lagged(_)) => tidy(&node, true).await,
                    // The market need not be asked what others' agents leave.
                    Ok("stopped" | "failed") => {
                        tidy(&node, false).await;
                        again = LOOKS_AGAIN.iter();
                        next_look = Box::pin(pause(&mut again));
                    }
                    Ok(_) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        });
    }

    /// Ends the pins of states that nothing comes back to, and of packages that others' agents left; with `own_too` of
    /// those that this home's left as well.
    pub(in crate::node) async fn end_leftovers(&self, own_too: bool) -> Result<(), NodeError> {
        let loose = on_disk(&self.core, "list pins", |core| Ok(core.content.loose_pins())).await?;
        let (mut states, mut packages) = (Vec::new(), Vec::new());
        for pin in loose {
            match PinKind::of(pin.name()) {
                Some(PinKind::State) => states.push(pin),
                Some(PinKind::Package | PinKind::Config | PinKind::Ordered) => packages.push(pin),
                _ => {}
            }
        }
        let ordered = if packages.is_empty() || !own_too { Ok(None) } else { self.ordered().await };
        // Behind the lists: what was needed when they were made and is not now is found the next time.
        let own = self.owners();
        let look = move |all: &_| (packages::needed(all, &own), packages::left_by_others(all, &own));
        let (needed, left) = self.look(look).await?;
        states.retain(|pin| !needed.contains_key(pin.name()));
        packages.retain(|pin| !needed.contains_key(pin.name()));
        self.end(states).await?;
        let ordered = match ordered {
            Ok(ordered) => ordered,
            Err(error) => {
                tracing::debug!(error = error.text, "which packages orders need is not known now");
                None
            }
        };
        match ordered {
            Some(ordered) => packages.retain(|pin| !ordered.iter().any(|name| name == pin.name())),
            None => packages.retain(|pin| left.contains(pin.name())),
        }
        self.end(packages).await
    }

    /// The pins that this home's orders need. `None` where not every order is known.
    async fn ordered(&self) -> Result<Option<Vec<String>>, NodeError> {
        // Where the market is not known yet, neither are orders.
        if self.core.keys.versions().is_empty() {
            return Ok(None);
        }
        let orders = self.all_orders().await?;
        // Among those that are too old to be looked through, one may still be open.
        Ok((orders.older == 0).then(|| orders.listed.iter().flat_map(pins_of_order).collect()))
    }

    async fn end(&self, pins: Vec<LoosePin>) -> Result<(), NodeError> {
        if pins.is_empty() {
            return Ok(());
        }
        on_disk(&self.core, "end pins", move |core| {
            // Behind the applied mark, recovery reads no export any more: only then may one go.
            core.states.flush().map_err(|error| packages::state_failed(&error))?;
            for pin in &pins {
                let ended = core.content.unpin_loose(pin);
                if ended.map_err(|error| NodeError::caused(ErrorKind::Failed, "content_failed", &error))? {
                    tracing::debug!(pin = pin.name(), "nothing comes back to it: its pin is ended");
                }
            }
            Ok(())
        })
        .await
    }
}

/// Rests until the next look; for ever behind the last one.
fn pause(again: &mut std::slice::Iter<'_, Duration>) -> impl Future<Output = ()> + Send + use<> {
    let rest = again.next().copied();
    async move {
        match rest {
            Some(rest) => tokio::time::sleep(rest).await,
            None => std::future::pending().await,
        }
    }
}

async fn tidy(node: &Weak<Node>, own_too: bool) {
    let Some(node) = node.upgrade() else { return };
    if let Err(error) = node.end_leftovers(own_too).await {
        // What is left is found after the next update.
        tracing::debug!(error = error.text, "what updates left behind is not looked through");
    }
}

/// The pins that a node which takes an order fetches from.
pub(super) fn pins_of_order(order: &Order) -> impl Iterator<Item = String> + use<> {
    pins_of(&order.package).map(|pin| pin.to_string())
}
