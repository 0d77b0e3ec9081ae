//! Probes of a container, by HTTP as the manifests have them.

use std::{net::Ipv4Addr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Asks what that probe of the container asks; without such a probe all is well.
pub(super) async fn succeeds(container: &Value, name: &str, address: Ipv4Addr) -> bool {
    let probe = &container[name];
    if probe.is_null() {
        return true;
    }
    let request = &probe["httpGet"];
    let deadline = Duration::from_secs(probe["timeoutSeconds"].as_u64().unwrap_or(1));
    let path = request["path"].as_str().unwrap_or("/");
    let answer = timeout(deadline, get(address, port(container, &request["port"]), path)).await;
    // As the kubelet sees it, a redirect is a success too.
    matches!(answer, Ok(Ok((200..400, _))))
}

/// A port by its name or its number.
fn port(container: &Value, port: &Value) -> u16 {
    let mut ports = container["ports"].as_array().into_iter().flatten();
    let named = port.as_str().and_then(|name| ports.find(|port| port["name"] == name));
    let number = named.map_or(port, |port| &port["containerPort"]);
    number.as_u64().and_then(|number| u16::try_from(number).ok()).unwrap_or_default()
}

/// The code and the body of an answer.
pub(crate) async fn get(address: Ipv4Addr, port: u16, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect((address, port)).await?;
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: kube-probe\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Ok((code, body))
}
