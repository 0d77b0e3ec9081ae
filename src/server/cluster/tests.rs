//! What is decided by what was seen, without an API server: nothing there answers.

use std::net::TcpListener;

use super::*;
use crate::{
    certificates::{Kept, Lifetimes},
    policy::Policy,
    registration::{Address, Declared, Registration, ServiceName},
    server::{
        config::{Deadlines, Limits, ManagedCertificates},
        metrics::Metrics,
    },
};

/// A policy that lets this field of the spec change too.
fn policy(field: &str) -> Policy {
    let cci = Policy::builtin_text("cci").expect("a policy");
    Policy::parse(&cci.replace("  - spec.cleanPodPolicy\n", &format!("  - spec.{field}\n"))).expect("a policy")
}

/// A guard with a registration, an API server that answers nothing, and itself, which does not answer either.
struct Scene {
    silent: TcpListener,
    caretaker: Caretaker,
    state: Arc<State>,
    gate: Arc<Gate>,
}

impl Scene {
    fn new(certificates: bool, always_ask: bool) -> Self {
        let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", silent.local_addr().expect("an address")).parse().expect("a URL");
        let service = ServiceName { namespace: "ops".to_owned(), name: "guard".to_owned() };
        let hour = Duration::from_hours(1);
        let lifetimes = Lifetimes { leaf: hour, ca: 10 * hour };
        let config = ClusterConfig {
            registration: "guard".to_owned(),
            service: Some(service.clone()),
            declared: Declared::default(),
            conditions: Some(hour),
            certificates: certificates.then(|| ManagedCertificates { secret: "ca".to_owned(), lifetimes }),
        };
        let gate = Arc::new(Gate::new());
        let mut caretaker =
            Caretaker::of(kube::Config::new(url), config, Arc::clone(&gate), None).expect("a caretaker");
        let ca = Kept::new(None, lifetimes, SystemTime::now()).expect("a CA");
        let registration = Registration {
            name: "guard".to_owned(),
            address: Address::Service { namespace: service.namespace.clone(), name: service.name.clone(), port: None },
            ca_bundle: Some(ca.bundle().into_bytes()),
            always_ask,
        };
        let loose = policy("loose");
        let mut configuration = registration.configuration(&loose);
        configuration.metadata.resource_version = Some("1".to_owned());
        assert!(caretaker.registration.hear(Some(configuration)));
        let names = crate::certificates::Names::new(vec![service.host()], Vec::new()).expect("names");
        let leaf = ca.sign(&names, lifetimes, SystemTime::now()).expect("a certificate");
        let identity = caretaker.identity(&leaf).expect("an identity");
        let limits = Limits { body_bytes: 1, connections: 1, buffered_bytes: 2 };
        let second = Duration::from_secs(1);
        let deadlines = Deadlines { handshake: second, header: second, body: second, idle: second };
        let metrics = Metrics::new(&loose, true);
        let state = State::new(limits, deadlines, loose, identity.config, Standing::unknown(), metrics);
        Self { silent, caretaker, state: Arc::new(state), gate }
    }

    fn attend(&mut self) {
        self.caretaker.attend(self.silent.local_addr().expect("an address"), &self.state);
    }

    /// Has a stricter policy wait at the gate.
    async fn wait(&mut self) -> tokio::task::JoinHandle<()> {
        let (gate, state) = (Arc::clone(&self.gate), Arc::clone(&self.state));
        let mut changes = gate.changes();
        let passing = tokio::spawn(async move {
            gate.pass(policy("strict"), |policy| state.set_policy(policy)).await;
        });
        changes.changed().await.expect("the gate is there");
        passing
    }
}

#[tokio::test]
async fn a_call_that_hangs_keeps_no_policy_at_the_gate() {
    let mut scene = Scene::new(false, true);
    scene.attend();
    assert!(scene.caretaker.calls.is_under_way(), "it calls itself");
    let passing = scene.wait().await;
    scene.attend();
    assert!(!passing.is_finished(), "API servers have not had the time to follow");
    scene.caretaker.quiet.since = Some(Instant::now() - TAKES_EFFECT);
    scene.attend();
    passing.await.expect("it passes");
    assert_eq!(scene.state.policy().mutable_fields, policy("strict").mutable_fields);
    assert!(scene.caretaker.calls.is_under_way(), "the call still hangs");
}

#[tokio::test]
async fn what_hangs_delays_no_stricter_conditions() {
    let mut scene = Scene::new(true, false);
    // A Secret that waits for a CA.
    let secret: Secret =
        serde_json::from_value(serde_json::json!({"metadata": {"name": "ca", "resourceVersion": "1"}}))
            .expect("a Secret");
    scene.caretaker.certificates.as_mut().expect("certificates").heard(Some(secret));
    scene.attend();
    assert!(scene.caretaker.bundle.is_under_way() && !scene.caretaker.conditions.is_under_way());
    let _passing = scene.wait().await;
    scene.attend();
    assert!(scene.caretaker.conditions.is_under_way() && scene.caretaker.bundle.is_under_way());
    // Where that hangs too, the next policy has them written all the same.
    scene.caretaker.conditions.forget();
    assert!(scene.caretaker.conditions_patch(&scene.state).is_some());
    scene.attend();
    assert!(scene.caretaker.conditions.is_under_way());
    assert!(!scene.caretaker.conditions.ends(1) && scene.caretaker.conditions.ends(2), "the first one is forgotten");
}

#[tokio::test]
async fn a_write_that_comes_too_late_has_the_registration_read() {
    let mut scene = Scene::new(false, false);
    let status = kube::core::Status::failure("late", "Conflict").with_code(409).boxed();
    let turn = scene.caretaker.conditions.begin();
    scene.caretaker.take(&scene.state, Done::WroteConditions(turn, Err(kube::Error::Api(status).into())));
    assert!(scene.caretaker.is_doubted && !scene.caretaker.conditions.is_under_way());
    scene.attend();
    assert!(scene.caretaker.reads.is_under_way());
    assert!(scene.caretaker.trouble.is_none(), "that is no trouble");
}
