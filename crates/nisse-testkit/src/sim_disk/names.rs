//! The folder tree: the names as programs see them, and those that would survive.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::Random;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Folder,
    /// A file, by the index of its content.
    File(usize),
}

/// One change of names that no sync of its folder has made durable.
#[derive(Debug, Clone)]
enum Change {
    Link(PathBuf, Node),
    Unlink(PathBuf),
    /// Within one folder: both or neither.
    Rename {
        from: PathBuf,
        to: PathBuf,
        node: Node,
    },
}

impl Change {
    fn folder(&self) -> Option<&Path> {
        match self {
            Self::Link(path, _) | Self::Unlink(path) | Self::Rename { to: path, .. } => path.parent(),
        }
    }

    fn apply(self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Self::Link(path, node) => {
                names.insert(path, node);
            }
            Self::Unlink(path) => {
                names.remove(&path);
            }
            Self::Rename { from, to, node } => {
                names.remove(&from);
                names.insert(to, node);
            }
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    seen: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    pending: Vec<Change>,
}

impl Names {
    /// The root and the working folder always stand.
    pub(super) fn get(&self, path: &Path) -> Option<Node> {
        if path.as_os_str().is_empty() || path == Path::new("/") {
            return Some(Node::Folder);
        }
        self.seen.get(path).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&PathBuf, &Node)> {
        self.seen.iter()
    }

    pub(super) fn inside(&self, folder: &Path) -> Vec<PathBuf> {
        self.seen.keys().filter(|path| path.parent() == Some(folder)).cloned().collect()
    }

    pub(super) fn link(&mut self, path: &Path, node: Node) {
        self.change(Change::Link(path.to_owned(), node));
    }

    pub(super) fn unlink(&mut self, path: &Path) {
        self.change(Change::Unlink(path.to_owned()));
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path, node: Node) {
        if from.parent() == to.parent() {
            self.change(Change::Rename { from: from.to_owned(), to: to.to_owned(), node });
        } else {
            self.change(Change::Link(to.to_owned(), node));
            self.change(Change::Unlink(from.to_owned()));
        }
    }

    fn change(&mut self, change: Change) {
        change.clone().apply(&mut self.seen);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self, folder: &Path) {
        for change in self.pending.extract_if(.., |change| change.folder() == Some(folder)) {
            change.apply(&mut self.durable);
        }
    }

    pub(super) fn power_cut(&mut self, random: &mut Random, keep_per_8: u64) -> bool {
        let before = std::mem::take(&mut self.seen);
        // A journalling file system keeps names in order; POSIX promises nothing.
        let in_order = random.once_in(2);
        let mut stopped = false;
        for change in self.pending.drain(..) {
            let kept = random.below(8) < keep_per_8;
            stopped |= in_order && !kept;
            if kept && !stopped {
                change.apply(&mut self.durable);
            }
        }
        loop {
            let whole = self.durable.clone();
            let stands = |path: &Path| path.as_os_str().is_empty() || path == Path::new("/");
            let parent = |path: &PathBuf| path.parent().is_none_or(|up| stands(up) || whole.contains_key(up));
            self.durable.retain(|path, _| parent(path));
            if whole.len() == self.durable.len() {
                break;
            }
        }
        self.seen = self.durable.clone();
        before != self.seen
    }
}
