//! Equality: server-managed fields, and Kubernetes' semantic equality.

use serde_json::{Value, json};

use super::{CONTAINER, CONTAINER_PATH, POD, POD_PATH, TEMPLATE, TEMPLATE_PATH, from_to, set, without};
use crate::{
    reference,
    review::{Answered, Review},
    tree::Tree,
};

#[test]
fn leaves_out_server_managed_fields() {
    for field in ["managedFields", "generation", "resourceVersion", "selfLink"] {
        let pointer = format!("/metadata/{field}");
        set(&pointer, json!([{"manager": "kubectl"}])).accepts();
        from_to(&pointer, json!("1"), json!(null)).accepts();
        let elsewhere = format!("/spec/{field}");
        set(&elsewhere, json!(1)).rejects(&[(&format!("spec.{field}"), " (added)")]);
        set(&format!("/{field}"), json!(1)).rejects(&[(field, " (added)")]);
    }
    set("/metadata/generateName", json!("x")).rejects(&[("metadata.generateName", " (added)")]);
    set("/metadata/creationTimestamp", json!("x")).rejects(&[("metadata.creationTimestamp", " (added)")]);
}

#[test]
fn leaves_out_server_managed_fields_of_added_metadata() {
    from_to("/metadata", json!(null), json!({"generation": 1, "name": "mnist", "labels": {"a": "b"}}))
        .rejects(&[("metadata.name", " (added)")]);
    from_to("/metadata", json!({"generation": 1}), json!({"resourceVersion": "1"})).accepts();
}

#[test]
fn null_and_the_empty_list_are_absent() {
    for nothing in [json!(null), json!([])] {
        set("/spec/extra", nothing.clone()).accepts();
        set("/spec/extra", nothing.clone()).backwards().accepts();
        set(&format!("{CONTAINER}/ports"), nothing.clone()).accepts();
        set(&format!("{TEMPLATE}/spec/volumes"), nothing.clone()).accepts();
        set("/spec/backoffLimit", nothing.clone()).rejects(&[("spec.backoffLimit", " (removed)")]);
        from_to("/spec/extra", nothing, json!([{"name": "a"}])).rejects(&[("spec.extra", " (added)")]);
    }
    from_to("/spec/extra", json!(null), json!([])).accepts();
    for something in [json!(false), json!(0), json!(""), json!({}), json!([null])] {
        set("/spec/extra", something).rejects(&[("spec.extra", " (added)")]);
    }
}

#[test]
fn an_emptied_list_is_a_removed_one() {
    set(&format!("{CONTAINER}/env"), json!([])).rejects(&[(&format!("{CONTAINER_PATH}.env"), " (removed)")]);
    set(&format!("{CONTAINER}/args"), json!([])).rejects(&[(&format!("{CONTAINER_PATH}.args"), " (removed)")]);
    set(&format!("{CONTAINER}/args"), json!(["--backend", "gloo"])).accepts();
}

#[test]
fn the_empty_map_is_absent_only_where_go_writes_one() {
    set(&format!("{TEMPLATE}/metadata"), json!({})).accepts();
    set(&format!("{TEMPLATE}/metadata"), json!({"creationTimestamp": null})).accepts();
    set(&format!("{TEMPLATE}/metadata"), json!({"creationTimestamp": null})).backwards().accepts();
    set("/spec/runPolicy", json!({})).accepts();
    set("/spec/runPolicy", json!({})).backwards().accepts();
    set("/metadata/annotations", json!({})).accepts();
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        let bare = json!([{"name": "pytorch"}]);
        let empty = json!([{"name": "pytorch", "resources": {}}]);
        let update = from_to(&format!("{POD}/{list}"), bare, empty);
        update.accepts();
        update.backwards().accepts();
    }

    set(&format!("{POD}/affinity"), json!({})).rejects(&[(&format!("{POD_PATH}.affinity"), " (added)")]);
    set(&format!("{POD}/resources"), json!({})).rejects(&[(&format!("{POD_PATH}.resources"), " (added)")]);
    set("/spec/metadata", json!({})).rejects(&[("spec.metadata", " (added)")]);
    set("/spec/template", json!({"metadata": {}})).rejects(&[("spec.template", " (added)")]);
    set("/runPolicy", json!({})).rejects(&[("runPolicy", " (added)")]);
    from_to("/spec/runPolicy", json!({"schedulingPolicy": {}}), json!({})).rejects(&[("spec.runPolicy", " (removed)")]);
    from_to(&format!("{TEMPLATE}/metadata"), json!({"labels": {"a": "b"}}), json!({"labels": {}}))
        .rejects(&[(&format!("{TEMPLATE_PATH}.metadata"), " (removed)")]);
    from_to(&format!("{TEMPLATE}/metadata"), json!({"annotations": {}}), json!({})).accepts();
    from_to(&format!("{CONTAINER}/resources"), json!({"limits": {}}), json!(null)).accepts();
}

#[test]
fn a_map_by_value_with_nothing_in_it_is_absent_too() {
    set("/spec/runPolicy", json!({"suspend": null, "list": []})).accepts();
    from_to(&format!("{CONTAINER}/resources"), json!({"limits": null, "claims": []}), json!(null)).accepts();
    set("/spec/runPolicy", json!({"suspend": false})).rejects(&[("spec.runPolicy", " (added)")]);
}

#[test]
fn what_was_absent_is_added() {
    from_to(&format!("{CONTAINER}/resources"), json!({}), json!({"limits": {"cpu": 1}}))
        .rejects(&[(&format!("{CONTAINER_PATH}.resources"), " (added)")]);
    from_to("/spec/runPolicy", json!({"suspend": true}), json!({})).rejects(&[("spec.runPolicy", " (removed)")]);
    from_to("/spec/runPolicy", json!({"suspend": true}), json!({"suspend": true})).accepts();
}

#[test]
fn quantities_compare_by_amount() {
    let cpu = format!("{CONTAINER}/resources/limits/cpu");
    let cpu_path = format!("{CONTAINER_PATH}.resources.limits.cpu");
    for same in [json!("2"), json!("2000m"), json!(2.0), json!("2e0"), json!("0.002k"), json!("2000000000n")] {
        set(&cpu, same.clone()).accepts();
        set(&cpu, same).backwards().accepts();
    }
    set(&cpu, json!(3)).rejects(&[(&cpu_path, " (was 2, now 3)")]);
    set(&cpu, json!("3")).rejects(&[(&cpu_path, "")]);
    set(&cpu, json!("2k")).rejects(&[(&cpu_path, "")]);
    set(&cpu, json!("2M")).rejects(&[(&cpu_path, "")]);
    let memory = format!("{CONTAINER}/resources/limits/memory");
    let memory_path = format!("{CONTAINER_PATH}.resources.limits.memory");
    for same in [json!("4096Mi"), json!(4_294_967_296_u64), json!("4294967296"), json!("4194304Ki"), json!("4.0Gi")] {
        set(&memory, same).accepts();
    }
    for other in ["4G", "4Gi ", "4gi", "4.1Gi", "4Ei", "lots", ""] {
        set(&memory, json!(other)).rejects(&[(&memory_path, "")]);
    }
    from_to(&memory, json!("lots"), json!("lots")).accepts();
    let ladder = ["1", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei", "1k", "1M", "1G", "1T", "1P", "1E", "1n", "1u", "1m"];
    let steps = [("1Ki", "1024"), ("1Mi", "1024Ki"), ("1Gi", "1024Mi"), ("1Ti", "1024Gi"), ("1Pi", "1024Ti")];
    for (one, same) in steps.into_iter().chain([("1k", "1000"), ("1M", "1000k"), ("1G", "1000M"), ("1T", "1000G")]) {
        from_to(&memory, json!(one), json!(same)).accepts();
    }
    for pair in ladder.windows(2) {
        from_to(&memory, json!(pair[0]), json!(pair[1])).rejects(&[(&memory_path, "")]);
    }
    from_to(&memory, json!("1Ei"), json!("1152921504606846976")).accepts();
    from_to(&memory, json!("1E"), json!("1e18")).accepts();
    from_to(&memory, json!("1E"), json!("1Ei")).rejects(&[(&memory_path, "")]);
    from_to(&memory, json!(".5T"), json!("500G")).accepts();
    from_to(&memory, json!("1P"), json!("1000T")).accepts();
    from_to(&memory, json!("1m"), json!("1000u")).accepts();
    // Past what 64 bits and billionths hold.
    from_to(&memory, json!("10E"), json!("20E")).rejects(&[(&memory_path, "")]);
    from_to(&memory, json!("100Ei"), json!("200Ei")).rejects(&[(&memory_path, "")]);
    from_to(&memory, json!("1e80"), json!("1e90")).rejects(&[(&memory_path, "")]);
    from_to(&memory, json!("0.1n"), json!("0.2n")).rejects(&[(&memory_path, "")]);
    from_to(&memory, json!("100Ei"), json!("102400Pi")).accepts();
}

#[test]
fn quantities_are_resources_of_containers_and_nothing_else() {
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        for kind in ["limits", "requests"] {
            let with = |cpu: Value| json!([{"name": "a", "resources": {kind: {"example.com/gpu": cpu}}}]);
            from_to(&format!("{POD}/{list}"), with(json!(1)), with(json!("1"))).accepts();
            let path = format!("{POD_PATH}.{list}[name=\"a\"].resources.{kind}[example.com/gpu]");
            from_to(&format!("{POD}/{list}"), with(json!("1")), with(json!("2"))).rejects(&[(&path, "")]);
        }
    }
    let other = json!([{"name": "a", "resources": {"limits": {"cpu": {"x": 1}}}}]);
    let deeper = json!([{"name": "a", "resources": {"limits": {"cpu": {"x": "1"}}}}]);
    from_to(&format!("{POD}/containers"), other, deeper)
        .rejects(&[(&format!("{POD_PATH}.containers[name=\"a\"].resources.limits.cpu.x"), "")]);
    from_to(&format!("{POD}/overhead"), json!({"cpu": "1"}), json!({"cpu": "1000m"})).accepts();
    from_to(&format!("{POD}/overhead"), json!({"cpu": "1"}), json!({"cpu": "1001m"}))
        .rejects(&[(&format!("{POD_PATH}.overhead.cpu"), "")]);
    from_to("/spec/resources/limits/cpu", json!("1"), json!("1000m")).rejects(&[("spec.resources.limits.cpu", "")]);
}

#[test]
fn a_quantity_that_comes_or_goes_is_a_change() {
    without(&format!("{CONTAINER}/resources/limits/cpu"))
        .rejects(&[(&format!("{CONTAINER_PATH}.resources.limits.cpu"), " (removed)")]);
    set(&format!("{CONTAINER}/resources/requests"), json!({"cpu": 1}))
        .rejects(&[(&format!("{CONTAINER_PATH}.resources.requests"), " (added)")]);
    // For Go the key is there, with a quantity of zero.
    set(&format!("{CONTAINER}/resources/limits/gpu"), json!(null))
        .rejects(&[(&format!("{CONTAINER_PATH}.resources.limits.gpu"), " (added)")]);
}

/// Two objects as text, where a `Value` would lose how a number is spelled.
fn texts(old: &str, new: &str) -> (Answered, reference::Violations) {
    let (old, new) = (Tree::parse(old), Tree::parse(new));
    let expected = reference::judge(&old, &new, "alice", "");
    (Review::update(old, new).ask(), expected)
}

#[test]
fn numbers_compare_by_value() {
    let spec = |number: &str| format!(r#"{{"spec": {{"x": {number}, "l": [{number}]}}}}"#);
    for (one, same) in [
        ("1", "1.0"),
        ("1", "1e0"),
        ("10", "1E+1"),
        ("0.1", "1e-1"),
        ("0", "-0.0"),
        ("9007199254740993", "9007199254740993.0"),
        ("1e400", "10e399"),
        ("123456789012345678901234567890", "12345678901234567890123456789e1"),
    ] {
        let (answer, expected) = texts(&spec(one), &spec(same));
        assert!(answer.allowed() && expected.is_empty(), "{one} is {same}: {}", answer.text);
    }
    for (one, other) in [
        ("1", "10"),
        ("1", "-1"),
        ("1", "1.1"),
        ("9007199254740993", "9007199254740992"),
        ("9007199254740993", "9007199254740992.0"),
        ("18446744073709551616", "18446744073709551617"),
        ("1e400", "1e401"),
        ("0.1", "0.10000000000000000001"),
    ] {
        let (answer, expected) = texts(&spec(one), &spec(other));
        assert_eq!(answer.violations, ["spec.l", "spec.x"], "{one} is not {other}");
        assert_eq!(answer.causes(), expected);
        assert_eq!(answer.causes()["spec.x"], format!("Forbidden: field is immutable (was {one}, now {other})"));
    }
}

/// A quantity is no exception: no two amounts are one because a float holds neither.
#[test]
fn quantities_beyond_64_bits_compare_by_value() {
    let overhead = |number: &str| {
        format!(
            r#"{{"spec": {{"resources": {{"limits": {{"cpu": {number}}}}}, "pytorchReplicaSpecs": {{"Worker": {{"template": {{"spec": {{"overhead": {{"cpu": {number}}}}}}}}}}}}}}}"#
        )
    };
    let (answer, expected) = texts(&overhead("18446744073709551616"), &overhead("18446744073709551617"));
    assert_eq!(
        answer.violations,
        [&format!("{POD_PATH}.overhead.cpu").replace("Master", "Worker"), "spec.resources.limits.cpu"]
    );
    assert_eq!(answer.causes(), expected);
    let (answer, expected) = texts(&overhead("18446744073709551616"), &overhead("18446744073709551616.0"));
    assert!(answer.allowed() && expected.is_empty(), "{}", answer.text);
}

#[test]
fn equal_values_in_other_spellings_are_no_change() {
    let (answer, expected) = texts(
        r#"{"spec": {"b": "A/\u00e9\n", "a": {"x": [1, 2], "y": true}}}"#,
        "{\"spec\":{\"a\":{\"y\":true,\"x\":[ 1,2.0 ]},\"\\u0062\":\"\\u0041\\/é\\u000a\"}}",
    );
    assert!(answer.allowed() && expected.is_empty(), "{}", answer.text);
    let (answer, _) = texts(r#"{"spec": {"b": "\u0041"}}"#, r#"{"spec": {"b": "\u0042"}}"#);
    assert_eq!(answer.violations, ["spec.b"]);
}
