//! The volumes of a pod, as the kubelet writes them: each a folder whose files lead through the link `..data`, which is
//! replaced as a whole when what it is made from changes.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD as STANDARD};
use serde_json::{Value, json};

use crate::api::{Api, Refusal};

type Files = BTreeMap<String, Vec<u8>>;

/// One volume.
struct Volume {
    source: Value,
    folder: PathBuf,
    /// The contents, once they are written.
    files: Option<Files>,
    versions: u32,
}

/// All volumes of a pod.
pub(super) struct Volumes {
    volumes: BTreeMap<String, Volume>,
    /// The tokens that were asked for, by the volumes' sources. They live longer than any test.
    tokens: BTreeMap<String, Vec<u8>>,
}

impl Volumes {
    /// Those of this pod, below `folder`.
    pub(super) fn new(pod: &Value, folder: &Path) -> Self {
        let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten().map(|source| {
            let name = source["name"].as_str().unwrap_or_default();
            let volume = Volume { source: source.clone(), folder: folder.join(name), files: None, versions: 0 };
            (name.to_owned(), volume)
        });
        Self { volumes: volumes.collect(), tokens: BTreeMap::new() }
    }

    /// The folder of the volume with that name.
    pub(super) fn folder(&self, name: &str) -> Option<&Path> {
        self.volumes.get(name).map(|volume| volume.folder.as_path())
    }

    /// Writes what has changed. Where something is missing the volume stays as it is.
    pub(super) async fn refresh(&mut self, api: &Api, pod: &Value) -> Result<(), Refusal> {
        for volume in self.volumes.values_mut() {
            let files = files(api, pod, &volume.source, &mut self.tokens).await?;
            if volume.files.as_ref() != Some(&files) {
                volume.write(files).map_err(|error| missing(&error.to_string()))?;
            }
        }
        Ok(())
    }
}

impl Volume {
    fn write(&mut self, files: Files) -> io::Result<()> {
        self.versions += 1;
        let version = format!("..version_{}", self.versions);
        let content = self.folder.join(&version);
        fs::create_dir_all(&content)?;
        for (name, bytes) in &files {
            fs::write(content.join(name), bytes)?;
        }
        // First what files there are, then the swap, then the ones that are no more: as the kubelet's atomic writer.
        let link = self.folder.join("..data_tmp");
        symlink(&version, &link)?;
        fs::rename(link, self.folder.join("..data"))?;
        for name in files.keys().filter(|name| !self.files.as_ref().is_some_and(|files| files.contains_key(*name))) {
            symlink(Path::new("..data").join(name), self.folder.join(name))?;
        }
        for name in self.files.iter().flat_map(BTreeMap::keys).filter(|name| !files.contains_key(*name)) {
            fs::remove_file(self.folder.join(name))?;
        }
        if self.versions > 1 {
            fs::remove_dir_all(self.folder.join(format!("..version_{}", self.versions - 1)))?;
        }
        self.files = Some(files);
        Ok(())
    }
}

/// The files of a volume, or of a source of a projected one.
async fn files(
    api: &Api,
    pod: &Value,
    source: &Value,
    tokens: &mut BTreeMap<String, Vec<u8>>,
) -> Result<Files, Refusal> {
    if source["projected"].is_object() {
        let mut files = Files::new();
        for source in source["projected"]["sources"].as_array().into_iter().flatten() {
            files.extend(Box::pin(self::files(api, pod, source, tokens)).await?);
        }
        return Ok(files);
    }
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    for (kind, resource, name) in
        [("configMap", "configmaps", "name"), ("secret", "secrets", "secretName"), ("secret", "secrets", "name")]
    {
        if let Some(name) = source[kind][name].as_str() {
            let path = format!("/api/v1/namespaces/{namespace}/{resource}/{name}");
            return match api.get(&path).await {
                Ok(object) => Ok(contents(&object, &source[kind]["items"])),
                Err(refusal) if refusal.code == 404 && source[kind]["optional"] == true => Ok(Files::new()),
                Err(refusal) => Err(refusal),
            };
        }
    }
    if source["serviceAccountToken"].is_object() {
        let token = &source["serviceAccountToken"];
        let path = token["path"].as_str().unwrap_or_default().to_owned();
        let key = token.to_string();
        if !tokens.contains_key(&key) {
            tokens.insert(key.clone(), ask_for_token(api, pod, token).await?);
        }
        return Ok(Files::from([(path, tokens[&key].clone())]));
    }
    if source["downwardAPI"].is_object() {
        let items = source["downwardAPI"]["items"].as_array().into_iter().flatten();
        return Ok(items
            .map(|item| {
                let value = field(pod, item["fieldRef"]["fieldPath"].as_str().unwrap_or_default());
                (item["path"].as_str().unwrap_or_default().to_owned(), value.into_bytes())
            })
            .collect());
    }
    if source["emptyDir"].is_object() {
        return Ok(Files::new());
    }
    Err(missing(&format!("it knows no volume like {source}")))
}

/// The files of a `ConfigMap` or a Secret: all of them, or the ones that `items` names.
fn contents(object: &Value, items: &Value) -> Files {
    let is_secret = object["kind"] == "Secret";
    let entries = |member: &str| object[member].as_object().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let decoded = |value: &Value| STANDARD.decode(text(value)).unwrap_or_default();
    let mut files: Files = entries("data")
        .iter()
        .map(|(name, value)| (name.clone(), if is_secret { decoded(value) } else { text(value).into_bytes() }))
        .chain(entries("binaryData").iter().map(|(name, value)| (name.clone(), decoded(value))))
        .collect();
    let Some(items) = items.as_array() else { return files };
    items.iter().filter_map(|item| Some((text(&item["path"]), files.remove(item["key"].as_str()?)?))).collect()
}

/// A token for the pod's account that ends with the pod.
async fn ask_for_token(api: &Api, pod: &Value, source: &Value) -> Result<Vec<u8>, Refusal> {
    let account = pod["spec"]["serviceAccountName"].as_str().unwrap_or("default");
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let (name, uid) = (&pod["metadata"]["name"], &pod["metadata"]["uid"]);
    let audiences = source["audience"].as_str().map(|audience| vec![audience]);
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {
            "audiences": audiences.unwrap_or_default(),
            "expirationSeconds": source["expirationSeconds"],
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid},
        },
    });
    let answer = api.post(&format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"), &request).await?;
    Ok(answer["status"]["token"].as_str().unwrap_or_default().as_bytes().to_vec())
}

/// A field of the pod as `fieldRef` names it.
pub(super) fn field(pod: &Value, path: &str) -> String {
    pod.pointer(&format!("/{}", path.replace('.', "/"))).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn missing(message: &str) -> Refusal {
    Refusal { code: 0, reason: "Kubelet".to_owned(), message: message.to_owned() }
}
