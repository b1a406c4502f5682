//! What is kept of a log, and what stands on a disk after a kill, a power cut and a destruction.

mod limits;
mod power_cuts;

use std::path::{Path, PathBuf};

use futures::FutureExt as _;
use nisse_store::FileMode;
use nisse_testkit::SimDisk;

use super::folder::Piece;
use super::*;

const AGENT: &str = "nisse.test.agent";
const OTHER: &str = "nisse.test.other--0101010101010101010101010101010101010101";
const FOLDER: &str = "/home/logs/agents";
const SMALL: Limits = Limits { file_bytes_max: 2 << 10, all_bytes_max: 6 << 10 };

fn open_with(disk: &SimDisk, limits: Limits) -> Logs {
    let known = [AGENT, OTHER].map(str::to_owned).into();
    Logs::open_with(Arc::new(disk.clone()), PathBuf::from(FOLDER), &known, limits)
}

fn open(disk: &SimDisk) -> Logs {
    open_with(disk, Limits::default())
}

/// The process ends and another one begins; the machine stays up.
fn open_again(disk: &SimDisk, logs: Logs) -> Logs {
    drop(logs);
    disk.kill();
    open(disk)
}

/// What the task of the logs does on its thread.
fn settle(logs: &Logs) {
    lock(&logs.writer).work(logs.queue.take());
}

fn write(logs: &Logs, second: u64, text: &str) {
    logs.of(AGENT).write(Timestamp(second * 1_000), "info", text);
}

/// Number and text of what stands in the files of an agent.
fn filed(logs: &Logs, agent: &str) -> Vec<(u64, String)> {
    try_filed(logs, agent).expect("the disk reads")
}

fn try_filed(logs: &Logs, agent: &str) -> std::io::Result<Vec<(u64, String)>> {
    let lines = logs.folder.read(agent, u64::MAX, usize::MAX)?;
    Ok(lines.into_iter().map(|line| (line.number, line.text)).collect())
}

/// Bytes of all files of logs.
fn bytes(disk: &SimDisk) -> u64 {
    disk.files().iter().filter(|(path, _)| path.starts_with(FOLDER)).map(|(_, length)| length).sum()
}

#[test]
fn a_flood_is_cut_counted_and_said() {
    let log = AgentLog::default();
    for _ in 0..5_000 {
        log.write(Timestamp(1_000), "info", "flood");
    }
    log.write(Timestamp(2_000), "info", "after");
    let lines = log.last(2);
    assert_eq!(lines[0].text, "4800 lines were dropped: at most 200 per second are kept");
    assert_eq!((lines[1].text.as_str(), lines[1].number), ("after", 5_002), "numbers show the gap");
    assert_eq!(log.last(usize::MAX).len(), 202);
}

/// Numbers of the lines that are there for whoever follows, without waiting for more.
fn numbers(followed: &mut FollowedLog) -> Vec<u64> {
    std::iter::from_fn(|| followed.next().now_or_never()?).map(|line| line.number).collect()
}

#[test]
fn whoever_follows_misses_no_line_between_what_was_read_and_what_comes() {
    let disk = SimDisk::new(0x10_95);
    let logs = open(&disk);
    (1..=3).for_each(|second| write(&logs, second, "before"));
    let (mut from_now, mut from_two) = (logs.follow(AGENT, None), logs.follow(AGENT, Some(2)));
    assert_eq!((numbers(&mut from_now), numbers(&mut from_two)), (vec![], vec![3]));
    write(&logs, 4, "then");
    assert_eq!((numbers(&mut from_now), numbers(&mut from_two)), (vec![4], vec![4]));

    // Slower than what is kept: the numbers show the gap.
    (0..LINES_KEPT_MAX as u64 + 7).for_each(|second| write(&logs, 5 + second, "many"));
    let seen = numbers(&mut from_now);
    assert_eq!((seen.len(), seen.last()), (LINES_KEPT_MAX, Some(&(4 + LINES_KEPT_MAX as u64 + 7))));

    settle(&logs);
    let last = *seen.last().expect("lines");
    let logs = open_again(&disk, logs);
    let mut over_a_restart = logs.follow(AGENT, Some(last - 2));
    write(&logs, 9_000, "after the restart");
    assert_eq!(numbers(&mut over_a_restart), [last - 1, last, last + 1]);
    let mut of_a_log_that_ended = logs.follow(AGENT, Some(last + 50));
    write(&logs, 9_001, "of the new one");
    assert_eq!(numbers(&mut of_a_log_that_ended), [last + 2]);

    logs.forget(AGENT);
    assert!(over_a_restart.next().now_or_never().is_some_and(|line| line.is_some()), "what it has not read yet");
    assert_eq!(over_a_restart.next().now_or_never(), Some(None), "a destroyed agent's log ends");
}

#[test]
fn control_characters_never_reach_a_terminal_and_no_line_is_longer_than_its_limit() {
    let log = AgentLog::default();
    log.write(Timestamp(0), "info", "\u{1b}[2Jgone\r\nforged");
    assert_eq!(log.last(1)[0].text, "\u{fffd}[2Jgone\u{fffd}\u{fffd}forged");
    log.write(Timestamp(0), "info", &"\u{7}".repeat(LOG_LINE_BYTES_MAX + 1));
    assert_eq!(log.last(1)[0].text.len(), TEXT_BYTES_MAX);
}

#[test]
fn lines_outlive_a_killed_node_in_order_and_their_numbers_go_on() {
    let disk = SimDisk::new(1);
    let logs = open(&disk);
    for text in ["one", "two", "three"] {
        write(&logs, 1, text);
    }
    assert!(logs.earlier(AGENT, 10).is_empty(), "all of it is in memory");
    settle(&logs);

    let logs = open_again(&disk, logs);
    write(&logs, 9, "four");
    let earlier = |count| -> Vec<_> {
        logs.earlier(AGENT, count).into_iter().map(|line| (line.number, line.time, line.text)).collect()
    };
    let [one, two, three] = [(1, "one"), (2, "two"), (3, "three")].map(|(at, text)| (at, 1_000, text.to_owned()));
    assert_eq!(earlier(10), [one, two.clone(), three.clone()]);
    assert_eq!(earlier(2), [two, three]);
    settle(&logs);
    assert_eq!(earlier(10).len(), 3, "what is in memory is not given twice");
    assert_eq!(logs.of(AGENT).last(10)[0].number, 4);

    let logs = open_again(&disk, logs);
    assert_eq!(filed(&logs, AGENT).last(), Some(&(4, "four".to_owned())));
}

#[test]
fn a_torn_last_line_is_passed_over_and_the_next_one_is_whole() {
    let disk = SimDisk::new(2);
    let logs = open(&disk);
    write(&logs, 1, "whole");
    settle(&logs);
    let file = nisse_store::Disk::open(&disk, &logs.folder.file(AGENT, Piece::Newer), FileMode::Write).expect("a file");
    file.write_all_at(b"{\"v\":1,\"number\":2,\"te", file.len().expect("a length")).expect("room");

    let logs = open_again(&disk, logs);
    write(&logs, 2, "after");
    settle(&logs);
    let logs = open_again(&disk, logs);
    let expected = [(1, "whole"), (3, "after")].map(|(number, text)| (number, text.to_owned()));
    assert_eq!(filed(&logs, AGENT), expected, "and its number is a gap");
}

#[test]
fn a_forgotten_agent_leaves_no_file_and_its_name_begins_at_one() {
    let disk = SimDisk::new(5);
    let logs = open(&disk);
    let log = logs.of(AGENT);
    write(&logs, 1, "filed");
    settle(&logs);
    write(&logs, 1, "on its way");
    logs.forget(AGENT);
    log.write(Timestamp(2_000), "warn", "too late");
    settle(&logs);
    assert!(logs.find(AGENT).is_none() && logs.find(OTHER).is_some());
    for seed in 0..20 {
        let after = disk.fork_seeded(seed);
        after.power_cut(seed);
        assert_eq!(after.files(), [], "it does not come back either");
    }
    write(&logs, 3, "another");
    settle(&logs);
    let logs = open_again(&disk, logs);
    assert_eq!(filed(&logs, AGENT), [(1, "another".to_owned())]);
}

#[test]
fn a_start_removes_the_files_of_agents_that_nobody_knows() {
    let disk = SimDisk::new(6);
    let logs = open(&disk);
    for agent in [AGENT, OTHER, "nisse.test.gone"] {
        logs.of(agent).write(Timestamp(1_000), "info", agent);
    }
    settle(&logs);
    let events = Path::new(FOLDER).with_file_name("events.jsonl");
    nisse_store::Disk::open(&disk, &events, FileMode::CreateNew).expect("another's file");
    let logs = open_again(&disk, logs);
    let files: Vec<PathBuf> = disk.files().into_iter().map(|(path, _)| path).collect();
    assert_eq!(files, [logs.folder.file(AGENT, Piece::Newer), logs.folder.file(OTHER, Piece::Newer), events]);
    assert_eq!(filed(&logs, OTHER), [(1, OTHER.to_owned())]);
}

#[test]
fn no_label_leads_out_of_the_folder_or_to_a_file_of_another() {
    let folder = Folder::new(Arc::new(SimDisk::new(0)), PathBuf::from(FOLDER));
    let labels = [AGENT, OTHER, "a", "a.jsonl", "..", "../a", "/etc/passwd", "", ".", "A", "a%2e", "a\0", "a\n", "é"];
    let files: BTreeSet<PathBuf> =
        labels.iter().flat_map(|label| [Piece::Newer, Piece::Older].map(|piece| folder.file(label, piece))).collect();
    assert_eq!(files.len(), 2 * labels.len());
    for file in files {
        assert_eq!(file.parent(), Some(Path::new(FOLDER)), "{}", file.display());
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
        assert!(name.bytes().all(|byte| byte.is_ascii_graphic()), "{name}");
    }
    assert_eq!(folder.file(AGENT, Piece::Newer), Path::new(FOLDER).join("nisse.test.agent.jsonl"));
}

#[tokio::test]
async fn what_was_dropped_before_the_nodes_end_is_told_behind_it() {
    let disk = SimDisk::new(10);
    let logs = open(&disk);
    for _ in 0..LINES_PER_SECOND_MAX + 2 {
        write(&logs, 1, "flood");
    }
    logs.end(Timestamp(1_500)).await;
    let logs = open_again(&disk, logs);
    let told = "2 lines were dropped: at most 200 per second are kept".to_owned();
    assert_eq!(filed(&logs, AGENT).last(), Some(&(203, told)), "and its number is a gap");
}
