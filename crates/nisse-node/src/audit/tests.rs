use std::path::Path;

use nisse_model::Timestamp;
use nisse_testkit::{Fault, SimClock, SimDisk, SimEntropy};

use super::*;
use crate::supervisor::Supervisor;

fn opened(disk: &SimDisk, clock: &SimClock) -> (Arc<Audit>, Supervisor) {
    let entropy = SimEntropy::new(disk.operations());
    let home = Home::open(Arc::new(disk.clone()), &entropy, Path::new("/h")).expect("a home");
    let (audit, writer) = open(Arc::new(disk.clone()), Arc::new(clock.clone()), &entropy, &home).expect("an audit log");
    let supervisor = Supervisor::default();
    supervisor.spawn("audit", |stop| writer.run(stop));
    (Arc::new(audit), supervisor)
}

fn deed(by: &str, act: &'static str, about: &str) -> Deed {
    Deed { by: by.to_owned(), act: act.into(), about: about.to_owned(), outcome: "done".to_owned() }
}

fn follows(lines: &[AuditLine]) -> AuditHead {
    let mut head = lines.first().map_or(AuditHead::START, AuditHead::before);
    lines.iter().for_each(|line| head.follow(line).expect("it follows"));
    head
}

#[tokio::test]
async fn lines_follow_each_other_over_restarts_and_power_cuts() {
    let (disk, clock) = (SimDisk::new(1), SimClock::new(Timestamp(1_000)));
    for run in 0..3 {
        let (audit, supervisor) = opened(&disk, &clock);
        let notes = (0..20).map(|number| {
            let (audit, about) = (Arc::clone(&audit), format!("{run}-{number}"));
            async move { audit.note(deed("owner", "secret.set", &about)).await }
        });
        for noted in futures::future::join_all(notes).await {
            noted.expect("a durable line");
        }
        let lines = audit.lines(Some(0), LISTED_MAX).expect("lines");
        assert_eq!(lines.len(), (run + 1) * 20);
        follows(&lines);
        assert_eq!(audit.lines(None, 5).expect("the last ones"), lines[lines.len() - 5..]);
        if run == 1 {
            // What was noted is durable: the power may go at once.
            disk.power_cut(run as u64);
        }
        supervisor.shut_down().await;
    }
}

#[tokio::test]
async fn a_line_that_the_disk_refuses_is_said_to_be_missing_and_the_next_one_follows_from_what_is_there() {
    let (disk, clock) = (SimDisk::new(2), SimClock::new(Timestamp(1_000)));
    let (audit, supervisor) = opened(&disk, &clock);
    audit.note(deed("owner", "vault.seal", "")).await.expect("a line");
    disk.fail(Fault::NoSpace(0));
    let mut begun = false;
    let asked = audit.around("owner", "secret.set", "a", async {
        begun = true;
        Ok(())
    });
    assert_eq!(asked.await.expect_err("no line").code, "audit_failed");
    assert!(!begun, "what has no line is not done");
    disk.heal();
    let done = audit.around("owner", "secret.set", "a", async { Ok::<_, NodeError>(7) }).await;
    assert_eq!(done.expect("room again"), 7);
    let lines = audit.lines(Some(0), LISTED_MAX).expect("lines");
    follows(&lines);
    let told: Vec<_> = lines.iter().map(|line| (line.act.as_str(), line.outcome.as_str())).collect();
    assert_eq!(told, [("vault.seal", "done"), ("secret.set", "asked"), ("secret.set", "done")]);
    supervisor.shut_down().await;
}

#[tokio::test]
async fn what_is_refused_stands_there_with_its_reason() {
    let (disk, clock) = (SimDisk::new(3), SimClock::new(Timestamp(1_000)));
    let (audit, supervisor) = opened(&disk, &clock);
    let refused = NodeError::new(ErrorKind::Refused, "vault_sealed", "failed to use the vault: it is\u{1b}[2J sealed");
    let asked: Result<(), _> = audit.around("owner", "secret.set", "a", async { Err(refused) }).await;
    assert_eq!(asked.expect_err("refused").code, "vault_sealed");
    let lines = audit.lines(None, 1).expect("lines");
    assert_eq!(lines[0].outcome, "refused: failed to use the vault: it is\u{fffd}[2J sealed");
    supervisor.shut_down().await;
}

#[tokio::test]
async fn nobody_fills_the_log_by_trying_or_by_using() {
    let (disk, clock) = (SimDisk::new(4), SimClock::new(Timestamp(1_000)));
    let (audit, supervisor) = opened(&disk, &clock);
    for minute in 0..3 {
        for number in 0..1_000 {
            audit.tried(deed("agent mail", "agent.try", &format!("host-{number}.example.org")));
            let name = if number % 2 == 0 { "a" } else { "b" };
            audit.often(deed("agent mail", "secret.use", name)).await.expect("told");
        }
        audit.tried(deed("agent other", "agent.try", "x"));
        audit.note(deed("owner", "vault.seal", "")).await.expect("a line");
        let lines = audit.lines(Some(0), LISTED_MAX).expect("lines");
        assert_eq!(lines.len(), (minute + 1) * 5, "{lines:?}");
        clock.advance(OFTEN_EVERY);
    }
    let lines = audit.lines(Some(5), 3).expect("lines");
    assert_eq!(lines[0].outcome, "done; 999 more since the last line");
    assert_eq!(lines[1].outcome, "done; 499 more since the last line");
    supervisor.shut_down().await;
    // What was counted and not told is told at the end.
    let (audit, supervisor) = opened(&disk, &clock);
    let lines = audit.lines(Some(15), LISTED_MAX).expect("lines");
    let told: Vec<_> = lines.iter().map(|line| (line.act.as_str(), line.about.as_str(), &*line.outcome)).collect();
    assert_eq!(
        told,
        [
            ("agent.try", "host-999.example.org", "done; 999 times since the last line"),
            ("secret.use", "a", "done; 499 times since the last line"),
            ("secret.use", "b", "done; 499 times since the last line"),
        ]
    );
    follows(&audit.lines(Some(0), LISTED_MAX).expect("lines"));
    supervisor.shut_down().await;
}

#[tokio::test]
async fn what_is_done_often_waits_for_its_line_too_and_a_refused_one_is_tried_again() {
    let (disk, clock) = (SimDisk::new(5), SimClock::new(Timestamp(1_000)));
    let (audit, supervisor) = opened(&disk, &clock);
    disk.fail(Fault::NoSpace(0));
    for _ in 0..3 {
        let uses = (0..4).map(|_| audit.often(deed("agent mail", "secret.use", "a")));
        for told in futures::future::join_all(uses).await {
            assert!(told.is_err(), "nobody goes on without a line");
        }
    }
    disk.heal();
    audit.often(deed("agent mail", "secret.use", "a")).await.expect("told");
    assert_eq!(audit.lines(Some(0), LISTED_MAX).expect("lines").len(), 1);
    supervisor.shut_down().await;
}

#[tokio::test]
async fn what_is_done_and_not_told_is_said_to_be_done() {
    let (disk, clock) = (SimDisk::new(6), SimClock::new(Timestamp(1_000)));
    let (audit, supervisor) = opened(&disk, &clock);
    let doing = async {
        disk.fail(Fault::NoSpace(0));
        Ok(())
    };
    let untold = audit.around("owner", "secret.set", "a", doing).await.expect_err("its second line is missing");
    assert!(untold.text.ends_with("what was asked for is done, and the log does not say so"), "{}", untold.text);
    disk.heal();
    let broken = NodeError::new(ErrorKind::Unreachable, "vault_unreachable", "failed to reach the vault");
    let asked: Result<(), _> = audit.around("owner", "secret.set", "a", async { Err(broken) }).await;
    assert_eq!(asked.expect_err("unknown").code, "vault_unreachable");
    let lines = audit.lines(None, 1).expect("lines");
    assert_eq!(lines[0].outcome, "unknown: failed to reach the vault");
    supervisor.shut_down().await;
}

#[tokio::test]
async fn a_line_hides_nothing_and_shows_where_it_was_cut() {
    let (disk, clock) = (SimDisk::new(7), SimClock::new(Timestamp(1_000)));
    let (audit, supervisor) = opened(&disk, &clock);
    let long = "x".repeat(5_000);
    for about in ["a\u{202e}b\u{200b}", &*long] {
        audit.note(deed("owner", "secret.set", about)).await.expect("a line");
    }
    let lines = audit.lines(None, 2).expect("lines");
    assert_eq!(lines[0].about, "a\u{fffd}b\u{fffd}");
    assert_eq!(lines[1].about, format!("{}\u{2026}", &long[..AuditLine::TEXT_LENGTH_MAX]));
    supervisor.shut_down().await;
}
