//! "Did you mean": the known word nearest to an unknown one.

/// Letters that may differ for a word to count as a slip of another.
const SLIPS_MAX: usize = 3;
/// Longest word that is compared; a longer one is no slip of ours.
const WORD_LENGTH_MAX: usize = 64;

/// The word of `known` that `found` most likely stands for, if any is near enough.
pub fn nearest<'a>(found: &str, known: &[&'a str]) -> Option<&'a str> {
    if found.len() > WORD_LENGTH_MAX {
        return None;
    }
    let plain = |word: &str| word.to_ascii_lowercase().replace(['-', ' '], "_");
    let found = plain(found);
    let distance = |word: &str| strsim::osa_distance(&found, &plain(word));
    let (slips, word) = known.iter().map(|word| (distance(word), *word)).min()?;
    let allowed = SLIPS_MAX.min(word.len() / 3);
    (slips <= allowed).then_some(word)
}
