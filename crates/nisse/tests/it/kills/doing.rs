//! What the owner does when the power goes.

use super::extras::{Extra, Known};
use super::model::Model;
use super::power::Chance;
use crate::harness::{Ended, Home, Running};

/// More than these at once would not find room on the node.
const EXTRAS_MAX: usize = 4;
/// A millionth of a TALOS: each payment is one more of them than the one before.
const MILLIONTH: u128 = 1_000_000_000_000;
/// How a command ends whose node is gone.
const BROKEN_OFF: [&str; 3] = ["failed to speak to the node", "failed to find a running node", "failed to reach"];
/// How one ends that asks again for what the power cut had left under way.
const DONE_ALREADY: &str = "failed to stop an agent that is stopped";

/// What the owner was doing when the power went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    Deploying,
    Stopping(usize),
    UpdatingCounter,
    UpdatingTicker,
    Paying,
    /// The ticker's alarm is about to come, or an oracle's.
    Alarm,
    Nothing,
}

impl Doing {
    /// What it is told as.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Deploying => "deploy",
            Self::Stopping(_) => "stop",
            Self::UpdatingCounter | Self::UpdatingTicker => "update",
            Self::Paying => "payment",
            Self::Alarm => "alarm",
            Self::Nothing => "nothing but writes",
        }
    }

    pub(super) fn choose(model: &Model, chance: &mut Chance) -> Self {
        let up = |at: &usize| model.extras[*at].is_up();
        let up: Vec<usize> = (0..model.extras.len()).filter(up).collect();
        let room = model.extras.iter().filter(|extra| extra.takes_room()).count() < EXTRAS_MAX;
        match chance.below(12) {
            0..=2 if room => Self::Deploying,
            0..=5 if !up.is_empty() => Self::Stopping(up[chance.below(up.len() as u64) as usize]),
            0..=2 => Self::Nothing,
            3..=6 => Self::UpdatingCounter,
            7 => Self::UpdatingTicker,
            8 if !model.terms.is_empty() => Self::Paying,
            8 => Self::Nothing,
            _ => Self::Alarm,
        }
    }

    /// A kill comes at a random moment of this time after the command began, which takes about half of it.
    pub(super) fn moments_ms(self) -> u64 {
        match self {
            Self::Deploying => 400,
            Self::UpdatingCounter | Self::UpdatingTicker => 300,
            Self::Stopping(_) | Self::Paying => 150,
            Self::Alarm | Self::Nothing => 100,
        }
    }

    /// Begins it, if it takes a command.
    pub(super) fn begin(self, home: &Home, model: &mut Model) -> Option<Running> {
        match self {
            Self::Deploying => {
                let name = format!("nisse.test.extra-{}", model.extras.len());
                let package = home.copy_of("echo", &name);
                package.edit("nisse.test.echo@", &format!("{name}@"));
                let host = model.counter.host.replace(&model.counter.name, &name);
                model.extras.push(Extra::new(name, host));
                Some(home.start(&[&["deploy", package.path()], model.terms].concat()))
            }
            Self::Stopping(at) => {
                let extra = &mut model.extras[at];
                extra.stopped = extra.stopped.max(Known::Asked);
                Some(home.start(&["stop", &extra.name]))
            }
            Self::UpdatingCounter => {
                let package = model.counter.next(home);
                Some(home.start(&["update", &model.counter.name, &package]))
            }
            Self::UpdatingTicker => {
                let package = model.ticker.next(home);
                Some(home.start(&["update", &model.ticker.name, &package]))
            }
            Self::Paying => {
                let number = model.funds.len() + 1;
                model.funds.push((MILLIONTH * number as u128, false));
                Some(home.start(&["fund", &model.counter.name, &format!("0.{number:06}")]))
            }
            Self::Alarm | Self::Nothing => None,
        }
    }

    /// The power went behind the acknowledgement.
    pub(super) fn acknowledged(self, model: &mut Model) {
        match self {
            Self::Deploying => model.extras.last_mut().unwrap().deployed = Known::Done,
            Self::Stopping(at) => model.extras[at].stopped = Known::Done,
            Self::UpdatingCounter => model.counter.minor.0 = model.counter.minor.1,
            Self::UpdatingTicker => model.ticker.minor.0 = model.ticker.minor.1,
            Self::Paying => model.funds.last_mut().unwrap().1 = true,
            Self::Alarm | Self::Nothing => {}
        }
    }
}

/// Whether a command was acknowledged. What was not was broken off: nothing that is asked for here is refused.
pub(super) fn was_acknowledged(ended: &Ended) -> bool {
    let told = |text: &&str| ended.err.contains(*text);
    let unknown = BROKEN_OFF.iter().chain([&DONE_ALREADY]).any(told);
    assert!(ended.code == 0 || unknown, "{ended:?}");
    ended.code == 0
}
