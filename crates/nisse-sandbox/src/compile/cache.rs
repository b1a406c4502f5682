//! The `.cwasm` cache: native code that this node compiled itself, bound to artifact and engine and sealed with the
//! node's own key.
//!
//! The seal is not against whoever can write into the home (who could replace the binary as well) but against code
//! that came from anywhere else: a copied folder, another machine, a torn write, a flipped bit.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nisse_model::Hash256;
use nisse_store::{Disk, Entropy};

use super::child::CODE_BYTES_MAX;

/// First bytes of a cache file: a name and a version.
const MAGIC: &[u8; 16] = b"nisse-cwasm-1\n\0\0";
/// Magic, artifact, engine, seal.
const HEAD_BYTES: usize = MAGIC.len() + 3 * 32;
const KEY_BYTES: usize = 32;

/// Why the cache cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The disk failed.
    #[error("use the code cache {path}")]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
}

pub(super) struct CodeCache {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    key: [u8; KEY_BYTES],
}

impl CodeCache {
    pub(super) fn open(disk: Arc<dyn Disk>, folder: PathBuf, entropy: &dyn Entropy) -> Result<Self, CacheError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| CacheError::Disk { path, source }
        };
        disk.create_dir_all(&folder).map_err(at(&folder))?;
        let path = folder.join("key");
        let mut key = [0; KEY_BYTES];
        match disk.read(&path, KEY_BYTES as u64) {
            Ok(bytes) if bytes.len() == KEY_BYTES => key.copy_from_slice(&bytes),
            // A lost or torn key only makes the cache cold.
            Ok(_) => renew(&*disk, &path, entropy, &mut key).map_err(at(&path))?,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::FileTooLarge) => {
                renew(&*disk, &path, entropy, &mut key).map_err(at(&path))?;
            }
            Err(error) => return Err(at(&path)(error)),
        }
        Ok(Self { disk, folder, key })
    }

    /// The code, if it is there and whole; whatever is wrong with it is a miss.
    pub(super) fn get(&self, artifact: Hash256, engine: Hash256) -> Option<Vec<u8>> {
        let path = self.path(artifact, engine);
        if !self.disk.exists(&path) {
            return None;
        }
        let mut file = self.disk.read(&path, HEAD_BYTES as u64 + CODE_BYTES_MAX).ok()?;
        if file.len() < HEAD_BYTES {
            return None;
        }
        let code = file.split_off(HEAD_BYTES);
        let expected = self.head(artifact, engine, &code);
        if file != expected {
            tracing::warn!(path = %path.display(), "cached code is not intact and is compiled again");
            return None;
        }
        Some(code)
    }

    pub(super) fn put(&self, artifact: Hash256, engine: Hash256, code: &[u8]) -> Result<(), CacheError> {
        let path = self.path(artifact, engine);
        let mut file = self.head(artifact, engine, code);
        file.extend_from_slice(code);
        self.disk.replace(&path, &file).map_err(|source| {
            // What was written of it takes room that a full disk needs, and nobody would read it. It may not be there.
            let _ = self.disk.remove_file(&beside(&path));
            CacheError::Disk { path, source }
        })
    }

    fn path(&self, artifact: Hash256, engine: Hash256) -> PathBuf {
        self.folder.join(format!("{artifact}-{}.cwasm", &engine.to_string()[..16]))
    }

    fn head(&self, artifact: Hash256, engine: Hash256, code: &[u8]) -> Vec<u8> {
        // Keyed twice, so that nobody can lengthen a sealed text.
        let inner = Hash256::of_parts(&[&self.key, MAGIC, &artifact.0, &engine.0, code]);
        let seal = Hash256::of_parts(&[&self.key, &inner.0]);
        let mut head = MAGIC.to_vec();
        for part in [artifact, engine, seal] {
            head.extend_from_slice(&part.0);
        }
        head
    }
}

/// Where a file is written before it takes its place.
fn beside(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    beside.into()
}

fn renew(disk: &dyn Disk, path: &Path, entropy: &dyn Entropy, key: &mut [u8; KEY_BYTES]) -> io::Result<()> {
    entropy.fill(key);
    disk.replace(path, key)
}

#[cfg(test)]
mod tests {
    use nisse_testkit::{Fault, SimDisk, SimEntropy};

    use super::*;

    #[test]
    fn code_that_cannot_be_written_leaves_nothing_beside_the_cache() {
        let disk = SimDisk::new(1);
        let cache =
            CodeCache::open(Arc::new(disk.clone()), PathBuf::from("/cwasm"), &SimEntropy::new(1)).expect("opens");
        let (artifact, engine) = (Hash256::of(b"artifact"), Hash256::of(b"engine"));
        let before = disk.files();
        for fault in [Fault::NoSpace(0), Fault::NoSpace(1), Fault::Sync(0)] {
            disk.fail(fault);
            cache.put(artifact, engine, &[7; 10_000]).expect_err("the disk is full or broken");
            disk.heal();
            assert_eq!(disk.files(), before, "{fault:?}");
            assert_eq!(cache.get(artifact, engine), None);
        }
        cache.put(artifact, engine, &[7; 10_000]).expect("there is room again");
        assert_eq!(cache.get(artifact, engine), Some(vec![7; 10_000]));
    }
}
