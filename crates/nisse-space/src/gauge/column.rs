//! Columns: how many rows their runs name, and how much stands in them.
//!
//! Each kind is read as automerge reads it: all but truths and raw bytes are runs of *n* times a value (n > 0), of −n
//! values (n < 0) or of nulls (n = 0, and then how many); truths are alternating counts, the first of "false".

use super::stream::Stream;
use super::tally::Tally;
use super::{COLUMNS_MAX, GaugeError};

/// What is called by this in an error.
const WHAT: &str = "a column";
/// The bit of a column's specification that says that it is deflated.
const DEFLATED: u32 = 0b1000;

/// One column of a table, as its metadata has it.
#[derive(Clone, Copy)]
pub(super) struct Column {
    specification: u32,
    /// The bytes of its data as they stand there.
    pub(super) bytes: u64,
}

/// What the values of a column are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// How many rows of the following columns belong to a row.
    Count,
    Actor,
    Number,
    Difference,
    Truth,
    Text,
    /// The type of a value and how many raw bytes it has.
    Value,
    Raw,
}

/// Which table a column belongs to: that says which columns automerge reads, and what their rows are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    /// The operations of a change.
    ChangeOperations,
    /// The operations of a document.
    Operations,
    /// The changes of a document.
    Changes,
}

impl Table {
    /// Whether automerge reads columns with this name. What it does not know it inflates and passes over.
    fn knows(self, name: u32) -> bool {
        match self {
            Self::ChangeOperations => matches!(name, 0 | 1 | 3..=5 | 7 | 9 | 10),
            Self::Operations => matches!(name, 0..=5 | 8..=10),
            Self::Changes => matches!(name, 0..=5),
        }
    }

    /// The name of the columns that hold what the rows link to.
    fn links(self) -> u32 {
        match self {
            Self::ChangeOperations => 7,
            Self::Operations => 8,
            Self::Changes => 4,
        }
    }
}

/// What the columns of a table come to.
#[derive(Default)]
pub(super) struct Rows {
    rows: u64,
    links: u64,
}

impl Column {
    /// Reads the metadata of a table.
    pub(super) fn read_all(stream: &mut Stream<'_>) -> Result<Vec<Self>, GaugeError> {
        let found = stream.number(WHAT)?;
        if found > COLUMNS_MAX {
            return Err(GaugeError::TooMuch { what: "columns", found, allowed: COLUMNS_MAX });
        }
        let mut columns = Vec::new();
        for _ in 0..found {
            let specification = stream.number(WHAT)?;
            let specification = u32::try_from(specification).map_err(|_| GaugeError::Number { what: WHAT })?;
            columns.push(Self { specification, bytes: stream.number(WHAT)? });
        }
        Ok(columns)
    }

    pub(super) fn is_deflated(self) -> bool {
        self.specification & DEFLATED != 0
    }

    /// Its specification once inflated.
    pub(super) fn inflated_specification(self) -> u32 {
        self.specification & !DEFLATED
    }

    fn name(self) -> u32 {
        self.specification >> 4
    }

    fn kind(self) -> Kind {
        match self.specification & 0b111 {
            0 => Kind::Count,
            1 => Kind::Actor,
            2 => Kind::Number,
            3 => Kind::Difference,
            4 => Kind::Truth,
            5 => Kind::Text,
            6 => Kind::Value,
            _ => Kind::Raw,
        }
    }

    /// Reads the column's data to its end, and counts it.
    pub(super) fn measure(
        self,
        table: Table,
        actors: u64,
        stream: &mut Stream<'_>,
        rows: &mut Rows,
        tally: &mut Tally<'_>,
    ) -> Result<(), GaugeError> {
        let kind = self.kind();
        if !table.knows(self.name()) || kind == Kind::Raw {
            return stream.skip_rest();
        }
        // The counts are one a row; what they count are rows of their own.
        let is_link = self.name() == table.links() && kind != Kind::Count;
        let (what, allowed) = match table {
            _ if is_link => ("links between operations or changes", tally.limits().links_max),
            Table::Changes => ("changes", tally.limits().changes_max),
            _ => ("operations", tally.limits().operations_max),
        };
        // A link of a change may have its actor as a bare number.
        let kind = if is_link && kind == Kind::Number { Kind::Actor } else { kind };
        let mut reader = Reader { kind, actors, stream, rows: 0, what, allowed, sum: 0 };
        if kind == Kind::Truth {
            reader.truths()?
        } else {
            reader.runs(tally)?
        }
        let (found, sum) = (reader.rows, reader.sum);
        if is_link {
            rows.links = rows.links.max(found);
        } else {
            rows.rows = rows.rows.max(found);
        }
        if kind == Kind::Count {
            rows.links = rows.links.max(sum);
        }
        Ok(())
    }
}

impl Rows {
    /// Adds the largest of what the columns named: in a table that automerge accepts they all name the same.
    pub(super) fn add_to(self, table: Table, tally: &mut Tally<'_>) -> Result<(), GaugeError> {
        if table == Table::Changes {
            tally.add_changes(self.rows)?
        } else {
            tally.add_operations(self.rows)?
        }
        tally.add_links(self.links)
    }
}

/// Reads one column.
struct Reader<'s, 'b> {
    kind: Kind,
    actors: u64,
    stream: &'s mut Stream<'b>,
    rows: u64,
    /// What the rows are.
    what: &'static str,
    /// How many rows there may be.
    allowed: u64,
    /// What counts, or lengths of raw bytes, come to.
    sum: u64,
}

impl Reader<'_, '_> {
    fn add_rows(&mut self, count: u64) -> Result<(), GaugeError> {
        self.rows = self.rows.saturating_add(count);
        if self.rows > self.allowed {
            return Err(GaugeError::TooMuch { what: self.what, found: self.rows, allowed: self.allowed });
        }
        Ok(())
    }

    fn truths(&mut self) -> Result<(), GaugeError> {
        while !self.stream.ended()? {
            let count = self.stream.number(WHAT)?;
            self.add_rows(count)?;
        }
        Ok(())
    }

    fn runs(&mut self, tally: &mut Tally<'_>) -> Result<(), GaugeError> {
        while !self.stream.ended()? {
            let count = self.stream.signed(WHAT)?;
            if count == 0 {
                let nulls = self.stream.number(WHAT)?;
                self.add_rows(nulls)?;
            } else if count > 0 {
                self.add_rows(count.unsigned_abs())?;
                self.value(count.unsigned_abs(), tally)?;
            } else {
                self.add_rows(count.unsigned_abs())?;
                for _ in 0..count.unsigned_abs() {
                    self.value(1, tally)?;
                }
            }
        }
        Ok(())
    }

    /// Reads a value that stands for so many rows.
    fn value(&mut self, count: u64, tally: &mut Tally<'_>) -> Result<(), GaugeError> {
        match self.kind {
            Kind::Difference => _ = self.stream.signed(WHAT)?,
            Kind::Text => {
                let bytes = self.stream.number(WHAT)?;
                tally.add_expanded(bytes.saturating_mul(count))?;
                self.stream.skip(WHAT, bytes)?;
            }
            Kind::Actor => {
                let found = self.stream.number(WHAT)?;
                if found >= self.actors {
                    return Err(GaugeError::Actor { found, actors: self.actors });
                }
            }
            Kind::Count => {
                let found = self.stream.number(WHAT)?;
                let allowed = tally.limits().links_max;
                self.add_sum("links between operations or changes", found.saturating_mul(count), allowed)?;
            }
            Kind::Value => {
                let bytes = self.stream.number(WHAT)? >> 4;
                // They stand in the column that follows, so that they can't be more than all there is.
                let allowed = tally.limits().inflated_bytes_max;
                self.add_sum("bytes of values", bytes.saturating_mul(count), allowed)?;
            }
            Kind::Number | Kind::Truth | Kind::Raw => _ = self.stream.number(WHAT)?,
        }
        Ok(())
    }

    fn add_sum(&mut self, what: &'static str, more: u64, allowed: u64) -> Result<(), GaugeError> {
        self.sum = self.sum.saturating_add(more);
        if self.sum > allowed {
            return Err(GaugeError::TooMuch { what, found: self.sum, allowed });
        }
        Ok(())
    }
}
