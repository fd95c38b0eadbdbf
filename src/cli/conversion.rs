//! A network of the zoo and its weights as a model that can be written: what `export` and `models pull` share.

use std::io::Write;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::model::{Package, Scores, Weights as WeightsOrigin, hex, metadata};
use crate::preprocess::Spec;
use crate::zoo::{self, Export, ExportError, Graph, NetworkDef, Weights};

pub const IMAGENET_CLASSES: usize = 1000;

/// Names of the ImageNet classes, for models of as many classes that come without labels.
pub fn default_labels(classes: usize) -> Option<String> {
    let imagenet = include_str!("../../models/imagenet_labels.txt");
    (classes == IMAGENET_CLASSES).then(|| imagenet.to_owned())
}

/// What to make of a network.
pub struct Conversion<'a> {
    /// Name of the model, which need not be that of its network.
    pub name: String,
    pub network: &'a NetworkDef,
    pub weights: &'a Weights,
    /// Where the weights come from, and their licence.
    pub source: String,
    pub licence: String,
    pub classes: usize,
    pub preprocess: Spec,
    /// Text of the labels file.
    pub labels: Option<String>,
    pub opset: i64,
    pub fold_bn: bool,
}

/// A conversion that has been found possible: the weights fit the network.
pub struct Built<'a> {
    pub package: Package,
    graph: Graph,
    weights: &'a Weights,
    network: &'a NetworkDef,
    metadata: Vec<(String, String)>,
    classes: usize,
    opset: i64,
    fold_bn: bool,
}

impl<'a> Conversion<'a> {
    pub fn build(self) -> Result<Built<'a>> {
        let network = self.network;
        let size = self.preprocess.size.width as usize;
        let graph = zoo::graph(network, size, self.classes)?;
        self.weights.check(&graph.tensors())?;
        self.preprocess
            .validate()
            .with_context(|| network.name.clone())?;
        Ok(Built {
            metadata: self.metadata(),
            package: Package {
                name: self.name,
                description: format!("{} ({})", network.name, network.family),
                scores: Scores::Logits,
                preprocess: self.preprocess,
                weights: WeightsOrigin {
                    source: self.source,
                    licence: self.licence,
                },
                labels: self.labels,
            },
            graph,
            weights: self.weights,
            network,
            classes: self.classes,
            opset: self.opset,
            fold_bn: self.fold_bn,
        })
    }

    fn metadata(&self) -> Vec<(String, String)> {
        let mut properties = vec![
            ("name".to_owned(), self.network.name.clone()),
            ("family".to_owned(), self.network.family.clone()),
            ("weights".to_owned(), self.source.clone()),
        ];
        properties.extend(metadata::properties(&self.preprocess));
        if let Some(labels) = &self.labels {
            let sha256 = hex(&Sha256::digest(labels));
            properties.push(("labels.sha256".to_owned(), sha256));
        }
        properties
    }
}

impl Built<'_> {
    /// Writes the ONNX file.
    pub fn write(&self, out: &mut dyn Write) -> Result<(), ExportError> {
        let export = Export {
            graph: &self.graph,
            weights: self.weights,
            opset: self.opset,
            fold_bn: self.fold_bn,
            name: &self.network.name,
            metadata: self.metadata.clone(),
        };
        export.write(out)
    }

    /// Its size in figures, for people.
    pub fn summary(&self) -> String {
        let size = self.package.preprocess.size;
        format!(
            "{:.2} M parameters, {:.0} M multiply-adds at {size}, {} classes",
            self.graph.parameters() as f64 / 1e6,
            self.graph.multiply_adds() as f64 / 1e6,
            self.classes,
        )
    }
}
