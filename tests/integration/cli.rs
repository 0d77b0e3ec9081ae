//! The command line as its users see it: the real program, what it prints, and how it exits.

use std::{
    fs,
    io::Write as _,
    process::{Output, Stdio},
};

use insta::assert_snapshot;
use support::guard::program;
use tempfile::TempDir;

mod allowed;
mod cluster;
mod denied;
mod doctor;
mod environment;
mod errors;
mod folders;
mod registration;
mod reviews;

/// A small job, as somebody would write it.
const JOB: &str = r#"apiVersion: kubeflow.org/v1
kind: PyTorchJob
metadata:
  name: mnist
  namespace: team-a
  finalizers: [example.com/keep]
spec:
  ttlSecondsAfterFinished: 3000
  pytorchReplicaSpecs:
    Master:
      replicas: 1
      template:
        spec:
          containers:
            - name: pytorch
              image: registry.example.com/mnist:v1
              args: ["--epochs", "2"]
              resources: {limits: {cpu: 2, memory: 4Gi}}
          volumes:
            - name: conf
              configMap: {name: conf, defaultMode: 0644}
"#;

/// A folder with files to check; the program runs in it.
pub(crate) struct Folder {
    dir: TempDir,
}

/// A folder with `old.yaml`, the small job, and `new.yaml`, where one text is replaced by another.
fn edited(from: &str, to: &str) -> Folder {
    assert!(JOB.contains(from), "{from} is in the job");
    Folder::new().with("old.yaml", JOB).with("new.yaml", JOB.replace(from, to))
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self { dir: TempDir::new().expect("a folder") }
    }

    pub(crate) fn with(self, name: &str, contents: impl AsRef<[u8]>) -> Self {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder");
        fs::write(path, contents).expect("a file");
        self
    }

    /// Runs the program; gives its exit code and what it wrote, with spaces at the end of a line made visible.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        self.run_with(args, "")
    }

    pub(crate) fn run_with(&self, args: &[&str], stdin: &str) -> String {
        let mut child = program()
            .args(args)
            .env("COLUMNS", "100")
            .current_dir(self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        // It may well end without reading.
        let _ = child.stdin.take().expect("a pipe").write_all(stdin.as_bytes());
        let Output { status, stdout, stderr } = child.wait_with_output().expect("the program ends");
        let code = status.code().expect("it ends by itself");
        let shown = |name: &str, text: Vec<u8>| {
            let text = String::from_utf8(text).expect("UTF-8").replace(" \n", "·\n");
            if text.is_empty() { text } else { format!("--- {name}\n{text}") }
        };
        format!("exit code {code}\n{}{}", shown("output", stdout), shown("error output", stderr))
    }
}

#[test]
fn helps() {
    assert_snapshot!(Folder::new().run(&["--help"]), @"
    exit code 0
    --- output
    A validating admission webhook that keeps updates of Kubeflow PyTorchJobs to the fields a running
    training job may change

    Usage: pytorchjob-guard <COMMAND>

    Commands:
      serve         Serve the webhook over TLS
      check         Decide one update offline, as the webhook would
      test          Run the tests of a policy
      policy        See, check and try policies
      doctor        Look at a live cluster: does the guard fit it, and does it hold the rule there?
      report        Report who was, or would be, denied what, by the guard's log or the API server's
                    audit log
      registration  Print the ValidatingWebhookConfiguration that has an API server ask the guard
      certs         Make a CA and a serving certificate
      completions   Print completions for a shell
      man           Write manual pages
      help          Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version
    ");
}

#[test]
fn helps_to_check() {
    assert_snapshot!(Folder::new().run(&["check", "-h"]), @"
    exit code 0
    --- output
    Decide one update offline, as the webhook would

    Usage: pytorchjob-guard check [OPTIONS] [OLD] [NEW]

    Arguments:
      [OLD]  The object as it is stored, JSON or YAML, or a folder of such files; - is standard input
      [NEW]  The object as it would become, or a folder with files of the same names; - is standard
             input

    Options:
          --review <FILE>            A saved AdmissionReview, JSON or YAML, in place of OLD and NEW; -
                                     is standard input
          --user <NAME>              The user who updates
          --group <NAME>             A group of that user; may be given several times
          --subresource <NAME>       The subresource that is updated: scale or status
          --policy <NAME|FILE>       A built-in policy's name, or a policy file [env:
                                     PYTORCHJOB_GUARD_POLICY=] [default: cci]
          --exempt <EXEMPTION=USER>  A user in place of those that an exemption of a built-in policy
                                     lists, like kueue=system:serviceaccount:NAMESPACE:NAME for a Kueue
                                     elsewhere. May be given several times [env:
                                     PYTORCHJOB_GUARD_EXEMPT=]
      -o, --output <FORMAT>          The output format [default: text] [possible values: text, json]
      -h, --help                     Print help (see more with '--help')
    ");
}

#[test]
fn helps_to_serve() {
    assert_snapshot!(Folder::new().run(&["serve", "-h"]), @"
    exit code 0
    --- output
    Serve the webhook over TLS

    Usage: pytorchjob-guard serve [OPTIONS]

    Options:
          --listen <ADDRESS>              Address and port of the webhook; :8443 is that port of all
                                          addresses, and port 0 takes a free one [env:
                                          PYTORCHJOB_GUARD_LISTEN=] [default: 127.0.0.1:8443]
          --admin-listen <ADDRESS>        Address and port of /livez, /readyz and /metrics, over plain
                                          HTTP; port 0 takes a free one [env:
                                          PYTORCHJOB_GUARD_ADMIN_LISTEN=] [default: 127.0.0.1:8080]
          --tls-cert <FILE>               The serving certificate, PEM, with its chain; without it a
                                          local one is made in certs/ [env: PYTORCHJOB_GUARD_TLS_CERT=]
          --tls-key <FILE>                The certificate's private key, PEM: PKCS#8, PKCS#1 or SEC1
                                          [env: PYTORCHJOB_GUARD_TLS_KEY=]
          --client-ca <FILE>              Let in only clients with a certificate from one of the CAs in
                                          this PEM file [env: PYTORCHJOB_GUARD_CLIENT_CA=]
          --policy <NAME|FILE|FOLDER>     A built-in policy's name, a policy file, or a folder of policy
                                          files, which are read again when they change. Given several
                                          times, or several with commas between them, each policy has
                                          its own path: /validate/NAME [env: PYTORCHJOB_GUARD_POLICY=]
                                          [default: cci]
          --exempt <EXEMPTION=USER>       A user in place of those that an exemption of a built-in
                                          policy lists, like kueue=system:serviceaccount:NAMESPACE:NAME
                                          for a Kueue elsewhere. May be given several times [env:
                                          PYTORCHJOB_GUARD_EXEMPT=]
          --max-body-bytes <BYTES>        The largest request body, in bytes [env:
                                          PYTORCHJOB_GUARD_MAX_BODY_BYTES=] [default: 8388608]
          --max-connections <N>           The most connections open at once; for a further one the one
                                          that has completed nothing for longest is closed [env:
                                          PYTORCHJOB_GUARD_MAX_CONNECTIONS=] [default: 512]
          --max-buffered-bytes <BYTES>    The most bytes of all request bodies together; beyond it the
                                          oldest incomplete one is answered 503. At least twice
                                          --max-body-bytes. Decisions take up to twice as much on top
                                          [env: PYTORCHJOB_GUARD_MAX_BUFFERED_BYTES=] [default:
                                          33554432]
          --handshake-timeout <DURATION>  The deadline of a TLS handshake [env:
                                          PYTORCHJOB_GUARD_HANDSHAKE_TIMEOUT=] [default: 10s]
          --header-timeout <DURATION>     The deadline of a request's headers, from their first byte
                                          [env: PYTORCHJOB_GUARD_HEADER_TIMEOUT=] [default: 10s]
          --body-timeout <DURATION>       The deadline of a request's body; the request's own ?timeout=
                                          shortens it [env: PYTORCHJOB_GUARD_BODY_TIMEOUT=] [default:
                                          10s]
          --idle-timeout <DURATION>       The time after which an idle connection is closed; keep it
                                          above the 90s after which API servers close theirs [env:
                                          PYTORCHJOB_GUARD_IDLE_TIMEOUT=] [default: 2m]
          --shutdown-delay <DURATION>     The time to keep serving after SIGTERM, while the endpoint is
                                          removed from the Service [env:
                                          PYTORCHJOB_GUARD_SHUTDOWN_DELAY=] [default: 5s]
          --drain-timeout <DURATION>      The deadline of the requests in flight, once the listener is
                                          closed [env: PYTORCHJOB_GUARD_DRAIN_TIMEOUT=] [default: 10s]
          --log-format <FORMAT>           The format of log lines [env: PYTORCHJOB_GUARD_LOG_FORMAT=]
                                          [default: text] [possible values: text, json]
      -h, --help                          Print help (see more with '--help')

    In a cluster:
          --registration <NAME>             The ValidatingWebhookConfiguration to watch: /readyz tells
                                            whether API servers can call us by it, and whether it fits
                                            the policy [env: PYTORCHJOB_GUARD_REGISTRATION=]
          --manage-registration             Keep its matchConditions in step with the policy [env:
                                            PYTORCHJOB_GUARD_MANAGE_REGISTRATION=]
          --registration-settle <DURATION>  The settle period: the conditions are loosened only after
                                            this time without a change. Make it longer than it takes
                                            until every replica has a new policy [env:
                                            PYTORCHJOB_GUARD_REGISTRATION_SETTLE=] [default: 2m]
          --manage-certs                    Keep a CA in a Secret and in the registration's caBundle,
                                            and sign the serving certificate with it [env:
                                            PYTORCHJOB_GUARD_MANAGE_CERTS=]
          --service <NAMESPACE/NAME>        The Service that API servers call us by [env:
                                            PYTORCHJOB_GUARD_SERVICE=]
          --secret <NAME>                   The Secret for the CA, in the namespace of the Service. It
                                            must be there; without data a CA is made [env:
                                            PYTORCHJOB_GUARD_SECRET=]
          --leaf-lifetime <DURATION>        The validity of a serving certificate. It is renewed after
                                            two thirds of this time [env:
                                            PYTORCHJOB_GUARD_LEAF_LIFETIME=] [default: 1day]
          --ca-lifetime <DURATION>          The validity of a CA. It is renewed after two thirds of this
                                            time [env: PYTORCHJOB_GUARD_CA_LIFETIME=] [default: 365days]
          --namespace-selector <SELECTOR>   The namespaceSelector of policies without one, as in
                                            `kubectl get --selector`; without either, all namespaces
                                            [env: PYTORCHJOB_GUARD_NAMESPACE_SELECTOR=]
          --object-selector <SELECTOR>      The objectSelector of policies without one; without either,
                                            all objects. It does not select updates of `scale` [env:
                                            PYTORCHJOB_GUARD_OBJECT_SELECTOR=]
          --failure-policy <POLICY>         The failurePolicy of policies without one [env:
                                            PYTORCHJOB_GUARD_FAILURE_POLICY=] [default: Fail] [possible
                                            values: Fail, Ignore]
    ");
}

#[test]
fn helps_to_make_certificates() {
    assert_snapshot!(Folder::new().run(&["certs", "-h"]), @"
    exit code 0
    --- output
    Make a CA and a serving certificate

    Usage: pytorchjob-guard certs [OPTIONS] [DIR]

    Arguments:
      [DIR]  The folder to write to [default: certs]

    Options:
          --dns-name <NAME>  A DNS name of the server; may be given several times [default: localhost,
                             where no --ip is given either]
          --ip <ADDRESS>     An IP address of the server; may be given several times [default: those of
                             the loopback interface, where no --dns-name is given either]
          --days <DAYS>      The validity of the certificates, in days [default: 365]
          --print-ca-bundle  Print the CA for the `caBundle` of a ValidatingWebhookConfiguration: base64
                             on one line
          --force            Overwrite keys and certificates that are there
      -h, --help             Print help
    ");
}

#[test]
fn asks_for_a_subcommand() {
    assert_snapshot!(Folder::new().run(&["chekc"]), @"
    exit code 2
    --- error output
    error: unrecognized subcommand 'chekc'

      tip: a similar subcommand exists: 'check'

    Usage: pytorchjob-guard <COMMAND>

    For more information, try '--help'.
    ");
}
