//! `registration`: the ValidatingWebhookConfiguration that follows from a policy.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::Folder;

/// The output for these arguments, as JSON.
fn registration(folder: &Folder, args: &[&str]) -> Value {
    let run = folder.run(&[&["registration", "-o", "json"], args].concat());
    let json = run.strip_prefix("exit code 0\n--- output\n").unwrap_or_else(|| panic!("{args:?}: {run}"));
    serde_json::from_str(json).expect("JSON")
}

fn refused(args: &[&str]) -> String {
    Folder::new().run(&[&["registration"], args].concat())
}

#[test]
fn registers_updates_of_the_policys_resources_and_their_scale() {
    let configuration = registration(&Folder::new(), &[]);
    assert_eq!(configuration["metadata"], json!({"name": "pytorchjob-guard"}));
    let webhooks = configuration["webhooks"].as_array().expect("webhooks");
    let names: Vec<_> = webhooks.iter().map(|webhook| &webhook["name"]).collect();
    assert_eq!(names, ["updates.pytorchjob-guard.internal", "scale.pytorchjob-guard.internal"]);
    for (webhook, resource) in webhooks.iter().zip(["pytorchjobs", "pytorchjobs/scale"]) {
        let rule = json!({"apiGroups": ["kubeflow.org"], "apiVersions": ["*"], "operations": ["UPDATE"],
            "resources": [resource], "scope": "*"});
        assert_eq!(webhook["rules"], json!([rule]));
        let service = json!({"namespace": "pytorchjob-guard", "name": "pytorchjob-guard", "path": "/validate"});
        assert_eq!(webhook["clientConfig"], json!({"service": service}), "no empty caBundle");
        let rest = ["failurePolicy", "matchPolicy", "sideEffects", "timeoutSeconds", "admissionReviewVersions"];
        let rest: Vec<_> = rest.iter().map(|field| &webhook[*field]).collect();
        assert_eq!(json!(rest), json!(["Fail", "Equivalent", "None", 5, ["v1"]]));
        assert!(webhook["matchConditions"].as_array().is_some_and(|conditions| !conditions.is_empty()));
    }
}

#[test]
fn writes_yaml_that_says_the_same_as_its_json() {
    for policy in ["cci", "training-operator", "kueue"] {
        let run = Folder::new().run(&["registration", policy]);
        let yaml = run.strip_prefix("exit code 0\n--- output\n").expect("it prints");
        let configuration: Value = serde_saphyr::from_str(yaml).expect("YAML");
        assert_eq!(configuration, registration(&Folder::new(), &[policy]));
    }
}

#[test]
fn registers_every_resource_of_a_policy() {
    let policy = r#"{"apiVersion": "pytorchjob-guard/v1", "kind": "UpdatePolicy", "name": "own", "mutableFields": ["metadata.labels"],
        "resources": [{"group": "kubeflow.org", "resource": "tfjobs"}, {"group": "example.com", "resource": "jobs"},
            {"group": "kubeflow.org", "resource": "mxjobs"}]}"#;
    let configuration = registration(&Folder::new().with("own.json", policy), &["own.json"]);
    let rules = |webhook: usize| {
        let rules = configuration["webhooks"][webhook]["rules"].as_array().expect("rules");
        json!(rules.iter().map(|rule| json!([rule["apiGroups"], rule["resources"]])).collect::<Vec<_>>())
    };
    assert_eq!(rules(0), json!([[["example.com"], ["jobs"]], [["kubeflow.org"], ["tfjobs", "mxjobs"]]]));
    assert_eq!(
        rules(1),
        json!([[["example.com"], ["jobs/scale"]], [["kubeflow.org"], ["tfjobs/scale", "mxjobs/scale"]]])
    );
}

#[test]
fn takes_a_service_a_url_and_a_ca() {
    let folder = Folder::new();
    folder.run(&["certs", "certs"]);
    let ca = folder.run(&["certs", "certs", "--print-ca-bundle"]);
    let ca = ca.strip_prefix("exit code 0\n--- output\n").expect("a CA").trim();
    let client_config = |args: &[&str]| registration(&folder, args)["webhooks"][1]["clientConfig"].take();
    let service = json!({"namespace": "ops", "name": "guard", "path": "/validate", "port": 8443});
    assert_eq!(client_config(&["--service", "ops/guard:8443"]), json!({"service": service}));
    let url = "https://10.0.0.1:8443/validate";
    let with_ca = client_config(&["--url", url, "--ca-bundle", "certs/ca.crt"]);
    assert_eq!(with_ca, json!({"url": url, "caBundle": ca}));
    let named = registration(&folder, &["--name", "other", "--always-ask"]);
    assert_eq!(named["metadata"]["name"], "other");
    assert_eq!(named["webhooks"][0].get("matchConditions"), None);
}

#[test]
fn prints_what_is_left_out_on_purpose() {
    let chosen = ["--namespace-selector=team in (a,b)", "--object-selector=!skip", "--failure-policy=Ignore"];
    let configuration = registration(&Folder::new(), &chosen);
    let webhooks = configuration["webhooks"].as_array().expect("webhooks");
    for webhook in webhooks {
        let namespaces = json!({"matchExpressions": [{"key": "team", "operator": "In", "values": ["a", "b"]}]});
        assert_eq!((&webhook["namespaceSelector"], &webhook["failurePolicy"]), (&namespaces, &json!("Ignore")));
    }
    let objects = json!({"matchExpressions": [{"key": "skip", "operator": "DoesNotExist"}]});
    assert_eq!(webhooks[0]["objectSelector"], objects);
    assert_eq!(webhooks[1].get("objectSelector"), None, "a Scale has no labels");
    let plain = &registration(&Folder::new(), &[])["webhooks"][0];
    assert_eq!((plain.get("namespaceSelector"), plain.get("objectSelector")), (None, None));
}

#[test]
fn rejects_an_address_that_no_api_server_would_take() {
    assert_snapshot!(refused(&["--service", "guard"]), @"
    exit code 2
    --- error output
    error: --service guard: write NAMESPACE/NAME or NAMESPACE/NAME:PORT
    ");
    for service in ["/guard", "ops/", "Ops/guard", "ops/guard:0", "ops/guard:x", "ops/guard:65536"] {
        assert!(refused(&["--service", service]).starts_with("exit code 2\n"), "{service}");
    }
    assert_snapshot!(refused(&["--url", "http://guard/validate"]), @"
    exit code 2
    --- error output
    error: --url http://guard/validate: an API server calls webhooks over https only; write https://HOST:PORT/validate
    ");
    for (url, problem) in [
        ("guard", "an API server calls webhooks over https only"),
        ("https://", "it is no URL"),
        ("https://guard:8443", "the guard answers at /validate"),
        ("https://guard/validate?a=b", "it may have neither ? nor #"),
        ("https://guard/validate#a", "it may have neither ? nor #"),
        ("https://me@guard/validate", "it may not have a user"),
    ] {
        let refused = refused(&["--url", url]);
        assert!(refused.contains(&format!("error: --url {url}: {problem}; ")), "{refused}");
    }
}

#[test]
fn rejects_a_ca_bundle_that_is_none() {
    let folder = Folder::new().with("empty", "").with("text", "-----BEGIN CERTIFICATE-----\n%");
    folder.run(&["certs", "certs"]);
    let refused = |file| folder.run(&["registration", "--ca-bundle", file]);
    assert_snapshot!(refused("empty"), @"
    exit code 2
    --- error output
    error: --ca-bundle empty: it holds no certificate; give the CA's, PEM
    ");
    assert!(refused("text").contains("error: --ca-bundle text: it is not PEM: "));
    assert!(refused("gone").contains("error: --ca-bundle gone: No such file"));
    let both =
        ["ca.crt", "tls.key"].map(|file| std::fs::read(folder.dir.path().join("certs").join(file)).expect("a file"));
    let folder = folder.with("both", both.concat());
    let both = folder.run(&["registration", "--ca-bundle", "both"]);
    assert!(both.contains("error: --ca-bundle both: it holds a private key"), "{both}");
}

#[test]
fn prints_the_conditions_for_a_webhook_of_ones_own() {
    for (args, webhook) in [(&[][..], 0), (&["--subresource", "scale"], 1)] {
        let run = Folder::new().run(&[&["policy", "match-conditions", "kueue"], args].concat());
        let yaml = run.strip_prefix("exit code 0\n--- output\n").expect("it prints");
        let conditions: Value = serde_saphyr::from_str(yaml).expect("YAML");
        let registered = &registration(&Folder::new(), &["kueue"])["webhooks"][webhook]["matchConditions"];
        assert_eq!(&conditions["matchConditions"], registered);
    }
    assert_snapshot!(Folder::new().run(&["policy", "match-conditions", "--subresource", "scale"]), @r#"
    exit code 0
    --- output
    matchConditions:
    - expression: "!(object.?spec == oldObject.?spec)"
      name: changes-the-scale
    "#);
    assert_snapshot!(Folder::new().run(&["policy", "match-conditions", "none"]), @"
    exit code 2
    --- error output
    error: none: it is none of the built-in policies (cci, training-operator, kueue), and as a file it cannot be read: No such file or directory (os error 2)
    ");
}

#[test]
fn leaves_an_exemption_with_a_wildcard_to_the_guard() {
    let names = |policy: &str| {
        let conditions = registration(&Folder::new(), &[policy])["webhooks"][0]["matchConditions"].take();
        let names = conditions.as_array().expect("conditions").iter();
        names.filter_map(|condition| condition["name"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let plain = ["changes-an-immutable-field", "not-exempt-garbage-collector", "not-exempt-deleting"];
    assert_eq!(names("training-operator"), plain);
    assert_eq!(names("kueue"), plain);
}

#[test]
fn prints_an_admission_policy_that_says_what_it_cannot_do() {
    let run = Folder::new().run(&["policy", "vap", "kueue"]);
    let yaml = run.strip_prefix("exit code 0\n--- output\n").expect("it prints");
    assert!(yaml.starts_with("# The nearest ValidatingAdmissionPolicy "), "{yaml}");
    for lack in ["Name the field that changed", "Take for equal", "Look into lists", "Say in its audit annotations"] {
        assert!(yaml.contains(lack), "{lack}: {yaml}");
    }
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).expect("YAML");
    let [policy, binding] = &documents[..] else { panic!("{documents:?}") };
    assert_eq!(policy["metadata"]["name"], "pytorchjob-guard-kueue");
    assert_eq!(policy["spec"]["failurePolicy"], "Fail");
    let messages: Vec<_> = policy["spec"]["validations"].as_array().expect("validations").iter().collect();
    assert_eq!(messages.len(), 2);
    assert!(messages[0]["message"].as_str().is_some_and(|message| message.contains("spec.runPolicy.cleanPodPolicy")));
    assert_eq!(messages[0]["reason"], "Invalid");
    assert_eq!(binding["spec"], json!({"policyName": "pytorchjob-guard-kueue", "validationActions": ["Deny"]}));
}

fn own(lines: &str) -> Folder {
    let head = "apiVersion: pytorchjob-guard/v1\nkind: UpdatePolicy\nname: own\n\
                resources: [{group: kubeflow.org, resource: pytorchjobs}]\n";
    Folder::new().with("own.yaml", format!("{head}{lines}"))
}

#[test]
fn an_admission_policy_says_how_large_a_map_may_be() {
    let message = |fields: &str| {
        let run = own(&format!("mutableFields: [{fields}]\n")).run(&["policy", "vap", "own.yaml"]);
        let yaml = run.strip_prefix("exit code 0\n--- output\n").expect("it prints");
        let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).expect("YAML");
        let mut validation = documents[0]["spec"]["validations"][0].clone();
        ["message", "messageExpression"].map(|key| validation[key].take().as_str().expect("a text").to_owned())
    };
    let [plain, expression] = message("metadata.labels");
    assert_eq!(plain, "only these fields can be changed: metadata.labels");
    assert!(expression.contains("has a map with more than 256 keys'"), "{expression}");
    let [plain, expression] = message("\"spec.replicas.*.size\"");
    let most = "more than 256 keys, or 16 where the policy continues below a *";
    assert_eq!(
        plain,
        format!("only these fields can be changed: spec.replicas.*.size; maps with {most} are not compared")
    );
    assert!(expression.contains(&format!("has a map with {most}'")), "{expression}");
}

/// An update whose messages exceed the API server's budget would be denied, also one that is allowed.
#[test]
fn an_admission_policy_names_fields_where_the_budget_allows_it() {
    for (exemptions, names) in [(2, true), (22, false)] {
        let exemption = |number| format!("  - {{name: e{number}, when: Deleting, fields: [metadata.finalizers]}}\n");
        let text: String = (0..exemptions).map(exemption).collect();
        let run = own(&format!("exemptions:\n{text}")).run(&["policy", "vap", "own.yaml"]);
        assert!(run.starts_with("exit code 0\n") && run.contains("  - expression: |-"), "{run}");
        assert_eq!(run.contains("' cannot be changed; '"), names, "{exemptions}: {run}");
        assert_eq!(run.contains("name: changedInSpec"), names, "{exemptions}: {run}");
    }
}

/// An API server takes no two conditions of one name.
#[test]
fn every_condition_has_a_name_of_its_own() {
    let exemption = |name: &str| format!("  - {{name: \"{name}\", users: [a], fields: [metadata.finalizers]}}\n");
    let folder = own(&format!("exemptions:\n{}", ["3", "a", "a/", "a-", "é"].map(exemption).concat()));
    let conditions = registration(&folder, &["own.yaml"])["webhooks"][0]["matchConditions"].take();
    let mut names: Vec<_> =
        conditions.as_array().expect("conditions").iter().filter_map(|condition| condition["name"].as_str()).collect();
    assert_eq!(names.len(), 6);
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 6, "{names:?}");
}

/// Nor one of more than 100,000 characters: then the guard is asked about all, which is as safe.
#[test]
fn a_policy_of_too_many_fields_has_no_conditions() {
    let many = (0..2500).map(|number| format!("  - metadata.annotations[example.com/annotation-{number}]\n"));
    let folder = own(&format!("mutableFields:\n{}", many.collect::<String>()));
    let said = folder.run(&["registration", "own.yaml"]);
    assert!(
        said.contains("Warning: policy own has more fields than an API server would compile a condition of"),
        "{said}"
    );
    assert!(said.starts_with("exit code 0\n") && !said.contains("changes-an-immutable-field"));
    let said = folder.run(&["policy", "vap", "own.yaml"]);
    assert!(
        said.starts_with("exit code 2\n") && said.contains("error: own.yaml: the policy has more fields"),
        "{said}"
    );
}
