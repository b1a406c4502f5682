//! What is taken up before an agent goes on under another deployment.

use nisse_store::Position;

use super::*;
use crate::fixtures::{deployment, running};

const NOW: Timestamp = Timestamp(1_000);
const BY: nisse_model::InvocationId = nisse_model::InvocationId([1; 16]);

fn alarm_of(orchestrator: &Orchestrator) -> Option<Timestamp> {
    orchestrator.agent(&deployment(1)).expect("it is known").alarm.map(|alarm| alarm.at)
}

#[test]
fn an_alarm_that_was_committed_before_the_upgrade_comes_along() {
    let mut orchestrator = running();
    let own = Outward::Alarm { deployment: deployment(1), by: BY, position: Position(1), at: Some(Timestamp(5_000)) };
    let other = Outward::Alarm { deployment: deployment(2), by: BY, position: Position(2), at: None };
    let mut recovered = vec![other, own];
    let decisions = take_up(&mut orchestrator, &mut recovered, deployment(1), NOW);
    let taken = matches!(decisions[..], [Decision::AlarmSet { at: Timestamp(5_000), completion: Some(1), .. }]);
    assert!(taken, "{decisions:?}");
    assert_eq!(alarm_of(&orchestrator), Some(Timestamp(5_000)));
    assert!(matches!(recovered[..], [Outward::Alarm { at: None, .. }]), "another agent's stays where it is");
    // What was decided is all that the next start needs.
    let mut reborn = running();
    decisions.iter().for_each(|decision| reborn.restore(decision));
    assert_eq!(alarm_of(&reborn), Some(Timestamp(5_000)));
}

#[test]
fn an_agent_with_an_answer_on_its_way_is_not_reopened() {
    use nisse_store::Database;
    let disk = std::sync::Arc::new(nisse_testkit::SimDisk::new(1));
    let database = Database::open(disk, std::path::Path::new("/index.redb")).expect("it opens");
    let answer = |number, decimals| Outward::Publish {
        deployment: deployment(number),
        key: format!("effect:{number}"),
        position: Position(3),
        asset: "ETH/USD".to_owned(),
        value: 1,
        decimals,
    };
    let recovered = [
        answer(1, 0),
        answer(2, 255),
        Outward::Alarm { deployment: deployment(3), by: BY, position: Position(3), at: None },
    ];
    let waiting = outbox::waiting(&database, &recovered).expect("it reads");
    assert_eq!(waiting.into_iter().collect::<Vec<_>>(), [deployment(1)], "one that fits no feed waits for nothing");
}
