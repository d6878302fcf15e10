//! Which of our crates may depend on which, and what must not be anywhere below the crates without IO.
//! It reads the manifests and the output of `cargo tree`; direction inside a crate is in `direction`.

use toml::{Table, Value};

use crate::tree::File;

/// A crate and those of ours that it may name in any dependency table.
pub struct Row {
    /// The package.
    pub package: &'static str,
    /// What it may depend on.
    pub may_depend_on: &'static [&'static str],
}

/// The crates in the order of the flow. The binary may depend on all; nobody may depend on it.
pub const TABLE: &[Row] = &[
    Row { package: "tidegate-websocket", may_depend_on: &[] },
    Row { package: "tidegate-inspect", may_depend_on: &["tidegate-websocket"] },
    Row { package: "tidegate-hub", may_depend_on: &[] },
    Row { package: "tidegate-protocol", may_depend_on: &["tidegate-hub"] },
    Row { package: "tidegate-source", may_depend_on: &["tidegate-hub"] },
    Row { package: "tidegate-client", may_depend_on: &["tidegate-websocket", "tidegate-protocol"] },
    Row {
        package: "tidegate-gateway",
        may_depend_on: &[
            "tidegate-websocket",
            "tidegate-inspect",
            "tidegate-hub",
            "tidegate-protocol",
            "tidegate-source",
        ],
    },
    Row {
        package: "tidegate",
        may_depend_on: &[
            "tidegate-websocket",
            "tidegate-inspect",
            "tidegate-hub",
            "tidegate-protocol",
            "tidegate-source",
            "tidegate-client",
            "tidegate-gateway",
        ],
    },
];

/// Crates that take time, bytes and random numbers as arguments.
pub const WITHOUT_IO: &[&str] =
    &["tidegate-websocket", "tidegate-inspect", "tidegate-hub", "tidegate-protocol"];

/// Runtimes, sockets and randomness: absent from everything that the crates without IO pull in.
pub const NEVER_WITHOUT_IO: &[&str] = &["tokio", "mio", "hyper", "rand", "fastrand", "getrandom"];

/// Every dependency of ours that the table does not allow. `tests/` and `xtask` may use any library of
/// ours but not the binary.
pub fn findings(files: &[File]) -> Vec<String> {
    let is_manifest = |file: &&File| file.path.ends_with("/Cargo.toml");
    files.iter().filter(is_manifest).flat_map(in_manifest).collect()
}

/// Banned packages in the output of `cargo tree --prefix none`.
pub fn in_cargo_tree(package: &str, output: &str) -> Vec<String> {
    let names = output.lines().filter_map(|line| line.split_whitespace().next());
    let banned = names.filter(|name| NEVER_WITHOUT_IO.contains(name));
    banned.map(|name| format!("{package} pulls in {name}")).collect()
}

fn in_manifest(file: &File) -> Vec<String> {
    let manifest: Table = match file.text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![format!("{}: {error}", file.path)],
    };
    let package = manifest.get("package").and_then(|package| package.get("name")).and_then(Value::as_str);
    let Some(package) = package else { return Vec::new() };
    let row = TABLE.iter().find(|row| row.package == package);
    if row.is_none() && file.path.starts_with("crates/") {
        return vec![format!("{}: {package} has no row in the crate table", file.path)];
    }
    let allowed = |name: &str| row.map_or(name != "tidegate", |row| row.may_depend_on.contains(&name));
    let mut names = Vec::new();
    dependencies(&manifest, &mut names);
    let ours = names.into_iter().filter(|name| TABLE.iter().any(|row| row.package == name));
    ours.filter(|name| !allowed(name))
        .map(|name| format!("{}: {package} must not depend on {name}", file.path))
        .collect()
}

/// The packages named in all dependency tables, those of targets too, renamed ones by their own name.
fn dependencies(manifest: &Table, names: &mut Vec<String>) {
    for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let entries = manifest.get(table).and_then(Value::as_table);
        for (key, value) in entries.into_iter().flatten() {
            let renamed = value.get("package").and_then(Value::as_str);
            names.push(renamed.unwrap_or(key).to_owned());
        }
    }
    let targets = manifest.get("target").and_then(Value::as_table);
    for target in targets.into_iter().flat_map(Table::values).filter_map(Value::as_table) {
        dependencies(target, names);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(path: &str, text: &str) -> Vec<String> {
        findings(&[File::new(path, text)])
    }

    #[test]
    fn a_dependency_against_the_flow_is_found_in_every_table() {
        for table in
            ["dependencies", "dev-dependencies", "build-dependencies", "target.'cfg(unix)'.dependencies"]
        {
            let text =
                format!("[package]\nname = \"tidegate-hub\"\n[{table}]\ntidegate-protocol.workspace = true");
            let found = judge("crates/hub/Cargo.toml", &text);
            assert_eq!(found, ["crates/hub/Cargo.toml: tidegate-hub must not depend on tidegate-protocol"]);
        }
    }

    #[test]
    fn a_new_name_does_not_hide_a_dependency() {
        let text = "[package]\nname = \"tidegate-source\"\n[dependencies]\n\
                    x = { package = \"tidegate-gateway\", path = \"../gateway\" }";
        assert_eq!(judge("crates/source/Cargo.toml", text).len(), 1);
    }

    #[test]
    fn nobody_depends_on_the_binary_and_a_new_crate_needs_a_row() {
        let suite = "[package]\nname = \"soak\"\n[dependencies]\ntidegate-client = \"0\"\ntidegate = \"0\"";
        assert_eq!(
            judge("tests/soak/Cargo.toml", suite),
            ["tests/soak/Cargo.toml: soak must not depend on tidegate"]
        );
        assert_eq!(judge("crates/new/Cargo.toml", "[package]\nname = \"tidegate-new\"").len(), 1);
        assert_eq!(judge("crates/new/Cargo.toml", "[package\n").len(), 1);
    }

    #[test]
    fn what_the_table_allows_passes() {
        let text =
            "[package]\nname = \"tidegate-protocol\"\n[dependencies]\ntidegate-hub = \"0\"\nserde = \"1\"";
        assert!(judge("crates/protocol/Cargo.toml", text).is_empty());
    }

    #[test]
    fn a_runtime_below_a_crate_without_io_is_found() {
        let output = "tidegate-hub v0.1.0 (crates/hub)\nbytes v1.12.0\ngetrandom v0.4.1 (*)\nrandom v1.0.0\n";
        assert_eq!(in_cargo_tree("tidegate-hub", output), ["tidegate-hub pulls in getrandom"]);
    }
}
