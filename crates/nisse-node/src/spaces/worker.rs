//! The task of one open space.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use nisse_space::{Effect, Event, PeerKey, Registered, Rights, Space, SpaceLimits, Speaks, Store};
use nisse_store::Database;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::Sleep;

use super::Standing;
use super::author::ThisDevice;
use super::connection::Said;
use super::rights::Who;
use crate::core::Core;
use crate::supervisor::Stop;

/// How long a space stays open when nobody is connected.
const REST: Duration = Duration::from_secs(60);
/// A clock may be set: how long none is trusted to tell when a ticket ends.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Small documents that nobody used for so long, or for twice as long, do not stay loaded.
const UNUSED: Duration = Duration::from_millis(500);
/// What is gathered for one turn at most.
const TURN_MAX: usize = 512;

/// What a space is told.
pub(super) enum Told {
    /// Somebody came.
    Opened { peer: PeerKey, who: Who, speaks: Speaks, said: Said },
    /// Somebody said something; its room is free again once the turn that reads it is over.
    Frame { peer: PeerKey, bytes: Vec<u8>, room: OwnedSemaphorePermit },
    /// Somebody is gone.
    Closed { peer: PeerKey },
    /// This home wants something itself.
    Asked(Work),
}

/// What this home does in a space; its effects are for those who are connected.
pub(super) type Work = Box<dyn FnOnce(&mut Space, &ThisDevice) -> Vec<Effect> + Send>;

/// Somebody who is connected.
struct Connected {
    who: Who,
    rights: Rights,
    said: Said,
}

struct Worker {
    core: Arc<Core>,
    registered: Registered,
    /// `None` for as long as a turn takes.
    space: Option<Box<Space>>,
    connected: BTreeMap<PeerKey, Connected>,
    /// Whom the space is told to be gone with its next turn.
    slow: Vec<PeerKey>,
    /// What this home wants done with the next turn.
    asked: Vec<Work>,
    /// The room of what the next turn reads.
    held: Vec<OwnedSemaphorePermit>,
    tell: watch::Sender<Standing>,
    /// When what is loaded and unused is let go of, if anything may be.
    unused: Option<Pin<Box<Sleep>>>,
}

pub(super) async fn run(
    core: Arc<Core>,
    database: Arc<Database>,
    registered: Registered,
    mut inbox: mpsc::Receiver<Told>,
    tell: watch::Sender<Standing>,
    mut stop: Stop,
) {
    let store = Store::new(database, registered.space);
    let space = Space::open(store, &hex::encode(registered.replica), SpaceLimits::default());
    let (mut credentials, mut device) = (core.identity.changes(), core.identity.device_changes());
    let (space, connected) = (Some(Box::new(space)), BTreeMap::new());
    let mut worker = Worker {
        core,
        registered,
        space,
        connected,
        slow: Vec::new(),
        asked: Vec::new(),
        held: Vec::new(),
        tell,
        unused: None,
    };
    // What was known when it was open last may be known better.
    if !worker.turn(vec![Event::Credentials]).await {
        return;
    }
    loop {
        let (mut events, rest) = (Vec::new(), worker.rest());
        tokio::select! {
            told = inbox.recv() => match told {
                Some(told) => worker.take(told, &mut events),
                None => break,
            },
            changed = credentials.changed() => match changed {
                Ok(()) => {
                    worker.look(false, &mut events);
                    events.push(Event::Credentials);
                }
                Err(_) => break,
            },
            changed = device.changed() => match changed {
                // What could not be signed is taken now, or can no more be.
                Ok(()) => worker.look(true, &mut events),
                Err(_) => break,
            },
            () = over(&mut worker.unused) => {
                let more = worker.space.as_mut().is_some_and(|space| space.let_go());
                worker.unused = more.then(|| Box::pin(tokio::time::sleep(UNUSED)));
                continue;
            }
            () = tokio::time::sleep(rest) => {
                worker.look(false, &mut events);
                if worker.connected.is_empty() && worker.core.spaces.close(worker.registered.space, &mut inbox) {
                    break;
                }
            }
            () = stop.requested() => break,
        }
        while events.len() + worker.asked.len() < TURN_MAX
            && let Ok(told) = inbox.try_recv()
        {
            worker.take(told, &mut events);
        }
        worker.gone(&mut events);
        if !worker.turn(events).await {
            break;
        }
    }
    for connected in std::mem::take(&mut worker.connected).into_values() {
        connected.said.end("the space was closed".to_owned());
    }
}

/// Waits for the end of a time, if there is one.
async fn over(until: &mut Option<Pin<Box<Sleep>>>) {
    match until {
        Some(until) => until.await,
        None => std::future::pending().await,
    }
}

impl Worker {
    fn take(&mut self, told: Told, events: &mut Vec<Event>) {
        match told {
            Told::Opened { peer, who, speaks, said } => {
                match who.rights(&self.core.identity.known(), self.registered.space, self.core.clock.now()) {
                    Some(rights) => {
                        let speaks = match (speaks, &self.space) {
                            (Speaks::Chunks { first, .. }, Some(space)) if matches!(who, Who::Peer(_)) => {
                                Speaks::Chunks { first, wanted: space.wanted() }
                            }
                            (speaks, _) => speaks,
                        };
                        self.connected.insert(peer, Connected { who, rights, said });
                        events.push(Event::Opened { peer, rights, speaks });
                    }
                    None => said.end("the right to be here is gone".to_owned()),
                }
            }
            Told::Frame { peer, bytes, room } => {
                self.held.push(room);
                events.push(Event::Frame { peer, bytes });
            }
            Told::Asked(work) => self.asked.push(work),
            Told::Closed { peer } => {
                if self.connected.remove(&peer).is_some() {
                    events.push(Event::Closed { peer });
                }
            }
        }
    }

    /// Looks at everybody's rights anew; `all` tells the space of them even where they are the same.
    fn look(&mut self, all: bool, events: &mut Vec<Event>) {
        let (known, now) = (self.core.identity.known(), self.core.clock.now());
        let mut over = Vec::new();
        for (peer, connected) in &mut self.connected {
            match connected.who.rights(&known, self.registered.space, now) {
                Some(rights) if rights == connected.rights && !all => {}
                Some(rights) => {
                    connected.rights = rights;
                    events.push(Event::Rights { peer: *peer, rights });
                }
                None => over.push(*peer),
            }
        }
        for peer in over {
            events.push(Event::Closed { peer });
            if let Some(connected) = self.connected.remove(&peer) {
                connected.said.end("the right to be here is gone".to_owned());
            }
        }
    }

    /// Those who hear nothing any more are gone.
    fn gone(&mut self, events: &mut Vec<Event>) {
        events.extend(self.slow.drain(..).map(|peer| Event::Closed { peer }));
        let gone: Vec<_> = self.connected.iter().filter(|(_, one)| one.said.is_gone()).map(|(peer, _)| *peer).collect();
        for peer in gone {
            self.connected.remove(&peer);
            events.push(Event::Closed { peer });
        }
    }

    /// Takes a turn where waiting for the disk is allowed. `false`: the space was lost over it.
    async fn turn(&mut self, events: Vec<Event>) -> bool {
        let Some(author) = ThisDevice::now(&self.core, self.registered.space) else { return false };
        let Some(mut space) = self.space.take() else { return false };
        let asked = std::mem::take(&mut self.asked);
        let turned = self.core.supervisor.blocking("space", move || {
            let mut effects = space.turn(events, &author);
            for work in asked {
                effects.extend(work(&mut space, &author));
            }
            (space, effects)
        });
        let turned = turned.await;
        self.held.clear();
        let Ok((mut space, effects)) = turned else { return false };
        for effect in effects {
            match effect {
                Effect::Send { peer, bytes } => {
                    let slow = self.connected.get(&peer).is_some_and(|connected| !connected.said.say(bytes));
                    if slow && let Some(connected) = self.connected.remove(&peer) {
                        connected.said.end("it reads too slowly".to_owned());
                        self.slow.push(peer);
                    }
                }
                Effect::Close { peer, why } => {
                    if let Some(connected) = self.connected.remove(&peer) {
                        connected.said.end(why);
                    }
                }
            }
        }
        if space.loaded() > 0 && self.unused.is_none() {
            self.unused = Some(Box::pin(tokio::time::sleep(UNUSED)));
        }
        if space.is_rekept() {
            self.part_with_peers();
        }
        let (trouble, changes) = (space.fault().map(str::to_owned), space.changes());
        self.space = Some(space);
        let standing = Standing { connected: self.connected.len() as u64, trouble, changes };
        self.tell.send_replace(standing);
        true
    }

    /// Peers know what was kept when they came: they come again.
    fn part_with_peers(&mut self) {
        let peers = self.connected.extract_if(.., |_, one| matches!(one.who, Who::Peer(_)));
        for (peer, connected) in peers {
            connected.said.end("other documents are kept here from now on".to_owned());
            self.slow.push(peer);
        }
        self.core.spaces.rekept.send_modify(|count| *count += 1);
    }

    /// How long it is until somebody's ticket ends, or the space is closed.
    fn rest(&self) -> Duration {
        let (known, now) = (self.core.identity.known(), self.core.clock.now());
        let lasts = |connected: &Connected| connected.who.lasts_ms(&known, self.registered.space, now);
        let ends = self.connected.values().filter_map(lasts).min();
        ends.map_or(REST, |left| Duration::from_millis(left).min(LOOK_AGAIN))
    }
}
