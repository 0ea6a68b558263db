//! Links in the documents lead somewhere: to a file that is there, and to a heading in it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// Links of the documents of a repository that lead nowhere, each with its document.
/// Addresses of other sites are not asked.
pub(crate) fn broken_links(repository: &Path) -> Vec<String> {
    documents(repository)
        .iter()
        .flat_map(|document| broken_links_in(document))
        .collect()
}

/// What is written for readers: the top folder, the documents and the decisions.
fn documents(repository: &Path) -> Vec<PathBuf> {
    let folders = ["", "infra/docs", "infra/adr"].map(|folder| repository.join(folder));
    let entries = folders
        .iter()
        .filter_map(|folder| folder.read_dir().ok())
        .flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

fn broken_links_in(document: &Path) -> Vec<String> {
    let leads_somewhere = |link: &String| {
        let (file, heading) = link.split_once('#').unwrap_or((link, ""));
        let target = match file {
            "" => document.to_owned(),
            file => document.parent().unwrap().join(file),
        };
        target.exists() && (heading.is_empty() || headings(&target).contains(heading))
    };
    let links = links(document).into_iter();
    links
        .filter(|link| !link.contains("://") && !leads_somewhere(link))
        .map(|link| format!("{}: {link}", document.display()))
        .collect()
}

fn links(document: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(document).unwrap();
    let starts = Parser::new_ext(&text, Options::ENABLE_TABLES);
    starts
        .filter_map(|event| match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                Some(dest_url.to_string())
            }
            _ => None,
        })
        .collect()
}

/// The anchors that GitHub gives to the headings of a document.
fn headings(document: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(document).unwrap();
    let (mut headings, mut heading) = (BTreeSet::new(), None::<String>);
    for event in Parser::new_ext(&text, Options::ENABLE_TABLES) {
        match (event, &mut heading) {
            (Event::Start(Tag::Heading { .. }), _) => heading = Some(String::new()),
            (Event::Text(part) | Event::Code(part), Some(heading)) => heading.push_str(&part),
            (Event::End(TagEnd::Heading(_)), _) => {
                headings.extend(heading.take().map(|heading| anchor(&heading)));
            }
            _ => {}
        }
    }
    headings
}

fn anchor(heading: &str) -> String {
    let heading = heading.trim().to_lowercase();
    let kept = heading.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        c => c.is_alphanumeric().then_some(c),
    });
    kept.collect()
}
