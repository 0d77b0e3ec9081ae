//! `certs`' arguments.

use std::{net::IpAddr, path::PathBuf};

use clap::Args;

/// The arguments of `certs`.
#[derive(Debug, Args)]
pub struct CertsArgs {
    /// The folder to write to.
    #[arg(value_name = "DIR", default_value = "certs")]
    pub dir: PathBuf,
    /// A DNS name of the server; may be given several times [default: localhost, where no --ip is given either].
    #[arg(long = "dns-name", value_name = "NAME")]
    pub dns_names: Vec<String>,
    /// An IP address of the server; may be given several times [default: those of the loopback interface, where no --dns-name is given either].
    #[arg(long = "ip", value_name = "ADDRESS")]
    pub ips: Vec<IpAddr>,
    /// The validity of the certificates, in days
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36500))]
    pub days: u32,
    /// Print the CA for the `caBundle` of a ValidatingWebhookConfiguration: base64 on one line.
    #[arg(long)]
    pub print_ca_bundle: bool,
    /// Overwrite keys and certificates that are there.
    #[arg(long)]
    pub force: bool,
}
