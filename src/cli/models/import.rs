use anyhow::Result;

use super::args::ImportArgs;

pub fn import(_args: &ImportArgs) -> Result<()> {
    todo!()
}
