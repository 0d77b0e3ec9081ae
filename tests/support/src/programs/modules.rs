//! The Go modules of the programs, each a folder of `tests/cluster/`.

/// A folder with a go.mod, and what is built from it.
pub(super) struct Module {
    /// The folder's name, here and where cargo builds.
    pub(super) name: &'static str,
    pub(super) go_mod: &'static str,
    pub(super) go_sum: &'static str,
    /// The module whose version the programs have.
    pub(super) of: &'static str,
    /// The place in which a program keeps its version.
    pub(super) version_variable: Option<&'static str>,
    /// Another file in place of go.mod.
    pub(super) modfile: Option<&'static str>,
    /// The other sources of the programs, where they are not in other modules.
    pub(super) sources: &'static [&'static str],
}

/// A file of `tests/cluster/`.
macro_rules! file {
    ($($path:literal),+) => {
        include_str!(concat!("../../../cluster/", $($path),+))
    };
}

/// The module in a folder, for programs of this version.
macro_rules! module {
    ($name:literal, $of:literal) => {
        Module {
            name: $name,
            go_mod: file!($name, "/go.mod"),
            go_sum: file!($name, "/go.sum"),
            of: $of,
            version_variable: None,
            modfile: None,
            sources: &[],
        }
    };
}

pub(super) const CONTROL_PLANE: Module = Module {
    // Without its version clients cannot parse what the API server says of itself.
    version_variable: Some("k8s.io/component-base/version.gitVersion"),
    ..module!("control-plane", "k8s.io/kubernetes")
};

pub(super) const TRAINING_OPERATOR: Module = module!("training-operator", "github.com/kubeflow/training-operator");

/// A client in Go, made from the operator's typed one.
pub(super) const TYPED_CLIENT: Module =
    Module { sources: &[file!("training-operator/client/main.go")], ..TRAINING_OPERATOR };

pub(super) const KUEUE: Module = module!("kueue", "sigs.k8s.io/kueue");

/// cert-manager's controllers and cainjector.
pub(super) const CERT_MANAGER: Module = Module {
    sources: &[file!("cert-manager/main.go")],
    ..module!("cert-manager", "github.com/cert-manager/cert-manager")
};

pub(super) const HELM: Module = module!("helm", "helm.sh/helm/v4");

/// The Helm before this one, which uninstalls in another order.
pub(super) const HELM_3: Module = module!("helm-3", "helm.sh/helm/v3");

pub(super) const COSIGN: Module = module!("publishing", "github.com/sigstore/cosign/v3");

pub(super) const CRANE: Module = Module { of: "github.com/google/go-containerregistry", ..COSIGN };

pub(super) const ACTIONLINT: Module = module!("actionlint", "github.com/rhysd/actionlint");

pub(super) const H2SPEC: Module = module!("h2spec", "github.com/summerwind/h2spec");

const NEWEST_TYPES: Module = Module {
    sources: &[
        file!("types/cci/types.go"),
        file!("types/differing.go"),
        file!("types/fields.go"),
        file!("types/judge.go"),
        file!("types/main.go"),
        file!("types/random.go"),
        file!("types/standins.go"),
        file!("types/sweep.go"),
        file!("types/table.go"),
    ],
    ..module!("types", "k8s.io/api")
};

/// The types of the newest Kubernetes, and of those in which they have fields that the newest lacks. The first is the newest,
/// and the last the oldest.
pub(super) const TYPES: [Module; 3] = [
    NEWEST_TYPES,
    Module {
        modfile: Some("kubernetes-1.35.mod"),
        go_mod: file!("types/kubernetes-1.35.mod"),
        go_sum: file!("types/kubernetes-1.35.sum"),
        ..NEWEST_TYPES
    },
    Module {
        modfile: Some("kubernetes-1.30.mod"),
        go_mod: file!("types/kubernetes-1.30.mod"),
        go_sum: file!("types/kubernetes-1.30.sum"),
        ..NEWEST_TYPES
    },
];
