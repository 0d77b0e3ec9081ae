//! Probes of a container, by HTTP as the manifests have them.

use std::{net::Ipv4Addr, time::Duration};

use serde_json::Value;
use support::http::{self, Reply};
use tokio::{task::spawn_blocking, time::timeout};

/// Asks what that probe of the container asks; without such a probe all is well.
pub(super) async fn succeeds(container: &Value, name: &str, address: Ipv4Addr) -> bool {
    let probe = &container[name];
    if probe.is_null() {
        return true;
    }
    let request = &probe["httpGet"];
    let deadline = Duration::from_secs(probe["timeoutSeconds"].as_u64().unwrap_or(1));
    let path = request["path"].as_str().unwrap_or("/").to_owned();
    let address = (address, port(container, &request["port"])).into();
    let answer = spawn_blocking(move || http::get_within(address, &path, deadline));
    // As the kubelet sees it, a redirect is a success too.
    matches!(timeout(deadline, answer).await, Ok(Ok(Ok(Reply { code: 200..400, .. }))))
}

/// A port by its name or its number.
fn port(container: &Value, port: &Value) -> u16 {
    let mut ports = container["ports"].as_array().into_iter().flatten();
    let named = port.as_str().and_then(|name| ports.find(|port| port["name"] == name));
    let number = named.map_or(port, |port| &port["containerPort"]);
    number.as_u64().and_then(|number| u16::try_from(number).ok()).unwrap_or_default()
}
