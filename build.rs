//! Tells the program how it was built.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // PROFILE knows only debug and release; the folder is named after the profile itself.
    let out = std::env::var("OUT_DIR").expect("cargo sets it");
    let folder = Path::new(&out).ancestors().nth(3).and_then(Path::file_name);
    let profile = folder.map_or("unknown".into(), |name| name.to_string_lossy());
    let target = std::env::var("TARGET").expect("cargo sets it");
    println!("cargo::rustc-env=BUILD_PROFILE={profile}");
    println!("cargo::rustc-env=BUILD_TARGET={target}");
}
