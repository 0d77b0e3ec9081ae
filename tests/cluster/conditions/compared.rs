//! A control plane with one guard of several policies. Each policy has four namespaces with the same jobs: in one the guard is
//! asked about every update, in one its registration has the conditions, in one it has them and no guard is running, and in one
//! there is the ValidatingAdmissionPolicy in its place. Two of the policies have namespaces together, too.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use pytorchjob_guard::{
    policy::{PolicySet, Sources, WebhookSettings, segment},
    registration::{Address, Registration, admission_policy},
};
use serde_json::{Value, json};
use support::{
    Serves as _,
    control_plane::{ADMIN, ControlPlane},
    free_address,
    guard::{Guard, Start, make_certificates},
    programs::Programs,
    session::{Process, Session},
    until,
};
use tokio::{net::TcpStream, runtime::Runtime};

use crate::cluster::HERE;

/// Who updates: a person, the garbage collector by both of its names, Kueue, and a controller that is in a group.
pub(crate) const USERS: [&str; 5] = [
    "dana",
    "system:serviceaccount:kube-system:generic-garbage-collector",
    "system:kube-controller-manager",
    "system:serviceaccount:kueue-system:kueue-controller-manager",
    "carol",
];
/// The group of the last one.
const GROUP: &str = "example:controllers";

/// A policy with all that the conditions have to take apart: a protected label, a protected field in a mutable map,
/// fields below `*` and below an element of a list, and exemptions for a group, for everyone, and for a change of `suspend`.
pub(crate) const INVOLVED: &str = "involved";

/// The names of the policies that each cluster has.
pub(crate) const POLICIES: [&str; 4] = ["cci", "training-operator", "kueue", INVOLVED];

/// The namespaces in which two policies hold.
pub(crate) const BOTH: &str = "both";
pub(crate) const BOTH_POLICIES: [&str; 2] = ["kueue", INVOLVED];

/// The judge of updates in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judge {
    /// The guard is asked about all of them.
    Asked,
    /// The guard is asked where the conditions hold.
    Conditions,
    /// Likewise, but there is nobody to ask.
    Nobody,
    /// The API server judges by itself.
    AdmissionPolicy,
}

const JUDGES: [Judge; 4] = [Judge::Asked, Judge::Conditions, Judge::Nobody, Judge::AdmissionPolicy];

/// The control plane. The fields are dropped from the top.
#[derive(Debug)]
pub(crate) struct ComparedCluster {
    _guard: Guard,
    _proxy: Process,
    address: String,
    runtime: Runtime,
    plane: ControlPlane,
    certs: PathBuf,
    _session: Arc<Session>,
}

/// An answer of the API server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// The part that must be the same in both namespaces: the stored object, or who rejected it and why.
    pub(crate) fn outcome(&self) -> Value {
        let mut body = self.body.clone();
        if !self.is_success() {
            // The API server's own complaints about a schema come in any order.
            let mut causes: Vec<_> = body["details"]["causes"].as_array().cloned().unwrap_or_default();
            causes.sort_by_key(Value::to_string);
            let message = if causes.is_empty() { &body["message"] } else { &Value::Null };
            return json!({"code": self.code, "reason": body["reason"], "message": message, "causes": causes});
        }
        if let Some(metadata) = body["metadata"].as_object_mut() {
            for own in
                ["namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "managedFields"]
            {
                metadata.remove(own);
            }
        }
        body
    }
}

/// The namespace of a policy's jobs under that judge.
pub(crate) fn namespace(policy: &str, judge: Judge) -> String {
    let judge = match judge {
        Judge::Asked => "asked",
        Judge::Conditions => "conditions",
        Judge::Nobody => "nobody",
        Judge::AdmissionPolicy => "vap",
    };
    format!("{policy}-{judge}")
}

/// The selector of the namespaces in which a policy holds.
fn only(policy: &str, judge: Judge) -> Value {
    let both = BOTH_POLICIES.contains(&policy).then(|| namespace(BOTH, judge));
    let namespaces: Vec<_> = [namespace(policy, judge)].into_iter().chain(both).collect();
    json!({"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": namespaces}]})
}

/// The file or the name of a policy, for `--policy`.
fn policy_argument(name: &str) -> String {
    if name == INVOLVED { format!("{HERE}/conditions/involved.yaml") } else { name.to_owned() }
}

fn policies() -> PolicySet {
    let (_, policies) =
        Sources::find(&POLICIES.map(policy_argument), WebhookSettings::default(), &[]).expect("policies");
    policies
}

impl ComparedCluster {
    /// Boots one with that CRD and these jobs.
    pub(crate) fn boot(crd: &Path, jobs: &[Value]) -> io::Result<Self> {
        let programs = Programs::find_or_build()?;
        let session = Session::start()?;
        let plane = ControlPlane::boot(&session, &programs, crd)?;
        let certs = session.folder().join("certs");
        make_certificates(&certs)?;
        let proxy = session.spawn(
            session.folder().join("proxy.log"),
            // It refuses nothing by its path or method.
            plane.kubectl(ADMIN).args(["proxy", "--port=0", "--reject-paths=^$", "--reject-methods=^$"]),
        )?;
        let address = until("kubectl proxy", || {
            proxy.must_run()?;
            let said = proxy.output()?;
            Ok(said.trim().rsplit_once(" on ").map(|(_, address)| address.to_owned()))
        })?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let guard = Start::within(&session).args(&["--policy", &POLICIES.map(policy_argument).join(",")]);
        let guard = guard.certs(&certs).listen(free_address()?).try_serve()?;
        let port = guard.address().port();
        let cluster = Self { _guard: guard, _proxy: proxy, address, runtime, plane, certs, _session: session };
        cluster.let_users_in()?;
        let namespaces = POLICIES.into_iter().flat_map(|policy| JUDGES.map(|judge| namespace(policy, judge)));
        let both = [Judge::Asked, Judge::Conditions].map(|judge| namespace(BOTH, judge));
        let namespaces: Vec<_> = namespaces.chain(both).collect();
        for namespace in &namespaces {
            cluster.create_jobs(namespace, jobs)?;
        }
        cluster.register(port)?;
        for namespace in &namespaces {
            cluster.wait_until_judged(namespace)?;
        }
        Ok(cluster)
    }

    /// Everybody may do everything: here it is admission that says no.
    fn let_users_in(&self) -> io::Result<()> {
        let users = USERS.map(|user| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}));
        let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"});
        self.plane.apply(
            &json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "users"},
                "roleRef": role, "subjects": users})
            .to_string(),
        )
    }

    fn create_jobs(&self, namespace: &str, jobs: &[Value]) -> io::Result<()> {
        self.create_namespace(namespace)?;
        for job in jobs {
            self.create(namespace, job);
            if job["metadata"]["name"] == "deleting" {
                let deleted = self.send(&Method::DELETE, namespace, "deleting", ADMIN, None);
                assert!(deleted.is_success(), "{deleted:?}");
            }
        }
        Ok(())
    }

    pub(crate) fn create_namespace(&self, name: &str) -> io::Result<()> {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.plane.apply(&object.to_string())
    }

    /// The CPU time that the API server has used, in seconds.
    pub(crate) fn api_server_cpu_seconds(&self) -> f64 {
        let page = self.plane.kubectl(ADMIN).args(["get", "--raw", "/metrics"]).output().expect("kubectl runs");
        let page = String::from_utf8_lossy(&page.stdout);
        let value = page.lines().find_map(|line| line.strip_prefix("process_cpu_seconds_total "));
        value.and_then(|value| value.parse().ok()).expect("the metric")
    }

    /// Creates a job, and not by kubectl, which does not send what the schema does not know.
    pub(crate) fn create(&self, namespace: &str, job: &Value) {
        let created = self.send(&Method::POST, namespace, "", ADMIN, Some(job));
        assert!(created.is_success(), "{created:?}");
    }

    /// One registration of all policies for each judge, and a `ValidatingAdmissionPolicy` of each.
    fn register(&self, port: u16) -> io::Result<()> {
        let policies = policies();
        let nowhere = free_address()?.port();
        for (judge, port, always_ask) in
            [(Judge::Asked, port, true), (Judge::Conditions, port, false), (Judge::Nobody, nowhere, false)]
        {
            let registration = Registration {
                name: namespace("all", judge),
                address: Address::Url(format!("https://127.0.0.1:{port}")),
                ca_bundle: Some(fs::read(self.certs.join("ca.crt"))?),
                always_ask,
            };
            let mut configuration = json!(registration.configuration(&policies));
            for webhook in configuration["webhooks"].as_array_mut().into_iter().flatten() {
                let is_of = |policy: &&&str| {
                    webhook["name"].as_str().is_some_and(|name| name.contains(&format!(".{}.", segment(policy))))
                };
                webhook["namespaceSelector"] = only(POLICIES.iter().find(is_of).expect("a policy"), judge);
            }
            self.plane.apply(&configuration.to_string())?;
        }
        for policy in policies.policies() {
            let (admission_policy, binding) = admission_policy(policy).expect("a policy of few fields");
            let mut binding = json!(binding);
            binding["spec"]["matchResources"] =
                json!({"namespaceSelector": only(policy.name(), Judge::AdmissionPolicy)});
            self.plane.apply(&json!(admission_policy).to_string())?;
            self.plane.apply(&binding.to_string())?;
        }
        Ok(())
    }

    fn wait_until_judged(&self, namespace: &str) -> io::Result<()> {
        for subresource in ["", "scale"] {
            until("admission", || {
                let answer = self.edit(namespace, "full", subresource, USERS[0], |object| {
                    if subresource.is_empty() {
                        object["metadata"]["finalizers"] = json!(["example.com/probe"]);
                    } else {
                        object["spec"]["replicas"] = json!(77);
                    }
                });
                Ok((!answer.is_success()).then_some(()))
            })?;
        }
        Ok(())
    }

    /// Sends the object back edited, as a dry run: admission is the same, and the next case finds the job as it was.
    pub(crate) fn edit(
        &self,
        namespace: &str,
        job: &str,
        subresource: &str,
        user: &str,
        edit: impl Fn(&mut Value),
    ) -> Answer {
        let path = if subresource.is_empty() { job.to_owned() } else { format!("{job}/{subresource}") };
        let object = self.edited(namespace, &path, edit);
        self.send(&Method::PUT, namespace, &format!("{path}?dryRun=All"), user, Some(&object))
    }

    /// The same, and it is no dry run.
    pub(crate) fn update(&self, namespace: &str, job: &str, user: &str, edit: impl Fn(&mut Value)) -> Answer {
        self.send(&Method::PUT, namespace, job, user, Some(&self.edited(namespace, job, edit)))
    }

    /// The stored object, edited.
    pub(crate) fn edited(&self, namespace: &str, path: &str, edit: impl Fn(&mut Value)) -> Value {
        let stored = self.send(&Method::GET, namespace, path, ADMIN, None);
        assert!(stored.is_success(), "{stored:?}");
        let mut object = stored.body;
        edit(&mut object);
        object
    }

    /// Deletes a job, which stays until the garbage collector removes the finalizer; here that is the caller.
    pub(crate) fn delete_in_the_foreground(&self, namespace: &str, job: &str) -> Answer {
        let path = format!("{job}?propagationPolicy=Foreground");
        self.send(&Method::DELETE, namespace, &path, ADMIN, None)
    }

    /// Sends a request for a job, or for the path below it.
    pub(crate) fn send(
        &self,
        method: &Method,
        namespace: &str,
        path: &str,
        user: &str,
        body: Option<&Value>,
    ) -> Answer {
        let path = format!("/apis/kubeflow.org/v1/namespaces/{namespace}/pytorchjobs/{path}");
        let path = path.trim_end_matches('/');
        let mut request = Request::builder().method(method).uri(path).header("host", &self.address);
        request = request.header("content-type", "application/json").header("accept", "application/json");
        if user != ADMIN {
            request = request.header("impersonate-user", user);
        }
        if user == USERS[4] {
            request = request.header("impersonate-group", GROUP);
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(body))).expect("a request");
        self.runtime.block_on(async {
            let stream = TcpStream::connect(&self.address).await.expect("kubectl proxy is there");
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
            let connection = tokio::spawn(connection);
            let response = sender.send_request(request).await.expect("an answer");
            let code = response.status().as_u16();
            let body = response.into_body().collect().await.expect("a body").to_bytes();
            connection.abort();
            let body = serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body)));
            Answer { code, body }
        })
    }
}
