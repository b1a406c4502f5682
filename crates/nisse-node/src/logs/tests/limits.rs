//! Floods, full disks and slow ones: how much is kept, and what is said of the rest.

use nisse_testkit::{Fault, SimDisk};

use super::super::queue::LINES_WAITING_MAX;
use super::*;

#[test]
fn a_flood_stays_within_the_bytes_of_its_agent() {
    let disk = SimDisk::new(3);
    let logs = open(&disk);
    let text = "\"".repeat(LOG_LINE_BYTES_MAX);
    for second in 1..=20 {
        for _ in 0..LINES_PER_SECOND_MAX {
            write(&logs, second, &text);
        }
        settle(&logs);
        assert!(bytes(&disk) <= 2 * FILE_BYTES_MAX, "{} bytes are kept", bytes(&disk));
    }
    assert!(bytes(&disk) > FILE_BYTES_MAX, "and the older file is kept beside the newer one");
    let logs = open_again(&disk, logs);
    write(&logs, 30, "after");
    assert_eq!(logs.of(AGENT).last(1)[0].number, 20 * u64::from(LINES_PER_SECOND_MAX) + 1);
    let kept: Vec<u64> = logs.earlier(AGENT, usize::MAX).into_iter().map(|line| line.number).collect();
    let first = kept[0];
    assert_eq!(kept, (first..=20 * u64::from(LINES_PER_SECOND_MAX)).collect::<Vec<_>>(), "the newest ones");
}

#[test]
fn the_logs_of_all_agents_stay_within_their_limit_and_the_oldest_goes() {
    let disk = SimDisk::new(4);
    let logs = open_with(&disk, SMALL);
    let agents = ["a", "b", "c", "d"];
    for agent in agents {
        for at in 0..60 {
            logs.of(agent).write(Timestamp(1_000), "info", &format!("line {at} of {agent}"));
        }
        settle(&logs);
        assert!(bytes(&disk) <= SMALL.all_bytes_max);
    }
    assert_eq!(agents.map(|agent| filed(&logs, agent).is_empty()), [true, true, false, false]);
    logs.of("c").write(Timestamp(2_000), "info", "again");
    settle(&logs);
    logs.of("a").write(Timestamp(2_000), "info", &"x".repeat(1_900));
    settle(&logs);
    assert_eq!(agents.map(|agent| filed(&logs, agent).is_empty()), [false, true, false, true]);
}

#[test]
fn a_full_disk_loses_lines_which_is_said_once_it_has_room() {
    let disk = SimDisk::new(7);
    let logs = open(&disk);
    write(&logs, 1, "before");
    settle(&logs);
    disk.fail(Fault::NoSpace(0));
    for second in 2..=4 {
        write(&logs, second, "lost");
        settle(&logs);
    }
    assert_eq!(
        logs.of(AGENT).last(10).len(),
        4,
        "memory has them, and nothing is said while that would be lost as well"
    );
    disk.heal();
    for second in 5..=7 {
        write(&logs, second, "after");
        settle(&logs);
    }
    let expected = [
        (1, "before"),
        (5, "after"),
        (6, "3 lines did not reach the disk: it was full or too slow"),
        (7, "after"),
        (8, "after"),
    ];
    assert_eq!(filed(&logs, AGENT), expected.map(|(number, text)| (number, text.to_owned())));
}

#[test]
fn the_operator_is_told_once_of_a_disk_that_refuses() {
    let disk = SimDisk::new(8);
    let logs = open(&disk);
    let told = Told::default();
    let writer = told.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, || {
        disk.fail(Fault::NoSpace(0));
        for second in 1..=3 {
            write(&logs, second, "lost");
            logs.of(OTHER).write(Timestamp(second), "info", "lost");
            settle(&logs);
        }
    });
    let text = told.0.lock().expect("nobody panics").clone();
    assert_eq!(String::from_utf8(text).expect("text").matches("do not reach the disk").count(), 1);
}

#[test]
fn what_a_slow_disk_does_not_take_in_time_is_counted_and_said() {
    let disk = SimDisk::new(9);
    let logs = open(&disk);
    for second in 1..=30 {
        for _ in 0..LINES_PER_SECOND_MAX {
            write(&logs, second, "fast");
        }
    }
    settle(&logs);
    write(&logs, 31, "after");
    settle(&logs);
    let lost = 30 * LINES_PER_SECOND_MAX as usize - LINES_WAITING_MAX;
    let lines = filed(&logs, AGENT);
    let [.., said, after] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(said.1, format!("{lost} lines did not reach the disk: it was full or too slow"));
    assert_eq!((after.1.as_str(), after.0), ("after", 6_002), "numbers show the gap");
}

/// Collects what is traced.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Told {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        lock(&self.0).extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
