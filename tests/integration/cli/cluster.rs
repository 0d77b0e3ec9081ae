//! Options of `serve` about the cluster that contradict each other end it before it starts anything.

use insta::assert_snapshot;

use super::Folder;

const MANAGED: [&str; 7] = [
    "serve",
    "--manage-certs",
    "--registration=guard",
    "--service=guard/guard",
    "--secret=ca",
    "--listen",
    "127.0.0.1:0",
];

#[test]
fn names_what_managed_certificates_need() {
    assert_snapshot!(Folder::new().run(&["serve", "--manage-certs"]), @"
    exit code 2
    --- error output
    error: the following required arguments were not provided:
      --registration <NAME>
      --service <NAMESPACE/NAME>
      --secret <NAME>

    Usage: pytorchjob-guard serve --registration <NAME> --service <NAMESPACE/NAME> --secret <NAME> --manage-certs

    For more information, try '--help'.
    ");
    assert_snapshot!(Folder::new().run(&["serve", "--manage-registration"]), @"
    exit code 2
    --- error output
    error: the following required arguments were not provided:
      --registration <NAME>

    Usage: pytorchjob-guard serve --registration <NAME> --manage-registration

    For more information, try '--help'.
    ");
    assert_snapshot!(Folder::new().run(&[&MANAGED[..], &["--tls-cert=tls.crt", "--tls-key=tls.key"]].concat()), @"
    exit code 2
    --- error output
    error: the argument '--manage-certs' cannot be used with '--tls-cert <FILE>'

    Usage: pytorchjob-guard serve --manage-certs --registration <NAME> --service <NAMESPACE/NAME> --secret <NAME> --listen <ADDRESS> --tls-key <FILE>

    For more information, try '--help'.
    ");
    // A CA for the clients goes with it, and is read before anything else.
    let said = Folder::new().run(&[&MANAGED[..], &["--client-ca=ca.crt"]].concat());
    assert!(said.contains("exit code 2") && said.contains("ca.crt: cannot be read: "), "{said}");
    for (option, problem) in [
        ("--namespace-selector=a in b", "\"a in b\" is no requirement of a label; write key=value"),
        ("--object-selector==b", "\"=b\" is no requirement of a label"),
        ("--failure-policy=ignore", "[possible values: Fail, Ignore]"),
    ] {
        let said = Folder::new().run(&[&MANAGED[..], &[option]].concat());
        assert!(said.contains("exit code 2") && said.contains(problem), "{said}");
    }
}

#[test]
fn of_an_option_that_is_given_twice_the_last_counts() {
    let twice = ["--leaf-lifetime=1h", "--ca-lifetime=9h", "--ca-lifetime=2h"];
    let said = Folder::new().run(&[&MANAGED[..], &twice].concat());
    assert!(said.contains("--ca-lifetime is too short"), "{said}");
}

#[test]
fn names_what_is_wrong_with_a_value() {
    assert_snapshot!(Folder::new().run(&["serve", "--registration=guard", "--service=guard"]), @"
    exit code 2
    --- error output
    error: invalid value 'guard' for '--service <NAMESPACE/NAME>': write NAMESPACE/NAME

    For more information, try '--help'.
    ");
    for long in ["--ca-lifetime=101years", "--leaf-lifetime=101years", "--registration-settle=101years"] {
        let said = Folder::new().run(&[&MANAGED[..], &[long]].concat());
        assert!(said.contains("exit code 2") && said.contains("a hundred years is the most"), "{said}");
    }
    let said = Folder::new().run(&[&MANAGED[..], &["--leaf-lifetime=1h", "--ca-lifetime=3h"]].concat());
    assert!(said.contains("exit code 2"), "{said}");
    let reason = "--ca-lifetime is too short: a CA has to last for more than three times --leaf-lifetime";
    assert!(said.contains(reason), "{said}");
    assert_snapshot!(Folder::new().run(&[&MANAGED[..], &["--leaf-lifetime=0s"]].concat()), @"
    exit code 2
    --- error output
    error: invalid value '0s' for '--leaf-lifetime <DURATION>': a deadline of zero lets nothing through

    For more information, try '--help'.
    ");
}
