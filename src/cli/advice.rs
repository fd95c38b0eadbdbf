//! What to do about a model that is not installed.

use crate::zoo::{Registry, RegistryError};

/// What the zoo has of the name of a model that is not installed.
pub fn of_the_zoo(name: &str) -> String {
    let registry = Registry::bundled();
    match registry.get(name) {
        Ok(network) if network.timm.is_some() => {
            format!("\nit can be fetched: edge-classify models pull {name}")
        }
        Ok(_) => format!(
            "\nit can be made from weights: edge-classify export {name} --weights FILE -o {name}.onnx"
        ),
        Err(RegistryError::Unknown { nearest, .. }) if !nearest.is_empty() => {
            format!(
                "\nnetworks that are called alike (see models list): {}",
                nearest.join(", ")
            )
        }
        Err(_) => String::new(),
    }
}
