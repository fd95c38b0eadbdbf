//! The softmax at the end of a network, which turns logits into probabilities.

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};

/// Takes the softmax at the end out, or before what only changes the shape there. False if there is none.
pub fn drop_softmax(model: &mut ModelProto) -> bool {
    model.graph.as_mut().is_some_and(drop_from)
}

fn drop_from(graph: &mut GraphProto) -> bool {
    let [output] = graph.output.as_slice() else {
        return false;
    };
    let mut name = output.name.clone();
    loop {
        let readers = graph
            .node
            .iter()
            .flat_map(|node| &node.input)
            .filter(|input| **input == name);
        // The output itself is read by whoever runs the network.
        let most = usize::from(name != output.name);
        let Some(place) = graph
            .node
            .iter()
            .position(|node| node.output.first() == Some(&name))
        else {
            return false;
        };
        if readers.count() > most {
            return false;
        }
        let node = &graph.node[place];
        let Some(input) = node.input.first().cloned() else {
            return false;
        };
        if is_softmax(node) {
            // In its place, what was to be its input goes through.
            let identity = &mut graph.node[place];
            identity.op_type = "Identity".to_owned();
            identity.attribute.clear();
            return true;
        }
        let reshapes = [
            "Identity",
            "Reshape",
            "Flatten",
            "Squeeze",
            "Unsqueeze",
            "Cast",
            "Dropout",
        ];
        if !node.domain.is_empty() || !reshapes.contains(&node.op_type.as_str()) {
            return false;
        }
        name = input;
    }
}

fn is_softmax(node: &NodeProto) -> bool {
    let axis = node
        .attribute
        .iter()
        .find(|attribute| attribute.name == "axis");
    let over_classes = axis.is_none_or(|axis| axis.i == 1 || axis.i == -1);
    node.op_type == "Softmax" && node.domain.is_empty() && over_classes
}

#[cfg(test)]
mod tests {
    use super::*;
    use tract_onnx::pb::{AttributeProto, ValueInfoProto};

    fn node(op_type: &str, input: &str, output: &str) -> NodeProto {
        NodeProto {
            op_type: op_type.to_owned(),
            input: vec![input.to_owned()],
            output: vec![output.to_owned()],
            ..NodeProto::default()
        }
    }

    fn softmaxes_left(nodes: &[NodeProto]) -> usize {
        let mut graph = GraphProto {
            node: nodes.to_vec(),
            output: vec![ValueInfoProto {
                name: "y".to_owned(),
                ..ValueInfoProto::default()
            }],
            ..GraphProto::default()
        };
        let dropped = drop_from(&mut graph);
        let left = graph.node.iter().filter(|node| node.op_type == "Softmax");
        let left = left.count();
        assert_eq!(dropped, left == 0);
        left
    }

    #[test]
    fn a_softmax_goes_only_if_it_is_the_end() {
        let before = node("Gemm", "x", "logits");
        let softmax = node("Softmax", "logits", "y");
        assert_eq!(softmaxes_left(&[before.clone(), softmax.clone()]), 0);
        let inner = node("Softmax", "logits", "p");
        for last in ["Identity", "Flatten", "Reshape", "Squeeze", "Cast"] {
            let nodes = [before.clone(), inner.clone(), node(last, "p", "y")];
            assert_eq!(softmaxes_left(&nodes), 0, "{last}");
        }
        // Read by another, followed by something else, over the batch.
        let nodes = [before.clone(), inner.clone(), node("Relu", "p", "y")];
        assert_eq!(softmaxes_left(&nodes), 1);
        let nodes = [
            before.clone(),
            inner,
            node("Identity", "p", "y"),
            node("Relu", "p", "z"),
        ];
        assert_eq!(softmaxes_left(&nodes), 1);
        let mut over_batch = softmax;
        over_batch.attribute.push(AttributeProto {
            name: "axis".to_owned(),
            i: 0,
            ..AttributeProto::default()
        });
        assert_eq!(softmaxes_left(&[before, over_batch]), 1);
    }
}
