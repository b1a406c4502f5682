//! Writes CBOR as cbor-x does: maps with a 16-bit length, numbers past 32 bits as floats.

/// Writes values as cbor-x does.
#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The shortest head of a value: its major type and a number.
    fn head(&mut self, major: u8, number: u64) {
        let major = major << 5;
        if number < 24 {
            self.bytes.push(major | number as u8);
        } else if let Ok(number) = u8::try_from(number) {
            self.bytes.extend([major | 24, number]);
        } else if let Ok(number) = u16::try_from(number) {
            self.bytes.push(major | 25);
            self.bytes.extend(number.to_be_bytes());
        } else if let Ok(number) = u32::try_from(number) {
            self.bytes.push(major | 26);
            self.bytes.extend(number.to_be_bytes());
        } else {
            self.bytes.push(major | 27);
            self.bytes.extend(number.to_be_bytes());
        }
    }

    /// The head of a map, always with a 16-bit length.
    pub(super) fn map(&mut self, pairs: u16) -> &mut Self {
        self.bytes.push(0xb9);
        self.bytes.extend(pairs.to_be_bytes());
        self
    }

    pub(super) fn list(&mut self, length: usize) -> &mut Self {
        self.head(4, length as u64);
        self
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.head(3, text.len() as u64);
        self.bytes.extend(text.as_bytes());
        self
    }

    pub(super) fn data(&mut self, data: &[u8]) -> &mut Self {
        self.head(2, data.len() as u64);
        self.bytes.extend(data);
        self
    }

    /// A number as JavaScript has it: past 32 bits a float, since cbor-x reads a 64-bit one as a BigInt.
    pub(super) fn number(&mut self, number: u64) -> &mut Self {
        if u32::try_from(number).is_ok() {
            self.head(0, number);
        } else {
            self.bytes.push(0xfb);
            self.bytes.extend((number as f64).to_be_bytes());
        }
        self
    }

    pub(super) fn boolean(&mut self, value: bool) -> &mut Self {
        self.bytes.push(if value { 0xf5 } else { 0xf4 });
        self
    }
}
