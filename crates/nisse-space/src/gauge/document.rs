//! The body of a document chunk: actors, heads, the columns of its changes and of its operations, and where the heads
//! stand among the changes.

use super::column::{Column, Rows, Table};
use super::stream::{Stream, number_bytes};
use super::tally::Tally;
use super::{GaugeError, HASH_BYTES, PREFIX_BYTES, change};

const WHAT: &str = "a document";

/// Measures a document.
pub(super) fn measure(body: &[u8], tally: &mut Tally<'_>) -> Result<(), GaugeError> {
    let mut stream = Stream::plain(body);
    let actors = change::read_actors(&mut stream, tally)?;
    let heads = stream.number(WHAT)?;
    stream.skip(WHAT, heads.saturating_mul(HASH_BYTES))?;
    // What is not in a table is as long as before.
    let mut inflated = PREFIX_BYTES + stream.taken();
    let changes = Column::read_all(&mut stream)?;
    let operations = Column::read_all(&mut stream)?;
    let mut rest = stream.rest();
    for (table, columns) in [(Table::Changes, changes), (Table::Operations, operations)] {
        rest = measure_table(table, &columns, actors, rest, &mut inflated, tally)?;
    }
    inflated = inflated.saturating_add(rest.len() as u64);
    let mut stream = Stream::plain(rest);
    // Old documents have nothing here.
    if !stream.ended()? {
        for _ in 0..heads {
            stream.number(WHAT)?;
        }
        if !stream.ended()? {
            return Err(GaugeError::Trailing { what: WHAT });
        }
    }
    tally.add_inflated(inflated.saturating_add(number_bytes(inflated - PREFIX_BYTES)))
}

/// Measures the columns of a table, adds what they and their metadata come to once inflated, and gives what follows.
fn measure_table<'b>(
    table: Table,
    columns: &[Column],
    actors: u64,
    mut rest: &'b [u8],
    inflated: &mut u64,
    tally: &mut Tally<'_>,
) -> Result<&'b [u8], GaugeError> {
    let mut rows = Rows::default();
    *inflated += number_bytes(columns.len() as u64);
    for column in columns {
        let bytes = usize::try_from(column.bytes).unwrap_or(usize::MAX);
        let (data, after) = rest.split_at_checked(bytes).ok_or(GaugeError::Truncated { what: "a column" })?;
        let mut stream = if column.is_deflated() {
            Stream::inflating(data, tally.inflated_left().saturating_sub(*inflated))
        } else {
            Stream::plain(data)
        };
        column.measure(table, actors, &mut stream, &mut rows, tally)?;
        *inflated += number_bytes(column.inflated_specification().into());
        *inflated += number_bytes(stream.taken()) + stream.taken();
        rest = after;
    }
    rows.add_to(table, tally)?;
    Ok(rest)
}
