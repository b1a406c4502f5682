//! Files that agents read from other nodes a moment ago: an agent that asks for the same each minute fetches it once.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use nisse_model::ContentId;

/// Bytes of all of them.
const BYTES_MAX: usize = 16 << 20;
/// How many of them.
const FILES_MAX: usize = 256;

/// The newest stands last.
#[derive(Default)]
pub(super) struct Recent(Mutex<VecDeque<(ContentId, Bytes)>>);

impl Recent {
    /// The file, if it has not made way for others.
    pub(super) fn get(&self, cid: &ContentId, bytes_max: u64) -> Option<Bytes> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = files.iter().position(|(kept, bytes)| kept == cid && bytes.len() as u64 <= bytes_max)?;
        let (cid, bytes) = files.remove(at)?;
        files.push_back((cid, bytes.clone()));
        Some(bytes)
    }

    /// Keeps a file; those that were asked for longest ago make way.
    pub(super) fn keep(&self, cid: ContentId, bytes: Bytes) {
        if bytes.len() > BYTES_MAX {
            return;
        }
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|(kept, _)| *kept != cid);
        files.push_back((cid, bytes));
        while files.len() > FILES_MAX || files.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > BYTES_MAX {
            files.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use nisse_model::Hash256;

    use super::*;

    fn cid(number: usize) -> ContentId {
        ContentId::raw(Hash256::of(&number.to_be_bytes()))
    }

    #[test]
    fn what_was_asked_for_longest_ago_makes_way() {
        let recent = Recent::default();
        for number in 0..FILES_MAX {
            recent.keep(cid(number), Bytes::from_static(b"small"));
        }
        assert_eq!(recent.get(&cid(0), 5).as_deref(), Some(&b"small"[..]));
        assert_eq!(recent.get(&cid(0), 4), None, "more than the reader takes");
        recent.keep(cid(FILES_MAX), Bytes::from(vec![0; BYTES_MAX - 5]));
        let left = (0..=FILES_MAX).filter(|number| recent.get(&cid(*number), u64::MAX).is_some());
        assert_eq!(left.collect::<Vec<_>>(), [0, FILES_MAX]);
        recent.keep(cid(1), Bytes::from(vec![0; BYTES_MAX + 1]));
        assert_eq!(recent.get(&cid(1), u64::MAX), None, "too large to be kept");
    }
}
