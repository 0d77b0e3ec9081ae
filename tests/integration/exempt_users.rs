//! `--exempt`: the users that a cluster has in place of those that built-in policies exempt.

use insta::assert_snapshot;
use pytorchjob_guard::policy::Policy;
use serde_json::{Value, json};
use support::{
    Serves as _,
    client::{Client, post_to},
    guard::Start,
    reviews::update,
};

use crate::cli::Folder;

const OWN: &str = "system:serviceaccount:queues:kueue";
const OPTION: &str = "--exempt=kueue=system:serviceaccount:queues:kueue";
const SHIPPED: &str = "system:serviceaccount:kueue-system:kueue-controller-manager";

fn shown() -> String {
    let said = Folder::new().run(&["policy", "show", "kueue", OPTION]);
    said.strip_prefix("exit code 0\n--- output\n").expect("a policy").to_owned()
}

#[test]
fn policy_show_prints_the_users_that_were_given() {
    let shipped = Policy::builtin_text("kueue").expect("a policy");
    assert_eq!(shown(), shipped.replace(SHIPPED, &format!("\"{OWN}\"")));
    let json = Folder::new().run(&["policy", "show", "kueue", "-o", "json", OPTION, "--exempt=kueue=second"]);
    let json: Value =
        serde_json::from_str(json.strip_prefix("exit code 0\n--- output\n").expect("JSON")).expect("JSON");
    assert_eq!(json["exemptions"][2]["users"], json!([OWN, "second"]));
    let vap = |options: &[&str]| Folder::new().run(&[&["policy", "vap", "kueue"], options].concat());
    assert_eq!(vap(&[OPTION]), vap(&[]).replace(SHIPPED, OWN));
}

/// Kueue starts a job.
fn folder() -> Folder {
    let job = |suspend: bool| {
        format!(
            "apiVersion: kubeflow.org/v1\nkind: PyTorchJob\nmetadata: {{name: a, namespace: b}}\nspec: {{runPolicy: {{suspend: {suspend}}}}}\n"
        )
    };
    Folder::new().with("old.yaml", job(true)).with("new.yaml", job(false))
}

#[test]
fn check_exempts_the_users_that_were_given_and_no_others() {
    let code = |user: &str, options: &[&str]| {
        let command = ["check", "old.yaml", "new.yaml", "--policy=kueue", "--user", user];
        folder().run(&[&command, options].concat()).lines().next().map(str::to_owned).expect("a line")
    };
    assert_eq!(code(SHIPPED, &[]), "exit code 0");
    assert_eq!(code(OWN, &[]), "exit code 1");
    assert_eq!(code(OWN, &[OPTION]), "exit code 0");
    assert_eq!(code(SHIPPED, &[OPTION]), "exit code 1");
}

#[test]
fn serve_exempts_the_users_that_were_given_and_tells_the_digest() {
    let guard = Start::new().args(&["--policy=cci", "--policy=kueue", OPTION]).serve();
    let digest = Policy::parse(&shown()).expect("a policy").digest().to_owned();
    assert_eq!(guard.metric(&format!("policy_info{{name=\"kueue\",digest=\"{digest}\"}}")).to_string(), "1");
    let answer = |user: &str| {
        let suspend = |suspend: bool| json!({"runPolicy": {"suspend": suspend}});
        let mut review = update(suspend(true), suspend(false));
        review["request"]["userInfo"]["username"] = json!(user);
        let reply = Client::to(&guard).ask(&post_to("/validate/kueue", &review.to_string()));
        serde_json::from_str::<Value>(&reply.body).expect("a review")["response"].clone()
    };
    assert_eq!(answer(OWN)["allowed"], json!(true));
    let denied = answer(SHIPPED);
    assert_eq!((&denied["allowed"], &denied["status"]["code"]), (&json!(false), &json!(422)));
    assert_eq!(denied["status"]["reason"], json!("Invalid"));
    assert_eq!(denied["status"]["details"]["causes"][0]["field"], json!("spec.runPolicy.suspend"));
}

#[test]
fn users_of_no_exemption_are_errors() {
    let folder = folder().with("own.yaml", Policy::builtin_text("kueue").expect("a policy"));
    let errors = [
        &["policy", "show", "kueue", "--exempt=kueu=a"][..],
        &["policy", "show", "kueue", "--exempt=deleting=a"],
        &["policy", "show", "cci", OPTION],
        &["policy", "show", "own.yaml", OPTION],
        &["check", "old.yaml", "new.yaml", "--policy=cci", OPTION],
        &["policy", "vap", "cci", OPTION],
        &["policy", "show", "kueue", "--exempt=kueue"],
        &["policy", "show", "kueue", "--exempt=kueue="],
        &["policy", "show", "kueue", "--exempt=kueue=system:serviceaccounts:queues"],
    ];
    let said: Vec<_> = errors.iter().map(|args| format!("$ {}\n{}", args.join(" "), folder.run(args))).collect();
    assert_snapshot!(said.join("\n"), @"
    $ policy show kueue --exempt=kueu=a
    exit code 2
    --- error output
    error: kueue: --exempt kueu: no exemption of that name lists users; these do: garbage-collector, kueue

    $ policy show kueue --exempt=deleting=a
    exit code 2
    --- error output
    error: kueue: --exempt deleting: no exemption of that name lists users; these do: garbage-collector, kueue

    $ policy show cci --exempt=kueue=system:serviceaccount:queues:kueue
    exit code 2
    --- error output
    error: cci: --exempt kueue: no exemption of that name lists users; these do: garbage-collector

    $ policy show own.yaml --exempt=kueue=system:serviceaccount:queues:kueue
    exit code 2
    --- error output
    error: own.yaml: --exempt is for built-in policies; list the users of kueue in the policy file

    $ check old.yaml new.yaml --policy=cci --exempt=kueue=system:serviceaccount:queues:kueue
    exit code 2
    --- error output
    error: --policy cci: --exempt kueue: no exemption of that name lists users; these do: garbage-collector

    $ policy vap cci --exempt=kueue=system:serviceaccount:queues:kueue
    exit code 2
    --- error output
    error: cci: --exempt kueue: no exemption of that name lists users; these do: garbage-collector

    $ policy show kueue --exempt=kueue
    exit code 2
    --- error output
    error: invalid value 'kueue' for '--exempt <EXEMPTION=USER>': write EXEMPTION=USER, like kueue=system:serviceaccount:NAMESPACE:NAME

    For more information, try '--help'.

    $ policy show kueue --exempt=kueue=
    exit code 2
    --- error output
    error: invalid value 'kueue=' for '--exempt <EXEMPTION=USER>': write EXEMPTION=USER, like kueue=system:serviceaccount:NAMESPACE:NAME

    For more information, try '--help'.

    $ policy show kueue --exempt=kueue=system:serviceaccounts:queues
    exit code 2
    --- error output
    error: invalid value 'kueue=system:serviceaccounts:queues' for '--exempt <EXEMPTION=USER>': system:serviceaccounts:queues is a group; list it under groups

    For more information, try '--help'.
    ");
    let (code, log) = Start::new().args(&["--policy=cci,training-operator", OPTION]).fail();
    assert_eq!(code, Some(2), "{log}");
    let line = log.lines().last().and_then(|line| line.split_once("ERROR ")).expect("an error").1;
    assert_snapshot!(line, @"--policy cci, training-operator: --exempt kueue: no exemption of that name lists users; these do: garbage-collector");
}
