//! `--exempt`, of each command that decides by a built-in policy, or prints one.

use clap::Args;

use crate::policy::{ExemptUser, parse_exempt_user};

/// The users that the cluster has in place of those that built-in policies exempt.
#[derive(Debug, Clone, Args)]
pub struct ExemptArgs {
    /// A user in place of those that an exemption of a built-in policy lists, like
    /// kueue=system:serviceaccount:NAMESPACE:NAME for a Kueue elsewhere. May be given several times.
    #[arg(
        long = "exempt",
        value_name = "EXEMPTION=USER",
        env = "PYTORCHJOB_GUARD_EXEMPT",
        value_delimiter = ',',
        value_parser = parse_exempt_user
    )]
    pub users: Vec<ExemptUser>,
}
