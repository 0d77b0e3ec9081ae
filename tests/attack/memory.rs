//! The manifests' memory limit, under the worst bodies that the manifests let in.

use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::Value;
use support::{
    Serves as _,
    client::{Tls, post},
    guard::{Guard, Start},
};

use crate::{honest::Answers, hostile};

const MANIFEST: &str = include_str!("../../manifests/base/deployment.yaml");
/// The most that the manifests may ask for.
const AIM: u64 = 192 << 20;
/// The manifest's arguments that say where the guard runs, and not how.
const ELSEWHERE: [&str; 6] =
    ["--listen=", "--admin-listen=", "--policy=", "--registration=", "--service=", "--log-format="];

const CLIENTS: usize = 8;
/// The number of bodies that each of them sends, and of tries for each if it is turned away.
const EACH: usize = 3;
const ATTEMPTS: usize = 10;

pub(crate) fn hostile_bodies_stay_under_the_limit() {
    let manifests = limit();
    let limit = manifests.min(AIM);
    let group = Group::make(limit);
    let start = match &group {
        Ok(group) => Start::after(&format!("echo $$ > {}/cgroup.procs", group.0.display())),
        Err(error) => {
            eprintln!("no cgroup can be made here ({error}): the guard is only watched");
            Start::new()
        }
    };
    let flags = manifest_flags();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let guard = start.file("policy.yaml", hostile::POLICY).args(&["--policy=policy.yaml"]).args(&flags).serve();

    let bodies = hostile::bodies();
    let outcomes = Mutex::new(BTreeMap::<String, usize>::new());
    let finished = AtomicUsize::new(0);
    let mut answers = Answers::default();
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (bodies, outcomes, finished, guard) = (&bodies, &outcomes, &finished, &guard);
            scope.spawn(move || {
                for number in 0..EACH {
                    let (_, body) = &bodies[(client * EACH + number) % bodies.len()];
                    for _ in 0..ATTEMPTS {
                        let sent = send(guard, body);
                        let outcome = sent.map_or_else(|error| error.kind().to_string(), |code| code.to_string());
                        let is_decided = outcome == "200";
                        *outcomes.lock().expect("no client panics").entry(outcome).or_default() += 1;
                        if is_decided {
                            break;
                        }
                    }
                }
                finished.fetch_add(1, Ordering::Relaxed);
            });
        }
        while finished.load(Ordering::Relaxed) < CLIENTS {
            answers.one_more(&guard);
        }
    });
    let outcomes = outcomes.into_inner().expect("no client panics");
    answers.tell(&format!("hostile bodies, whose senders got {outcomes:?}"), &guard);
    let decided = outcomes.get("200").copied().unwrap_or_default();
    assert!(decided >= CLIENTS * EACH / 2, "most were decided: {outcomes:?}");
    assert!(
        outcomes.keys().all(|outcome| outcome == "200" || outcome == "503"),
        "the others were told why: {outcomes:?}"
    );
    let peak = guard.peak_bytes();
    assert!(peak <= limit, "{peak} bytes, of {limit}");
    assert!(manifests <= AIM, "the manifests' limit is {manifests} bytes");
}

/// Sends a body and gives the code of the answer. A connection may also be closed before there is one.
fn send(guard: &Guard, body: &str) -> io::Result<u16> {
    let mut client = Tls::trusting(&guard.ca()).connect(guard.address())?;
    client.send(&post(body))?;
    Ok(client.reply()?.code)
}

fn manifest() -> Value {
    serde_saphyr::from_str(MANIFEST).expect("the manifest is YAML")
}

fn container(manifest: &Value) -> &Value {
    &manifest["spec"]["template"]["spec"]["containers"][0]
}

/// The memory limit of the manifests, in bytes.
pub(crate) fn limit() -> u64 {
    let manifest = manifest();
    let limit = container(&manifest)["resources"]["limits"]["memory"].as_str().expect("there is a limit");
    limit.strip_suffix("Mi").and_then(|mebibytes| mebibytes.parse::<u64>().ok()).expect("in Mi") << 20
}

fn manifest_flags() -> Vec<String> {
    let manifest = manifest();
    let args = container(&manifest)["args"].as_array().expect("there are arguments");
    let args = args.iter().filter_map(Value::as_str).filter(|arg| arg.starts_with("--"));
    args.filter(|arg| !ELSEWHERE.iter().any(|flag| arg.starts_with(flag))).map(str::to_owned).collect()
}

/// A group of processes with a limit of memory, of either version of cgroups.
struct Group(PathBuf);

impl Group {
    fn make(limit: u64) -> io::Result<Self> {
        let root = PathBuf::from("/sys/fs/cgroup");
        let (parent, file) = if root.join("memory/memory.limit_in_bytes").exists() {
            (root.join("memory"), "memory.limit_in_bytes")
        } else {
            (root, "memory.max")
        };
        let group = Self(parent.join(format!("pytorchjob-guard-test-{}", std::process::id())));
        fs::create_dir(&group.0)?;
        fs::write(group.0.join(file), limit.to_string())?;
        Ok(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // It is empty once the guard is gone.
        let _ = fs::remove_dir(&self.0);
    }
}
