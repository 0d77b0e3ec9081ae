//! `policy list`, `show`, `lint` and `doctor`.

mod doctor;

use insta::assert_snapshot;
use pytorchjob_guard::policy::Policy;
use serde_json::Value;

use crate::cli::Folder;

/// A policy that uses everything.
pub(crate) const FULL: &str = r#"# everything
apiVersion: pytorchjob-guard/v1
kind: UpdatePolicy
name: full
resources: [{group: kubeflow.org, resource: pytorchjobs}, {group: '', resource: pods}]
mutableFields: [metadata.labels, 'spec.*.template[0].containers[name="a\"b"]', spec]
immutableFields: ["metadata.labels[x.io/y]"]
serverManagedFields: [metadata.managedFields]
equality: Strict
exemptions:
  - {name: a, users: [u, 'yes'], groups: ["1", null-group], when: SuspendChanged, fields: [metadata.finalizers]}
  - {name: b, when: Deleting, fields: [status]}
  - {name: c, users: [hpa], subresources: [scale, other], fields: [spec.replicas]}
validationActions: [Audit, Warn]
denial: {reason: Forbidden}
"#;

#[test]
fn lists_the_built_in_policies() {
    let said = Folder::new().run(&["policy", "list"]);
    assert_snapshot!(said, @"
    exit code 0
    --- output
    cci                Cloud Container Instance's contract; deadline, TTL and clean-up policy stand under spec (the default)
    training-operator  the same contract for the training operator 1.3 and later, which keeps them under spec.runPolicy
    kueue              training-operator, for clusters where Kueue starts and stops the jobs
    ");
    let listed: Vec<&str> = said.lines().skip(2).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(listed, Policy::builtin_names().collect::<Vec<_>>());
    let json = Folder::new().run(&["policy", "list", "-o", "json"]);
    let json: Value =
        serde_json::from_str(json.strip_prefix("exit code 0\n--- output\n").expect("JSON")).expect("JSON");
    let names: Vec<_> = json.as_array().expect("a list").iter().map(|policy| policy["name"].as_str()).collect();
    assert_eq!(names, Policy::builtin_names().map(Some).collect::<Vec<_>>());
    assert_eq!((&json[0]["isDefault"], &json[1]["isDefault"]), (&true.into(), &false.into()));
}

#[test]
fn suggests_the_policy_that_was_meant() {
    let said = Folder::new().run(&["policy", "show", "training-opertor"]);
    assert!(
        said.contains("(cci, training-operator, kueue) (did you mean training-operator?), and as a file"),
        "{said}"
    );
}

#[test]
fn shows_a_policy_as_it_is_written() {
    for name in Policy::builtin_names() {
        let text = Policy::builtin_text(name).expect("its text");
        assert_eq!(Folder::new().run(&["policy", "show", name]), format!("exit code 0\n--- output\n{text}"));
    }
    let default = Folder::new().run(&["policy", "show"]);
    assert_eq!(default, Folder::new().run(&["policy", "show", "cci", "-o", "yaml"]));
    let folder = Folder::new().with("own.yaml", FULL);
    assert_eq!(folder.run(&["policy", "show", "own.yaml"]), format!("exit code 0\n--- output\n{FULL}"));
}

#[test]
fn shows_a_whole_policy_as_json() {
    let folder = Folder::new().with(
        "own.yaml",
        "apiVersion: pytorchjob-guard/v1\nkind: UpdatePolicy\nname: own\nresources: [{group: a, resource: b}]\n\
         exemptions: [{name: x, fields: [c]}]\n",
    );
    assert_snapshot!(folder.run(&["policy", "show", "own.yaml", "-o", "json"]), @r#"
    exit code 0
    --- output
    {
      "apiVersion": "pytorchjob-guard/v1",
      "kind": "UpdatePolicy",
      "name": "own",
      "resources": [
        {
          "group": "a",
          "resource": "b"
        }
      ],
      "suspendField": "spec.runPolicy.suspend",
      "mutableFields": [],
      "immutableFields": [],
      "serverManagedFields": [
        "metadata.managedFields",
        "metadata.generation",
        "metadata.resourceVersion",
        "metadata.selfLink"
      ],
      "equality": "Semantic",
      "exemptions": [
        {
          "name": "x",
          "fields": [
            "c"
          ]
        }
      ],
      "validationActions": [
        "Deny"
      ],
      "denial": {
        "reason": "Invalid"
      }
    }
    "#);
}

#[test]
fn json_reads_back_as_the_same_policy() {
    let texts = Policy::builtin_names().filter_map(Policy::builtin_text).chain([FULL]);
    for text in texts {
        let said = Folder::new().with("own.yaml", text).run(&["policy", "show", "own.yaml", "-o", "json"]);
        let json = said.strip_prefix("exit code 0\n--- output\n").expect("JSON");
        serde_json::from_str::<Value>(json).expect("JSON");
        assert_eq!(Policy::parse(json), Policy::parse(text));
        let folder = Folder::new().with("own.json", json);
        assert_eq!(folder.run(&["policy", "show", "own.json", "-o", "json"]), said);
        assert_eq!(folder.run(&["policy", "show", "own.json"]), said);
    }
}

#[test]
fn shows_nothing_of_what_is_no_policy() {
    let folder = Folder::new().with("own.yaml", "kind: UpdatePolicy\n");
    assert_snapshot!(folder.run(&["policy", "show", "own.yaml"]), @"
    exit code 2
    --- error output
    error: own.yaml: line 1, column 1: apiVersion is missing; write apiVersion: pytorchjob-guard/v1 (and 2 more)
    ");
    assert_snapshot!(folder.run(&["policy", "show", "cic"]), @"
    exit code 2
    --- error output
    error: cic: it is none of the built-in policies (cci, training-operator, kueue), and as a file it cannot be read: No such file or directory (os error 2)
    ");
}

#[test]
fn lints_several_policies() {
    let folder = Folder::new().with("warned.yaml", FULL).with("bad.yaml", FULL.replace("Strict", "strict"));
    assert_snapshot!(folder.run(&["policy", "lint", "cci", "kueue"]), @"exit code 0");
    let warned = folder.run(&["policy", "lint", "cci", "warned.yaml"]);
    assert_snapshot!(warned, @r#"
    exit code 0
    --- output
    warned.yaml:5:59: note: resources: the Go types of pods are not known: of its objects only metadata and pod templates are compared as Go does, all else as JSON
    warned.yaml:6:34: warning: mutableFields: spec.*.template[0].containers[name="a\"b"] is inside spec, which is listed too; take it away
    warned.yaml:6:34: note: mutableFields: spec.*.template[0].containers[name="a\"b"]: containers counts as a whole where an element has no name, or two have the same: then no change of it is allowed unless every change is
    warned.yaml:6:80: warning: this policy protects nothing of spec: everyone may change spec; list only what may change, or list what may not under immutableFields
    warned.yaml:8:1: warning: serverManagedFields: the API server itself changes metadata.generation in ordinary updates, which then are violations; list it
    warned.yaml:9:11: warning: equality: Strict denies updates that change nothing: a typed client writes cpu: 2 as "2", and {} and null where there was nothing
    warned.yaml:13:51: warning: exemption c: subresources: custom resources have no other, only status and scale
    warned.yaml:14:20: note: validationActions: nothing is denied; add Deny when you have seen enough
    "#);
    assert_eq!(folder.run(&["policy", "lint", "--strict", "cci", "warned.yaml"]), warned.replacen('0', "1", 1));
    assert_snapshot!(folder.run(&["policy", "lint", "--strict", "bad.yaml", "cci", "none.yaml"]), @"
    exit code 2
    --- output
    bad.yaml:9:11: error: equality: there is no strict (did you mean Strict?); write Semantic or Strict
    --- error output
    error: none.yaml: it is none of the built-in policies (cci, training-operator, kueue), and as a file it cannot be read: No such file or directory (os error 2)
    ");
    // A note is no warning.
    let audit = Policy::builtin_text("cci").expect("its text").replace("name: cci", "name: audit")
        + "validationActions: [Audit]\n";
    let folder = Folder::new().with("audit.yaml", audit);
    assert_snapshot!(folder.run(&["policy", "lint", "--strict", "audit.yaml"]), @"
    exit code 0
    --- output
    audit.yaml:29:20: note: validationActions: nothing is denied; add Deny when you have seen enough
    ");
}

#[test]
fn helps_with_policies() {
    let help = |args: &[&str]| Folder::new().run(args);
    assert_snapshot!(help(&["policy", "-h"]), @"
    exit code 0
    --- output
    See, check and try policies

    Usage: pytorchjob-guard policy <COMMAND>

    Commands:
      list              List the built-in policies
      show              Print a policy
      lint              Report errors in policies, and warn of what is probably a mistake
      doctor            Hold a policy against a CRD: which of its fields do the objects have?
      match-conditions  Print the matchConditions with which an API server asks the guard only about
                        what a policy could deny
      vap               Print the nearest ValidatingAdmissionPolicy and its binding, for clusters that
                        cannot run a webhook
      help              Print this message or the help of the given subcommand(s)

    Options:
      -h, --help  Print help
    ");
    assert_snapshot!(help(&["policy", "show", "-h"]), @"
    exit code 0
    --- output
    Print a policy

    Usage: pytorchjob-guard policy show [OPTIONS] [NAME|FILE]

    Arguments:
      [NAME|FILE]  A built-in policy's name, or a policy file [default: cci]

    Options:
          --exempt <EXEMPTION=USER>  A user in place of those that an exemption of a built-in policy
                                     lists, like kueue=system:serviceaccount:NAMESPACE:NAME for a Kueue
                                     elsewhere. May be given several times [env:
                                     PYTORCHJOB_GUARD_EXEMPT=]
      -o, --output <FORMAT>          The output format [default: yaml] [possible values: yaml, json]
      -h, --help                     Print help (see more with '--help')
    ");
    assert_snapshot!(help(&["policy", "lint", "-h"]), @"
    exit code 0
    --- output
    Report errors in policies, and warn of what is probably a mistake

    Usage: pytorchjob-guard policy lint [OPTIONS] <FILE|FOLDER>...

    Arguments:
      <FILE|FOLDER>...  Policy files, folders of them, or built-in policies' names. Of a folder it says
                        which overlap

    Options:
          --strict  Exit with code 1 where there is a warning
      -h, --help    Print help

    Exit code 0: the policies can be used. 1: they can, but with --strict a warning counts. 2: one
    cannot.
    ");
    assert_snapshot!(help(&["policy", "doctor", "-h"]), @"
    exit code 0
    --- output
    Hold a policy against a CRD: which of its fields do the objects have?

    Usage: pytorchjob-guard policy doctor [OPTIONS] --crd <FILE>

    Options:
          --policy <NAME|FILE>  A built-in policy's name, or a policy file [env:
                                PYTORCHJOB_GUARD_POLICY=] [default: cci]
          --crd <FILE>          The CRD of the policy's resource, and others maybe, YAML or JSON; - is
                                standard input
      -h, --help                Print help

    kubectl get crd pytorchjobs.kubeflow.org -o yaml | pytorchjob-guard policy doctor --crd -

    Exit code 0: the policy does what it says. 1: it does not, and the output says where. 2: bad input.
    ");
}
