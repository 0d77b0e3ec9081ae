//! `certs`: a CA and a serving certificate into a folder.
//!
//! A CA that is there signs again, so that only the serving certificate is new: remove `tls.crt` and `tls.key` and run
//! it again to renew them. `--force` replaces everything, the CA too.

use std::{
    io::{self, Write as _},
    time::SystemTime,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Ended, Exit, say};
use crate::{
    certificates::{CertificateError, Folder, Names},
    cli::CertsArgs,
};

pub(super) fn run(args: &CertsArgs) -> Ended {
    certs(args)?;
    Ok(Exit::Yes)
}

/// The reason why `certs` failed.
#[derive(Debug, thiserror::Error)]
enum CertsError {
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

fn certs(args: &CertsArgs) -> Result<(), CertsError> {
    let folder = Folder::new(&args.dir);
    let asks_for_new = args.force || !args.dns_names.is_empty() || !args.ips.is_empty();
    let only_prints = args.print_ca_bundle && !asks_for_new && folder.is_complete();
    if !only_prints {
        let names = Names::new(args.dns_names.clone(), args.ips.clone())?;
        if args.force {
            folder.remake(&names, args.days, SystemTime::now())?;
        } else {
            folder.make(&names, args.days, SystemTime::now())?;
        }
        // On standard error, so that standard output is the bundle and nothing else.
        say(format_args!("wrote {} and {}", folder.cert().display(), folder.key().display()));
        say(format_args!("clients trust {}", folder.ca_cert().display()));
    }
    if args.print_ca_bundle {
        writeln!(io::stdout(), "{}", STANDARD.encode(folder.ca_bundle()?))?;
    }
    Ok(())
}
