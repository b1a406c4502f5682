//! What really happened: packets that the kernel counted, and what arrived at the other end.

use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::judge::{PERMITTED, is_permitted};

/// One line of a log.
#[derive(Debug, Clone)]
pub(super) struct Event(Value);

impl Event {
    pub(super) fn kind(&self) -> &str {
        self.text("event")
    }

    pub(super) fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_default()
    }

    pub(super) fn number(&self, key: &str) -> u64 {
        self.0[key].as_u64().unwrap_or_default()
    }

    /// Every value of this header of a request, in order.
    pub(super) fn header(&self, name: &str) -> Vec<&str> {
        let fields = self.0["headers"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let of_name = |field: &'_ str| field.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name));
        fields.filter(|field| of_name(field)).filter_map(|field| Some(field.split_once(':')?.1.trim())).collect()
    }
}

/// The growing log of one side.
pub(super) struct Log(PathBuf);

impl Log {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Whole lines after `start`, and where they end.
    pub(super) fn since(&self, start: u64) -> anyhow::Result<(u64, Vec<Event>)> {
        let mut file = std::fs::File::open(&self.0)?;
        file.seek(SeekFrom::Start(start))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let events = text[..whole].lines().map(|line| serde_json::from_str(line).map(Event).context("read a log"));
        Ok((start + whole as u64, events.collect::<Result<_, _>>()?))
    }
}

/// What one case did.
#[derive(Debug)]
pub(super) struct Evidence {
    /// Packets of the node's user, by counter.
    pub(super) packets: BTreeMap<String, u64>,
    /// What arrived in the world.
    pub(super) events: Vec<Event>,
    /// What arrived at the canaries of the node's own machine.
    pub(super) near: Vec<Event>,
}

impl Evidence {
    /// Nothing went where nothing may go. Holds for each case, whatever else it demands.
    pub(super) fn is_clean(&self) -> anyhow::Result<()> {
        let counted: Vec<_> =
            self.packets.iter().filter(|(name, count)| **count > 0 && !PERMITTED.contains(&name.as_str())).collect();
        ensure!(counted.is_empty(), "packets went where none may go: {counted:?}");
        let strayed = |event: &&Event| match event.kind() {
            "connect" => !is_permitted(event.text("local")),
            "datagram" => true,
            _ => false,
        };
        let heard: Vec<_> = self.events.iter().filter(strayed).chain(&self.near).collect();
        ensure!(heard.is_empty(), "canaries heard {heard:?}");
        Ok(())
    }

    /// In a few words.
    pub(super) fn summary(&self) -> String {
        let [questions, connections, requests] = [self.of("question").len(), self.connections(), self.requests().len()];
        format!("{questions} questions, {connections} connections, {requests} requests")
    }

    fn of(&self, kind: &str) -> Vec<&Event> {
        self.events.iter().filter(|event| event.kind() == kind).collect()
    }

    /// Requests that arrived.
    pub(super) fn requests(&self) -> Vec<&Event> {
        self.of("request")
    }

    /// Connections to web servers that arrived.
    pub(super) fn connections(&self) -> usize {
        self.of("connect").iter().filter(|event| !event.text("local").ends_with(":53")).count()
    }

    /// Server names that TLS was begun with.
    pub(super) fn server_names(&self) -> Vec<&str> {
        self.of("hello").iter().map(|event| event.text("server_name")).collect()
    }

    /// Connections that ended, with the bytes sent over each.
    pub(super) fn ended(&self) -> Vec<&Event> {
        self.of("end").into_iter().filter(|event| !event.text("local").ends_with(":53")).collect()
    }

    /// Different names that the name server was asked for.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.of("question").iter().map(|event| event.text("name")).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Questions for this name's IPv4 addresses.
    pub(super) fn questions(&self, name: &str) -> usize {
        let asked = |event: &&&Event| event.text("name") == name && event.number("type") == 1;
        self.of("question").iter().filter(asked).count()
    }

    /// Exactly so many requests arrived.
    pub(super) fn requests_are(&self, count: usize) -> anyhow::Result<()> {
        let lines: Vec<_> = self.requests().iter().map(|event| event.text("line").to_owned()).collect();
        ensure!(lines.len() == count, "{count} requests may arrive, {} did: {lines:?}", lines.len());
        Ok(())
    }

    /// The name was looked up, and nothing was dialled for it.
    pub(super) fn refused_after_asking(&self, name: &str) -> anyhow::Result<()> {
        ensure!(self.questions(name) > 0, "the case was not tried: nobody asked for {name}");
        self.nothing_dialled()
    }

    /// Refused by its text alone: no question, no packet.
    pub(super) fn refused_unasked(&self) -> anyhow::Result<()> {
        ensure!(self.names().is_empty(), "the name server was asked for {:?}", self.names());
        self.nothing_dialled()
    }

    /// No connection at all, not even an allowed one.
    pub(super) fn nothing_dialled(&self) -> anyhow::Result<()> {
        ensure!(self.packets["dialled"] == 0, "{} connections were dialled", self.packets["dialled"]);
        ensure!(self.connections() == 0, "{} connections arrived", self.connections());
        Ok(())
    }
}
