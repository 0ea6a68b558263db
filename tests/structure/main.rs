//! Rules of the source tree: the files of a crate import each other in one direction, and
//! links in the documents lead somewhere.

#![allow(clippy::unwrap_used)]

mod imports;
mod links;

use std::path::{Path, PathBuf};

use imports::circles;
use links::broken_links;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The roots of all crates: the folders that their modules are in.
fn crates() -> Vec<PathBuf> {
    let repository = repository();
    let mut roots = vec![repository.join("tests/simulation")];
    for folder in ["functions", "infra"] {
        let entries = std::fs::read_dir(repository.join(folder)).unwrap();
        let sources = entries.map(|entry| entry.unwrap().path().join("src"));
        roots.extend(sources.filter(|source| source.join("lib.rs").is_file()));
    }
    roots
}

#[test]
fn no_files_of_a_crate_import_each_other_in_a_circle() {
    let roots = crates();
    assert!(roots.len() > 10, "{roots:?}");
    let found: Vec<_> = roots.iter().flat_map(|root| circles(root)).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_circle_is_found_through_every_kind_of_path() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("lib.rs", "mod a; mod b; mod c; mod d;");
    write("a.rs", "use crate::{b::two::Two, d};\nfn f() {}");
    write("b.rs", "pub mod two;");
    write("b/two.rs", "pub struct Two(super::super::c::Three);");
    write("c.rs", "pub struct Three;\nfn g() { crate::a::f(); }");
    write("d.rs", "#[cfg(test)]\nmod tests { use crate::a::f; }");
    let found = circles(folder.path());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0], ["a.rs", "b/two.rs", "c.rs"]);
}

#[test]
fn links_in_documents_lead_somewhere() {
    let broken = broken_links(repository());
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn a_link_to_no_file_or_no_heading_is_broken() {
    let folder = tempfile::tempdir().unwrap();
    let readme = "# Two words\n[a](#two-words) [b](#three) [c](gone.md) [d](https://example.com)\n\n\
                  | [e](README.md#two-words) | [f](README.md#four) |\n| --- | --- |\n";
    std::fs::write(folder.path().join("README.md"), readme).unwrap();
    let broken = broken_links(folder.path());
    let targets: Vec<_> = broken
        .iter()
        .map(|link| link.rsplit(": ").next().unwrap())
        .collect();
    assert_eq!(targets, ["#three", "gone.md", "README.md#four"]);
}
