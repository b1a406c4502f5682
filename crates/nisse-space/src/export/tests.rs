//! What reads as an export, and what does not.

use nisse_model::{CredentialId, Hash256, Timestamp};
use proptest::prelude::*;

use super::codec::Writer;
use super::*;

fn header() -> ExportHeader {
    ExportHeader { space: CredentialId(Hash256([7; 32])), name: "notes".to_owned(), begun: Timestamp(1_000) }
}

/// An export of parts that mean nothing.
fn export() -> Vec<u8> {
    let (mut writer, mut bytes) = Writer::begin(&header());
    writer.credential(b"a credential", &mut bytes);
    writer.chunk(b"a chunk", &mut bytes);
    writer.chunk(&[9; 300], &mut bytes);
    writer.credential(b"late", &mut bytes);
    bytes.extend(writer.end());
    bytes
}

fn parts() -> Vec<ExportPart> {
    vec![
        ExportPart::Header(header()),
        ExportPart::Credential(b"a credential".to_vec()),
        ExportPart::Chunk(b"a chunk".to_vec()),
        ExportPart::Chunk(vec![9; 300]),
        ExportPart::Credential(b"late".to_vec()),
        ExportPart::End,
    ]
}

/// All parts of what comes in these pieces, and what is said of it.
fn read<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> (Vec<ExportPart>, Result<(), ExportError>) {
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

#[test]
fn it_reads_as_it_was_written_in_whatever_pieces_it_comes() {
    let bytes = export();
    for length in [1, 2, 3, 5, 19, 64, bytes.len()] {
        assert_eq!(read(bytes.chunks(length)), (parts(), Ok(())), "in pieces of {length}");
    }
}

#[test]
fn one_that_is_cut_anywhere_says_so_and_never_ends() {
    let bytes = export();
    for length in 0..bytes.len() {
        let (parts, end) = read([&bytes[..length]]);
        assert_eq!(end, Err(ExportError::Cut { bytes: length as u64 }));
        assert!(!parts.contains(&ExportPart::End));
    }
    let more = [bytes.as_slice(), b"!"].concat();
    assert_eq!(read([more.as_slice()]).1, Err(ExportError::Misplaced { at: bytes.len() as u64 }));
    assert_eq!(read([more.as_slice(), &bytes]).1, Err(ExportError::Misplaced { at: bytes.len() as u64 }));
}

#[test]
fn one_of_which_any_byte_is_another_is_never_read_to_its_end() {
    let bytes = export();
    for place in 0..bytes.len() {
        for bit in [1, 0x80] {
            let mut damaged = bytes.clone();
            damaged[place] ^= bit;
            let (_, end) = read([damaged.as_slice()]);
            assert!(end.is_err(), "byte {place}");
        }
    }
}

#[test]
fn what_is_no_export_or_one_of_another_version_is_told() {
    for foreign in [&b"PK\x03\x04"[..], b"nisse space exporT\x01", b"\0", b"nisse identity"] {
        assert_eq!(read([foreign]).1, Err(ExportError::Foreign), "{foreign:?}");
    }
    let mut newer = export();
    newer[18] = 2;
    assert_eq!(read([newer.as_slice()]).1, Err(ExportError::Version(2)));
    assert_eq!(ExportError::Version(2).to_string(), "read an export of version 2: this nisse knows version 1");
}

#[test]
fn an_enormous_part_is_refused_before_it_is_waited_for() {
    let (_, begin) = Writer::begin(&header());
    let at = begin.len() as u64;
    for (kind, max) in [(1, Credential::LENGTH_MAX), (2, Chunk::LENGTH_MAX), (255, 32)] {
        for length in [max as u32 + 1, u32::MAX] {
            let [a, b, c, d] = length.to_be_bytes();
            let bytes = [begin.as_slice(), &[kind, a, b, c, d]].concat();
            assert_eq!(read([bytes.as_slice()]).1, Err(ExportError::TooLong { at, length, max }));
        }
    }
    for kind in [0, 3, 254] {
        let bytes = [begin.as_slice(), &[kind, 0, 0, 0, 1, 0]].concat();
        assert_eq!(read([bytes.as_slice()]).1, Err(ExportError::Misplaced { at }), "kind {kind}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic_and_held_no_longer_than_a_part(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        at in 0_usize..200,
        length in 1_usize..50,
    ) {
        let mut export = export();
        let at = at.min(export.len());
        export.splice(at..at, bytes.iter().copied());
        for bytes in [&bytes, &export] {
            let (_, end) = read(bytes.chunks(length));
            prop_assert!(end.is_err() || *bytes == self::export());
        }
    }
}
