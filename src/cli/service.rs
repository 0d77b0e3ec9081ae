//! `NAMESPACE/NAME` and `NAMESPACE/NAME:PORT`: a Service.

/// A Service as the user typed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceArg {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its port, if one was given.
    pub port: Option<u16>,
}

impl ServiceArg {
    /// Reads it. None if a name is no DNS label, or the port is no positive number.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, service) = text.split_once('/')?;
        let (name, port) = match service.split_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok().filter(|port| *port > 0)?)),
            None => (service, None),
        };
        let is_label = |text: &str| {
            (1..=63).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        let of = |text: &str| is_label(text).then(|| text.to_owned());
        Some(Self { namespace: of(namespace)?, name: of(name)?, port })
    }
}

/// Reads a Service without a port.
pub(super) fn without_port(text: &str) -> Result<ServiceArg, &'static str> {
    ServiceArg::parse(text).filter(|service| service.port.is_none()).ok_or("write NAMESPACE/NAME")
}
