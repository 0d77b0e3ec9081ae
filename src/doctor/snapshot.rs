//! What there is in a cluster, as far as the checks ask for it.

use std::{collections::BTreeMap, time::SystemTime};

use serde_json::Value;

use super::{
    api::{Api, ApiError, MOST},
    guard::Guard,
    webhooks,
};
use crate::crd::KUEUES;

/// The definition of the jobs.
pub(super) const JOBS: &str = "pytorchjobs.kubeflow.org";
/// The definitions of objects whose controllers write jobs.
const WRITERS: [(&str, Kind); 4] = [
    (KUEUES, Kind::Workload),
    ("applications.argoproj.io", Kind::Application),
    ("kustomizations.kustomize.toolkit.fluxcd.io", Kind::Kustomization),
    ("helmreleases.helm.toolkit.fluxcd.io", Kind::HelmRelease),
];

/// The kinds of objects that are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Application,
    Autoscaler,
    ConfigMap,
    Crd,
    Deployment,
    HelmRelease,
    Job,
    Kustomization,
    Mutating,
    Namespace,
    Pod,
    Service,
    Validating,
    Workload,
}

/// What there is in a cluster.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// The API server's version, like `v1.37.2`.
    pub(super) version: String,
    /// The objects, or the reason why they cannot be read.
    pub(super) objects: BTreeMap<Kind, Result<Vec<Value>, String>>,
    /// What each of the guard's pods says of itself.
    pub(super) replicas: Vec<Replica>,
    /// The API server's connection to the guard's Service, or the reason why there is none; none without a Service.
    pub(super) port: Option<Result<(), String>>,
    pub(super) now: SystemTime,
}

/// What a pod of the guard says of itself, through the API server.
#[derive(Debug, Clone)]
pub(super) struct Replica {
    pub(super) pod: String,
    pub(super) readyz: Result<String, String>,
    pub(super) metrics: Result<String, String>,
}

impl Snapshot {
    /// Looks at a cluster. An error means that its API server gives no answer at all.
    pub(crate) async fn read(api: &Api) -> Result<Self, ApiError> {
        let version = api.get("/version").await?.unwrap_or_default();
        let version = version["gitVersion"].as_str().unwrap_or_default().to_owned();
        let mut snapshot = Self::of(version, SystemTime::now());
        let definition = |name| format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
        for name in [JOBS].into_iter().chain(WRITERS.map(|(name, _)| name)) {
            snapshot.add(Kind::Crd, api.get(&definition(name)).await.map(|crd| crd.into_iter().collect()));
        }
        for (name, kind) in [(JOBS, Kind::Job)].into_iter().chain(WRITERS) {
            if let Some(path) = snapshot.crd(name).and_then(path_of) {
                snapshot.add(kind, api.list(&path).await);
            }
        }
        for (path, kind) in [
            ("/api/v1/namespaces", Kind::Namespace),
            ("/apis/autoscaling/v2/horizontalpodautoscalers", Kind::Autoscaler),
            ("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", Kind::Validating),
            ("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", Kind::Mutating),
        ] {
            snapshot.add(kind, api.list(path).await);
        }
        for namespace in webhooks::namespaces(&snapshot) {
            let path = format!("namespaces/{namespace}");
            snapshot.add(Kind::Service, api.list(&format!("/api/v1/{path}/services")).await);
            snapshot.add(Kind::Deployment, api.list(&format!("/apis/apps/v1/{path}/deployments")).await);
        }
        snapshot.read_guard(api).await;
        Ok(snapshot)
    }

    /// Without any object.
    pub(super) fn of(version: String, now: SystemTime) -> Self {
        Self { version, objects: BTreeMap::new(), replicas: Vec::new(), port: None, now }
    }

    /// What the guard's Deployment leads to.
    async fn read_guard(&mut self, api: &Api) {
        let Some((namespace, service)) = Guard::find(self).and_then(|guard| Some((guard.namespace()?, guard.service?)))
        else {
            return;
        };
        let of_namespace = format!("/api/v1/namespaces/{namespace}");
        for name in Guard::find(self).map(|guard| guard.config_maps()).unwrap_or_default() {
            let map = api.get(&format!("{of_namespace}/configmaps/{name}")).await;
            self.add(Kind::ConfigMap, map.map(|map| map.into_iter().collect()));
        }
        self.add(Kind::Pod, api.list(&format!("{of_namespace}/pods")).await);
        let Some(guard) = Guard::find(self) else { return };
        let port = guard.admin_port();
        for pod in guard.pods(self) {
            let path = |page: &str| format!("{of_namespace}/pods/{pod}:{port}/proxy/{page}");
            let text = async |page| api.text(&path(page)).await.map_err(|error| error.to_string());
            let (readyz, metrics) = (text("readyz").await, text("metrics").await);
            self.replicas.push(Replica { pod, readyz, metrics });
        }
        let port = guard.service_port();
        let through = format!("{of_namespace}/services/https:{}:{port}/proxy/validate", service.name);
        self.port = Some(match api.text(&through).await {
            // The guard answers that a review is sent with POST.
            Ok(_) | Err(ApiError::Status { code: 405, .. }) => Ok(()),
            Err(error) => Err(error.to_string()),
        });
    }

    pub(super) fn add(&mut self, kind: Kind, more: Result<Vec<Value>, impl ToString>) {
        let all = self.objects.entry(kind).or_insert_with(|| Ok(Vec::new()));
        match (&mut *all, more) {
            (Ok(all), Ok(more)) => all.extend(more),
            (_, Err(error)) => *all = Err(error.to_string()),
            (Err(_), Ok(_)) => {}
        }
    }

    /// The objects of a kind that could be read.
    pub(super) fn all(&self, kind: Kind) -> &[Value] {
        match self.objects.get(&kind) {
            Some(Ok(objects)) => objects,
            _ => &[],
        }
    }

    /// The reason why objects of a kind cannot be read.
    pub(super) fn problem(&self, kind: Kind) -> Option<&str> {
        self.objects.get(&kind)?.as_ref().err().map(String::as_str)
    }

    /// True if there may be more objects of a kind than were looked at.
    pub(super) fn is_cut(&self, kind: Kind) -> bool {
        self.all(kind).len() >= MOST
    }

    /// The definition of that name.
    pub(super) fn crd(&self, name: &str) -> Option<&Value> {
        self.all(Kind::Crd).iter().find(|crd| crd["metadata"]["name"] == name)
    }
}

/// The path of a definition's objects in all namespaces, in a version that is served.
fn path_of(crd: &Value) -> Option<String> {
    let versions = crd["spec"]["versions"].as_array()?;
    let served = || versions.iter().filter(|version| version["served"] == true);
    let version = served().find(|version| version["storage"] == true).or_else(|| served().next())?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let (group, plural) = (text(&crd["spec"]["group"])?, text(&crd["spec"]["names"]["plural"])?);
    Some(format!("/apis/{group}/{}/{plural}", text(&version["name"])?))
}
