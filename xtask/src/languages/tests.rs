use super::*;
use std::os::unix::fs::{MetadataExt, symlink};

/// A guest whose toolchain is `cat`, and whose component is its source twice.
const TWICE: Guest = Guest {
    name: "twice",
    sources: &["source"],
    toolchain: Toolchain {
        name: "cat",
        pins: &["pins"],
        program: "cat",
        install: |folder| Ok(symlink("/bin/cat", folder.join("cat"))?),
    },
    componentize: |places| {
        let mut command = Command::new("sh");
        command
            .args(["-c", "\"$0\" \"$1\" \"$1\" > \"$2\""])
            .arg(&places.program);
        command.arg(places.sources.join("source")).arg(&places.component);
        Ok(command)
    },
};

/// Its sources, and a target folder, both gone with it.
struct Fixture {
    folder: tempfile::TempDir,
    target: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let (folder, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(folder.path().join("pins"), "1").unwrap();
        fs::write(folder.path().join("source"), "ab").unwrap();
        Self { folder, target }
    }

    fn places(&self) -> Places {
        Places::of(&TWICE, self.target.path())
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn build(&self) -> Result<String> {
        component(&TWICE, self.folder.path(), &self.places())?;
        Ok(fs::read_to_string(self.places().component)?)
    }

    /// Which installation of the toolchain it is, and which build of the component.
    fn numbers(&self) -> (u64, u64) {
        let number = |path: &Path| fs::symlink_metadata(path).unwrap().ino();
        (number(&self.places().toolchain), number(&self.places().stamp))
    }
}

#[test]
fn a_component_is_built_once() {
    let fixture = Fixture::new();
    assert_eq!(fixture.build().unwrap(), "abab");
    let first = fixture.numbers();
    assert_eq!(fixture.build().unwrap(), "abab");
    assert_eq!(fixture.numbers(), first);
}

#[test]
fn a_changed_source_is_built_again_with_the_same_toolchain() {
    let fixture = Fixture::new();
    fixture.build().unwrap();
    let mark = fixture.places().toolchain.join("mark");
    fs::write(&mark, "").unwrap();
    fixture.write("source", "cd");
    assert_eq!(fixture.build().unwrap(), "cdcd");
    assert!(mark.exists(), "the toolchain was installed again");
}

#[test]
fn a_changed_pin_installs_the_toolchain_again_and_builds_with_it() {
    let fixture = Fixture::new();
    fixture.build().unwrap();
    let places = fixture.places();
    fs::write(places.toolchain.join("mark"), "").unwrap();
    fs::write(&places.component, "of the old one").unwrap();
    fixture.write("pins", "2");
    assert_eq!(fixture.build().unwrap(), "abab");
    assert!(
        !places.toolchain.join("mark").exists(),
        "the old toolchain is still there"
    );
}

#[test]
fn a_toolchain_that_no_longer_runs_is_installed_again() {
    let fixture = Fixture::new();
    fixture.build().unwrap();
    let program = fixture.places().program;
    fs::remove_file(&program).unwrap();
    symlink("/no/such/python", &program).unwrap();
    fixture.write("source", "cd");
    assert_eq!(fixture.build().unwrap(), "cdcd");
}

#[test]
fn what_a_failed_build_left_is_never_taken_for_the_component() {
    let fixture = Fixture::new();
    fixture.build().unwrap();
    let places = fixture.places();
    let broken = Guest {
        componentize: |places| {
            let mut command = Command::new("sh");
            command
                .args(["-c", "echo half > \"$0\"; exit 1"])
                .arg(&places.component);
            Ok(command)
        },
        ..TWICE
    };
    let error = component(&broken, fixture.folder.path(), &places).unwrap_err();
    assert!(format!("{error:#}").contains("component twice"), "{error:#}");
    assert_eq!(fs::read_to_string(&places.component).unwrap(), "half\n");
    assert_eq!(fixture.build().unwrap(), "abab");
}

#[test]
fn a_source_that_is_missing_is_named() {
    let fixture = Fixture::new();
    fs::remove_file(fixture.folder.path().join("source")).unwrap();
    let error = fixture.build().unwrap_err().to_string();
    assert!(error.contains("cannot read") && error.ends_with("/source"), "{error}");
}

#[test]
fn versions_are_pinned_exactly_and_by_their_content() {
    let file = |guest: &str, name: &str| read(&workspace::guests().join(guest).join(name)).unwrap();
    let requirements = String::from_utf8(file("hello-py", "requirements.txt")).unwrap();
    let named: Vec<_> = requirements
        .lines()
        .filter(|l| l.starts_with(char::is_alphabetic))
        .collect();
    assert!(
        !named.is_empty() && named.iter().all(|line| line.contains("==")),
        "{named:?}"
    );
    assert!(requirements.contains("--hash=sha256:"));

    let package: Value = serde_json::from_slice(&file("hello-js", "package.json")).unwrap();
    let wanted = package["devDependencies"]["@bytecodealliance/componentize-js"]
        .as_str()
        .unwrap();
    assert!(wanted.starts_with(|c: char| c.is_ascii_digit()), "{wanted}");
    let lock: Value = serde_json::from_slice(&file("hello-js", "package-lock.json")).unwrap();
    for (name, package) in lock["packages"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| !name.is_empty())
    {
        assert!(package["integrity"].is_string(), "{name} is not pinned by its content");
    }
}

#[test]
fn the_wit_is_beside_the_manifest_of_the_crate() {
    let metadata = serde_json::json!({ "packages": [
        { "name": "wasip3", "manifest_path": "/r/wasip3-0.9.0/Cargo.toml" },
        { "name": "wasip2", "manifest_path": "/r/wasip2-2.0.1/Cargo.toml" },
    ]});
    assert_eq!(wit_of("wasip2", &metadata).unwrap(), Path::new("/r/wasip2-2.0.1/wit"));
    assert_eq!(wit_of("wasip1", &metadata), None);
}
