//! Addresses to listen on.

use std::net::SocketAddr;

/// Reads an address with a port. A port after a colon stands for all addresses, as in Go's programs: IPv4's too, where the
/// system lets an IPv6 socket take both.
pub(super) fn address(text: &str) -> Result<SocketAddr, &'static str> {
    let whole = if text.starts_with(':') { format!("[::]{text}") } else { text.to_owned() };
    whole.parse().map_err(|_| "write ADDRESS:PORT, like 127.0.0.1:8443, or :8443 for all addresses")
}
