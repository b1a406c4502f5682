//! Echoes of a secret in the response to the request that carried it, each covered with `*` of the same length.
//!
//! One automaton knows every form. It reads each byte once and remembers where it stands, so that pieces may be cut
//! anywhere; what may still become an echo, and no more, waits for the next piece.

mod forms;

use aho_corasick::Anchored;
use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::nfa::noncontiguous::NFA;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use zeroize::Zeroizing;

pub(crate) use forms::basic;
use forms::{Form, forms};

/// What stands in place of each byte of an echo.
const COVER: u8 = b'*';

/// The forms of all secrets that one request carries.
#[derive(Default)]
pub(crate) struct Echoes {
    forms: Vec<Form>,
}

impl Echoes {
    /// Looks for this one too.
    pub(crate) fn add(&mut self, secret: &[u8]) {
        self.forms.extend(forms(secret));
    }

    /// `None` where they are too many to be looked for.
    pub(crate) fn redactor(mut self) -> Option<Redactor> {
        self.forms.sort_by_key(|form| form.len());
        let nfa = NFA::builder().build(self.forms.iter().map(|form| form.as_slice())).ok()?;
        let start = nfa.start_state(Anchored::No).ok()?;
        let mut automaton = Automaton { nfa, start, waiting: Vec::new() };
        for form in &self.forms {
            automaton.learn_prefixes(form);
        }
        for form in &self.forms {
            automaton.learn_end(form);
        }
        Some(Redactor { at: Place::begin(start), held: Zeroizing::default(), found: 0, automaton })
    }
}

/// Knows in which state how many of the last bytes may still become an echo.
struct Automaton {
    nfa: NFA,
    start: StateID,
    /// By state: the length of the longest proper beginning of a form that the text ends with.
    waiting: Vec<usize>,
}

impl Automaton {
    fn step(&self, state: StateID, byte: u8) -> StateID {
        self.nfa.next_state(Anchored::No, state, byte)
    }

    fn waiting(&self, state: StateID) -> usize {
        self.waiting.get(state.as_usize()).copied().unwrap_or(0)
    }

    fn set_waiting(&mut self, state: StateID, length: usize) {
        let index = state.as_usize();
        if self.waiting.len() <= index {
            self.waiting.resize(index + 1, 0);
        }
        self.waiting[index] = length;
    }

    /// After a beginning of a form the automaton is in the state of that beginning.
    fn learn_prefixes(&mut self, form: &[u8]) {
        let mut state = self.start;
        for (index, byte) in form.iter().enumerate() {
            self.set_waiting(state, index);
            state = self.step(state, *byte);
        }
    }

    /// After a whole form that no other goes on from, what waits is what would wait without its first byte. Shorter
    /// forms come first.
    fn learn_end(&mut self, form: &[u8]) {
        let end = form.iter().fold(self.start, |state, byte| self.step(state, *byte));
        if self.waiting(end) == 0 {
            let inner = form[1..].iter().fold(self.start, |state, byte| self.step(state, *byte));
            self.set_waiting(end, self.waiting(inner));
        }
    }

    /// The length of the longest form that ends here; 0 without one.
    fn ended(&self, state: StateID) -> usize {
        if !self.nfa.is_match(state) {
            return 0;
        }
        let lengths = (0..self.nfa.match_len(state)).map(|index| {
            let pattern = self.nfa.match_pattern(state, index);
            self.nfa.pattern_len(pattern)
        });
        lengths.max().unwrap_or(0)
    }

    /// Covers the echoes that end in `text[from..]`, and says how many they are. Those that overlap count once.
    fn cover(&self, text: &mut [u8], from: usize, at: &mut Place) -> u64 {
        let mut found = 0;
        for end in from..text.len() {
            at.state = self.step(at.state, text[end]);
            at.since_echo = at.since_echo.saturating_add(1);
            let length = self.ended(at.state);
            if length > 0 {
                text[end + 1 - length..=end].fill(COVER);
                found += u64::from(length <= at.since_echo);
                at.since_echo = 0;
            }
        }
        found
    }
}

/// How far a text has been read.
#[derive(Clone, Copy)]
struct Place {
    state: StateID,
    /// Bytes since the last echo's end.
    since_echo: usize,
}

impl Place {
    fn begin(start: StateID) -> Self {
        Self { state: start, since_echo: usize::MAX }
    }
}

/// Covers the echoes in one response.
pub(crate) struct Redactor {
    automaton: Automaton,
    at: Place,
    /// The end of what was read: covered as far as it is known, and not given on yet.
    held: Zeroizing<Vec<u8>>,
    found: u64,
}

impl Redactor {
    /// Echoes covered so far.
    pub(crate) fn found(&self) -> u64 {
        self.found
    }

    /// Covers echoes in values. A header whose name holds one is dropped: no name is left without it.
    pub(crate) fn headers(&mut self, headers: &mut HeaderMap) {
        let named: Vec<HeaderName> =
            headers.keys().filter(|name| self.covered(name.as_str().as_bytes()).is_some()).cloned().collect();
        for name in named {
            self.found += 1;
            headers.remove(&name);
        }
        for (name, value) in headers.iter_mut() {
            // Its length is the body's, and no text of the server's.
            if name == header::CONTENT_LENGTH {
                continue;
            }
            if let Some((covered, found)) = self.covered(value.as_bytes()) {
                self.found += found;
                *value = HeaderValue::from_bytes(&covered).unwrap_or(HeaderValue::from_static("*"));
            }
        }
    }

    /// A whole text with its echoes covered, if it holds any.
    fn covered(&self, text: &[u8]) -> Option<(Vec<u8>, u64)> {
        let mut text = text.to_vec();
        let mut at = Place::begin(self.automaton.start);
        let found = self.automaton.cover(&mut text, 0, &mut at);
        (found > 0).then_some((text, found))
    }

    /// Takes the next piece of the body and gives what can be given on; it may be empty.
    pub(crate) fn piece(&mut self, piece: &[u8]) -> Bytes {
        let before = self.held.len();
        let mut text = Vec::with_capacity(before + piece.len());
        text.extend_from_slice(&self.held);
        text.extend_from_slice(piece);
        self.found += self.automaton.cover(&mut text, before, &mut self.at);
        let known = text.len() - self.automaton.waiting(self.at.state);
        self.held = Zeroizing::new(text.split_off(known));
        text.into()
    }

    /// The body is over: what was held can be no echo any more.
    pub(crate) fn finish(&mut self) -> Bytes {
        std::mem::take(&mut *self.held).into()
    }
}

#[cfg(test)]
mod tests;
