//! The body of a change chunk.

use super::column::{Column, Rows, Table};
use super::stream::Stream;
use super::tally::Tally;
use super::{GaugeError, HASH_BYTES};

const WHAT: &str = "a change";
/// The longest name of an actor that there is room for.
const ROOM_BYTES: usize = 256;

/// Measures a change from its first byte to its last.
pub(super) fn measure(stream: &mut Stream<'_>, tally: &mut Tally<'_>) -> Result<(), GaugeError> {
    tally.add_changes(1)?;
    let dependencies = stream.number(WHAT)?;
    tally.add_links(dependencies)?;
    stream.skip(WHAT, dependencies.saturating_mul(HASH_BYTES))?;
    read_actor(stream, tally)?;
    // Its number, its first operation, its time.
    stream.number(WHAT)?;
    stream.number(WHAT)?;
    stream.signed(WHAT)?;
    let message = stream.number(WHAT)?;
    stream.skip(WHAT, message)?;
    let others = read_actors(stream, tally)?;
    let columns = Column::read_all(stream)?;
    let mut rows = Rows::default();
    for column in columns {
        if column.is_deflated() {
            return Err(GaugeError::DeflatedColumn);
        }
        let end = stream.taken().saturating_add(column.bytes);
        stream.fence(column.bytes);
        column.measure(Table::ChangeOperations, others + 1, stream, &mut rows, tally)?;
        stream.unfence();
        if stream.taken() != end {
            return Err(GaugeError::Truncated { what: "a column" });
        }
    }
    rows.add_to(Table::ChangeOperations, tally)?;
    stream.skip_rest()
}

/// Reads a list of actors, and tells how many there are.
pub(super) fn read_actors(stream: &mut Stream<'_>, tally: &mut Tally<'_>) -> Result<u64, GaugeError> {
    let found = stream.number(WHAT)?;
    let allowed = tally.limits().actors_max;
    if found > allowed {
        return Err(GaugeError::TooMuch { what: "actors", found, allowed });
    }
    for _ in 0..found {
        read_actor(stream, tally)?;
    }
    Ok(found)
}

fn read_actor(stream: &mut Stream<'_>, tally: &mut Tally<'_>) -> Result<(), GaugeError> {
    let found = stream.number(WHAT)?;
    let allowed = tally.limits().actor_bytes_max.min(ROOM_BYTES as u64);
    if found > allowed {
        return Err(GaugeError::TooMuch { what: "bytes of an actor's name", found, allowed });
    }
    let mut room = [0; ROOM_BYTES];
    let name = &mut room[..found as usize];
    stream.fill(WHAT, name)?;
    tally.add_actor(name)
}
