//! Resources that there are, and groups and resources that there cannot be: nothing is ever asked about these, so a
//! policy for them protects nothing.

use crate::{
    field::Type,
    policy::Resource,
    yaml::{self, Diagnostic, Positioned},
};

/// The advice for a resource that cannot exist.
pub(super) const PLURAL: &str = "write it in lower case and plural";

/// The group of Kubeflow's jobs.
const KUBEFLOW: &str = "kubeflow.org";

/// The resources of Kubeflow's jobs.
const JOBS: [&str; 7] = ["jaxjobs", "mpijobs", "mxjobs", "paddlejobs", "pytorchjobs", "tfjobs", "xgboostjobs"];

/// Kubernetes' own groups without a dot. A group of a custom resource has one.
const DOTLESS: [&str; 6] = ["", "apps", "autoscaling", "batch", "extensions", "policy"];

/// The resource of Kubeflow's that the text is probably a slip of.
pub(super) fn closest(resource: &str) -> Option<&'static str> {
    yaml::closest(resource, &JOBS)
}

/// A diagnostic about a resource that cannot be, or probably is none.
pub(in crate::policy) fn lint(Positioned { value, position }: &Positioned<Resource>) -> Option<Diagnostic> {
    let Resource { group, resource } = value;
    let is_job = JOBS.contains(&resource.as_str());
    let is_dotless = !group.contains('.');
    if group != KUBEFLOW && (is_job || (is_dotless && yaml::closest(group, &[KUBEFLOW]).is_some())) {
        let message = format!("resources: there is no {resource} of the group \"{group}\" (did you mean {KUBEFLOW}?)");
        return Some(Diagnostic::warning(*position, message));
    }
    if is_dotless && !DOTLESS.contains(&group.as_str()) {
        let message =
            format!("resources: there is no group \"{group}\": that of a custom resource has a dot, like {KUBEFLOW}");
        return Some(Diagnostic::warning(*position, message));
    }
    let plural = format!("{resource}s");
    let meant = closest(resource).filter(|meant| !is_job && (group == KUBEFLOW || *meant == plural));
    if let Some(meant) = meant {
        let message = format!("resources: there is no {resource} of {group} (did you mean {meant}?); {PLURAL}");
        return Some(Diagnostic::warning(*position, message));
    }
    if !resource.ends_with('s') {
        let message = format!("resources: {resource} is hardly a plural (did you mean {plural}?); {PLURAL}");
        // All of Kubernetes' own resources end so.
        let diagnostic = if is_dotless { Diagnostic::warning } else { Diagnostic::note };
        return Some(diagnostic(*position, message));
    }
    (!Type::is_known(group, resource)).then(|| {
        let name = if group.is_empty() { resource.clone() } else { format!("{resource}.{group}") };
        let message = format!(
            "resources: the Go types of {name} are not known: of its objects only metadata and pod \
             templates are compared as Go does, all else as JSON"
        );
        Diagnostic::note(*position, message)
    })
}
