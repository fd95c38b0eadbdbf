//! A repository of the hub, as it answers for it.

use edge_classify::model::hex;
use edge_classify::zoo::{self, Registry, synthetic_tensor};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use sha2::{Digest, Sha256};

use super::server::{Request, Response};

pub const NETWORK: &str = "mnasnet_small";
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
pub const REPOSITORY: &str = "timm/mnasnet_small.lamb_in1k";

/// Weights as timm's repositories hold them.
pub fn weights(classes: usize) -> Vec<u8> {
    let registry = Registry::bundled();
    let graph = zoo::graph(registry.get(NETWORK).unwrap(), 224, classes).unwrap();
    let tensors: Vec<_> = graph
        .tensors()
        .into_iter()
        .map(|tensor| {
            let values = synthetic_tensor(&tensor.name, &tensor.shape, 1);
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            (tensor, bytes)
        })
        .collect();
    let views = tensors.iter().map(|(tensor, bytes)| {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes);
        (tensor.name.as_str(), view.unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

pub const CONFIG: &str = r#"{"architecture": "mnasnet_small", "num_classes": 1000, "pretrained_cfg": {
    "input_size": [3, 224, 224], "interpolation": "bilinear", "crop_pct": 0.875, "crop_mode": "center",
    "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}}"#;

/// What a repository holds.
pub struct Repository {
    pub name: &'static str,
    pub config: String,
    pub weights: Vec<u8>,
    pub sha256: String,
}

impl Repository {
    pub fn new(weights: Vec<u8>) -> Self {
        Repository {
            name: REPOSITORY,
            config: CONFIG.to_owned(),
            sha256: hex(&Sha256::digest(&weights)),
            weights,
        }
    }

    pub fn weights_path(&self) -> String {
        format!("/{}/resolve/{COMMIT}/model.safetensors", self.name)
    }

    /// As the hub answers.
    pub fn answer(&self, request: &Request) -> Response {
        let path = request.target.split('?').next().unwrap();
        if path == format!("/api/models/{}/revision/main", self.name) {
            let (sha256, size) = (&self.sha256, self.weights.len());
            let info = format!(
                r#"{{"sha": "{COMMIT}", "cardData": {{"license": "apache-2.0"}}, "siblings": [
                    {{"rfilename": "config.json", "size": {}}},
                    {{"rfilename": "model.safetensors", "size": {size}, "lfs": {{"sha256": "{sha256}", "size": {size}}}}}
                ]}}"#,
                self.config.len()
            );
            Response::new(200, info)
        } else if path == format!("/{}/resolve/{COMMIT}/config.json", self.name) {
            Response::new(200, self.config.as_str())
        } else if path == self.weights_path() {
            Response::file(request, &self.weights)
        } else {
            Response::new(404, r#"{"error": "Repository not found"}"#)
        }
    }
}
