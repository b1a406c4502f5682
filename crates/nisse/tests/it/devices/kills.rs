//! kill -9 of either side at random moments of pairing and of revocation: nobody is a device by half. `NISSE_KILLS` asks for
//! more of them.

use std::time::Duration;

use nisse_testkit::Random;

use super::{begin, free_address, join, names, show_code};
use crate::harness::{Ended, Home, Node, say};

const KILLS: u64 = 12;
/// Within how long something is killed: as long as a pairing takes here.
const MOMENT_US: u64 = 150_000;
const GUEST: &str = "guest";

fn is_listed(home: &Home) -> bool {
    names(&home.json(&["device", "ls"])).contains(&GUEST)
}

fn reach(guest: &Home) -> Ended {
    guest.run(&["--remote", "home", "status"])
}

struct Story<'h> {
    home: &'h Home,
    link: String,
    random: Random,
}

impl<'h> Story<'h> {
    fn up(&self) -> Node<'h> {
        self.home.up(&["--link", &self.link])
    }

    fn pause(&mut self) {
        std::thread::sleep(Duration::from_micros(self.random.below(MOMENT_US)));
    }

    /// Either side of a pairing is killed; a second one makes whole what the first left.
    fn paired(&mut self, node: Node<'h>, guest: &Home) -> Node<'h> {
        let (shown, ticket, code) = show_code(self.home);
        let mut joining = guest.start(&["device", "pair", &ticket, "--name", GUEST]);
        joining.tell(&code);
        self.pause();
        let (node, ended) = if self.random.once_in(2) {
            node.kill();
            (self.up(), joining.end())
        } else {
            joining.kill();
            (node, Ended { code: -1, out: String::new(), err: String::new() })
        };
        drop(shown);
        if ended.code == 0 {
            assert!(is_listed(self.home), "the guest was told that it is a device, and the home does not know it");
            return node;
        }
        let (_shown, ticket, code) = show_code(self.home);
        let again = join(guest, &ticket, GUEST, &code);
        let is_already = again.code == 3 && again.err.contains("already");
        assert!(again.code == 0 || is_already, "it does not join again: {again:?}");
        assert!(is_listed(self.home), "a guest that is a device is not known to the home: {again:?}");
        node
    }

    /// The home is killed while it revokes: what it said is so, and what it did not say is one of the two.
    fn revoked(&mut self, node: Node<'h>, guest: &Home) -> Node<'h> {
        let revoking = self.home.start(&["device", "revoke", GUEST]);
        self.pause();
        node.kill();
        let acknowledged = revoking.end().code == 0;
        let node = self.up();
        let listed = is_listed(self.home);
        assert!(!(acknowledged && listed), "a revocation that was acknowledged is gone");
        // The node listens a moment after it serves.
        drop(show_code(self.home));
        let reached = reach(guest);
        assert_eq!(reached.code, if listed { 0 } else { 3 }, "listed: {listed}, {reached:?}");
        if listed {
            self.home.ok(&["device", "revoke", GUEST]);
            assert_eq!(reach(guest).code, 3);
        }
        node
    }
}

#[test]
fn no_kill_leaves_half_a_device() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let kills = number("NISSE_KILLS").unwrap_or(KILLS);
    let seed = number("NISSE_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    say(&format!("NISSE_SEED={seed} NISSE_KILLS={kills}"));
    let home = Home::new();
    let mut story = Story { home: &home, link: free_address(), random: Random::new(seed) };
    let mut node = story.up();
    begin(&home, "home");
    for _ in 0..kills {
        let guest = Home::new();
        node = story.paired(node, &guest);
        drop(show_code(&home));
        assert_eq!(reach(&guest).code, 0, "a device is let in");
        node = story.revoked(node, &guest);
    }
}
