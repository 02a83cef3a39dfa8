//! The files of the repository: those git tracks, and those it would.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The text files of the repository, by path from its root.
pub(crate) struct Repository {
    pub(crate) files: Vec<File>,
    /// Every path, those of files that are no text included.
    pub(crate) paths: Vec<String>,
}

pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Repository {
    /// This repository, read once.
    pub(crate) fn this() -> &'static Self {
        static THIS: OnceLock<Repository> = OnceLock::new();
        THIS.get_or_init(|| Self::read(&root()))
    }

    fn read(root: &Path) -> Self {
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .expect("git is needed to list the files of the repository");
        assert!(
            listed.status.success(),
            "git ls-files failed in {}: {}",
            root.display(),
            String::from_utf8_lossy(&listed.stderr)
        );
        let mut paths: Vec<String> = String::from_utf8(listed.stdout)
            .expect("file names are UTF-8")
            .split('\0')
            // A file that is deleted but still in the index is no longer there.
            .filter(|path| !path.is_empty() && root.join(path).is_file())
            .map(str::to_owned)
            .collect();
        paths.sort();
        paths.dedup();
        assert!(paths.len() > 20, "only {} files found in {}", paths.len(), root.display());
        let files = paths
            .iter()
            .filter_map(|path| {
                let bytes = std::fs::read(root.join(path)).ok()?;
                let text = String::from_utf8(bytes).ok()?;
                Some(File { path: path.clone(), text })
            })
            .collect();
        Self { files, paths }
    }

    /// A repository made up for a self-test.
    pub(crate) fn sample(files: &[(&str, &str)]) -> Self {
        Self {
            paths: files.iter().map(|(path, _)| (*path).to_owned()).collect(),
            files: files
                .iter()
                .map(|(path, text)| File { path: (*path).to_owned(), text: (*text).to_owned() })
                .collect(),
        }
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    pub(crate) fn with_extension(&self, extension: &str) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.extension() == extension)
    }

    /// Whether `path` is a file or a directory here.
    pub(crate) fn has(&self, path: &str) -> bool {
        let directory = format!("{}/", path.trim_end_matches('/'));
        path.is_empty() || self.paths.iter().any(|known| known == path || known.starts_with(&directory))
    }
}

impl File {
    pub(crate) fn extension(&self) -> &str {
        self.path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map_or("", |(_, end)| end)
    }

    /// The crate it belongs to, by the name of its directory.
    pub(crate) fn crate_name(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }

    /// Tests, benches and generated files: apart from the limits on length.
    pub(crate) fn is_apart(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        self.path.split('/').any(|part| matches!(part, "tests" | "benches"))
            || name == "tests.rs"
            || name.ends_with("_test.go")
            || name.ends_with("_test.py")
            || name.ends_with(".test.ts")
            || (name.starts_with("test_") && name.ends_with(".py"))
            || self
                .text
                .lines()
                .take(3)
                .any(|line| line.contains("@generated") || line.starts_with("// Code generated"))
    }
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the crate lies two directories below the root")
        .to_owned()
}
