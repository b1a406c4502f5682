//! The neighbour: an agent that means no harm and is asked all along. It counts, so what it answers says whether its own
//! state was lost, doubled or mixed with another's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Node, example};
use crate::web;

const HOST: &str = "nisse.test.counter.localhost";
/// Between two requests.
const PAUSE: Duration = Duration::from_millis(5);
/// The longest that the neighbour may take for one answer. Generous: other builds share the machine.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// Tells a story while the neighbour, `counter`, is asked without a break, and judges how it was.
pub(super) fn beside_the_neighbour(node: &Node<'_>, story: impl FnOnce()) {
    assert_eq!(node.home().json(&["deploy", &example("counter")])["state"], "running");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let neighbour = scope.spawn(|| ask_until(node, &over));
        // Also when the story breaks off: nobody waits for a neighbour that is asked for ever.
        let _over = Over(&over);
        story();
        drop(_over);
        let (answers, slowest) = neighbour.join().unwrap();
        assert!(answers > 10, "the neighbour was asked {answers} times");
        assert!(slowest < ANSWER_TIME_MAX, "the neighbour took {slowest:?} for one of {answers} answers");
    });
    let peak = node.memory_peak_bytes();
    assert!(peak < super::MEMORY_BYTES_MAX, "the node held {} MiB", peak >> 20);
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn ask_until(node: &Node<'_>, over: &AtomicBool) -> (u64, Duration) {
    let (mut answers, mut slowest) = (0, Duration::ZERO);
    while !over.load(Ordering::SeqCst) {
        let begun = Instant::now();
        let answer = web::request(&node.public, "POST", "/", &[("host", HOST)], b"").expect("the neighbour answers");
        slowest = slowest.max(begun.elapsed());
        answers += 1;
        assert_eq!((answer.status, answer.text()), (200, format!("{answers}\n")), "the neighbour's own count");
        std::thread::sleep(PAUSE);
    }
    (answers, slowest)
}
