//! Reads CBOR: a value by its key, or any value only to pass over it.
//!
//! cbor-x writes maps with a 16-bit length, leaves `undefined` where a value is not there, and has numbers past 32 bits
//! as floats; other encoders differ in all three, so that any of them is taken.

use minicbor::data::Type;
use minicbor::decode::{Decoder, Error};

use super::{DEPTH_MAX, FIELDS_MAX, MessageError};

/// The tag around the bytes of a typed array (RFC 8746), which some encoders write.
const TAG_BYTES: u64 = 64;
/// What a value is called that nobody asked for.
const PASSED_OVER: &str = "a value to pass over";
/// Past this, JavaScript's numbers have gaps.
const NUMBER_MAX: u64 = 1 << 53;

/// Reads values one after the other.
#[derive(Clone)]
pub(super) struct Reader<'b> {
    decoder: Decoder<'b>,
}

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { decoder: Decoder::new(bytes) }
    }

    pub(super) fn remaining(&self) -> usize {
        self.decoder.input().len() - self.decoder.position()
    }

    fn read<T>(
        &mut self,
        what: &'static str,
        read: impl FnOnce(&mut Decoder<'b>) -> Result<T, Error>,
    ) -> Result<T, MessageError> {
        let place = self.decoder.position();
        read(&mut self.decoder).map_err(|source| MessageError::Cbor { what, place, source })
    }

    /// A text of a definite length.
    pub(super) fn text(&mut self, what: &'static str, bytes_max: usize) -> Result<&'b str, MessageError> {
        let text = self.read(what, |decoder| decoder.str())?;
        within(what, text.len() as u64, bytes_max)?;
        Ok(text)
    }

    /// Bytes of a definite length, bare or as a typed array.
    pub(super) fn bytes(&mut self, what: &'static str) -> Result<&'b [u8], MessageError> {
        self.read(what, |decoder| {
            if decoder.datatype()? == Type::Tag && decoder.tag()?.as_u64() != TAG_BYTES {
                return Err(Error::message("another tag than that of bytes"));
            }
            decoder.bytes()
        })
    }

    /// A whole number, however it is written.
    pub(super) fn number(&mut self, what: &'static str) -> Result<u64, MessageError> {
        let found = self.read(what, |decoder| match decoder.datatype()? {
            Type::F16 => half(decoder),
            Type::F32 => decoder.f32().map(f64::from),
            Type::F64 => decoder.f64(),
            // Rounds only past the limit.
            _ => decoder.int().map(|number| i128::from(number) as f64),
        })?;
        // NaN is in no range.
        if (0.0..=NUMBER_MAX as f64).contains(&found) && found.fract() == 0.0 {
            Ok(found as u64)
        } else {
            Err(MessageError::Number { what, found })
        }
    }

    pub(super) fn boolean(&mut self, what: &'static str) -> Result<bool, MessageError> {
        self.read(what, |decoder| decoder.bool())
    }

    /// The length of a list that follows.
    pub(super) fn list(&mut self, what: &'static str, length_max: usize) -> Result<u64, MessageError> {
        self.length(what, length_max, |decoder| decoder.array())
    }

    /// The number of keys of a map that follows.
    pub(super) fn map(&mut self, what: &'static str, length_max: usize) -> Result<u64, MessageError> {
        self.length(what, length_max, |decoder| decoder.map())
    }

    fn length(
        &mut self,
        what: &'static str,
        length_max: usize,
        read: impl FnOnce(&mut Decoder<'b>) -> Result<Option<u64>, Error>,
    ) -> Result<u64, MessageError> {
        let length = self.read(what, |decoder| {
            read(decoder)?.ok_or_else(|| Error::message("its length is not given, as automerge-repo does"))
        })?;
        within(what, length, length_max)?;
        Ok(length)
    }

    /// Passes over a value that says that there is none.
    pub(super) fn absent(&mut self) -> bool {
        let absent = matches!(self.decoder.datatype(), Ok(Type::Null | Type::Undefined));
        if absent {
            self.decoder.set_position(self.decoder.position() + 1);
        }
        absent
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self.decoder.datatype(), Ok(Type::String))
    }

    /// Passes over one value, whatever it is. Each step takes at least one byte, and nothing is kept but the depth.
    pub(super) fn pass_over(&mut self) -> Result<(), MessageError> {
        // How many values are still to come at each depth; none where only a break tells.
        let mut open: [Option<u64>; DEPTH_MAX] = [None; DEPTH_MAX];
        let mut depth = 0;
        loop {
            match self.read(PASSED_OVER, step)? {
                Step::Into(Some(0)) | Step::Value => {}
                Step::Into(count) => {
                    *open.get_mut(depth).ok_or(MessageError::TooDeep { allowed: DEPTH_MAX })? = count;
                    depth += 1;
                    continue;
                }
                Step::Break if depth > 0 && open[depth - 1].is_none() => depth -= 1,
                Step::Break => return self.read(PASSED_OVER, |_| Err(Error::message("a break without a beginning"))),
            }
            // A value ended: so did all that had it as their last.
            while depth > 0
                && let Some(count) = &mut open[depth - 1]
            {
                *count -= 1;
                if *count > 0 {
                    break;
                }
                depth -= 1;
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

/// A half-precision float (RFC 8949, appendix D), which cbor-x reads and others write.
fn half(decoder: &mut Decoder<'_>) -> Result<f64, Error> {
    let place = decoder.position();
    let [_, high, low] = *decoder.input().get(place..place + 3).ok_or_else(Error::end_of_input)? else {
        return Err(Error::end_of_input());
    };
    decoder.set_position(place + 3);
    let bits = u16::from_be_bytes([high, low]);
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let size = match exponent {
        0 => fraction * f64::exp2(-24.0),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (fraction + 1024.0) * f64::exp2(f64::from(exponent - 25)),
    };
    Ok(if bits >> 15 == 1 { -size } else { size })
}

/// What a step over a value met.
enum Step {
    Value,
    /// So many values follow, or those up to the break.
    Into(Option<u64>),
    Break,
}

fn step(decoder: &mut Decoder<'_>) -> Result<Step, Error> {
    match decoder.datatype()? {
        Type::Array | Type::ArrayIndef => return Ok(Step::Into(decoder.array()?)),
        Type::Map | Type::MapIndef => {
            return Ok(Step::Into(decoder.map()?.map(|pairs| pairs.saturating_mul(2))));
        }
        Type::Tag => {
            decoder.tag()?;
            return Ok(Step::Into(Some(1)));
        }
        Type::Break => {
            decoder.set_position(decoder.position() + 1);
            return Ok(Step::Break);
        }
        Type::Bytes | Type::BytesIndef => decoder.bytes_iter()?.try_for_each(|part| part.map(|_| ()))?,
        Type::String | Type::StringIndef => decoder.str_iter()?.try_for_each(|part| part.map(|_| ()))?,
        Type::Bool => decoder.bool().map(|_| ())?,
        Type::F16 => half(decoder).map(|_| ())?,
        Type::F32 => decoder.f32().map(|_| ())?,
        Type::F64 => decoder.f64().map(|_| ())?,
        Type::Null => decoder.null()?,
        Type::Undefined => decoder.undefined()?,
        Type::Simple => decoder.simple().map(|_| ())?,
        Type::Unknown(_) => return Err(Error::message("no type of CBOR")),
        _ => decoder.int().map(|_| ())?,
    }
    Ok(Step::Value)
}

fn within(what: &'static str, found: u64, allowed: usize) -> Result<(), MessageError> {
    if found > allowed as u64 { Err(MessageError::TooLong { what, found, allowed }) } else { Ok(()) }
}

/// Where the values of a map stand, by their keys: the type of a message, which says what the others must be, may stand
/// last.
pub(super) struct Fields<'b> {
    places: Vec<(&'b str, Reader<'b>)>,
}

impl<'b> Fields<'b> {
    /// Reads one map and leaves the reader behind it.
    pub(super) fn read(what: &'static str, reader: &mut Reader<'b>) -> Result<Self, MessageError> {
        let length = reader.map(what, FIELDS_MAX)?;
        let mut places = Vec::with_capacity(FIELDS_MAX.min(length as usize));
        for _ in 0..length {
            if reader.is_text() {
                let key = reader.text("a key", usize::MAX)?;
                places.push((key, reader.clone()));
            } else {
                reader.pass_over()?;
            }
            reader.pass_over()?;
        }
        Ok(Self { places })
    }

    /// The value of a key, where there is one.
    pub(super) fn find(&self, key: &'static str) -> Result<Option<Reader<'b>>, MessageError> {
        let mut found = self.places.iter().filter(|(name, _)| *name == key).map(|(_, place)| place.clone());
        let first = found.next();
        if found.next().is_some() {
            return Err(MessageError::Twice(key));
        }
        Ok(first.and_then(|mut place| if place.absent() { None } else { Some(place) }))
    }

    /// The value of a key that must be there.
    pub(super) fn need(&self, key: &'static str) -> Result<Reader<'b>, MessageError> {
        self.find(key)?.ok_or(MessageError::Missing(key))
    }
}
