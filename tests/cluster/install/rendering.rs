//! The objects that kubectl and Helm render. No API server is needed.

use std::{fs, path::Path, process::Command};

use insta::assert_snapshot;
use pytorchjob_guard::policy::Policy;
use serde_json::{Value, json};

use super::{NAME, OVERLAYS, READS_ONLY, ROOT, assert_same, chart, fails, identity, objects, run, template, the};
use support::{guard, programs::helm};

use crate::{cluster::Clusters, tests};

tests![
    every_built_in_policy_is_shipped_as_the_guard_prints_it,
    an_overlay_is_its_parts,
    kubectl_and_helm_render_the_same_objects,
    an_overlay_gives_the_guard_what_it_needs,
    kubectl_and_helm_mount_the_same_client_ca,
    an_installation_has_these_objects,
    nothing_renders_a_ca_bundle_or_the_data_of_a_secret,
    the_always_ask_overlay_has_no_conditions,
    helm_leaves_the_namespace_to_the_release,
    helm_installs_into_another_namespace,
    helm_places_the_pods_where_the_values_say,
    helm_refuses_values_that_mean_nothing,
    helm_finds_nothing_to_complain_about,
];

fn every_built_in_policy_is_shipped_as_the_guard_prints_it(_: &Clusters) {
    let commands = [("policy.yaml", &["policy", "show"][..]), ("registration.yaml", &["registration"][..])];
    for policy in Policy::builtin_names() {
        for (file, command) in commands {
            let printed = run(guard::program().args(command).arg(policy));
            for folder in ["manifests/policies", "charts/pytorchjob-guard/policies"] {
                let path = format!("{folder}/{policy}/{file}");
                let renew = format!("{NAME} {} {policy} > {path}", command.join(" "));
                let shipped = fs::read_to_string(Path::new(ROOT).join(&path)).unwrap_or_default();
                assert!(shipped == printed, "{path} is not what the guard prints; renew it:\n\n  {renew}\n");
            }
        }
    }
}

fn an_overlay_is_its_parts(_: &Clusters) {
    for overlay in OVERLAYS {
        assert_same(&overlay.objects(), &overlay.objects_with("cci"), overlay.name);
    }
}

fn kubectl_and_helm_render_the_same_objects(_: &Clusters) {
    for overlay in OVERLAYS.into_iter().chain([READS_ONLY]) {
        for policy in Policy::builtin_names() {
            let context = format!("{} {policy}", overlay.name);
            assert_same(&overlay.objects_with(policy), &overlay.chart_objects_with(policy), &context);
        }
    }
}

fn kubectl_and_helm_mount_the_same_client_ca(_: &Clusters) {
    let secret = format!("{NAME}-client-ca");
    for overlay in [OVERLAYS[0], OVERLAYS[1]] {
        let values = format!("{},clientCA.secretName={secret},namespace.create=true", overlay.values);
        let chart = objects(&run(&mut template(NAME, &["--set", values.trim_start_matches(',')])));
        let rendered = overlay.objects_and("client-ca");
        assert_same(&rendered, &chart, overlay.name);
        let pod = &the(&rendered, "Deployment")["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        let lists = |list: &Value, wanted: Value| list.as_array().expect("a list").contains(&wanted);
        let folder = format!("/etc/{secret}");
        assert!(lists(&container["args"], json!(format!("--client-ca={folder}/ca.crt"))), "{container}");
        let mount = json!({"name": "client-ca", "mountPath": folder, "readOnly": true});
        assert!(lists(&container["volumeMounts"], mount), "{container}");
        assert!(lists(&pod["volumes"], json!({"name": "client-ca", "secret": {"secretName": secret}})), "{pod}");
    }
}

fn an_overlay_gives_the_guard_what_it_needs(_: &Clusters) {
    let arguments = OVERLAYS.map(|overlay| {
        let objects = overlay.objects();
        let container = &the(&objects, "Deployment")["spec"]["template"]["spec"]["containers"][0];
        let arguments = container["args"].as_array().expect("arguments").iter().filter_map(Value::as_str);
        let lines: Vec<_> = arguments.map(|argument| format!("  {argument}\n")).collect();
        format!("{}:\n{}", overlay.name, lines.concat())
    });
    assert_snapshot!(arguments.concat(), @"
    self-managed:
      serve
      --listen=[::]:8443
      --admin-listen=[::]:8080
      --log-format=json
      --policy=/etc/pytorchjob-guard/policy.yaml
      --max-body-bytes=4194304
      --max-buffered-bytes=33554432
      --registration=pytorchjob-guard
      --service=pytorchjob-guard/pytorchjob-guard
      --manage-certs
      --secret=pytorchjob-guard-ca
      --manage-registration
    cert-manager:
      serve
      --listen=[::]:8443
      --admin-listen=[::]:8080
      --log-format=json
      --policy=/etc/pytorchjob-guard/policy.yaml
      --max-body-bytes=4194304
      --max-buffered-bytes=33554432
      --registration=pytorchjob-guard
      --service=pytorchjob-guard/pytorchjob-guard
      --tls-cert=/etc/pytorchjob-guard-tls/tls.crt
      --tls-key=/etc/pytorchjob-guard-tls/tls.key
      --manage-registration
    always-ask:
      serve
      --listen=[::]:8443
      --admin-listen=[::]:8080
      --log-format=json
      --policy=/etc/pytorchjob-guard/policy.yaml
      --max-body-bytes=4194304
      --max-buffered-bytes=33554432
      --registration=pytorchjob-guard
      --service=pytorchjob-guard/pytorchjob-guard
      --manage-certs
      --secret=pytorchjob-guard-ca
    ");
}

fn an_installation_has_these_objects(_: &Clusters) {
    let lists = OVERLAYS.map(|overlay| {
        let lines: Vec<_> = overlay.objects().iter().map(|object| format!("  {}\n", identity(object))).collect();
        format!("{}:\n{}", overlay.name, lines.concat())
    });
    assert_snapshot!(lists.concat(), @"
    self-managed:
      admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration  pytorchjob-guard
      apps/v1 Deployment pytorchjob-guard pytorchjob-guard
      networking.k8s.io/v1 NetworkPolicy pytorchjob-guard pytorchjob-guard
      policy/v1 PodDisruptionBudget pytorchjob-guard pytorchjob-guard
      rbac.authorization.k8s.io/v1 ClusterRole  pytorchjob-guard
      rbac.authorization.k8s.io/v1 ClusterRoleBinding  pytorchjob-guard
      rbac.authorization.k8s.io/v1 Role pytorchjob-guard pytorchjob-guard
      rbac.authorization.k8s.io/v1 RoleBinding pytorchjob-guard pytorchjob-guard
      v1 ConfigMap pytorchjob-guard pytorchjob-guard-policy
      v1 Namespace  pytorchjob-guard
      v1 Secret pytorchjob-guard pytorchjob-guard-ca
      v1 Service pytorchjob-guard pytorchjob-guard
      v1 ServiceAccount pytorchjob-guard pytorchjob-guard
    cert-manager:
      admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration  pytorchjob-guard
      apps/v1 Deployment pytorchjob-guard pytorchjob-guard
      cert-manager.io/v1 Certificate pytorchjob-guard pytorchjob-guard-cert-manager-ca
      cert-manager.io/v1 Certificate pytorchjob-guard pytorchjob-guard-tls
      cert-manager.io/v1 Issuer pytorchjob-guard pytorchjob-guard-cert-manager-ca
      cert-manager.io/v1 Issuer pytorchjob-guard pytorchjob-guard-self-signed
      networking.k8s.io/v1 NetworkPolicy pytorchjob-guard pytorchjob-guard
      policy/v1 PodDisruptionBudget pytorchjob-guard pytorchjob-guard
      rbac.authorization.k8s.io/v1 ClusterRole  pytorchjob-guard
      rbac.authorization.k8s.io/v1 ClusterRoleBinding  pytorchjob-guard
      v1 ConfigMap pytorchjob-guard pytorchjob-guard-policy
      v1 Namespace  pytorchjob-guard
      v1 Service pytorchjob-guard pytorchjob-guard
      v1 ServiceAccount pytorchjob-guard pytorchjob-guard
    always-ask:
      admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration  pytorchjob-guard
      apps/v1 Deployment pytorchjob-guard pytorchjob-guard
      networking.k8s.io/v1 NetworkPolicy pytorchjob-guard pytorchjob-guard
      policy/v1 PodDisruptionBudget pytorchjob-guard pytorchjob-guard
      rbac.authorization.k8s.io/v1 ClusterRole  pytorchjob-guard
      rbac.authorization.k8s.io/v1 ClusterRoleBinding  pytorchjob-guard
      rbac.authorization.k8s.io/v1 Role pytorchjob-guard pytorchjob-guard
      rbac.authorization.k8s.io/v1 RoleBinding pytorchjob-guard pytorchjob-guard
      v1 ConfigMap pytorchjob-guard pytorchjob-guard-policy
      v1 Namespace  pytorchjob-guard
      v1 Secret pytorchjob-guard pytorchjob-guard-ca
      v1 Service pytorchjob-guard pytorchjob-guard
      v1 ServiceAccount pytorchjob-guard pytorchjob-guard
    ");
}

/// An empty one would be set again and again by whoever applies it, against whoever fills it.
fn nothing_renders_a_ca_bundle_or_the_data_of_a_secret(_: &Clusters) {
    for overlay in OVERLAYS {
        for policy in Policy::builtin_names() {
            for objects in [overlay.objects_with(policy), overlay.chart_objects_with(policy)] {
                let text = json!(objects).to_string();
                assert!(text.contains("clientConfig") && !text.contains("caBundle"), "{} {policy}", overlay.name);
                for secret in objects.iter().filter(|object| object["kind"] == "Secret") {
                    let members: Vec<_> = secret.as_object().expect("an object").keys().collect();
                    assert_eq!(members, ["apiVersion", "kind", "metadata", "type"]);
                }
            }
        }
    }
}

fn the_always_ask_overlay_has_no_conditions(_: &Clusters) {
    for overlay in OVERLAYS {
        let objects = overlay.objects();
        let webhooks = the(&objects, "ValidatingWebhookConfiguration")["webhooks"].as_array().expect("webhooks");
        assert_eq!(webhooks.len(), 2);
        for webhook in webhooks {
            assert_eq!(webhook.get("matchConditions").is_none(), overlay.name == "always-ask", "{}", overlay.name);
        }
    }
}

fn helm_leaves_the_namespace_to_the_release(_: &Clusters) {
    let with = objects(&run(&mut template(NAME, &["--set", "namespace.create=true"])));
    let mut without = objects(&run(&mut template(NAME, &[])));
    without.push(the(&with, "Namespace").clone());
    without.sort_by_key(identity);
    assert_same(&with, &without, "namespace.create");
}

fn helm_installs_into_another_namespace(_: &Clusters) {
    for overlay in OVERLAYS {
        let here = overlay.chart_objects_with("cci");
        let values = ["--set", "namespace.create=true", "--set", overlay.values];
        let values = if overlay.values.is_empty() { &values[..2] } else { &values[..] };
        let elsewhere = objects(&run(&mut template("elsewhere", values)));
        // Wherever the namespace's name stands, and nowhere else.
        let moved = here.into_iter().map(|mut object| {
            move_to("elsewhere", &mut object);
            object
        });
        let mut moved: Vec<_> = moved.collect();
        moved.sort_by_key(identity);
        assert_same(&moved, &elsewhere, overlay.name);
    }
}

/// The differences of a chart for another namespace.
fn move_to(namespace: &str, value: &mut Value) {
    match value {
        Value::Object(members) => {
            let is_namespace = members.get("kind").is_some_and(|kind| kind == "Namespace");
            for (name, member) in members {
                match (name.as_str(), &mut *member) {
                    ("namespace", member) => *member = json!(namespace),
                    ("metadata", member) if is_namespace => member["name"] = json!(namespace),
                    (_, member) => move_to(namespace, member),
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| move_to(namespace, element)),
        Value::String(text) => {
            if let Some(rest) = text.strip_prefix("--service=pytorchjob-guard/") {
                *text = format!("--service={namespace}/{rest}");
            } else if let Some(rest) = text.strip_prefix("pytorchjob-guard/") {
                *text = format!("{namespace}/{rest}");
            } else if text == "pytorchjob-guard.pytorchjob-guard.svc" {
                *text = format!("pytorchjob-guard.{namespace}.svc");
            }
        }
        _ => {}
    }
}

fn helm_places_the_pods_where_the_values_say(_: &Clusters) {
    let digest = format!("sha256:{}", "0a".repeat(32));
    let values = json!({
        "image": {"repository": "registry.example/guard", "digest": digest, "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "pull"}],
        "replicas": 3,
        "resources": {"requests": {"memory": "1Gi"}},
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"key": "system", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "extraArgs": ["--registration-settle=5m"],
    });
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("values.json");
    fs::write(&file, values.to_string()).expect("a file");
    let chosen = objects(&run(template(NAME, &["--values"]).arg(&file)));
    let mut plain = objects(&run(&mut template(NAME, &[])));

    let deployment = plain.iter_mut().find(|object| object["kind"] == "Deployment").expect("a Deployment");
    deployment["spec"]["replicas"] = json!(3);
    let pod = &mut deployment["spec"]["template"]["spec"];
    for name in ["imagePullSecrets", "priorityClassName", "nodeSelector", "tolerations", "affinity"] {
        pod[name] = values[name].clone();
    }
    let container = &mut pod["containers"][0];
    container["image"] = json!(format!("registry.example/guard@{digest}"));
    container["imagePullPolicy"] = json!("Always");
    container["resources"]["requests"]["memory"] = json!("1Gi");
    container["args"].as_array_mut().expect("arguments").push(json!("--registration-settle=5m"));
    assert_same(&chosen, &plain, "values");

    let tagged = run(&mut template(NAME, &["--set", "image.tag=v2"]));
    assert!(tagged.contains("image: \"pytorchjob-guard:v2\""), "{tagged}");
}

fn helm_refuses_values_that_mean_nothing(_: &Clusters) {
    for (value, complaint) in [
        ("polcy=cci", "additional properties 'polcy' not allowed"),
        ("policy=none", "at '/policy'"),
        ("certificates=none", "at '/certificates'"),
        ("replicas=0", "at '/replicas'"),
        ("image.digest=latest", "at '/image/digest'"),
        ("extraArgs={listen}", "at '/extraArgs/0'"),
        ("networkPolicy.egress.ports={0}", "at '/networkPolicy/egress/ports/0'"),
        ("networkPolicy.ingress.webhook.from[0].cidr=192.0.2.0/28", "at '/networkPolicy/ingress/webhook/from/0'"),
        ("policyText=nonsense", "policyText is no policy"),
        ("policies.a\\.yaml=nonsense", "policies.a.yaml is no policy"),
        ("registrationText=nonsense", "registrationText is no ValidatingWebhookConfiguration"),
        (
            "registrationText=kind: ValidatingWebhookConfiguration",
            "registrationText is no ValidatingWebhookConfiguration",
        ),
        ("monitoring.runbooks=docs", "at '/monitoring/runbooks'"),
        ("policies.a=nonsense", "additional properties 'a' not allowed"),
        (
            "exempt.kueue=a",
            "exempt.kueue: no exemption of that name in the policy cci lists users; these do: garbage-collector",
        ),
        ("policy=kueue,exempt.kueue=", "at '/exempt/kueue'"),
    ] {
        let said = fails(&mut template(NAME, &["--set", value]));
        assert!(said.contains(complaint), "{value}: {said}");
    }
}

fn helm_finds_nothing_to_complain_about(_: &Clusters) {
    let mut lint = Command::new(helm().expect("Helm"));
    run(lint.args(["lint", "--strict"]).arg(chart()));
}
