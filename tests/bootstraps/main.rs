//! What the built functions need of the machine they run on.
//!
//! `provided.al2023` has glibc 2.34. A binary that was linked against a newer
//! one runs on a developer's machine and fails on AWS, at the first request.

// In a test a panic is an answer, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use object::Endianness;
use object::elf::FileHeader64;
use object::read::elf::FileHeader;

const FUNCTIONS: [&str; 8] = [
    "api",
    "mailer",
    "import-planner",
    "import-worker",
    "sweeper",
    "feedback",
    "operations",
    "details",
];
/// The glibc of `provided.al2023`.
const GLIBC: (u32, u32) = (2, 34);

fn bootstrap(function: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = root.join("target/lambda").join(function).join("bootstrap");
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; make build builds it", path.display()))
}

/// The versions that the binary asks for, as the loader reads them.
fn versions(binary: &[u8]) -> Vec<String> {
    let header = FileHeader64::<Endianness>::parse(binary).unwrap();
    let endian = header.endian().unwrap();
    let sections = header.sections(endian, binary).unwrap();
    let (mut needed, strings) = {
        let (iterator, link) = sections
            .gnu_verneed(endian, binary)
            .unwrap()
            .expect("a dynamic binary");
        (iterator, sections.strings(endian, binary, link).unwrap())
    };
    let mut versions = Vec::new();
    while let Some((_, mut auxiliary)) = needed.next().unwrap() {
        while let Some(version) = auxiliary.next().unwrap() {
            let name = version.name(endian, strings).unwrap();
            versions.push(String::from_utf8_lossy(name).into_owned());
        }
    }
    versions
}

fn glibc(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version
        .strip_prefix("GLIBC_")?
        .split('.')
        .map(|n| n.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[test]
fn every_bootstrap_runs_with_the_glibc_of_lambda() {
    for function in FUNCTIONS {
        let versions = versions(&bootstrap(function));
        let newest = versions.iter().filter_map(|version| glibc(version)).max();
        let newest = newest.expect("a binary that links to glibc says which");
        assert!(
            newest <= GLIBC,
            "{function} asks for GLIBC_{}.{}",
            newest.0,
            newest.1
        );
    }
}
