//! The program and its image, as the README makes them: what the image holds, and that its program needs nothing but itself.
//!
//! All of it is built in the profile of the tests: for release it takes minutes more.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use super::{Bare, NAME, ROOT, empty_root, run};
use support::{programs::crane, session::Session, target_folder};

use crate::{cluster::Clusters, registry::Registry, tests};

tests![
    the_readmes_command_installs_the_program,
    #[needs("buildah")]
    the_image_holds_the_program_and_its_sbom_and_nothing_else,
    #[needs("setpriv")]
    the_static_program_serves_alone_in_an_empty_root,
];

const README: &str = include_str!("../../../README.md");

/// The same for the image and the empty root: what one has built the other finds built.
const PROFILE: [(&str, &str); 3] =
    [("PROFILE", "dev"), ("RUSTFLAGS", "-C debuginfo=0"), ("PYTORCHJOB_GUARD_DOCS", DOCS)];
const DOCS: &str = "https://git.example/docs";

fn the_readmes_command_installs_the_program(_: &Clusters) {
    const COMMAND: &str = "cargo install --locked --path .";
    assert!(README.contains(&format!("`{COMMAND}` puts `{NAME}` on your PATH")));
    let folder = tempfile::tempdir().expect("a folder");
    let mut install = Command::new(env!("CARGO"));
    install.args(COMMAND.split(' ').skip(1)).args(["--quiet", "--debug", "--root"]).arg(folder.path());
    let output = install.env("CARGO_TARGET_DIR", target_folder()).current_dir(ROOT).output().expect("it can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = run(Command::new(folder.path().join("bin").join(NAME)).arg("--version"));
    assert_eq!(said, format!("{NAME} {}\n", env!("CARGO_PKG_VERSION")));
}

/// In the registry to which the README's command pushes it.
fn the_image_holds_the_program_and_its_sbom_and_nothing_else(_: &Clusters) {
    let session = Session::start().expect("a session");
    let folder = session.folder();
    let storage = |name: &str| folder.join(name).display().to_string();
    let (root, runroot, layout) = (storage("root"), storage("run"), folder.join("layout"));
    let buildah = ["buildah", "--storage-driver", "vfs", "--root", &root, "--runroot", &runroot];

    let registry = Registry::start(&session);
    let address = registry.address.to_string();
    let insecure = folder.join("registries.conf");
    fs::write(&insecure, format!("[[registry]]\nlocation = \"{address}\"\ninsecure = true\n")).expect("a file");
    let command = README.lines().find(|line| line.starts_with("image/build --push ")).expect("the README's command");
    let command = command.replace("registry.example", &address);
    let [program, arguments @ ..] = &command.split(' ').collect::<Vec<_>>()[..] else { unreachable!() };
    let mut build = Command::new(Path::new(ROOT).join(program));
    build.args(arguments).envs(PROFILE).env("BUILDER", buildah.join(" ")).env("CONTAINERS_REGISTRIES_CONF", insecure);
    // With chroot it needs no rights that a container in CI lacks.
    run(build.env("BUILDAH_ISOLATION", "chroot"));
    let image = arguments.last().expect("an image");
    run(Command::new(crane().expect("crane")).args(["pull", "--format=oci", image]).arg(&layout));

    let manifest = blob(&layout, &read(&layout.join("index.json"))["manifests"][0]);
    let config = &blob(&layout, &manifest["config"])["config"];
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Entrypoint"], json!(["/pytorchjob-guard"]));
    assert_eq!(config["Cmd"], json!(["serve"]));
    let label = |name: &str| config["Labels"][format!("org.opencontainers.image.{name}")].as_str().unwrap_or_default();
    assert_eq!(label("title"), NAME);
    assert_eq!(label("version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(label("licenses"), env!("CARGO_PKG_LICENSE"));
    assert!(!label("description").is_empty() && !label("revision").is_empty(), "{config:#}");

    let contents = folder.join("contents");
    fs::create_dir(&contents).expect("a folder");
    let mut listed = Vec::new();
    for layer in manifest["layers"].as_array().expect("layers") {
        let layer = path_of(&layout, layer);
        let listing = run(Command::new("tar").args(["--numeric-owner", "-tvf"]).arg(&layer));
        listed.extend(listing.lines().map(|line| {
            let columns: Vec<_> = line.split_whitespace().collect();
            format!("{} {} {}", columns[0], columns[1], columns[5..].join(" "))
        }));
        run(Command::new("tar").arg("-xf").arg(&layer).arg("-C").arg(&contents));
    }
    assert_eq!(listed, ["-rwxr-xr-x 0/0 pytorchjob-guard", "-rw-r--r-- 0/0 sbom.cdx.json"]);
    is_the_bill_of_materials(&contents.join("sbom.cdx.json"));
    assert!(run(Command::new(contents.join(NAME)).arg("--version")).contains(env!("CARGO_PKG_VERSION")));

    let bare = Bare::boot();
    let mut doctor = Command::new(contents.join(NAME));
    let output = doctor.arg("doctor").arg("--kubeconfig").arg(bare.plane.kubeconfig()).output().expect("it can be run");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("the guard is not installed") && said.contains(&format!(" see {DOCS}/")), "{said}");
}

/// Every crate of the program, as Cargo.lock has it, and none that only tests it.
fn is_the_bill_of_materials(file: &Path) {
    let bill = read(file);
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&json!("CycloneDX"), &json!("1.5")));
    assert_eq!(bill["metadata"]["component"]["name"], NAME);
    let components: BTreeMap<String, &Value> = bill["components"]
        .as_array()
        .expect("components")
        .iter()
        .map(|component| (component["purl"].as_str().unwrap_or_default().to_owned(), component))
        .collect();

    let lock = fs::read_to_string(Path::new(ROOT).join("Cargo.lock")).expect("Cargo.lock");
    let locked: BTreeMap<String, &str> = lock.split("[[package]]").skip(1).map(package).collect();
    for (purl, component) in &components {
        let checksum = locked.get(purl).unwrap_or_else(|| panic!("{purl} is not in Cargo.lock"));
        assert_eq!(component["hashes"][0]["content"], *checksum, "{purl}");
    }
    let has = |name: &str| components.keys().any(|purl| purl.starts_with(&format!("pkg:cargo/{name}@")));
    for name in ["hyper", "rustls", "ring", "tokio", "kube-client"] {
        assert!(has(name), "no {name}");
    }
    for name in ["criterion", "insta", "libtest-mimic"] {
        assert!(!has(name), "{name} is for tests alone");
    }
    let text = fs::read_to_string(file).expect("text");
    assert!(!text.contains(ROOT), "it tells where it was built");
}

/// A crate of Cargo.lock, as SBOMs name it, and its checksum.
fn package(text: &str) -> (String, &str) {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \""));
        line.and_then(|line| line.strip_suffix('"')).unwrap_or_default()
    };
    (format!("pkg:cargo/{}@{}", value("name"), value("version")), value("checksum"))
}

fn read(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).expect("a file")).expect("JSON")
}

/// A blob of an OCI layout, by what refers to it.
fn blob(layout: &Path, descriptor: &Value) -> Value {
    read(&path_of(layout, descriptor))
}

fn path_of(layout: &Path, descriptor: &Value) -> PathBuf {
    let digest = descriptor["digest"].as_str().expect("a digest");
    layout.join("blobs").join(digest.replacen(':', "/", 1))
}

fn the_static_program_serves_alone_in_an_empty_root(_: &Clusters) {
    let target = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--quiet", "--profile=dev", "--message-format=json", "--target", &target]);
    let flags = format!("{} -C target-feature=+crt-static", PROFILE[1].1);
    let told = run(cargo.current_dir(ROOT).env("RUSTFLAGS", flags).env(PROFILE[2].0, DOCS));
    let program = told
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == NAME)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("cargo tells what it built");
    empty_root::serves(&program);
}
