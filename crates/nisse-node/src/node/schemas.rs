//! Schemas of a space's types, as this home declares them and checks by them.

use nisse_model::Role;
use nisse_space::objects::DeclaredType;
use nisse_space::{Misfits, SchemaEntry};

use super::Node;
use super::objects::refused;
use crate::control::{ObjectMisfit, SchemaCheck, SchemaRequest, SpaceSchema};
use crate::error::NodeError;

impl Node {
    /// Declares what objects of a type have to be.
    pub async fn space_schema_put(&self, space: &str, request: SchemaRequest) -> Result<SpaceSchema, NodeError> {
        let registered = self.space_named(space)?;
        self.may(&registered, Role::Edit)?;
        let SchemaRequest { of, schema } = request;
        let declared = match of {
            Some(of) => DeclaredType::parse(&of),
            None => DeclaredType::of_schema(&schema),
        };
        let declared = declared.map_err(|error| refused(&error.into()))?;
        let id = self.new_object_id();
        let done = self.core.spaces.ask(&self.core, &registered, move |space, author| {
            match space.declare_schema(id, (&declared, &schema), author) {
                Ok((entry, effects)) => (Ok(shown(entry)), effects),
                Err(error) => (Err(error), Vec::new()),
            }
        });
        done.await?.map_err(|error| refused(&error))
    }

    /// The schemas that count in a space.
    pub async fn space_schema_list(&self, space: &str) -> Result<Vec<SpaceSchema>, NodeError> {
        let registered = self.space_named(space)?;
        self.may(&registered, Role::Read)?;
        let read = self.core.spaces.ask(&self.core, &registered, |space, _| (space.schemas(), Vec::new()));
        let found = read.await?.map_err(|error| refused(&error))?;
        Ok(found.into_iter().map(shown).collect())
    }

    /// The schema that counts for a type.
    pub async fn space_schema_get(&self, space: &str, of: &str) -> Result<SpaceSchema, NodeError> {
        let (registered, of) = (self.space_named(space)?, of.to_owned());
        self.may(&registered, Role::Read)?;
        let read = self.core.spaces.ask(&self.core, &registered, move |space, _| (space.schema(&of), Vec::new()));
        read.await?.map(shown).map_err(|error| refused(&error))
    }

    /// Takes back what is declared of a type.
    pub async fn space_schema_remove(&self, space: &str, of: &str) -> Result<(), NodeError> {
        let (registered, of) = (self.space_named(space)?, of.to_owned());
        self.may(&registered, Role::Edit)?;
        let done = self.core.spaces.ask(&self.core, &registered, move |space, author| {
            match space.remove_schema(&of, author) {
                Ok(effects) => (Ok(()), effects),
                Err(error) => (Err(error), Vec::new()),
            }
        });
        done.await?.map_err(|error| refused(&error))
    }

    /// The objects that do not fit: what others write is taken whatever a schema says.
    pub async fn space_schema_check(&self, space: &str) -> Result<SchemaCheck, NodeError> {
        let registered = self.space_named(space)?;
        self.may(&registered, Role::Read)?;
        let read = self.core.spaces.ask(&self.core, &registered, |space, _| (space.misfits(), Vec::new()));
        let Misfits { found, checked, is_whole } = read.await?.map_err(|error| refused(&error))?;
        let misfits = found.into_iter().map(|(id, misfit)| ObjectMisfit {
            object: id.to_string(),
            of: misfit.type_uri,
            at: misfit.at,
            reason: misfit.reason,
        });
        Ok(SchemaCheck { checked, whole: is_whole, misfits: misfits.collect() })
    }
}

fn shown(entry: SchemaEntry) -> SpaceSchema {
    let SchemaEntry { id, declared, schema, trouble } = entry;
    SpaceSchema { of: format!("dxn:type:{declared}"), object: id.to_string(), schema, trouble }
}
