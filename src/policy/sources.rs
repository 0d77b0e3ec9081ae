//! The sources of a guard's policies: names, files and folders, which are read again and again.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    ExemptUser, Policy, PolicySet, SourceError, WebhookSettings, exempt_users, segment,
    set::Served,
    source::{self, Source, of_file, read},
};

/// The endings of policy files. Suites stand beside them.
const ENDINGS: [&str; 3] = [".yaml", ".yml", ".json"];
const SUITE_ENDINGS: [&str; 3] = [".test.yaml", ".test.yml", ".test.json"];

/// The sources of policies.
#[derive(Debug, Clone)]
pub struct Sources {
    list: Vec<Origin>,
    /// The settings of the webhooks of policies that do not give them.
    webhooks: WebhookSettings,
}

#[derive(Debug, Clone)]
enum Origin {
    BuiltIn(Box<Policy>),
    File(PathBuf),
    Folder(PathBuf),
}

/// The contents of all files, or the reason why one cannot be read.
pub(crate) type Contents = Vec<(PathBuf, Result<Vec<u8>, String>)>;

impl Sources {
    /// Finds the sources of that name: built-in policies, with these users in place of their own, else files or folders. Reads
    /// them all for the first time.
    ///
    /// A name or a file that is given by itself must hold a policy. In a folder one file that does not stops no other; the set
    /// tells of it.
    pub fn find(
        names: &[String],
        webhooks: WebhookSettings,
        users: &[ExemptUser],
    ) -> Result<(Self, PolicySet), SourceError> {
        exempt_users::check(users, names)?;
        let list = names.iter().map(|name| Origin::find(name, users)).collect::<Result<_, _>>()?;
        let sources = Self { list, webhooks };
        let set = sources.policies(&sources.read(), &PolicySet::default());
        for origin in &sources.list {
            let Origin::File(file) = origin else { continue };
            // Twice the same name, or it changed just now.
            if let Some(problem) = set.problems().find(|problem| problem.file == file) {
                return Err(SourceError::Unusable(problem.reason.to_owned()));
            }
        }
        if set.policies().next().is_none() {
            return Err(SourceError::Unusable(sources.nothing(&set)));
        }
        Ok((sources, set))
    }

    /// The policies of sources of that name, where these contents stand in for the file system: those of the pod of a guard.
    ///
    /// # Errors
    ///
    /// The first of the names that is neither a built-in policy nor there.
    pub(crate) fn of_contents(
        names: &[String],
        webhooks: WebhookSettings,
        users: &[ExemptUser],
        contents: &Contents,
    ) -> Result<PolicySet, SourceError> {
        let origin = |name: &String| {
            let path = PathBuf::from(name);
            if let Some(source) = Source::built_in(name, users) {
                return Ok(Origin::BuiltIn(Box::new(source.policy()?)));
            }
            if contents.iter().any(|(file, _)| *file == path) {
                return Ok(Origin::File(path));
            }
            if contents.iter().any(|(file, _)| file.parent() == Some(&path)) {
                return Ok(Origin::Folder(path));
            }
            Err(SourceError::Unusable(format!("{name}: no ConfigMap of the guard's pods holds it")))
        };
        let list = names.iter().map(origin).collect::<Result<_, _>>()?;
        let is_read = |file: &Path| is_policy_file(file) || names.iter().any(|name| Path::new(name) == file);
        let contents = contents.iter().filter(|(file, _)| is_read(file)).cloned().collect();
        Ok(Self { list, webhooks }.policies(&contents, &PolicySet::default()))
    }

    /// True if nothing can change.
    pub(crate) fn are_fixed(&self) -> bool {
        self.list.iter().all(|origin| matches!(origin, Origin::BuiltIn(_)))
    }

    /// Reads all files; this blocks.
    pub(crate) fn read(&self) -> Contents {
        let mut contents = Contents::new();
        for origin in &self.list {
            match origin {
                Origin::BuiltIn(_) => {}
                Origin::File(file) => contents.push((file.clone(), read_file(file))),
                Origin::Folder(folder) => match policy_files(folder) {
                    Ok(files) => contents.extend(files.into_iter().map(|file| (file.clone(), read_file(&file)))),
                    Err(error) => contents.push((folder.clone(), Err(format!("{}: {error}", folder.display())))),
                },
            }
        }
        contents
    }

    /// The policies that these contents are. A file that cannot be used keeps the policy that it held before; a policy whose file
    /// is gone is retired.
    pub(crate) fn policies(&self, contents: &Contents, before: &PolicySet) -> PolicySet {
        let by_file: HashMap<&Path, _> = contents.iter().map(|(file, text)| (file.as_path(), text)).collect();
        let mut served = Vec::new();
        for (index, origin) in self.list.iter().enumerate() {
            match origin {
                Origin::BuiltIn(policy) => {
                    let origin = PathBuf::from(policy.name());
                    let policy = Some(self.shared(Policy::clone(policy), before));
                    served.push(Served { origin, policy, problem: None, is_retired: false, is_first: index == 0 });
                }
                Origin::File(file) => {
                    let text = by_file.get(file.as_path()).copied();
                    served.extend(text.map(|text| self.of_file(file, text, index == 0, before)));
                }
                Origin::Folder(folder) => {
                    if let Some(Err(reason)) = by_file.get(folder.as_path()) {
                        let folder_is_gone = Err(reason.clone());
                        let known = before.served.iter().filter(|served| served.origin.starts_with(folder));
                        let mut known: Vec<_> =
                            known.map(|known| self.of_file(&known.origin, &folder_is_gone, false, before)).collect();
                        if known.is_empty() {
                            known.push(self.of_file(folder, &folder_is_gone, false, before));
                        }
                        served.extend(known);
                    } else {
                        let files = contents.iter().filter(|(file, _)| file.parent() == Some(folder));
                        served.extend(files.map(|(file, text)| self.of_file(file, text, false, before)));
                    }
                }
            }
        }
        one_of_each_name(&mut served);
        let is_single = matches!(self.list[..], [Origin::BuiltIn(_) | Origin::File(_)]);
        let is_there = |policy: &Policy| served.iter().any(|now| now.has_segment_of(policy));
        // A single one is asked at a path that does not depend on its name.
        let retired = before
            .served
            .iter()
            .filter(|before| !is_single && before.policy.as_deref().is_some_and(|policy| !is_there(policy)));
        let retired: Vec<_> =
            retired.map(|gone| Served { problem: None, is_retired: true, is_first: false, ..gone.clone() }).collect();
        served.extend(retired);
        PolicySet { served, is_single }
    }

    fn of_file(&self, file: &Path, text: &Result<Vec<u8>, String>, is_first: bool, before: &PolicySet) -> Served {
        let read = text.as_ref().map_err(Clone::clone);
        let policy = read.and_then(|text| of_file(file, text).map_err(|error| error.to_string()));
        let (policy, problem) = match policy {
            Ok(policy) => (Some(self.shared(policy, before)), None),
            Err(reason) => {
                let known = before.served.iter().find(|served| served.origin == file);
                (known.and_then(|known| known.policy.clone()), Some(reason))
            }
        };
        Served { origin: file.to_owned(), policy, problem, is_retired: false, is_first }
    }

    /// The policy with its settings; the same one if it has not changed.
    fn shared(&self, mut policy: Policy, before: &PolicySet) -> Arc<Policy> {
        policy.webhooks = policy.webhooks.or(&self.webhooks);
        let same = before.policies().find(|before| ***before == policy && before.digest() == policy.digest());
        same.cloned().unwrap_or_else(|| Arc::new(policy))
    }

    /// The reason why there is no policy at all.
    fn nothing(&self, set: &PolicySet) -> String {
        let problems: Vec<_> = set.problems().map(|problem| problem.reason).collect();
        if !problems.is_empty() {
            return problems.join("; ");
        }
        let folders = self.list.iter().filter_map(|origin| match origin {
            Origin::Folder(folder) => Some(folder.display().to_string()),
            Origin::BuiltIn(_) | Origin::File(_) => None,
        });
        format!("{}: there is no policy file in it, NAME.yaml", folders.collect::<Vec<_>>().join(", "))
    }
}

impl Origin {
    fn find(name: &str, users: &[ExemptUser]) -> Result<Self, SourceError> {
        if let Some(source) = Source::built_in(name, users) {
            return Ok(Self::BuiltIn(Box::new(source.policy()?)));
        }
        let path = PathBuf::from(name);
        if path.is_dir() {
            return Ok(Self::Folder(path));
        }
        let policy = read(&path).and_then(|contents| of_file(&path, &contents));
        policy.map(|_| Self::File(path)).map_err(source::SourceError::may_have_meant_a_name)
    }
}

impl Served {
    fn has_segment_of(&self, policy: &Policy) -> bool {
        self.policy.as_deref().is_some_and(|own| segment(own.name()) == segment(policy.name()))
    }
}

fn read_file(file: &Path) -> Result<Vec<u8>, String> {
    read(file).map_err(|error| error.to_string())
}

/// The policy files of a folder, in the order of their names. A mounted `ConfigMap` has hidden entries besides.
pub(crate) fn policy_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if is_policy_file(&path) && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// True if a file of that name in a folder is read as a policy.
fn is_policy_file(file: &Path) -> bool {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    !name.starts_with('.') && ends(&ENDINGS) && !ends(&SUITE_ENDINGS)
}

/// Takes the policy from all but the first of those that have one name: they would be served at one path.
fn one_of_each_name(served: &mut [Served]) {
    for index in 1..served.len() {
        let (before, rest) = served.split_at_mut(index);
        let own = &mut rest[0];
        let Some(policy) = &own.policy else { continue };
        if let Some(first) = before.iter().find(|first| first.has_segment_of(policy)) {
            own.problem = Some(format!(
                "{}: name: {} is taken by {}; rename one",
                own.origin.display(),
                policy.name(),
                first.origin.display()
            ));
            own.policy = None;
        }
    }
}
