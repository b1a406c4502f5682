//! space schema put, ls, get, rm, check.

use nisse_node::control::{ObjectMisfit, SchemaCheck, SchemaRequest, SpaceSchema};

use super::super::client;
use super::{from_stdin, parsed, path, segment};
use crate::cli::{SchemaCommand, Shared};
use crate::failure::{Failure, unreadable};
use crate::output;

pub(super) async fn run(shared: &Shared, command: SchemaCommand) -> Result<(), Failure> {
    match command {
        SchemaCommand::Put { space, file, of } => {
            let text = match file.as_os_str() == "-" {
                true => from_stdin()?,
                false => std::fs::read_to_string(&file).map_err(|error| unreadable(&file, &error))?,
            };
            let request = SchemaRequest { of, schema: parsed(&text)? };
            let declared: SpaceSchema = client(shared).await?.post(&path(&space, "/schemas"), &request).await?;
            match shared.json {
                true => output::json(&declared),
                false => output::line(&declared.of),
            }
        }
        SchemaCommand::Ls { space } => {
            list(shared, &client(shared).await?.get::<Vec<_>>(&path(&space, "/schemas")).await?)
        }
        SchemaCommand::Get { space, of } => {
            let found: SpaceSchema = client(shared).await?.get(&of_type(&space, &of)).await?;
            match shared.json {
                true => output::json(&found),
                false => output::json(&found.schema),
            }
        }
        SchemaCommand::Rm { space, of } => client(shared).await?.delete(&of_type(&space, &of)).await?,
        SchemaCommand::Check { space } => {
            check(shared, &client(shared).await?.get(&path(&space, "/misfits")).await?);
        }
    }
    Ok(())
}

fn of_type(space: &str, of: &str) -> String {
    path(space, &format!("/schemas/{}", segment(of)))
}

fn list(shared: &Shared, schemas: &[SpaceSchema]) {
    if shared.json {
        return output::json(&schemas);
    }
    let row = |one: &SpaceSchema| vec![one.of.clone(), one.object.clone(), one.trouble.clone().unwrap_or_default()];
    output::table(&["type", "object", "trouble"], &schemas.iter().map(row).collect::<Vec<_>>());
}

fn check(shared: &Shared, check: &SchemaCheck) {
    if shared.json {
        return output::json(check);
    }
    let row = |one: &ObjectMisfit| vec![one.object.clone(), one.of.clone(), one.at.clone(), one.reason.clone()];
    output::table(&["object", "type", "at", "why it does not fit"], &check.misfits.iter().map(row).collect::<Vec<_>>());
    let (checked, misfits) = (check.checked, check.misfits.len());
    let rest = if check.whole { "" } else { "; it ended there, since more is too much at a time" };
    output::note(false, &format!("{checked} objects were looked at, and {misfits} do not fit{rest}"));
}
