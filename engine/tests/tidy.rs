//! Who may use whom, and what no file may hold: checked over the source tree.
//!
//! ```text
//! benches ─▶ engine ─▶ connectors ─▶ asl ─▶ serde and the like
//! inside engine:  cli ─▶ adapters ─▶ ports ◀─ services ◀─ api       only cli names an adapter
//! ```

#![expect(clippy::unwrap_used, reason = "a failure here is the result of a test")]

use std::path::{Path, PathBuf};

/// Lines of a file before its tests.
const LINES_MAX: usize = 500;
/// Folders that hold no source of ours.
const FOREIGN: [&str; 4] = ["target", ".git", "corpus", "artifacts"];

struct File {
    /// From the root of the project, with `/`.
    path: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All files below a folder of the project whose names end so.
fn files(folder: &str, endings: &[&str]) -> Vec<File> {
    let (root, mut found) = (root(), Vec::new());
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if !FOREIGN.contains(&name) {
                    folders.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                let text = std::fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                found.push(File { path, text });
            }
        }
    }
    assert!(!found.is_empty(), "no files in {folder}");
    found
}

fn rust(folder: &str) -> Vec<File> {
    files(folder, &[".rs"])
}

/// What a file is made of, its unit tests and comments left out.
fn code(text: &str) -> String {
    let tests = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    let lines = text[..tests].lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// None of the files may name any of these.
fn check(files: &[File], banned: &[&str], exempt: impl Fn(&str) -> bool) {
    for file in files.iter().filter(|file| !exempt(&file.path)) {
        let code = code(&file.text);
        for word in banned {
            let line = code.lines().find(|line| line.contains(word));
            assert!(line.is_none(), "{} may not name {word}: {}", file.path, line.unwrap_or_default().trim());
        }
    }
}

fn dependencies(manifest: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(manifest)).unwrap();
    let lines = text.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    let names = lines.take_while(|line| !line.starts_with('[')).filter(|line| !line.trim().is_empty());
    names.map(|line| line.split(['.', ' ', '=']).next().unwrap().to_owned()).collect()
}

#[test]
fn the_language_knows_no_runtime_driver_or_network() {
    let banned =
        ["tokio", "futures", "async-trait", "sqlx", "lapin", "axum", "reqwest", "hyper", "http", "engine"];
    let listed = dependencies("asl/Cargo.toml");
    assert!(!listed.is_empty());
    for name in &listed {
        let bad = banned.iter().any(|word| name == word || name.starts_with(&format!("{word}-")));
        assert!(!bad && name != "connectors", "asl may not depend on {name}");
    }
    check(&rust("asl/src"), &["std::net", "std::thread", "std::env", "SystemTime", "Instant::now"], |_| {
        false
    });
}

#[test]
fn connectors_do_not_know_the_engine() {
    assert!(!dependencies("connectors/Cargo.toml").contains(&"engine".to_owned()));
    check(&rust("connectors/src"), &[" engine::", "<engine::", "(engine::"], |_| false);
}

#[test]
fn drivers_are_named_by_adapters_only() {
    let adapters = |path: &str| path.starts_with("engine/src/adapters");
    check(&rust("engine/src"), &["sqlx", "lapin"], adapters);
    check(&rust("connectors/src"), &["sqlx", "lapin"], |_| false);
}

#[test]
fn only_the_command_line_names_an_adapter() {
    let cli = |path: &str| {
        path.starts_with("engine/src/cli")
            || path.starts_with("engine/src/adapters")
            || path.ends_with("lib.rs")
    };
    check(&rust("engine/src"), &["adapters"], cli);
}

#[test]
fn services_and_ports_look_only_inwards() {
    let outer = ["crate::api", "crate::cli", "crate::adapters", "crate::config"];
    check(&rust("engine/src/services"), &outer, |_| false);
    check(&rust("engine/src/ports"), &outer, |_| false);
    check(&rust("engine/src/ports"), &["crate::services", "crate::messages"], |_| false);
    check(&rust("engine/src/adapters"), &["crate::services", "crate::api", "crate::cli"], |_| false);
    check(&rust("engine/src/api"), &["crate::cli", "crate::adapters"], |_| false);
}

#[test]
fn what_events_mean_is_computed_without_a_clock_or_a_runtime() {
    let outer = ["tokio", "SystemTime", "Instant", "crate::ports", "crate::services"];
    check(&rust("engine/src/events"), &outer, |_| false);
}

#[test]
fn nothing_is_left_for_later() {
    for folder in ["asl", "connectors", "engine", "benches"] {
        for file in rust(folder).iter().filter(|file| !file.path.ends_with("tests/tidy.rs")) {
            for word in ["TODO", "FIXME", "XXX"] {
                assert!(!file.text.contains(word), "{}: {word}", file.path);
            }
        }
    }
}

#[test]
fn modules_are_files_of_their_name() {
    for folder in ["asl", "connectors", "engine", "benches"] {
        for file in rust(folder) {
            assert!(!file.path.ends_with("/mod.rs"), "{}", file.path);
        }
    }
}

#[test]
fn files_are_short() {
    for folder in ["asl/src", "connectors/src", "engine/src", "engine/tests"] {
        for file in rust(folder) {
            let lines = file.text.lines().take_while(|line| *line != "#[cfg(test)]").count();
            assert!(lines <= LINES_MAX, "{} has {lines} lines before its tests", file.path);
        }
    }
}

#[test]
fn no_file_names_the_machine_it_was_written_on() {
    // Put together here, so that this file does not hold them.
    let banned =
        [["/wo", "rk/"], ["/ro", "ot/"], ["/ho", "me/"], ["/tmp/", "wt"]].map(|parts| parts.concat());
    let endings = [".rs", ".toml", ".md", ".json", ".sql", ".py", ".yml", "Makefile", ".sh"];
    for file in files("", &endings) {
        for word in &banned {
            assert!(!file.text.contains(word.as_str()), "{} names {word}", file.path);
        }
    }
}

/// Two providers of cryptography in one program make TLS panic at its first use.
#[test]
fn one_provider_of_cryptography_is_linked() {
    let arguments = ["tree", "--offline", "--workspace", "--edges", "normal", "--invert", "ring"];
    let mut cargo = std::process::Command::new(env!("CARGO"));
    let output = cargo.args(arguments).current_dir(root()).output().unwrap();
    let users = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && users.is_empty(), "ring is used by {users}");
}

#[test]
fn crates_come_from_the_public_registry() {
    let public = "registry+https://github.com/rust-lang/crates.io-index";
    for file in files("", &["Cargo.lock"]) {
        for line in file.text.lines().filter(|line| line.starts_with("source = ")) {
            assert!(line.contains(public), "{}: {line}", file.path);
        }
    }
}
