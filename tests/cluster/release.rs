//! A release, rehearsed: published to a registry on loopback and signed with a key of the moment, then verified as a user does it.
//!
//! The programs are stand-ins; `install::image` has the real image. The signatures that GitHub's workflow makes without a key need
//! services that are not here.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use support::{
    programs::{cosign, crane, helm},
    root,
    session::Session,
};

use crate::{cluster::Clusters, registry::Registry, tests};

tests![
    #[needs("buildah")]
    a_published_release_is_verified,
    #[needs("buildah")]
    a_changed_image_is_rejected,
    #[needs("buildah")]
    an_image_without_its_sbom_is_rejected,
    #[needs("buildah")]
    a_changed_chart_is_rejected,
    #[needs("buildah")]
    changed_files_are_rejected,
    #[needs("buildah")]
    another_signer_is_rejected,
    the_notes_are_those_of_the_tag,
];

const VERSION: &str = env!("CARGO_PKG_VERSION");
const DOCS: &str = "https://git.example/OWNER/pytorchjob-guard/blob/v0.1.0/docs";
const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

/// A release in a registry of its own.
struct Release {
    session: Arc<Session>,
    registry: Registry,
    /// With crane, cosign and Helm.
    path: String,
}

/// What a command came to.
#[derive(Debug)]
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let [stdout, stderr] = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
        Self { code: output.status.code(), stdout, stderr }
    }
}

impl Run {
    /// Shows that it succeeded, and gives what it printed.
    #[track_caller]
    fn succeeds(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Shows that it rejected that, and for that reason.
    #[track_caller]
    fn rejects(&self, what: &str, reason: &str) {
        let said = format!("{}{}", self.stdout, self.stderr);
        assert_eq!(self.code, Some(1), "{said}");
        let last = self.stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with(&format!("error: {what}")) && last.ends_with(": not verified"), "{what}:\n{said}");
        assert!(said.contains(reason), "{reason}:\n{said}");
    }
}

impl Release {
    /// Collected and published.
    fn published() -> Self {
        let release = Self::collected();
        release.publish();
        release
    }

    fn collected() -> Self {
        let session = Session::start().expect("a session");
        let registry = Registry::start(&session);
        let programs = [crane().expect("crane"), cosign().expect("cosign"), helm().expect("Helm")];
        let folders = programs.iter().map(|program| program.parent().expect("a folder").display().to_string());
        let path = folders.chain(env::var("PATH").ok()).collect::<Vec<_>>().join(":");

        let release = Self { session, registry, path };
        release.make_key("cosign");
        // No log of signatures, no timestamps, no roots to fetch: nothing that is not on this machine.
        release.tool("cosign signing-config create --out signing-config.json").succeeds();
        release.tool("cosign trusted-root create --out trusted-root.json").succeeds();
        for architecture in ARCHITECTURES {
            release.collect(architecture);
        }
        release
    }

    fn folder(&self) -> &Path {
        self.session.folder()
    }

    /// The folder with the files of the release.
    fn dist(&self) -> PathBuf {
        self.folder().join("dist")
    }

    /// A command in the session's folder, which finds nothing of this user's.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder())
            .env("PATH", &self.path)
            .env("HOME", self.folder())
            .env("REGISTRY", self.registry.address.to_string())
            .env("COSIGN_PASSWORD", "")
            .env("COSIGN_TRUSTED_ROOT", self.folder().join("trusted-root.json"));
        command
    }

    /// Runs a program with these words.
    fn tool(&self, words: &str) -> Run {
        let mut words = words.split(' ');
        self.command(words.next().expect("a program")).args(words).output().expect("it can be run").into()
    }

    fn script(&self, name: &str) -> Command {
        self.command(root().join("release").join(name))
    }

    fn make_key(&self, name: &str) {
        self.tool(&format!("cosign generate-key-pair --output-key-prefix {name}")).succeeds();
    }

    /// Does for an architecture what image/build does, with a stand-in for the program, and collects it.
    fn collect(&self, architecture: &str) {
        let made = self.folder().join(architecture).join("image");
        fs::create_dir_all(&made).expect("a folder");
        let program = made.join("pytorchjob-guard");
        fs::write(&program, format!("the program for {architecture}")).expect("a file");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
        fs::write(made.join("sbom.cdx.json"), sbom(architecture).to_string()).expect("a file");
        let storage = ["root", "run"].map(|name| self.folder().join(name).display().to_string());
        let builder = format!("buildah --storage-driver vfs --root {} --runroot {}", storage[0], storage[1]);
        let build = format!(
            "{builder} build --quiet --isolation chroot --platform linux/{architecture} --file {} --build-arg VERSION={VERSION} \
             --build-arg REVISION=none --tag pytorchjob-guard:{VERSION} {}",
            root().join("Containerfile").display(),
            made.display(),
        );
        self.tool(&build).succeeds();
        let mut collect = self.script("collect");
        collect.arg("dist").env("BUILDER", builder).env("CARGO_TARGET_DIR", self.folder().join(architecture));
        Run::from(collect.output().expect("it can be run")).succeeds();
    }

    /// What the workflow does, with a key.
    fn publish(&self) -> String {
        let mut publish = self.script("publish");
        publish.arg("dist").env("PYTORCHJOB_GUARD_DOCS", DOCS);
        publish.env("COSIGN_SIGNING_CONFIG", self.folder().join("signing-config.json"));
        // Relative paths are those of the project's folder, where the script runs.
        publish.env("COSIGN_KEY", self.folder().join("cosign.key"));
        Run::from(publish.output().expect("it can be run")).succeeds()
    }

    /// What a user does, who trusts that key.
    fn verify_with(&self, key: &str) -> Run {
        let mut verify = self.script("verify");
        verify.args([VERSION, "dist"]).env("COSIGN_KEY", key).env("COSIGN_INSECURE_IGNORE_TLOG", "true");
        verify.output().expect("it can be run").into()
    }

    fn verify(&self) -> Run {
        self.verify_with("cosign.pub")
    }

    fn image(&self) -> String {
        format!("{}/pytorchjob-guard", self.registry.address)
    }

    fn chart(&self) -> String {
        format!("{}/charts/pytorchjob-guard", self.registry.address)
    }

    /// The digest of what has that reference.
    fn digest(&self, reference: &str) -> String {
        self.tool(&format!("crane digest {reference}")).succeeds().trim().to_owned()
    }
}

/// A stand-in for the bill of materials.
fn sbom(architecture: &str) -> Value {
    json!({"bomFormat": "CycloneDX", "specVersion": "1.5", "metadata": {"component": {"name": architecture}}})
}

/// Changes one byte of a file.
fn change(file: &Path) {
    let mut bytes = fs::read(file).expect("a file");
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    fs::write(file, bytes).expect("a file");
}

fn a_published_release_is_verified(_: &Clusters) {
    let release = Release::collected();
    let told = release.publish();
    let (image, chart) = (release.image(), release.chart());
    let digests = [&image, &chart].map(|name| release.digest(&format!("{name}:{VERSION}")));
    let expected = format!("image={image}\nimage-digest={}\nchart={chart}\nchart-digest={}\n", digests[0], digests[1]);
    assert_eq!(told, expected);
    let verified = release.verify().succeeds();
    let expected = [
        format!("image {image}@{}", digests[0]),
        "SBOM of linux/amd64".to_owned(),
        "SBOM of linux/arm64".to_owned(),
        format!("chart {chart}@{}", digests[1]),
        "dist/SHA256SUMS".to_owned(),
        "files in dist".to_owned(),
    ];
    assert_eq!(verified, expected.map(|what| format!("verified: {what}\n")).concat());

    // Each architecture has its own program, and the SBOM of its own.
    for architecture in ARCHITECTURES {
        let platform = format!("--platform linux/{architecture}");
        release.tool(&format!("crane export {platform} {image}:{VERSION} {architecture}.tar")).succeeds();
        let program = release.tool(&format!("tar -xOf {architecture}.tar pytorchjob-guard")).succeeds();
        assert_eq!(program, format!("the program for {architecture}"));
        let one = release.digest(&format!("{platform} {image}:{VERSION}"));
        let verify = "cosign verify-attestation --insecure-ignore-tlog --key cosign.pub --type cyclonedx";
        let attested: Value =
            serde_json::from_str(&release.tool(&format!("{verify} {image}@{one}")).succeeds()).expect("JSON");
        let statement = BASE64_STANDARD.decode(attested["payload"].as_str().expect("a payload")).expect("base64");
        let statement: Value = serde_json::from_slice(&statement).expect("JSON");
        assert_eq!(statement["predicate"], sbom(architecture), "{statement:#}");
        // It is signed by itself, too. `cosign verify` would take the attestation for a signature.
        let verify = verify.replace("cyclonedx", "https://sigstore.dev/cosign/sign/v1");
        release.tool(&format!("{verify} {image}@{one}")).succeeds();
    }

    // The chart installs the image beside which it was published, and its alerts lead to the docs of that version.
    let monitoring = "--set monitoring.prometheusRule.enabled=true";
    let pulled = format!("helm template guard oci://{chart} --version {VERSION} --plain-http {monitoring}");
    let rendered = release.tool(&pulled).succeeds();
    for line in
        [format!("image: \"{image}:{VERSION}\""), format!("runbook_url: {DOCS}/operations.md#no-replica-is-seen")]
    {
        assert!(rendered.contains(&line), "{line} is not in\n{rendered}");
    }
}

fn a_changed_image_is_rejected(_: &Clusters) {
    let release = Release::published();
    let image = release.image();
    let signed = release.digest(&format!("{image}:{VERSION}"));
    // The tag is moved.
    release
        .tool(&format!("crane mutate {image}:{VERSION}-amd64 --label changed=true --tag {image}:{VERSION}"))
        .succeeds();
    release.verify().rejects(&format!("image {image}"), "no signatures found");
    // And the signature of the old image is put beside the new one.
    let moved = release.digest(&format!("{image}:{VERSION}"));
    let beside = |digest: &str| format!("{image}:{}", digest.replace(':', "-"));
    release.tool(&format!("crane copy {} {}", beside(&signed), beside(&moved))).succeeds();
    release.verify().rejects(&format!("image {image}"), "no matching");
    // The first image is still what was signed.
    release.tool(&format!("crane tag {image}@{signed} {VERSION}")).succeeds();
    release.verify().succeeds();
}

fn an_image_without_its_sbom_is_rejected(_: &Clusters) {
    let release = Release::published();
    let image = release.image();
    // An index that is signed, of an image that is signed too, but comes without an SBOM.
    release.tool(&format!("crane mutate {image}:{VERSION}-arm64 --label changed=true --tag {image}:other")).succeeds();
    let append = format!(
        "crane index append --manifest {image}:{VERSION}-amd64 --manifest {image}:other --tag {image}:{VERSION}"
    );
    release.tool(&append).succeeds();
    let index = release.digest(&format!("{image}:{VERSION}"));
    let sign = "cosign sign --yes --recursive --key cosign.key --signing-config signing-config.json";
    release.tool(&format!("{sign} {image}@{index}")).succeeds();
    release.verify().rejects("SBOM of linux/arm64", "none of the attestations matched the predicate type");
}

fn a_changed_chart_is_rejected(_: &Clusters) {
    let release = Release::published();
    let chart = release.chart();
    release
        .tool(&format!("helm pull oci://{chart} --version {VERSION} --plain-http --untar --untardir changed"))
        .succeeds();
    let values = release.folder().join("changed/pytorchjob-guard/values.yaml");
    let text = fs::read_to_string(&values).expect("the values").replace("replicas: 2", "replicas: 1");
    fs::write(values, text).expect("a file");
    release.tool("helm package changed/pytorchjob-guard --destination changed").succeeds();
    let registry = release.registry.address;
    let push = format!("helm push changed/pytorchjob-guard-{VERSION}.tgz oci://{registry}/charts --plain-http");
    release.tool(&push).succeeds();
    release.verify().rejects(&format!("chart {chart}"), "no signatures found");
}

fn changed_files_are_rejected(_: &Clusters) {
    let release = Release::published();
    let program = release.dist().join("pytorchjob-guard-linux-arm64");
    change(&program);
    release.verify().rejects("files in dist", "pytorchjob-guard-linux-arm64: FAILED");
    // And the list made to fit.
    let sums = release.dist().join("SHA256SUMS");
    let list = "cd dist && sha256sum pytorchjob-guard-* > SHA256SUMS";
    Run::from(release.command("sh").args(["-c", list]).output().expect("it can be run")).succeeds();
    release.verify().rejects("dist/SHA256SUMS", "failed to verify signature");
    // Of files that were not downloaded nothing is said.
    change(&program);
    Run::from(release.command("sh").args(["-c", list]).output().expect("it can be run")).succeeds();
    fs::remove_file(program).expect("it is there");
    assert!(sums.exists());
    release.verify().succeeds();
}

fn another_signer_is_rejected(_: &Clusters) {
    let release = Release::published();
    release.make_key("other");
    release.verify_with("other.pub").rejects(&format!("image {}", release.image()), "no matching");
    release.verify_with("cosign.pub").succeeds();
}

fn the_notes_are_those_of_the_tag(_: &Clusters) {
    let session = Session::start().expect("a session");
    for file in ["release/notes", "Cargo.toml", "charts/pytorchjob-guard/Chart.yaml", "CHANGELOG.md"] {
        let copy = session.folder().join(file);
        fs::create_dir_all(copy.parent().expect("a folder")).expect("a folder");
        fs::copy(root().join(file), copy).expect("a copy");
    }
    let changelog = |text: &str| fs::write(session.folder().join("CHANGELOG.md"), text).expect("a file");
    let notes = |tag: &str| -> Run {
        Command::new(session.folder().join("release/notes")).arg(tag).output().expect("it can be run").into()
    };
    let tag = format!("v{VERSION}");
    let fails = |tag: &str, error: &str| {
        let run = notes(tag);
        assert_eq!((run.code, &run.stdout[..]), (Some(1), ""), "{}", run.stderr);
        assert!(run.stderr.starts_with(&format!("error: {error}")), "{}", run.stderr);
    };

    changelog(&format!(
        "# Changelog\n\n## Unreleased\n\n- next\n\n## {VERSION} (2030-01-02)\n- this\n\n## {VERSION}0\n- other\n"
    ));
    assert_eq!(notes(&tag).succeeds(), "- this\n");
    fails("v99.0.0", &format!("the tag is \"v99.0.0\", expected \"{tag}\""));
    changelog(&format!("# Changelog\n\n## Unreleased\n\n- next\n\n## {VERSION}0\n- other\n"));
    fails(&tag, &format!("CHANGELOG.md: no section \"## {VERSION}\""));
    let chart = session.folder().join("charts/pytorchjob-guard/Chart.yaml");
    let text = fs::read_to_string(&chart).expect("the chart").replace("appVersion: ", "appVersion: 9");
    fs::write(chart, text).expect("a file");
    fails(&tag, &format!("charts/pytorchjob-guard/Chart.yaml: expected \"appVersion: {VERSION}\""));
}
