//! Triggers of spaces: what a query finds, held against what was told of it.
//!
//! A mark of each object that was told stands in the rows, beside its event in one record of the journal: whatever happens
//! while nobody looks is found at the next look, as one change.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nisse_model::{Hash256, SpaceEvent, Timestamp, Trigger, TriggerSpec};
use nisse_orchestrator::{AgentKey, News};
use nisse_space::objects::Query;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{failed, table};
use crate::core::Core;
use crate::error::{ErrorKind, NodeError};
use crate::spaces::{AgentSpaces, Looked, Standing};

/// The query that finds every object.
const ALL: &str = r#"{"type":"select","filter":{"type":"object","typename":null,"props":{}}}"#;
/// How long changes are gathered before the query is asked again.
const GATHER: Duration = Duration::from_millis(100);
/// How long a look that failed is left alone, and one for which there was no room.
const FAILED_PAUSE: Duration = Duration::from_secs(5);
/// Objects that are told of at a time.
const TOLD_MAX: usize = 64;

/// A trigger of a space, watched for as long as its agent is up.
pub(super) struct Watching {
    pub(super) core: Arc<Core>,
    pub(super) agent: AgentKey,
    pub(super) spaces: Arc<AgentSpaces>,
    pub(super) trigger: Trigger,
    /// When an object was seen to be another than was told, and how it was then.
    pub(super) restless: BTreeMap<String, (Timestamp, Option<Hash256>)>,
}

/// Reads a trigger's query.
pub(crate) fn query_of(trigger: &Trigger) -> Result<Query, NodeError> {
    let TriggerSpec::Space { query, .. } = &trigger.spec else { unreachable!("a trigger of a space") };
    Query::from_json(query.as_deref().unwrap_or(ALL)).map_err(|error| {
        let text =
            format!("failed to read the query of the trigger `{}`: {}", trigger.name, crate::error::chain(&error));
        NodeError::new(ErrorKind::Usage, "query_invalid", text)
    })
}

impl Watching {
    /// Looks, again and again.
    pub(super) async fn run(mut self) {
        loop {
            match self.look().await {
                Ok(Some(next)) => self.rest(next).await,
                Ok(None) => {}
                Err(error) => {
                    let (agent, trigger) = (&self.agent.name, &self.trigger.name);
                    tracing::debug!(%agent, %trigger, error = error.text, "a space is not looked at now");
                    sleep(FAILED_PAUSE).await;
                }
            }
        }
    }

    /// Waits until there may be something to tell.
    async fn rest(&self, (mut turns, changes): (watch::Receiver<Standing>, u64)) {
        let debounce = Duration::from_millis(self.debounce_ms());
        let changed = turns.wait_for(|standing| standing.changes != changes);
        if self.restless.is_empty() {
            // One that is closed is opened again.
            let _ = changed.await;
        } else {
            tokio::select! {
                _ = changed => {}
                () = sleep(debounce) => {}
            }
        }
        sleep(GATHER).await;
    }

    fn debounce_ms(&self) -> u64 {
        match &self.trigger.spec {
            TriggerSpec::Space { debounce_ms, .. } => *debounce_ms,
            _ => 0,
        }
    }

    /// Tells what is another than it was told. `None`: there is more to tell at once.
    async fn look(&mut self) -> Result<Option<(watch::Receiver<Standing>, u64)>, NodeError> {
        let TriggerSpec::Space { space, existing, .. } = &self.trigger.spec else { return Ok(None) };
        let Looked { found, turns, changes } = self.spaces.look(space, &query_of(&self.trigger)?).await?;
        let (agent, name) = (self.agent.clone(), self.trigger.name.clone());
        let looked = self.core.jobs.ask(move |jobs, now, _| (jobs.cursor(&agent, &name), now)).await?;
        let (cursor, now) = looked;
        let seen = table::seen(&self.core.database, &self.agent, &self.trigger.name).map_err(|error| failed(&error))?;
        // What was there before a trigger is no news, unless it wants that.
        let is_begin = cursor.is_none() && !existing;
        let news = self.news(&found, &seen, is_begin, now);
        if news.is_empty() && cursor.is_some() {
            return Ok(Some((turns, changes)));
        }
        let is_all = news.len() <= TOLD_MAX || is_begin;
        let news: Vec<News> = if is_begin { news } else { news.into_iter().take(TOLD_MAX).collect() };
        let count = news.len();
        let (agent, name) = (self.agent.clone(), self.trigger.name.clone());
        let told = self.core.jobs.ask(move |jobs, now, effects| jobs.tell(&agent, &name, news, now, effects)).await?;
        let told = told.map_err(|error| super::refused(&error))?;
        if told < count {
            sleep(FAILED_PAUSE).await;
        }
        Ok((is_all && told == count).then_some((turns, changes)))
    }

    fn news(
        &mut self,
        found: &BTreeMap<String, (Hash256, Value)>,
        seen: &BTreeMap<String, Hash256>,
        is_begin: bool,
        now: Timestamp,
    ) -> Vec<News> {
        let TriggerSpec::Space { space, events, debounce_ms, .. } = &self.trigger.spec else { return Vec::new() };
        let wants = |event: SpaceEvent| !is_begin && events.contains(&event);
        let kind = |event: SpaceEvent| format!("space.{}", event.as_str());
        let mut news = Vec::new();
        for (id, (mark, object)) in found.iter().filter(|(id, (mark, _))| seen.get(*id) != Some(mark)) {
            let event = if seen.contains_key(id) { SpaceEvent::Updated } else { SpaceEvent::Created };
            let data = json!({ "type": event.as_str(), "space": space, "id": id, "object": object });
            let raises = wants(event).then(|| (kind(event), data));
            let event = format!("{id}:{}", hex::encode(&mark.0[..8]));
            news.push(News { item: id.clone(), mark: Some(*mark), event, raises });
        }
        for (id, mark) in seen.iter().filter(|(id, _)| !found.contains_key(*id)) {
            let event = SpaceEvent::Deleted;
            let data = json!({ "type": event.as_str(), "space": space, "id": id });
            let raises = wants(event).then(|| (kind(event), data));
            let event = format!("{id}:gone:{}", hex::encode(&mark.0[..8]));
            news.push(News { item: id.clone(), mark: None, event, raises });
        }
        settled(news, &mut self.restless, *debounce_ms, now)
    }
}

/// Those that have been as they are for so long.
fn settled(
    news: Vec<News>,
    restless: &mut BTreeMap<String, (Timestamp, Option<Hash256>)>,
    debounce_ms: u64,
    now: Timestamp,
) -> Vec<News> {
    restless.retain(|id, (_, mark)| news.iter().any(|one| one.item == *id && one.mark == *mark));
    if debounce_ms == 0 {
        return news;
    }
    let is_settled = |one: &News| {
        let (since, _) = *restless.entry(one.item.clone()).or_insert((now, one.mark));
        now.since_ms(since) >= debounce_ms
    };
    news.into_iter().filter(is_settled).collect()
}

/// The triggers of spaces among these.
pub(super) fn of_spaces(triggers: &[Trigger]) -> impl Iterator<Item = &Trigger> {
    triggers.iter().filter(|trigger| trigger.enabled && matches!(trigger.spec, TriggerSpec::Space { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_again_and_again_is_told_once_it_rests() {
        let news = |mark: u8| {
            let item = "x".to_owned();
            vec![News { item, mark: Some(Hash256([mark; 32])), event: String::new(), raises: None }]
        };
        let mut restless = BTreeMap::new();
        let mut told = |mark: u8, at: u64| settled(news(mark), &mut restless, 1_000, Timestamp(at)).len();
        assert_eq!([told(1, 0), told(1, 900), told(2, 950), told(2, 1_900), told(2, 1_950)], [0, 0, 0, 0, 1]);
        assert_eq!(settled(news(3), &mut BTreeMap::new(), 0, Timestamp(0)).len(), 1);
    }
}
