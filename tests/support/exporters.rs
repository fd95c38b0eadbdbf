//! Models that other exporters wrote, changed for tests, and `models import`.

use std::path::Path;
use std::process::Output;

use edge_classify::compile;
use edge_classify::model::{Installed, Library};
use edge_classify::zoo::synthetic_tensor;
use npyz::WriterBuilder;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_shape_proto::Dimension;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto, type_proto,
};

use super::{npy, program, stderr};

pub const EXPORTS: &str = "tests/data/exporters";

pub fn import(file: &Path, into: &Path, more: &[&str]) -> Output {
    let mut command = program();
    command
        .args(["models", "import"])
        .arg(file)
        .arg("--into")
        .arg(into);
    command.args(more).output().unwrap()
}

pub fn assert_imported(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    assert!(output.stdout.is_empty());
}

pub fn logits(directory: &Path, model: &str, size: usize) -> Vec<f32> {
    let tensor = directory.join("in.npy");
    let mut bytes = Vec::new();
    let shape = [1, 3, size as u64, size as u64];
    let options = npyz::WriteOptions::new().default_dtype().shape(&shape);
    let mut writer = options.writer(&mut bytes).begin_nd().unwrap();
    writer
        .extend(synthetic_tensor("input", &[1, 3, size, size], 1))
        .unwrap();
    writer.finish().unwrap();
    std::fs::write(&tensor, bytes).unwrap();
    let out = directory.join("out.npy");
    let output = program()
        .args(["infer", model, "--tensor"])
        .arg(&tensor)
        .arg("--output")
        .arg(&out)
        .env("EDGE_CLASSIFY_MODELS", directory)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    npy(&out)
}

pub fn installed(directory: &Path, name: &str) -> Installed {
    Library::new(vec![directory.to_owned()]).find(name).unwrap()
}

pub fn geffnet() -> ModelProto {
    let bytes = std::fs::read(Path::new(EXPORTS).join("geffnet.onnx")).unwrap();
    compile::parse(&bytes).unwrap()
}

/// Its input under another name, which `step` turns into what the network expects.
pub fn put_before(model: &mut ModelProto, op_type: &str, inputs: usize, attribute: AttributeProto) {
    let graph = model.graph.as_mut().unwrap();
    picture_input(graph).name = "pictures".to_owned();
    let node = NodeProto {
        op_type: op_type.to_owned(),
        input: vec!["pictures".to_owned(); inputs],
        output: vec!["input".to_owned()],
        attribute: vec![attribute],
        ..Default::default()
    };
    graph.node.insert(0, node);
}

/// Its output through `op_type`.
pub fn put_behind(model: &mut ModelProto, op_type: &str) {
    let graph = model.graph.as_mut().unwrap();
    let logits = std::mem::replace(&mut graph.output[0].name, "scores".to_owned());
    graph.node.push(NodeProto {
        op_type: op_type.to_owned(),
        input: vec![logits],
        output: vec!["scores".to_owned()],
        ..Default::default()
    });
}

/// The products of the picture's planes with each other: of such a network, no layer of ours does the work.
pub fn correlations() -> ModelProto {
    let mut model = geffnet();
    let graph = model.graph.as_mut().unwrap();
    let picture = picture_input(graph).name.clone();
    graph.initializer.clear();
    graph.input.retain(|input| input.name == picture);
    let node = |op_type: &str, input: &[&str], output: &str, attribute| NodeProto {
        op_type: op_type.to_owned(),
        input: input.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.to_owned()],
        attribute: vec![attribute],
        ..Default::default()
    };
    graph.node = vec![
        node("Flatten", &[&picture], "planes", integer("axis", 2)),
        node(
            "Transpose",
            &["planes"],
            "pixels",
            integers("perm", &[1, 0]),
        ),
        node(
            "MatMul",
            &["planes", "pixels"],
            "products",
            integer("unused", 0),
        ),
        node("Flatten", &["products"], "scores", integer("axis", 0)),
    ];
    graph.node[2].attribute.clear();
    graph.value_info.clear();
    graph.output[0].name = "scores".to_owned();
    graph.output[0].r#type = None;
    model
}

fn integers(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        r#type: AttributeType::Ints as i32,
        ints: values.to_vec(),
        ..Default::default()
    }
}

pub fn integer(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        r#type: AttributeType::Int as i32,
        i: value,
        ..Default::default()
    }
}

pub fn save(model: &ModelProto, file: &Path) {
    std::fs::write(file, prost::Message::encode_to_vec(model)).unwrap();
}

pub fn picture_input(graph: &mut GraphProto) -> &mut ValueInfoProto {
    let mut inputs = graph.input.iter_mut();
    inputs.find(|input| input.name == "input").unwrap()
}

pub fn dimensions(input: &mut ValueInfoProto) -> &mut [Dimension] {
    let kind = input.r#type.as_mut().unwrap().value.as_mut().unwrap();
    let type_proto::Value::TensorType(tensor) = kind;
    &mut tensor.shape.as_mut().unwrap().dim
}
