//! Finds test files.

use std::path::{Path, PathBuf};

use crate::cli::Error;

/// How the names of test files end.
const ENDINGS: [&str; 3] = [".test.yaml", ".test.yml", ".test.json"];
/// Folders of other tools, which may be large.
const FOREIGN: [&str; 2] = ["node_modules", "target"];
/// How deep folders are looked into.
const DEPTH_MAX: usize = 64;

/// The files that are named, and those in the folders that are named, in order and each once.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for path in paths {
        let failed = |error| Error::Usage(format!("failed to read {}: {error}", path.display()));
        if std::fs::metadata(path).map_err(failed)?.is_dir() {
            below(path, 0, &mut found).map_err(failed)?;
        } else {
            found.push(path.clone());
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|path| seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())));
    Ok(found)
}

/// Hidden folders, and those that links lead to, are left out: a link may lead back.
fn below(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries = std::fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        // `./order.test.yaml` is `order.test.yaml`.
        let path = if folder.as_os_str() == "." { PathBuf::from(&name) } else { entry.path() };
        if entry.file_type()?.is_dir() {
            if depth < DEPTH_MAX && !name.starts_with('.') && !FOREIGN.contains(&name.as_str()) {
                below(&path, depth + 1, found)?;
            }
        } else if ENDINGS.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_looked_through_in_order() {
        let place = tempfile::tempdir().unwrap();
        let folders = ["b", "a/c", ".git", "node_modules/x"];
        for folder in folders {
            std::fs::create_dir_all(place.path().join(folder)).unwrap();
        }
        let names = [
            "b/1.test.yml",
            "a/c/2.test.json",
            "a/3.test.yaml",
            ".git/4.test.yaml",
            "node_modules/x/5.test.yaml",
        ];
        for name in names.into_iter().chain(["a/order.yaml", "a/order.asl.json"]) {
            std::fs::write(place.path().join(name), "").unwrap();
        }
        let paths = [place.path().to_owned(), place.path().join("b/1.test.yml")];
        let found = files(&paths).unwrap();
        let found: Vec<_> = found.iter().map(|path| path.strip_prefix(place.path()).unwrap()).collect();
        assert_eq!(found, ["a/3.test.yaml", "a/c/2.test.json", "b/1.test.yml"].map(Path::new));
        assert!(files(&[place.path().join("absent")]).is_err());
    }
}
