//! `registration`, `policy match-conditions` and `policy vap`: what follows from a policy for the API server.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use hyper::Uri;
use serde::Serialize;

use super::{Ended, Exit, say};
use crate::{
    certificates::pem,
    cli::{ManifestOutput, MatchConditionsArgs, RegistrationArgs, ServiceArg, VapArgs},
    policy::{
        PATH, Sources,
        source::{Source, SourceError},
    },
    registration::{Address, Part, Registration, admission_policy, match_conditions},
};

/// The header of the printed ValidatingAdmissionPolicy: what it lacks.
const VAP_HEADER: &str = "\
# The nearest ValidatingAdmissionPolicy to a policy of pytorchjob-guard, for clusters that cannot run a webhook.
# It lets nothing through that the guard would deny, but for unknown fields at the top of a job that has too many of them
# to compare, in updates by an exemption. What it cannot do:
# - Name the field that changed: a denial names the key of the job, its metadata, spec or spec.runPolicy that the field is
#   below, for at most 16 fields, in one sentence. An editor reopened by `kubectl edit` has no line for each.
# - Take for equal what Kubernetes takes for equal: an update that only writes `cpu: 2` as `cpu: \"2\"`, or adds an
#   empty `resources: {}`, as typed clients do, is rejected.
# - Look into lists: a policy's fields below an element of a list are held to be immutable, all of them.
# - Compare large maps: a change that needs it is rejected, as too costly for an API server.
# - Say in its audit annotations, warnings and metrics which fields were changed.
";

/// The reason why nothing was printed.
#[derive(Debug, thiserror::Error)]
enum RegistrationError {
    #[error(transparent)]
    Policy(#[from] SourceError),
    #[error("--service {0}: write NAMESPACE/NAME or NAMESPACE/NAME:PORT")]
    Service(String),
    #[error("--url {url}: {problem}; write https://HOST:PORT/validate")]
    Url { url: String, problem: &'static str },
    #[error("--ca-bundle {}: {problem}", file.display())]
    CaBundle { file: PathBuf, problem: String },
    #[error("{0}: the policy has more fields than an API server would compile an expression of")]
    TooLarge(String),
    #[error("{0}: objectSelector: a ValidatingAdmissionPolicy with one would let every change of scale through")]
    ObjectSelector(String),
    #[error("the manifest cannot be written as YAML: {0}")]
    Yaml(#[from] serde_saphyr::ser::Error),
    #[error("the manifest cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

/// `registration`
pub(super) fn registration(args: &RegistrationArgs) -> Ended {
    print_registration(args)?;
    Ok(Exit::Yes)
}

/// `policy match-conditions`
pub(super) fn conditions(args: &MatchConditionsArgs) -> Ended {
    print_conditions(args)?;
    Ok(Exit::Yes)
}

/// `policy vap`
pub(super) fn vap(args: &VapArgs) -> Ended {
    print_vap(args)?;
    Ok(Exit::Yes)
}

fn print_registration(args: &RegistrationArgs) -> Result<(), RegistrationError> {
    let (_, policies) = Sources::find(&args.policies, args.webhooks.clone().into(), &[])?;
    if let Some(problem) = policies.problems().next() {
        return Err(SourceError::Unusable(problem.reason.to_owned()).into());
    }
    let registration = Registration {
        name: args.name.clone(),
        address: address(args)?,
        ca_bundle: args.ca_bundle.as_deref().map(ca_bundle).transpose()?,
        always_ask: args.always_ask,
    };
    for policy in policies.policies().filter(|_| !args.always_ask) {
        if match_conditions(policy, Part::Object).is_empty() {
            let why = "has more fields than an API server would compile a condition of: it will ask about every update";
            say(format_args!("Warning: policy {} {why}", policy.name()));
        }
    }
    let configuration = registration.configuration(&policies);
    print(&configuration, args.output)
}

fn print_conditions(args: &MatchConditionsArgs) -> Result<(), RegistrationError> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Webhook<C> {
        match_conditions: C,
    }
    let policy = Source::find(&args.policy)?.policy()?;
    let part = if args.subresource.is_some() { Part::Scale } else { Part::Object };
    print(&Webhook { match_conditions: match_conditions(&policy, part) }, args.output)
}

fn print_vap(args: &VapArgs) -> Result<(), RegistrationError> {
    let too_large = || RegistrationError::TooLarge(args.policy.clone());
    let policy = Source::find(&args.policy)?.with_users(&args.exempt.users)?.policy()?;
    if policy.has_object_selector() {
        return Err(RegistrationError::ObjectSelector(args.policy.clone()));
    }
    let (policy, binding) = admission_policy(&policy).ok_or_else(too_large)?;
    let (policy, binding) = (serde_saphyr::to_string(&policy)?, serde_saphyr::to_string(&binding)?);
    write!(io::stdout(), "{VAP_HEADER}{policy}---\n{binding}")?;
    Ok(())
}

fn print(manifest: &impl Serialize, output: ManifestOutput) -> Result<(), RegistrationError> {
    let text = match output {
        ManifestOutput::Yaml => serde_saphyr::to_string(manifest)?,
        ManifestOutput::Json => serde_json::to_string_pretty(manifest)? + "\n",
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn address(args: &RegistrationArgs) -> Result<Address, RegistrationError> {
    if let Some(url) = &args.url {
        return url_address(url).map_err(|problem| RegistrationError::Url { url: url.clone(), problem });
    }
    let wrong = || RegistrationError::Service(args.service.clone());
    let ServiceArg { namespace, name, port } = ServiceArg::parse(&args.service).ok_or_else(wrong)?;
    Ok(Address::Service { namespace, name, port })
}

/// Reads a URL that the API server accepts for a webhook.
fn url_address(url: &str) -> Result<Address, &'static str> {
    let parsed: Uri = url.parse().map_err(|_| "it is no URL")?;
    if parsed.scheme_str() != Some("https") {
        return Err("an API server calls webhooks over https only");
    }
    match parsed.host() {
        None | Some("") => return Err("it has no host"),
        Some(_) if url.contains('@') => return Err("it may not have a user"),
        Some(_) if parsed.query().is_some() || url.contains('#') => return Err("it may have neither ? nor #"),
        Some(_) if parsed.path() != PATH => return Err("the guard answers at /validate"),
        Some(_) => {}
    }
    Ok(Address::Url(url.trim_end_matches(PATH).to_owned()))
}

/// The file's bytes, if an API server could use them: certificates, and not a key.
fn ca_bundle(file: &Path) -> Result<Vec<u8>, RegistrationError> {
    let wrong = |problem: String| RegistrationError::CaBundle { file: file.to_owned(), problem };
    let text = fs::read(file).map_err(|error| wrong(error.to_string()))?;
    let certificates = pem::certificates(&text).map_err(|error| wrong(format!("it is not PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(wrong("it holds no certificate; give the CA's, PEM".to_owned()));
    }
    if text.windows(b"PRIVATE KEY".len()).any(|window| window == b"PRIVATE KEY") {
        return Err(wrong("it holds a private key, which belongs to the guard alone".to_owned()));
    }
    Ok(text)
}
