//! Any bytes: reading an invocation record never panics, and what reads as one has exactly this form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nisse_model::InvocationRecord;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = InvocationRecord::decode(bytes) {
        assert_eq!(record.encode(), bytes);
    }
});
