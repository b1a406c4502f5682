//! A disk without room, and one whose sync fails: the first is waited for, the second ends the node, and neither loses
//! what was acknowledged.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use nisse_node::Node;
use nisse_node::control::NodeStatus;
use nisse_store::Clock as _;
use nisse_testkit::{Failure, Fault, PausedClock, SimDisk};
use tokio::time::{sleep, timeout};

use super::books::ask;
use super::home::open;
use super::model::{Life, Model};
use super::{dark, world};

const HOME: &str = "books.home";
/// How long the disk is full: longer than the minute after which the node looks at its journal.
const FULL: Duration = Duration::from_secs(70);
/// How long a held decision may wait once there is room.
const TAKEN_MAX: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);

/// Tells a story on a home of its own.
pub(super) fn tell(story: impl AsyncFnOnce(&SimDisk, &PausedClock, Model) -> Result<(), Failure>) {
    let (disk, world) = world();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let clock = PausedClock::new(world.now);
        tokio::select! {
            biased;
            told = story(&disk, &clock, world.model) => told.unwrap_or_else(|failure| panic!("{failure:?}")),
            // It is never off: this keeps time from running away from the threads that own the journals.
            () = dark(&disk) => panic!("the power went"),
        }
    });
}

/// A start that finds what the model knows.
pub(super) async fn open_judged(disk: &SimDisk, clock: &PausedClock, model: &mut Model) -> Result<Arc<Node>, Failure> {
    let node = open(disk, clock, clock.now().0).await?;
    model.judge(&node, clock).await?;
    Ok(node)
}

/// The node ends, the power goes, and the next start finds what the model knows.
pub(super) async fn power_cut(
    node: Arc<Node>,
    disk: &SimDisk,
    clock: &PausedClock,
    model: &mut Model,
) -> Result<Arc<Node>, Failure> {
    node.shut_down().await;
    drop(node);
    disk.power_cut(5);
    open_judged(disk, clock, model).await
}

async fn until(node: &Node, shows: impl Fn(&NodeStatus) -> bool) -> NodeStatus {
    let shown = async {
        loop {
            let status = node.status().await.expect("the node says how it stands");
            if shows(&status) {
                return status;
            }
            sleep(LOOK).await;
        }
    };
    timeout(TAKEN_MAX, shown).await.expect("it shows soon")
}

#[test]
fn a_decision_that_a_full_disk_refuses_is_held_and_the_node_stays_up() {
    tell(async |disk, clock, mut model| {
        let node = open_judged(disk, clock, &mut model).await?;
        disk.fail(Fault::NoSpace(0));
        let refused = node.pause(HOME).await.expect_err("nothing can be decided");
        assert_eq!(refused.code, "disk_refuses", "{refused}");
        assert!(refused.text.contains("No space left on device"), "{refused}");

        let status = until(&node, |status| status.trouble.is_some()).await;
        assert!(status.trouble.expect("just seen").contains("refuses what it decides"));
        let again = node.resume(HOME).await.expect_err("nothing is decided meanwhile");
        assert_eq!(again.code, "disk_refuses");
        timeout(FULL, node.failed()).await.expect_err("it stays up");
        let agent = node.agent(HOME).await?;
        assert!(agent.reason.as_deref().expect("it says why nothing moves").contains("nothing is lost"));
        let books = ask(&node, &agent, Method::GET, "/").await.expect("reading changes nothing");
        assert!(books.text.contains("start/"), "{}", books.text);

        disk.heal();
        until(&node, |status| status.trouble.is_none()).await;
        assert_eq!(node.agent(HOME).await?.state, "paused", "what was held has been carried out");
        model.slots[0].life = Life::Paused;
        model.judge(&node, clock).await?;
        node.resume(HOME).await?;
        model.slots[0].life = Life::Running;
        model.judge(&node, clock).await?;
        power_cut(node, disk, clock, &mut model).await.map(drop)
    });
}

#[test]
fn a_node_that_is_stopped_with_a_full_disk_has_done_nothing_of_what_it_held() {
    tell(async |disk, clock, mut model| {
        let node = open_judged(disk, clock, &mut model).await?;
        disk.fail(Fault::NoSpace(0));
        node.pause(HOME).await.expect_err("nothing can be decided");
        power_cut(node, disk, clock, &mut model).await.map(drop)
    });
}

#[test]
fn a_failed_sync_ends_the_node_and_its_next_start_finds_what_was_acknowledged() {
    tell(async |disk, clock, mut model| {
        let node = open_judged(disk, clock, &mut model).await?;
        disk.fail(Fault::Sync(0));
        let _ = node.drain(true).await;
        let reason = timeout(FULL, node.failed()).await.expect("it cannot go on");
        assert!(reason.contains("use the journal after its disk failed"), "{reason}");
        power_cut(node, disk, clock, &mut model).await.map(drop)
    });
}
