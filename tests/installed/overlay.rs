//! The installation: a shipped overlay, with three replicas.

use std::{fmt, fs, io, path::Path};

/// The shipped overlays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overlay {
    /// The API server lets allowed edits through by itself.
    SelfManaged,
    /// It asks the guard about all of them.
    AlwaysAsk,
    /// As self-managed, but cert-manager makes the certificates.
    CertManager,
}

/// An overlay, and in which haste.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Installation {
    pub(crate) overlay: Overlay,
    pub(crate) pace: Pace,
}

/// The lifetimes of new certificates, and the settle period of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    AsShipped,
    /// Certificates and CAs go by while a test looks on. A guard without a core to run on needs seconds to renew them, too.
    ShortLives,
    /// Conditions are loosened while a test looks on.
    ShortSettle,
}

/// In place of the two replicas that the manifests have.
pub(crate) const REPLICAS: usize = 3;

impl Overlay {
    /// Those with certificates of the guard's own.
    pub(crate) const SELF_MANAGED: [Self; 2] = [Self::SelfManaged, Self::AlwaysAsk];

    /// True if the registration has conditions.
    pub(crate) fn has_conditions(self) -> bool {
        self != Self::AlwaysAsk
    }
}

impl fmt::Display for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SelfManaged => "self-managed",
            Self::AlwaysAsk => "always-ask",
            Self::CertManager => "cert-manager",
        })
    }
}

impl Pace {
    /// Further arguments of the guard, for kustomize.
    fn patches(self) -> String {
        let arguments: &[&str] = match self {
            Self::AsShipped => return String::new(),
            Self::ShortLives => &["--leaf-lifetime=12s", "--ca-lifetime=40s"],
            Self::ShortSettle => &["--registration-settle=2s"],
        };
        let patches = "patches:\n  - target: {kind: Deployment}\n    patch: |\n".to_owned();
        arguments.iter().fold(patches, |patches, argument| {
            patches + "      - {op: add, path: /spec/template/spec/containers/0/args/-, value: " + argument + "}\n"
        })
    }
}

impl Installation {
    /// Writes it into a folder below this one, for `kubectl apply --kustomize`; the folder's path.
    pub(crate) fn write(self, folder: &Path) -> io::Result<String> {
        let Self { overlay, pace } = self;
        let folder = folder.join(format!("{overlay}-{pace:?}"));
        fs::create_dir_all(&folder)?;
        // kustomize takes no absolute paths.
        let folder = fs::canonicalize(folder)?;
        let up: String = folder.components().skip(1).map(|_| "../").collect();
        let shipped = format!("{up}{}/manifests/overlays/{overlay}", &env!("CARGO_MANIFEST_DIR")[1..]);
        let text = format!(
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: ['{shipped}']\n\
             replicas: [{{name: pytorchjob-guard, count: {REPLICAS}}}]\n{}",
            pace.patches()
        );
        fs::write(folder.join("kustomization.yaml"), text)?;
        Ok(folder.display().to_string())
    }
}
