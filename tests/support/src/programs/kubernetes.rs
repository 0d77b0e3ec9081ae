//! A Go module from which the programs of any version of Kubernetes can be built.
//!
//! It is Kubernetes' own, with its staging modules as they are published, as v0.X.Y beside v1.X.Y. Every version that is built
//! from is one that its go.mod and theirs require, and its go.sum and Go's checksum database verify every one, so the same
//! programs come of it each time.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::go_missing;

/// The staging modules that Go's proxy does not have in a version; those of the patch before serve.
const MISSING: [(&str, &[&str]); 2] =
    [("1.31.14", &["endpointslice", "kube-controller-manager", "kube-scheduler"]), ("1.32.13", &["endpointslice"])];

/// Writes the module for this version, like `1.30.14`, below `folder`, and returns its folder.
pub(super) fn module(version: &str, folder: &Path) -> io::Result<PathBuf> {
    let kubernetes = downloaded(version)?;
    let own = fs::read_to_string(kubernetes.join("go.mod"))?;
    let module = folder.join("module");
    fs::create_dir_all(&module)?;
    fs::write(module.join("go.mod"), go_mod(&own, version)?)?;
    // Not a copy: that would be as read-only as what is in the module cache.
    fs::write(module.join("go.sum"), fs::read(kubernetes.join("go.sum"))?)?;
    Ok(module)
}

/// The folder of Kubernetes in Go's module cache.
fn downloaded(version: &str) -> io::Result<PathBuf> {
    let module = format!("k8s.io/kubernetes@v{version}");
    let output = Command::new("go")
        .args(["mod", "download", "-json", &module])
        .env("GOWORK", "off")
        .output()
        .map_err(|error| go_missing(&error))?;
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    answer["Dir"].as_str().map(PathBuf::from).ok_or_else(|| {
        let said = answer["Error"].as_str().map_or_else(|| String::from_utf8_lossy(&output.stderr), Into::into);
        io::Error::other(format!("go mod download {module}: {said}"))
    })
}

/// Kubernetes' own go.mod, as that of a module which requires Kubernetes.
fn go_mod(own: &str, version: &str) -> io::Result<String> {
    let unknown = || io::Error::other(format!("Kubernetes {version}: expected a version like 1.30.14"));
    let (minor, patch) = version.strip_prefix("1.").and_then(|rest| rest.split_once('.')).ok_or_else(unknown)?;
    let patch: u32 = patch.parse().map_err(|_| unknown())?;
    let published = |module: &str| {
        let is_missing = MISSING.iter().any(|(of, missing)| *of == version && missing.contains(&module));
        let patch = if is_missing { patch - 1 } else { patch };
        format!("v0.{minor}.{patch}")
    };
    let mut text = String::new();
    let mut in_tools = false;
    for line in own.lines() {
        let (before, staged) = line.split_once(" => ./staging/src/k8s.io/").unwrap_or((line, ""));
        in_tools |= line == "tool (";
        if !in_tools && !line.starts_with("tool ") {
            match (line.starts_with("module "), staged) {
                (true, _) => text.push_str("module pytorchjob-guard/kubernetes\n"),
                (false, "") => writeln!(text, "{line}").map_err(io::Error::other)?,
                (false, module) => {
                    writeln!(text, "{before} => k8s.io/{module} {}", published(module)).map_err(io::Error::other)?;
                }
            }
        }
        in_tools &= line != ")";
    }
    writeln!(text, "\nrequire k8s.io/kubernetes v{version}").map_err(io::Error::other)?;
    Ok(text)
}
