//! The code that a person reads on one side and types on the other.

use std::fmt;
use std::str::FromStr;

use nisse_store::Entropy;
use spake2::Password;
use zeroize::Zeroizing;

/// How many codes there are.
const CODES: u32 = 1_000_000;
/// Draws below this many are spread evenly over all codes.
const EVEN: u32 = u32::MAX / CODES * CODES;

/// Six decimal digits, shown as `483-920`. They are good for one pairing, and stand in no log: `Debug` does not say them,
/// and two codes are compared by pairing alone.
#[derive(Clone)]
pub struct Code(Zeroizing<[u8; 6]>);

impl Code {
    /// One of a million, each as likely as the others.
    pub fn draw(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; 4]);
        let mut rest = loop {
            entropy.fill(&mut *bytes);
            let number = u32::from_le_bytes(*bytes);
            if number < EVEN {
                break number % CODES;
            }
        };
        let mut digits = Zeroizing::new([b'0'; 6]);
        for digit in digits.iter_mut().rev() {
            *digit += u8::try_from(rest % 10).expect("a decimal digit");
            rest /= 10;
        }
        Self(digits)
    }

    pub(super) fn password(&self) -> Password {
        Password::new(*self.0)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, digit) in self.0.iter().enumerate() {
            let dash = if at == 3 { "-" } else { "" };
            write!(formatter, "{dash}{}", char::from(*digit))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Code(…)")
    }
}

/// Why a text is no code. It does not repeat what was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("read the pairing code: expected six digits, as in 483-920")]
pub struct ParseCodeError;

impl FromStr for Code {
    type Err = ParseCodeError;

    /// Takes the digits with or without dash and spaces.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut digits = Zeroizing::new([0; 6]);
        let mut typed = text.bytes().filter(|byte| !matches!(byte, b'-' | b' '));
        for digit in digits.iter_mut() {
            *digit = typed.next().filter(u8::is_ascii_digit).ok_or(ParseCodeError)?;
        }
        if typed.next().is_some() { Err(ParseCodeError) } else { Ok(Self(digits)) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use nisse_testkit::SimEntropy;

    use super::*;

    /// Entropy that says these numbers, one after the other.
    struct Says(Mutex<Vec<u32>>);

    impl Entropy for Says {
        fn fill(&self, buffer: &mut [u8]) {
            let next = self.0.lock().expect("nothing panics").remove(0);
            buffer.copy_from_slice(&next.to_le_bytes());
        }
    }

    #[test]
    fn a_code_is_read_as_it_is_shown_and_as_people_type_it() {
        let entropy = SimEntropy::new(1);
        for _ in 0..1_000 {
            let code = Code::draw(&entropy);
            let shown = code.to_string();
            assert_eq!((shown.len(), shown.find('-')), (7, Some(3)));
            assert_eq!(shown.parse::<Code>().expect("what is shown is read").to_string(), shown);
        }
        for typed in ["483-920", "483920", " 483 920 ", "4-8-3-9-2-0"] {
            assert_eq!(typed.parse::<Code>().expect("a code").to_string(), "483-920");
        }
        for typed in ["", "48392", "4839200", "483_920", "48392a", "４８３９２０", "+48392", "-"] {
            assert_eq!(typed.parse::<Code>().err(), Some(ParseCodeError), "{typed:?}");
        }
    }

    #[test]
    fn draws_that_would_favour_some_codes_are_thrown_away() {
        let says = Says(Mutex::new(vec![u32::MAX, EVEN, EVEN - 1]));
        assert_eq!(Code::draw(&says).to_string(), "999-999");
        let says = Says(Mutex::new(vec![7]));
        assert_eq!(Code::draw(&says).to_string(), "000-007");
    }

    #[test]
    fn a_code_does_not_say_its_digits() {
        let code: Code = "483-920".parse().expect("a code");
        assert_eq!(format!("{code:?}"), "Code(…)");
    }
}
