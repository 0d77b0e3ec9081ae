//! `serve`'s arguments.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, CommandFactory as _, FromArgMatches as _, ValueEnum, builder::Resettable};

use super::{
    address::address,
    cluster::ClusterArgs,
    duration::{deadline, duration},
    exempt::ExemptArgs,
};
use crate::cli::Cli;

/// The arguments of `serve`. Every option is also read from the environment as `PYTORCHJOB_GUARD_…`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Address and port of the webhook; :8443 is that port of all addresses, and port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", env = "PYTORCHJOB_GUARD_LISTEN", default_value = "127.0.0.1:8443", value_parser = address)]
    pub listen: SocketAddr,
    /// Address and port of /livez, /readyz and /metrics, over plain HTTP; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", env = "PYTORCHJOB_GUARD_ADMIN_LISTEN", default_value = "127.0.0.1:8080", value_parser = address)]
    pub admin_listen: SocketAddr,
    /// The serving certificate, PEM, with its chain; without it a local one is made in certs/.
    #[arg(
        long,
        value_name = "FILE",
        env = "PYTORCHJOB_GUARD_TLS_CERT",
        requires = "tls_key",
        conflicts_with = "manage_certs"
    )]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key, PEM: PKCS#8, PKCS#1 or SEC1.
    #[arg(long, value_name = "FILE", env = "PYTORCHJOB_GUARD_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Let in only clients with a certificate from one of the CAs in this PEM file.
    #[arg(long, value_name = "FILE", env = "PYTORCHJOB_GUARD_CLIENT_CA")]
    pub client_ca: Option<PathBuf>,
    /// A built-in policy's name, a policy file, or a folder of policy files, which are read again when they change. Given several
    /// times, or several with commas between them, each policy has its own path: /validate/NAME.
    #[arg(
        long = "policy",
        value_name = "NAME|FILE|FOLDER",
        env = "PYTORCHJOB_GUARD_POLICY",
        value_delimiter = ',',
        default_value = "cci"
    )]
    pub policies: Vec<String>,
    /// The users of exemptions.
    #[command(flatten)]
    pub exempt: ExemptArgs,
    /// The largest request body, in bytes.
    #[arg(long, value_name = "BYTES", env = "PYTORCHJOB_GUARD_MAX_BODY_BYTES", default_value_t = 8 << 20)]
    pub max_body_bytes: usize,
    /// The most connections open at once; for a further one the one that has completed nothing for longest is closed.
    #[arg(long, value_name = "N", env = "PYTORCHJOB_GUARD_MAX_CONNECTIONS", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,
    /// The most bytes of all request bodies together; beyond it the oldest incomplete one is answered 503. At least twice
    /// --max-body-bytes. Decisions take up to twice as much on top.
    #[arg(long, value_name = "BYTES", env = "PYTORCHJOB_GUARD_MAX_BUFFERED_BYTES", default_value_t = 32 << 20)]
    pub max_buffered_bytes: usize,
    /// The deadline of a TLS handshake
    #[arg(long, value_name = "DURATION", env = "PYTORCHJOB_GUARD_HANDSHAKE_TIMEOUT", default_value = "10s", value_parser = deadline)]
    pub handshake_timeout: Duration,
    /// The deadline of a request's headers, from their first byte
    #[arg(long, value_name = "DURATION", env = "PYTORCHJOB_GUARD_HEADER_TIMEOUT", default_value = "10s", value_parser = deadline)]
    pub header_timeout: Duration,
    /// The deadline of a request's body; the request's own ?timeout= shortens it
    #[arg(long, value_name = "DURATION", env = "PYTORCHJOB_GUARD_BODY_TIMEOUT", default_value = "10s", value_parser = deadline)]
    pub body_timeout: Duration,
    /// The time after which an idle connection is closed; keep it above the 90s after which API servers close theirs
    #[arg(long, value_name = "DURATION", env = "PYTORCHJOB_GUARD_IDLE_TIMEOUT", default_value = "2m", value_parser = deadline)]
    pub idle_timeout: Duration,
    /// The time to keep serving after SIGTERM, while the endpoint is removed from the Service
    #[arg(long, value_name = "DURATION", env = "PYTORCHJOB_GUARD_SHUTDOWN_DELAY", default_value = "5s", value_parser = duration)]
    pub shutdown_delay: Duration,
    /// The deadline of the requests in flight, once the listener is closed
    #[arg(long, value_name = "DURATION", env = "PYTORCHJOB_GUARD_DRAIN_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub drain_timeout: Duration,
    /// The format of log lines
    #[arg(long, value_name = "FORMAT", env = "PYTORCHJOB_GUARD_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// The options about the cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// The format of log lines
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl ServeArgs {
    /// The arguments of a container, with its environment variables and not those of this process. `words` begins with `serve`.
    ///
    /// # Errors
    ///
    /// clap's message, on one line, if `serve` would not start with them.
    pub(crate) fn of_container(words: &[String], env: &[(String, String)]) -> Result<Self, String> {
        let mut serve = Cli::command().find_subcommand("serve").cloned().unwrap_or_default();
        let mut all = vec!["serve".to_owned()];
        for argument in serve.get_arguments() {
            let (Some(long), Some(variable)) = (argument.get_long(), argument.get_env()) else { continue };
            let Some((_, value)) = env.iter().find(|(name, _)| variable == name.as_str()) else { continue };
            let option = format!("--{long}");
            // An argument goes before the variable.
            if words.iter().any(|word| word.split('=').next() == Some(&option)) {
                continue;
            }
            let takes_value = argument.get_action().takes_values();
            all.extend(
                (takes_value || value == "true")
                    .then(|| if takes_value { format!("{option}={value}") } else { option.clone() }),
            );
        }
        all.extend(words.iter().skip(1).cloned());
        serve = serve.mut_args(|argument| argument.env(Resettable::Reset));
        let parsed = serve.try_get_matches_from(all).and_then(|matches| Self::from_arg_matches(&matches));
        parsed.map_err(|error| {
            let text = error.to_string();
            // What follows is about the usage.
            let problem = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
            problem.split_whitespace().collect::<Vec<_>>().join(" ")
        })
    }
}
