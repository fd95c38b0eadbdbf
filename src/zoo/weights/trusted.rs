//! The functions and classes that checkpoints of weights have reason to name.

use super::pickle::Global;

/// Modules, and what of them. As PyTorch's own `weights_only`, plus what training programs keep beside the weights,
/// which is passed over.
const NAMES: [(&str, &[&str]); 17] = [
    (
        "collections",
        &["OrderedDict", "defaultdict", "Counter", "deque"],
    ),
    (
        "torch",
        &[
            "Size",
            "Tensor",
            "device",
            "strided",
            "contiguous_format",
            "channels_last",
            "float16",
            "float32",
            "float64",
            "bfloat16",
            "int8",
            "int16",
            "int32",
            "int64",
            "uint8",
            "bool",
        ],
    ),
    ("torch._tensor", &["_rebuild_from_type_v2"]),
    ("torch.storage", &["TypedStorage", "UntypedStorage"]),
    ("torch.serialization", &["_get_layout"]),
    ("argparse", &["Namespace"]),
    ("numpy", &["dtype", "ndarray"]),
    ("numpy.core.multiarray", &["scalar", "_reconstruct"]),
    ("numpy._core.multiarray", &["scalar", "_reconstruct"]),
    ("_codecs", &["encode"]),
    ("builtins", PLAIN),
    ("__builtin__", PLAIN),
    ("copyreg", &["_reconstructor"]),
    ("copy_reg", &["_reconstructor"]),
    ("pathlib", &["Path", "PosixPath", "WindowsPath"]),
    ("pathlib._local", &["Path", "PosixPath", "WindowsPath"]),
    ("datetime", &["date", "datetime", "timedelta", "timezone"]),
];

const PLAIN: &[&str] = &[
    "bool",
    "bytearray",
    "bytes",
    "complex",
    "dict",
    "float",
    "frozenset",
    "int",
    "list",
    "object",
    "set",
    "slice",
    "str",
    "tuple",
];

/// Packages of network layers, for checkpoints of a whole model.
const LAYERS: [&str; 3] = ["torch.nn", "timm", "geffnet"];

/// Whether weights have a reason to name this. It is not run in any case.
pub(super) fn is_expected(global: &Global) -> bool {
    let Global { module, name } = global;
    let listed = NAMES
        .iter()
        .any(|(of, names)| of == module && names.contains(&name.as_str()));
    // Of a package, its classes, and not what a module of it has imported.
    let class = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let layer = class
        && LAYERS.iter().any(|package| {
            module
                .strip_prefix(package)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
    let tensor = match module.as_str() {
        _ if name.contains('.') => false,
        "torch" | "torch.cuda" => name.ends_with("Storage"),
        "torch._utils" => name.starts_with("_rebuild_"),
        _ => false,
    };
    listed || layer || tensor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_and_records_are_expected_and_calls_are_not() {
        let cases = [
            ("torch._utils", "_rebuild_tensor_v2", true),
            ("torch", "FloatStorage", true),
            ("timm.models.efficientnet", "EfficientNet", true),
            ("torch.nn.modules.conv", "Conv2d", true),
            ("argparse", "Namespace", true),
            ("timm.models._helpers", "os.system", false),
            ("torch.nn.modules.module", "torch.hub.os.system", false),
            ("torch.nn.modules.module", "Module.os", false),
            ("timm.models._helpers", "load_checkpoint", false),
            ("timmy", "EfficientNet", false),
            ("os", "system", false),
            ("posix", "system", false),
            ("builtins", "eval", false),
            ("builtins", "getattr", false),
            ("subprocess", "Popen", false),
            ("torch.storage", "_load_from_bytes", false),
            ("torch", "load", false),
            ("__main__", "Evil", false),
        ];
        for (module, name, expected) in cases {
            let global = Global {
                module: module.to_owned(),
                name: name.to_owned(),
            };
            assert_eq!(is_expected(&global), expected, "{module}.{name}");
        }
    }
}
