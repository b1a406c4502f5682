//! The recovery kit: the root key of an identity as 24 words (BIP-39, English). They stand for its 32 secret bytes and a
//! checksum of eight bits, and for nothing else: no passphrase, no derivation.

use bip39::{Language, Mnemonic};
use nisse_model::{Did, SigningKey};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// Words of a kit.
pub(crate) const WORDS: usize = 24;
/// Words of one line, as it is shown.
const WORDS_A_LINE: usize = 6;

/// A root key and its words. Wiped when it is dropped.
pub(crate) struct Kit {
    words: Mnemonic,
    seed: Zeroizing<[u8; 32]>,
}

impl Kit {
    /// The words of 32 secret bytes.
    pub(crate) fn of(seed: Zeroizing<[u8; 32]>) -> Self {
        let words = Mnemonic::from_entropy(seed.as_slice()).expect("32 bytes are 24 words");
        Self { words, seed }
    }

    /// Reads words as somebody typed them: in any case, with anything between them but letters.
    pub(crate) fn read(typed: &str) -> Result<Self, Failure> {
        let refused = |why: String| {
            Failure::usage(format!("failed to read the recovery kit: {why}"))
                .hint("type its 24 words in their order, with spaces between them")
        };
        let typed = Zeroizing::new(typed.to_lowercase());
        let words: Vec<&str> =
            typed.split(|letter: char| !letter.is_alphabetic()).filter(|word| !word.is_empty()).collect();
        if words.len() != WORDS {
            return Err(refused(format!("it has {} words, and {WORDS} are expected", words.len())));
        }
        if let Some(place) = words.iter().position(|word| Language::English.find_word(word).is_none()) {
            // The word itself may be most of a secret one.
            return Err(refused(format!("word {} is none of the list", place + 1)));
        }
        let text = Zeroizing::new(words.join(" "));
        let words = Mnemonic::parse_in_normalized(Language::English, &text)
            .map_err(|_| refused("its checksum is wrong: a word is another one, or two changed places".to_owned()))?;
        let (entropy, length) = words.to_entropy_array();
        let entropy = Zeroizing::new(entropy);
        let mut seed = Zeroizing::new([0; 32]);
        seed.copy_from_slice(&entropy[..length]);
        Ok(Self { words, seed })
    }

    /// The identity that it is the key of.
    pub(crate) fn identity(&self) -> Did {
        self.key().did()
    }

    /// The root key.
    pub(crate) fn key(&self) -> SigningKey {
        SigningKey::from_seed(&self.seed)
    }

    /// Its secret bytes.
    pub(crate) fn into_seed(self) -> Zeroizing<[u8; 32]> {
        self.seed.clone()
    }

    /// The words, in their order.
    pub(crate) fn words(&self) -> impl Iterator<Item = &'static str> {
        self.words.words()
    }

    /// Numbered lines, as they are written down.
    pub(crate) fn lines(&self) -> Vec<Zeroizing<String>> {
        let words: Vec<_> = self.words().collect();
        let numbered = |(line, words): (usize, &[&str])| {
            let first = line * WORDS_A_LINE + 1;
            let cells = words.iter().zip(first..).map(|(word, place)| format!("{place:>2} {word:<8}"));
            Zeroizing::new(cells.collect::<Vec<_>>().join("  ").trim_end().to_owned())
        };
        words.chunks(WORDS_A_LINE).enumerate().map(numbered).collect()
    }

    /// The first place, from 1, at which somebody wrote down another word.
    pub(crate) fn differs(&self, other: &Self) -> Option<usize> {
        self.words().zip(other.words()).position(|(one, other)| one != other).map(|place| place + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kit(byte: u8) -> Kit {
        Kit::of(Zeroizing::new([byte; 32]))
    }

    fn told(typed: &str) -> String {
        Kit::read(typed).err().expect("a refusal").told()
    }

    #[test]
    fn words_are_those_of_bip_39_and_come_back_however_they_are_typed() {
        // The last of the vectors of the standard with 32 bytes of the same value.
        let words: Vec<_> = kit(0x7f).words().collect();
        assert_eq!(
            words.join(" "),
            "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth title"
        );
        let typed = format!("  1. {} ", words.join("\n2) ").to_uppercase());
        let read = Kit::read(&typed).expect("the same kit");
        assert_eq!((read.identity(), read.differs(&kit(0x7f))), (kit(0x7f).identity(), None));
        assert_eq!(read.into_seed(), Zeroizing::new([0x7f; 32]));
        assert_eq!(kit(0x7f).differs(&kit(0x80)), Some(1));
    }

    #[test]
    fn a_kit_that_is_not_whole_says_what_is_wrong_and_repeats_no_word() {
        let words: Vec<_> = kit(0x7f).words().collect();
        let short = told(&words[1..].join(" "));
        assert!(short.contains("it has 23 words"), "{short}");
        let mut other = words.clone();
        other[4] = "zzyzx";
        let unknown = told(&other.join(" "));
        assert!(unknown.contains("word 5 is none of the list") && !unknown.contains("zzyzx"), "{unknown}");
        other[4] = "abandon";
        let wrong = told(&other.join(" "));
        assert!(wrong.contains("checksum") && !wrong.contains("abandon"), "{wrong}");
    }
}
