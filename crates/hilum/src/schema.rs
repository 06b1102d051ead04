//! `hilum schema`: the JSON Schema of what Hilum writes.

use anyhow::Result;

use crate::arguments::{SchemaArguments, SchemaOf};

pub(crate) fn run(arguments: &SchemaArguments) -> Result<()> {
    match arguments.of {
        SchemaOf::Findings => print!("{}", hilum_findings::schema()),
    }
    Ok(())
}
