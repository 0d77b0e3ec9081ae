//! The field paths of changed lists.

use serde_json::json;

use super::{CONTAINER, CONTAINER_PATH, POD, POD_PATH, from_to, set};

#[test]
fn a_list_of_scalars_is_one_field() {
    let (args, path) = (format!("{CONTAINER}/args"), format!("{CONTAINER_PATH}.args"));
    set(&args, json!(["--backend", "nccl"])).rejects(&[(&path, "")]);
    set(&args, json!(["gloo", "--backend"])).rejects(&[(&path, "")]);
    set(&args, json!(["--verbose", "--backend", "gloo"])).rejects(&[(&path, "")]);
    set(&args, json!(["--backend"])).rejects(&[(&path, "")]);
    set(&args, json!(["--backend", "gloo", null])).rejects(&[(&path, "")]);
    set(&args, json!([1, true])).rejects(&[(&path, "")]);
    set(&args, json!(["--backend", "gloo"])).accepts();
    from_to(&args, json!([1, null]), json!([1.0, null])).accepts();
}

#[test]
fn named_elements_are_aligned_by_name() {
    let (env, path) = (format!("{CONTAINER}/env"), format!("{CONTAINER_PATH}.env"));
    set(&format!("{env}/1/value"), json!("3")).rejects(&[(&format!("{path}[name=\"B\"].value"), "")]);
    set(&env, json!([{"name": "A", "value": "1"}])).rejects(&[(&format!("{path}[name=\"B\"]"), " (removed)")]);
    set(&env, json!([{"name": "B", "value": "2"}])).rejects(&[(&format!("{path}[name=\"A\"]"), " (removed)")]);
    set(&env, json!([{"name": "C"}, {"name": "A", "value": "1"}, {"name": "B", "value": "2"}]))
        .rejects(&[(&format!("{path}[name=\"C\"]"), " (added)")]);
    set(&format!("{env}/0/name"), json!("Z"))
        .rejects(&[(&format!("{path}[name=\"A\"]"), " (removed)"), (&format!("{path}[name=\"Z\"]"), " (added)")]);
    set(&env, json!([{"value": "1", "name": "A"}, {"name": "B", "value": "2", "valueFrom": null}])).accepts();
}

#[test]
fn a_changed_order_of_named_elements_is_one_line() {
    let (env, path) = (format!("{CONTAINER}/env"), format!("{CONTAINER_PATH}.env"));
    let swapped = json!([{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]);
    set(&env, swapped).rejects(&[(&path, " (order changed)")]);
    set(&env, json!([{"name": "B", "value": "2"}, {"name": "C"}, {"name": "A", "value": "9"}])).rejects(&[
        (&path, " (order changed)"),
        (&format!("{path}[name=\"A\"].value"), ""),
        (&format!("{path}[name=\"C\"]"), " (added)"),
    ]);
    // What stayed is in its old order.
    from_to(
        &env,
        json!([{"name": "A"}, {"name": "B"}, {"name": "C"}]),
        json!([{"name": "D"}, {"name": "A"}, {"name": "C"}]),
    )
    .rejects(&[(&format!("{path}[name=\"B\"]"), " (removed)"), (&format!("{path}[name=\"D\"]"), " (added)")]);
    from_to(&env, json!([{"name": "A"}, {"name": "B"}]), json!([{"name": "A"}, {"name": "B"}])).accepts();
}

#[test]
fn elements_without_unique_names_are_compared_by_index() {
    let (env, path) = (format!("{CONTAINER}/env"), format!("{CONTAINER_PATH}.env"));
    let twice = json!([{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]);
    set(&env, twice.clone()).rejects(&[(&format!("{path}[1].name"), "")]);
    set(&env, twice).backwards().rejects(&[(&format!("{path}[1].name"), "")]);
    set(&format!("{env}/1/name"), json!(7)).rejects(&[(&format!("{path}[1].name"), "")]);
    set(&format!("{env}/1"), json!({"value": "2"})).rejects(&[(&format!("{path}[1].name"), " (removed)")]);
    set(&format!("{env}/1"), json!("B")).rejects(&[(&format!("{path}[1]"), "")]);
    set(&env, json!([{"name": "A"}, {"name": "A"}, {"name": "A"}])).rejects(&[(&path, "")]);
}

#[test]
fn another_list_is_compared_by_index_while_its_length_stays() {
    let (list, path) = (format!("{POD}/tolerations"), format!("{POD_PATH}.tolerations"));
    set(&format!("{list}/0/key"), json!("cpu")).rejects(&[(&format!("{path}[0].key"), "")]);
    set(&format!("{list}/1/operator"), json!("Equal")).rejects(&[(&format!("{path}[1].operator"), " (added)")]);
    set(&list, json!([{"key": "spot"}, {"key": "gpu", "operator": "Exists"}])).rejects(&[
        (&format!("{path}[0].key"), ""),
        (&format!("{path}[0].operator"), " (removed)"),
        (&format!("{path}[1].key"), ""),
        (&format!("{path}[1].operator"), " (added)"),
    ]);
    set(&list, json!([{"key": "gpu", "operator": "Exists"}])).rejects(&[(&path, "")]);
    set(&list, json!([{"key": "gpu", "operator": "Exists"}, {"key": "spot"}, {"key": "x"}])).rejects(&[(&path, "")]);
    set(&list, json!([{"key": "gpu", "operator": "Exists", "effect": null}, {"key": "spot"}])).accepts();
}

#[test]
fn nested_and_mixed_lists_are_other_lists() {
    let list = |value| json!({"l": value});
    from_to("/spec/x", list(json!([[1, 2], [3]])), list(json!([[1, 2], [4]]))).rejects(&[("spec.x.l[1]", "")]);
    from_to("/spec/x", list(json!([[1, 2], [3]])), list(json!([[1, 2]]))).rejects(&[("spec.x.l", "")]);
    from_to("/spec/x", list(json!(["a", {"b": 1}])), list(json!(["a", {"b": 2}])))
        .rejects(&[("spec.x.l[1].b", " (was 1, now 2)")]);
    from_to("/spec/x", list(json!(["a", {"b": 1}])), list(json!(["c", {"b": 1}]))).rejects(&[("spec.x.l[0]", "")]);
    from_to("/spec/x", list(json!(["a"])), list(json!([{"name": "a"}]))).rejects(&[("spec.x.l[0]", "")]);
    from_to(
        "/spec/x",
        list(json!([{"name": "a", "l": [{"name": "b", "v": 1}]}])),
        list(json!([{"name": "a", "l": [{"name": "b", "v": 2}]}])),
    )
    .rejects(&[(r#"spec.x.l[name="a"].l[name="b"].v"#, " (was 1, now 2)")]);
    from_to("/spec/x", list(json!([[1], {"b": 1}])), list(json!([[1.0], {"b": 1.0, "c": null}]))).accepts();
}

#[test]
fn a_by_value_place_is_found_in_elements_without_names() {
    let list = format!("{POD}/containers");
    from_to(&list, json!([{"image": "a"}]), json!([{"image": "a", "resources": {}}])).accepts();
    from_to(
        &list,
        json!([{"image": "a", "resources": {"limits": {"cpu": 1}}}]),
        json!([{"image": "a", "resources": {"limits": {"cpu": "1000m"}}}]),
    )
    .accepts();
    from_to(&list, json!([{"image": "a"}]), json!([{"image": "a", "limits": {}}]))
        .rejects(&[(&format!("{POD_PATH}.containers[0].limits"), " (added)")]);
}
