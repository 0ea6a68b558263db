//! Which files of a crate import which, read off their syntax.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;
use syn::visit::{self, Visit};
use syn::{Attribute, ItemMod, ItemUse, UseTree};

/// A module's path from the root of its crate: `signup::captcha` is two names.
type Module = Vec<String>;

/// The circles of imports between the files below a crate's root: the names of the
/// files of each, sorted. Test modules and the crate's roots do not count.
pub(crate) fn circles(root: &Path) -> Vec<Vec<String>> {
    let files = modules(root);
    let mut graph = DiGraphMap::<&str, ()>::new();
    for (module, (name, path)) in &files {
        for imported in imports(path, module) {
            if let Some((target, _)) = longest_known(&files, &imported).filter(|(to, _)| to != name)
            {
                graph.add_edge(name, target, ());
            }
        }
    }
    let circles = tarjan_scc(&graph)
        .into_iter()
        .filter(|files| files.len() > 1);
    circles
        .map(|files| {
            let files: BTreeSet<_> = files.into_iter().map(str::to_owned).collect();
            files.into_iter().collect()
        })
        .collect()
}

/// Every file below a root, by its module's path: its name there, and where it is.
fn modules(root: &Path) -> BTreeMap<Module, (String, PathBuf)> {
    let mut modules = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap();
                let module: Module = name.with_extension("").iter().map(text).collect();
                if !["lib", "main"].contains(&&*module.join("::")) {
                    modules.insert(module, (text(name.as_os_str()), path));
                }
            }
        }
    }
    modules
}

fn text(name: &std::ffi::OsStr) -> String {
    name.to_str().unwrap().to_owned()
}

/// The file that an imported path leads to: an item's path goes on behind it.
fn longest_known<'a>(
    files: &'a BTreeMap<Module, (String, PathBuf)>,
    imported: &[String],
) -> Option<&'a (String, PathBuf)> {
    (1..=imported.len())
        .rev()
        .find_map(|length| files.get(&imported[..length]))
}

/// The paths within the crate that a file names.
fn imports(path: &Path, module: &[String]) -> Vec<Module> {
    let source = std::fs::read_to_string(path).unwrap();
    let file = syn::parse_file(&source).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let mut paths = Paths {
        module,
        found: Vec::new(),
    };
    paths.visit_file(&file);
    paths.found
}

struct Paths<'a> {
    module: &'a [String],
    found: Vec<Module>,
}

impl Paths<'_> {
    /// Keeps a path that begins in this crate.
    fn add(&mut self, mut path: Module) {
        let mut base = match path.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("self" | "super") => self.module.to_owned(),
            _ => return,
        };
        let is_relative = |name: &String| ["crate", "self", "super"].contains(&&**name);
        let relative = path.iter().take_while(|name| is_relative(name)).count();
        for name in path.drain(..relative) {
            if name == "super" {
                base.pop();
            }
        }
        base.extend(path);
        self.found.push(base);
    }

    fn add_tree(&mut self, tree: &UseTree, before: &[String]) {
        let with = |name: String| [before, &[name]].concat();
        match tree {
            UseTree::Path(path) => self.add_tree(&path.tree, &with(path.ident.to_string())),
            UseTree::Name(name) => self.add(with(name.ident.to_string())),
            UseTree::Rename(name) => self.add(with(name.ident.to_string())),
            UseTree::Glob(_) => self.add(before.to_owned()),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_tree(tree, before);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.add_tree(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string());
        self.add(names.collect());
        visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !item.attrs.iter().any(is_test) {
            visit::visit_item_mod(self, item);
        }
    }
}

fn is_test(attribute: &Attribute) -> bool {
    let list = attribute.meta.require_list();
    attribute.path().is_ident("cfg") && list.is_ok_and(|list| list.tokens.to_string() == "test")
}
