//! Runs what a page of the documentation says: every block of it is a file to write, commands to run, or text.
//!
//! After a block's language come words that GitHub does not show:
//!
//! - `file=NAME`: the block is written to a file of that name.
//! - `same-as=FILE`: the block stands in that file of `docs/`, word for word.
//! - `cluster`: it needs an API server, and then so does its page.
//! - `installed`: it needs a cluster in which the guard is installed, and then so does its page.
//! - `cert-manager`: it needs a guard whose certificates cert-manager makes, and is run apart from the rest of its page.
//!
//! `sh` is run and must succeed. `console` is run command by command, and must print what it says. `text` is text.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The folder of the documentation.
pub const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");

/// A page.
#[derive(Debug)]
pub struct Page {
    path: PathBuf,
    blocks: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    /// The line on which its text begins, from 1.
    line: usize,
    language: String,
    words: Vec<String>,
    text: String,
}

/// The pages of the documentation.
pub fn pages() -> Vec<Page> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(DOCS).expect("docs/").map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.push(Path::new(DOCS).join("../manifests/README.md"));
    paths.sort();
    paths.into_iter().map(Page::read).collect()
}

impl Page {
    fn read(path: PathBuf) -> Self {
        let mut page = Self { path, blocks: Vec::new() };
        let text = page.text();
        let blocks = &mut page.blocks;
        let mut open = false;
        for (number, line) in text.lines().enumerate() {
            match line.trim_start().strip_prefix("```") {
                Some(info) if !open => {
                    let mut words = info.split_whitespace().map(str::to_owned);
                    let language = words.next().unwrap_or_default();
                    blocks.push(Block { line: number + 2, language, words: words.collect(), text: String::new() });
                    open = true;
                }
                Some(_) => open = false,
                None if open => blocks.last_mut().expect("an open block").text.extend([line, "\n"]),
                None => {}
            }
        }
        page
    }

    /// The page's name, for messages.
    pub fn name(&self) -> String {
        self.path.strip_prefix(DOCS).unwrap_or(&self.path).display().to_string()
    }

    /// The page that a newcomer sees first.
    pub fn readme() -> Self {
        Self::read(Path::new(DOCS).join("../README.md"))
    }

    /// The blocks about an installation, to be run in this folder, which gets what they name: those of one way to install the guard,
    /// and with `installed-instead` those of another.
    pub fn installations(&self, folder: &Path) -> Vec<Installation<'_>> {
        copy(&Path::new(DOCS).join("../manifests"), &folder.join("manifests"));
        copy(&Path::new(DOCS).join("../charts"), &folder.join("charts"));
        copy(&Path::new(DOCS).join("examples"), &folder.join("docs/examples"));
        let installs = |block: &&Block| block.words.iter().any(|word| word.starts_with("installed"));
        self.blocks.iter().filter(installs).map(|block| Installation { page: self, block }).collect()
    }

    /// The number of commands in the section about the installation, counted once where there are two ways.
    pub fn commands_to_install(&self) -> usize {
        let text = self.text();
        let (_, section) = text.split_once("\n## Install it\n").expect("the section");
        let (section, _) = section.split_once("\n## ").expect("a section after it");
        let mut blocks = section.split("```");
        let mut commands = section.matches("`cargo install").count();
        while let (Some(_), Some(block)) = (blocks.next(), blocks.next()) {
            if let Some(block) = block.strip_prefix("sh\n").or(block.strip_prefix("sh installed\n")) {
                let is_start = |line: &&str| !line.is_empty() && !line.starts_with(' ');
                commands += block.lines().filter(is_start).count();
            }
        }
        commands
    }

    /// The contents of the page.
    pub fn text(&self) -> String {
        fs::read_to_string(&self.path).expect("a page")
    }

    /// The page about operations.
    pub fn operations() -> Self {
        Self::read(Path::new(DOCS).join("operations.md"))
    }

    /// True if some of it needs an API server.
    pub fn needs_a_cluster(&self) -> bool {
        self.has("cluster")
    }

    /// True if some of it needs a cluster in which the guard is installed.
    pub fn needs_an_installation(&self) -> bool {
        self.has("installed")
    }

    fn has(&self, word: &str) -> bool {
        self.blocks.iter().any(|block| block.words.iter().any(|other| other == word))
    }

    /// Does what the page says in this folder, with what `prepare` adds to each command. Panics where it does not hold.
    pub fn run(&self, folder: &Path, prepare: &dyn Fn(&mut Command)) {
        copy(&Path::new(DOCS).join("examples"), &folder.join("examples"));
        copy(&Path::new(DOCS).join("schemas"), &folder.join("schemas"));
        copy(&Path::new(DOCS).join("../manifests"), &folder.join("manifests"));
        copy(&Path::new(DOCS).join("../charts"), &folder.join("charts"));
        for block in self.blocks.iter().filter(|block| !block.needs_cert_manager()) {
            block.run(&self.place(block), folder, prepare);
        }
    }

    /// Does what the page says for a guard whose certificates cert-manager makes.
    pub fn run_with_cert_manager(&self, folder: &Path, prepare: &dyn Fn(&mut Command)) {
        let blocks: Vec<_> = self.blocks.iter().filter(|block| block.needs_cert_manager()).collect();
        assert!(!blocks.is_empty(), "{}: nothing about cert-manager", self.name());
        for block in blocks {
            block.run(&self.place(block), folder, prepare);
        }
    }

    /// The line of a block, for messages.
    fn place(&self, block: &Block) -> String {
        format!("{}:{}", self.name(), block.line)
    }
}

/// A way to install the guard.
#[derive(Debug)]
pub struct Installation<'p> {
    page: &'p Page,
    block: &'p Block,
}

impl Installation<'_> {
    /// Runs the block's commands, which must succeed; gives what they wrote.
    pub fn run(&self, folder: &Path, prepare: &dyn Fn(&mut Command)) -> String {
        let (success, said) = shell(&self.block.text, folder, prepare);
        assert!(success, "{}: failed and said:\n{said}", self.page.place(self.block));
        said
    }
}

impl Block {
    fn needs_cert_manager(&self) -> bool {
        self.words.iter().any(|word| word == "cert-manager")
    }

    fn word(&self, name: &str) -> Option<&str> {
        self.words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    fn run(&self, place: &str, folder: &Path, prepare: &dyn Fn(&mut Command)) {
        if let Some(file) = self.word("file") {
            let file = folder.join(file);
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            fs::write(file, &self.text).expect("a file");
            return;
        }
        if let Some(file) = self.word("same-as") {
            let text = fs::read_to_string(Path::new(DOCS).join(file)).expect("the file it is the same as");
            assert!(text.contains(&self.text), "{place}: {file} has no such text");
            return;
        }
        match self.language.as_str() {
            "sh" => {
                let (success, said) = shell(&self.text, folder, prepare);
                assert!(success, "{place}: failed and said:\n{said}");
            }
            "console" => {
                for (command, expected) in self.commands() {
                    let (_, said) = shell(&command, folder, prepare);
                    assert_eq!(said.trim_end(), expected.trim_end(), "{place}: {command}");
                }
            }
            "text" => {}
            other => {
                panic!("{place}: nobody knows what to do with a block of {other:?}; write text where it is just that")
            }
        }
    }

    /// The text behind each `$`, and the lines that follow it.
    fn commands(&self) -> Vec<(String, String)> {
        let mut commands: Vec<(String, String)> = Vec::new();
        for line in self.text.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                commands.push((command.to_owned(), String::new()));
            } else if let Some((_, said)) = commands.last_mut() {
                said.extend([line, "\n"]);
            }
        }
        commands
    }
}

/// Runs commands; gives whether they succeeded and what they wrote, errors included.
pub fn shell(commands: &str, folder: &Path, prepare: &dyn Fn(&mut Command)) -> (bool, String) {
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", &format!("exec 2>&1\n{commands}")]).current_dir(folder).stdin(Stdio::null());
    shell.env_remove("PYTORCHJOB_GUARD_POLICY").env("NO_COLOR", "1");
    prepare(&mut shell);
    let output = shell.output().expect("a shell");
    (output.status.success(), String::from_utf8(output.stdout).expect("UTF-8"))
}

/// Puts the folder of this program before all others where programs are looked for, and then these.
pub fn path_with(folders: &[&Path]) -> std::ffi::OsString {
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let folders = folders.iter().map(|folder| folder.to_path_buf());
    std::env::join_paths(folders.chain(std::env::split_paths(&inherited))).expect("folders without a colon")
}

/// Copies a folder, where there is one.
pub fn copy(from: &Path, to: &Path) {
    if !from.exists() {
        return;
    }
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let from = entry.expect("an entry").path();
        let to = to.join(from.file_name().expect("a name"));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).expect("a copy");
        }
    }
}
