//! The document that everybody in a space finds first.

use nisse_model::{CredentialId, Hash256};

use crate::document_id::DocumentId;
use crate::objects::ObjectId;

/// Its name follows from the space's, so that nobody has to be told it. It has the form of a UUID of version 8, which says
/// that its bits are the maker's own (RFC 9562 §5.8): clients of automerge-repo expect some UUID.
pub fn root_document(space: CredentialId) -> DocumentId {
    named(Hash256::of_parts(&[b"nisse space root v1", &space.0.0]))
}

/// The document of an object that has one of its own: wherever it is made, it is the same.
pub(crate) fn object_document(space: CredentialId, object: ObjectId) -> DocumentId {
    named(Hash256::of_parts(&[b"nisse space object v1", &space.0.0, object.to_string().as_bytes()]))
}

fn named(Hash256(digest): Hash256) -> DocumentId {
    let mut name = [0; 16];
    name.copy_from_slice(&digest[..16]);
    name[6] = name[6] & 0x0f | 0x80;
    name[8] = name[8] & 0x3f | 0x80;
    DocumentId(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_space_has_its_own_and_it_never_changes() {
        let root = root_document(CredentialId(Hash256([1; 32])));
        assert_ne!(root, root_document(CredentialId(Hash256([2; 32]))));
        assert_eq!(root.to_string(), "Fgwi7oBsT2jf3oHf1mTc2fg7Azh");
        assert_eq!((root.0[6] >> 4, root.0[8] >> 6), (8, 2));
    }
}
