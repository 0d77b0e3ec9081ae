//! Random PyTorchJobs of both layouts, shaped like real ones, with the odd things that a CRD which preserves unknown
//! fields lets through.

use proptest::{collection::vec, option, prelude::*, sample::select};

use crate::tree::Tree;

/// Names that occur as keys and names; short, so that none is taken for a secret.
const WORDS: [&str; 8] = ["a", "b", "main", "side", "data", "x-1", "Up", "_u"];

/// Keys as labels and annotations have them.
pub const ODD_KEYS: [&str; 7] =
    ["app", "example.com/owner", "a.b", "0", "kueue.x-k8s.io/queue-name", "ключ", "with space"];

/// A job as an API server would show it.
pub fn job() -> BoxedStrategy<Tree> {
    fields(vec![
        ("apiVersion", 1.0, constant("kubeflow.org/v1")),
        ("kind", 1.0, constant("PyTorchJob")),
        ("metadata", 1.0, metadata()),
        ("spec", 1.0, prop_oneof![cci_spec(), operator_spec()].boxed()),
        ("status", 0.5, fields(vec![("startTime", 0.8, secret()), ("replicaStatuses", 0.5, odd_map())])),
        ("unknown", 0.1, anything()),
    ])
}

/// A `Scale` of a job.
pub fn scale() -> BoxedStrategy<Tree> {
    fields(vec![
        ("apiVersion", 1.0, constant("autoscaling/v1")),
        ("kind", 1.0, constant("Scale")),
        ("metadata", 1.0, metadata()),
        ("spec", 0.9, fields(vec![("replicas", 0.9, number()), ("ttlSecondsAfterFinished", 0.2, number())])),
        ("status", 0.8, fields(vec![("replicas", 0.9, number()), ("selector", 0.5, secret())])),
    ])
}

fn metadata() -> BoxedStrategy<Tree> {
    fields(vec![
        ("name", 1.0, constant("mnist")),
        ("namespace", 1.0, constant("team-a")),
        ("creationTimestamp", 0.9, constant("2019-07-24T10:35:38Z")),
        ("deletionTimestamp", 0.15, prop_oneof![3 => constant("2019-07-25T00:00:00Z"), 1 => Just(Tree::Null)].boxed()),
        ("labels", 0.7, odd_map()),
        ("annotations", 0.5, odd_map()),
        ("finalizers", 0.3, list(secret(), 0..3)),
        ("ownerReferences", 0.3, list(fields(vec![("kind", 1.0, constant("Workflow")), ("uid", 1.0, secret())]), 0..3)),
        ("generation", 0.8, number()),
        ("resourceVersion", 0.8, secret()),
        ("managedFields", 0.5, list(odd_map(), 0..2)),
        ("selfLink", 0.2, secret()),
    ])
}

fn cci_spec() -> BoxedStrategy<Tree> {
    fields(vec![
        ("activeDeadlineSeconds", 0.3, number()),
        ("ttlSecondsAfterFinished", 0.5, number()),
        ("cleanPodPolicy", 0.3, constant("Running")),
        ("backoffLimit", 0.3, number()),
        ("suspend", 0.3, boolean()),
        ("pytorchReplicaSpecs", 0.95, replica_specs()),
        ("runPolicy", 0.1, Just(Tree::empty_map()).boxed()),
        ("ttlSecondsAfterFinishedX", 0.1, number()),
    ])
}

fn operator_spec() -> BoxedStrategy<Tree> {
    let run_policy = fields(vec![
        ("activeDeadlineSeconds", 0.3, number()),
        ("ttlSecondsAfterFinished", 0.5, number()),
        ("cleanPodPolicy", 0.3, constant("Running")),
        ("suspend", 0.4, boolean()),
        ("schedulingPolicy", 0.2, fields(vec![("minAvailable", 0.5, number()), ("queue", 0.5, secret())])),
    ]);
    fields(vec![
        ("runPolicy", 0.8, run_policy),
        ("nprocPerNode", 0.3, prop_oneof![number(), constant("auto")].boxed()),
        ("pytorchReplicaSpecs", 0.95, replica_specs()),
    ])
}

fn replica_specs() -> BoxedStrategy<Tree> {
    fields(vec![("Master", 0.9, replica_spec()), ("Worker", 0.3, replica_spec())])
}

fn replica_spec() -> BoxedStrategy<Tree> {
    let template = fields(vec![("metadata", 0.5, template_metadata()), ("spec", 0.95, pod_spec())]);
    fields(vec![
        ("replicas", 0.8, number()),
        ("restartPolicy", 0.6, constant("OnFailure")),
        ("template", 0.95, template),
    ])
}

fn template_metadata() -> BoxedStrategy<Tree> {
    fields(vec![
        ("creationTimestamp", 0.6, Just(Tree::Null).boxed()),
        ("labels", 0.4, odd_map()),
        ("annotations", 0.2, odd_map()),
    ])
}

fn pod_spec() -> BoxedStrategy<Tree> {
    let toleration = fields(vec![
        ("key", 0.7, select(&ODD_KEYS[..]).prop_map(Tree::text).boxed()),
        ("operator", 0.5, constant("Exists")),
        ("tolerationSeconds", 0.3, number()),
    ]);
    fields(vec![
        ("containers", 0.95, named(container())),
        ("initContainers", 0.25, named(container())),
        ("ephemeralContainers", 0.1, named(container())),
        ("volumes", 0.4, named(fields(vec![("emptyDir", 0.6, odd_map()), ("secret", 0.3, odd_map())]))),
        ("tolerations", 0.3, list(toleration, 0..4)),
        ("nodeSelector", 0.2, odd_map()),
        ("hostNetwork", 0.2, boolean()),
        ("affinity", 0.1, anything()),
        ("resources", 0.1, resources()),
    ])
}

fn container() -> BoxedStrategy<Tree> {
    let env = fields(vec![
        ("value", 0.7, secret()),
        ("valueFrom", 0.2, fields(vec![("secretKeyRef", 0.9, fields(vec![("key", 1.0, secret())]))])),
    ]);
    let port = fields(vec![("containerPort", 1.0, number())]);
    fields(vec![
        ("image", 0.9, secret()),
        ("args", 0.5, list(secret(), 0..5)),
        ("command", 0.2, list(secret(), 1..3)),
        ("env", 0.5, named(env)),
        ("ports", 0.3, named(port)),
        ("resources", 0.6, resources()),
        ("tty", 0.1, boolean()),
    ])
}

fn resources() -> BoxedStrategy<Tree> {
    let amounts =
        fields(vec![("cpu", 0.8, quantity()), ("memory", 0.7, quantity()), ("nvidia.com/gpu", 0.3, quantity())]);
    fields(vec![("limits", 0.7, amounts.clone()), ("requests", 0.5, amounts), ("claims", 0.1, list(anything(), 0..2))])
}

/// A list of elements with names: mostly each its own, now and then one without, or one that comes twice.
fn named(element: BoxedStrategy<Tree>) -> BoxedStrategy<Tree> {
    let elements = prop_oneof![3 => vec(element.clone(), 1), 2 => vec(element, 0..4)];
    let names = Just(WORDS.to_vec()).prop_shuffle();
    (elements, names, prop::bool::weighted(0.05), prop::bool::weighted(0.05))
        .prop_map(|(mut elements, mut names, nameless, twice)| {
            if twice {
                names[1] = names[0];
            }
            for (element, name) in elements.iter_mut().zip(names).skip(usize::from(nameless)) {
                element.map_at(&[]).insert("name".to_owned(), Tree::text(name));
            }
            Tree::List(elements)
        })
        .boxed()
}

/// A map whose members are each there with their probability.
fn fields(members: Vec<(&'static str, f64, BoxedStrategy<Tree>)>) -> BoxedStrategy<Tree> {
    let members: Vec<_> = members
        .into_iter()
        .map(|(key, probability, member)| {
            // A few are null or empty, which is the same as not being there, or is not.
            let member = prop_oneof![40 => member, 1 => empty()].prop_map(Some);
            let member = if probability < 1.0 {
                option::weighted(probability, member).prop_map(Option::flatten).boxed()
            } else {
                member.boxed()
            };
            member.prop_map(move |member| member.map(|member| (key, member)))
        })
        .collect();
    members.prop_map(|members| Tree::map(members.into_iter().flatten())).boxed()
}

fn odd_map() -> BoxedStrategy<Tree> {
    prop::collection::btree_map(select(&ODD_KEYS[..]).prop_map(str::to_owned), secret(), 0..4)
        .prop_map(Tree::Map)
        .boxed()
}

fn list(element: BoxedStrategy<Tree>, size: std::ops::Range<usize>) -> BoxedStrategy<Tree> {
    vec(element, size).prop_map(Tree::List).boxed()
}

/// Null, `[]` or `{}`.
pub fn empty() -> BoxedStrategy<Tree> {
    select(vec![Tree::Null, Tree::List(Vec::new()), Tree::empty_map()]).boxed()
}

/// A number in one of the spellings that JSON knows.
pub fn number() -> BoxedStrategy<Tree> {
    let spelling = prop_oneof![
        6 => (0..4_u32).prop_map(|number| number.to_string()),
        2 => select(vec!["-0", "1.0", "0.5", "10e-1", "1E+2", "100", "-1", "1e2", "0.10"]).prop_map(str::to_owned),
        // Past what 64 bits or a double hold.
        1 => select(vec!["9007199254740993", "9007199254740992", "18446744073709551616", "18446744073709551617", "1e400"])
            .prop_map(str::to_owned),
    ];
    spelling.prop_map(Tree::Number).boxed()
}

/// A resource quantity; few amounts in many spellings.
pub fn quantity() -> BoxedStrategy<Tree> {
    let text = select(vec![
        "2",
        "2000m",
        "2.0",
        "2e0",
        "+2",
        "2000000u",
        "0.002k",
        "4Gi",
        "4096Mi",
        "4294967296",
        "4.0Gi",
        "1k",
        "1e3",
        "1000",
        "1E3",
        "1E",
        "1000P",
        "1Ki",
        "1024",
        "0",
        "-0",
        "1T",
        "1000G",
        "1Ti",
        "1024Gi",
        "2000000000n",
        ".5",
        "500m",
        "1e-3",
        "1m",
        "two",
        "",
        "2 ",
    ]);
    prop_oneof![6 => text.prop_map(Tree::text).boxed(), 3 => number()].boxed()
}

/// A string that must not come out again, now and then with the characters that JSON is made of.
pub fn secret() -> BoxedStrategy<Tree> {
    prop_oneof![
        6 => "[a-z0-9]{8}".prop_map(Tree::Text),
        1 => "[a-z]{7}[\\\\\"{}\\[\\],:/\n\u{1}é]{1,3}".prop_map(Tree::Text),
    ]
    .boxed()
}

fn boolean() -> BoxedStrategy<Tree> {
    any::<bool>().prop_map(Tree::Bool).boxed()
}

fn constant(text: &'static str) -> BoxedStrategy<Tree> {
    Just(Tree::text(text)).boxed()
}

/// Any value at all: nested lists, mixed lists, maps with odd keys.
pub fn anything() -> BoxedStrategy<Tree> {
    let leaf = prop_oneof![3 => secret(), 2 => number(), 1 => boolean(), 2 => empty()];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let key = select([&WORDS[..], &ODD_KEYS[..]].concat()).prop_map(str::to_owned);
        let name = select(&WORDS[..]).prop_map(Tree::text);
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Tree::List),
            prop::collection::btree_map(key, inner.clone(), 0..3).prop_map(Tree::Map),
            vec((name, inner), 1..4).prop_map(|elements| {
                Tree::List(
                    elements.into_iter().map(|(name, value)| Tree::map([("name", name), ("v", value)])).collect(),
                )
            }),
        ]
    })
    .boxed()
}
