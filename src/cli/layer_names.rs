//! Layers by their names.

use anyhow::{Result, anyhow, bail};
use glob::Pattern;

use crate::engine::net::Net;
use crate::nearest::nearest;

/// The layers that are called so, by their index. A name that no layer has is a pattern.
pub fn layers_named(net: &Net, names: &[String]) -> Result<Vec<usize>> {
    let all: Vec<String> = net
        .layers()
        .iter()
        .map(|layer| layer.name.clone())
        .collect();
    let mut found = Vec::new();
    for name in names {
        let before = found.len();
        let indices = |is: &dyn Fn(&str) -> bool| {
            let layers = all.iter().enumerate();
            let those = layers
                .filter(|(_, layer)| is(layer))
                .map(|(index, _)| index);
            those.collect::<Vec<_>>()
        };
        found.extend(indices(&|layer| layer == name));
        if found.len() == before {
            let pattern = Pattern::new(name)
                .map_err(|error| anyhow!("--float-layers {name}: not a pattern: {error}"))?;
            found.extend(indices(&|layer| pattern.matches(layer)));
        }
        if found.len() == before {
            let near = match nearest(name, &all) {
                near if near.is_empty() => String::new(),
                near => format!("; similar ones: {}", near.join(", ")),
            };
            bail!("--float-layers {name}: no layer is called so{near}; `inspect` lists all");
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::net::{Kind, Layer, Shape, Span};
    use edge_classify_kernels::Activation;

    #[test]
    fn names_and_patterns_find_layers() {
        let shape = Shape {
            height: 1,
            width: 1,
            channels: 2,
        };
        let span = |value| Span {
            value,
            first: 0,
            channels: 2,
        };
        let names = [
            "/blocks.0/conv/Conv",
            "/blocks.1/conv/Conv",
            "/head[1]/Gemm",
        ];
        let layers = names.iter().enumerate().map(|(index, name)| Layer {
            name: (*name).to_owned(),
            kind: Kind::Activate,
            activation: Activation::Identity,
            input: span(index),
            output: span(index + 1),
        });
        let net = Net::new(vec![shape; 4], layers.collect(), 0, span(3)).unwrap();
        let found = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            layers_named(&net, &names).map_err(|error| error.to_string())
        };
        assert!(found(&[]).unwrap().is_empty());
        assert_eq!(
            found(&["/head[1]/Gemm", "*Conv", "/blocks.1*"]).unwrap(),
            [0, 1, 2]
        );
        let error = found(&["/blocks.1/conv/Con"]).unwrap_err();
        assert!(
            error.contains("/blocks.1/conv/Conv") && error.contains("inspect"),
            "{error}"
        );
        let error = found(&["["]).unwrap_err();
        assert!(error.contains("not a pattern"), "{error}");
        assert!(found(&["x*"]).is_err());
    }
}
