//! Any bytes: reading an export of a space never panics, and comes to the same in whatever pieces they come.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nisse_space::{ExportError, ExportPart, ExportReader, item_of_stored};

fn read<'b>(pieces: impl Iterator<Item = &'b [u8]>) -> (Vec<ExportPart>, Result<(), ExportError>) {
    let (mut reader, mut parts) = (ExportReader::default(), Vec::new());
    for piece in pieces {
        reader.push(piece);
        loop {
            match reader.part() {
                Ok(Some(part)) => parts.push(part),
                Ok(None) => break,
                Err(error) => return (parts, Err(error)),
            }
        }
    }
    (parts, reader.finish())
}

fuzz_target!(|bytes: &[u8]| {
    let whole = read(std::iter::once(bytes));
    assert_eq!(whole, read(bytes.chunks(7)));
    for part in whole.0 {
        if let ExportPart::Chunk(stored) = part {
            let _ = item_of_stored(&stored);
        }
    }
});
