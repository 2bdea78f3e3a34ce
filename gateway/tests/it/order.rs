//! The order of the house: a module names only what stands before it (docs/architecture.md).

use std::fs;
use std::path::{Path, PathBuf};

/// Each line may name itself and the lines above it. What shares a line does not name one another.
const ORDER: [&[&str]; 14] = [
    &["limits", "error", "config", "per_core", "tcp"],
    &["telemetry"],
    &["http"],
    &["outbound"],
    &["stores"],
    &["hosts"],
    &["runtime"],
    &["proxy"],
    &["snapshot"],
    &["route"],
    &["door"],
    &["control"],
    &["cli"],
    &["main"],
];

fn sources() -> Vec<(PathBuf, String)> {
    fn gather(folder: &Path, into: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).expect("the sources are there") {
            let path = entry.expect("a folder can be read").path();
            if path.is_dir() {
                gather(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("sources are UTF-8");
                into.push((path, text));
            }
        }
    }
    let mut sources = Vec::new();
    gather(&root(), &mut sources);
    assert!(sources.len() > 50, "the sources are elsewhere: {} files", sources.len());
    sources
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// `door` for `src/door.rs` and all of `src/door/`.
fn module(path: &Path) -> String {
    let first = path
        .strip_prefix(root())
        .expect("it is a source")
        .iter()
        .next()
        .expect("a file name");
    first.to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// The text without comments and without what only tests compile.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let line = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The modules of this crate that a source names: `crate::name`, also in `crate::{a, b::c}`.
fn named(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let is_whole_word = code[..at]
            .chars()
            .next_back()
            .is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '$');
        if !is_whole_word {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => names.extend(heads_of(group)),
            None => names.push(word(rest)),
        }
    }
    names.retain(|name| name.chars().next().is_some_and(char::is_lowercase));
    names
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first word of each part of a `{a, b::{c, d}, e}`, whose opening brace is gone.
fn heads_of(group: &str) -> Vec<String> {
    let (mut depth, mut part, mut heads) = (0, String::new(), Vec::new());
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => heads.push(word(std::mem::take(&mut part).trim_start())),
            _ => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                part.push(c);
            }
        }
    }
    heads.push(word(part.trim_start()));
    heads
}

fn rank(module: &str) -> Option<usize> {
    ORDER.iter().position(|line| line.contains(&module))
}

#[test]
fn a_module_names_only_what_stands_before_it() {
    let mut wrong = Vec::new();
    let mut looked_at = 0;
    for (path, text) in sources() {
        let module = module(&path);
        if module == "lib" {
            continue;
        }
        let shown = path.strip_prefix(root()).expect("it is a source").display().to_string();
        let Some(own) = rank(&module) else {
            wrong.push(format!("{shown}: the module `{module}` has no place in the order"));
            continue;
        };
        let code = code(&text);
        if reaches_root(&path, &code) {
            wrong.push(format!(
                "{shown}: leaves its module by `super`, where this test cannot follow: write `crate::`"
            ));
        }
        for name in named(&code) {
            looked_at += 1;
            match rank(&name) {
                _ if name == module => {}
                Some(other) if other < own => {}
                // Bounds stand before everything, and errors before what is configured.
                Some(other) if other == own && stands_first(&name, &module) => {}
                Some(_) => wrong.push(format!("{shown}: `{module}` names `{name}`, which stands behind it")),
                None => wrong.push(format!("{shown}: names `{name}`, which has no place in the order")),
            }
        }
    }
    assert!(
        looked_at > 100,
        "only {looked_at} names were found: the test no longer sees them"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether a chain of `super` goes as far as the crate: names behind it are not seen by [`named`].
fn reaches_root(path: &Path, code: &str) -> bool {
    let depth = path.strip_prefix(root()).expect("it is a source").iter().count();
    code.contains(&"super::".repeat(depth))
}

fn stands_first(name: &str, module: &str) -> bool {
    let first = ORDER[0];
    first.iter().position(|known| *known == name) < first.iter().position(|known| *known == module)
}

#[test]
fn components_know_no_server_and_the_door_no_engine() {
    let forbidden: [(&[&str], &[&str]); 3] = [
        (&["runtime", "hosts"], &["hyper::server", "pingora"]),
        (&["proxy"], &["wasmtime"]),
        (
            &[
                "config",
                "telemetry",
                "http",
                "snapshot",
                "route",
                "door",
                "control",
                "cli",
            ],
            &["pingora", "wasmtime::"],
        ),
    ];
    for (path, text) in sources() {
        let module = module(&path);
        let code = code(&text);
        for (modules, names) in &forbidden {
            for name in names.iter().filter(|_| modules.contains(&module.as_str())) {
                assert!(!code.contains(name), "{} names {name}", path.display());
            }
        }
    }
}

#[test]
fn this_test_sees_what_it_looks_for() {
    let text = "use crate::{door, http::{Body, Call}, config};\nuse crate::limits;\nlet x = crate::cli::main();\nuse xcrate::no;";
    let mut names = named(&code(text));
    names.sort();
    assert_eq!(names, ["cli", "config", "door", "http", "limits"]);
    assert!(rank("config") < rank("telemetry") && rank("runtime") < rank("door") && rank("nothing").is_none());
    assert!(stands_first("limits", "config") && !stands_first("config", "error"));
    assert_eq!(module(&root().join("door/io.rs")), "door");
    assert_eq!(module(&root().join("door.rs")), "door");
    let nested = root().join("door/io.rs");
    assert!(reaches_root(&nested, "use super::super::limits;") && !reaches_root(&nested, "use super::guard;"));
}
