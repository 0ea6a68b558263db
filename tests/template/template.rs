//! The template as it is written. Nothing is resolved: a reference is compared
//! by its text.

use std::path::Path;

use serde_yaml_ng::{Mapping, Value};

/// `template.yaml`, parsed.
pub(crate) struct Template {
    root: Value,
}

/// One entry of the section `Resources`.
#[derive(Clone, Copy)]
pub(crate) struct Resource<'a> {
    pub(crate) name: &'a str,
    body: &'a Value,
}

impl Template {
    /// The template of this repository.
    pub(crate) fn load() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()));
        Self { root: parse(&text) }
    }

    /// The entries of a section: `Parameters`, `Resources`, `Outputs`.
    pub(crate) fn section(&self, name: &str) -> impl Iterator<Item = (&str, &Value)> {
        entries(&self.root[name])
    }

    /// All resources.
    pub(crate) fn resources(&self) -> impl Iterator<Item = Resource<'_>> {
        self.section("Resources")
            .map(|(name, body)| Resource { name, body })
    }

    /// The resources of one type.
    pub(crate) fn of_type(&self, kind: &str) -> impl Iterator<Item = Resource<'_>> {
        self.resources()
            .filter(move |resource| resource.attribute("Type") == kind)
    }

    /// A resource by name and type.
    pub(crate) fn find(&self, kind: &str, name: &str) -> Option<Resource<'_>> {
        self.of_type(kind).find(|resource| resource.name == name)
    }

    /// What every function has unless it says otherwise.
    pub(crate) fn of_every_function(&self, path: &str) -> &Value {
        walk(&self.root, &format!("Globals/Function/{path}"))
    }

    /// The same template with another value at `path` (`Resources/Table/…`, a slash
    /// in a name being `~1`), or with nothing there if the value is empty.
    pub(crate) fn with(mut self, path: &str, value: &str) -> Self {
        let (parent, key) = path
            .rsplit_once('/')
            .unwrap_or_else(|| panic!("{path} has no parent"));
        let key = &unescaped(key);
        let parent = parent
            .split('/')
            .try_fold(&mut self.root, |value, key| child(value, &unescaped(key)));
        match parent.map(untagged) {
            Some(Value::Mapping(mapping)) if value.is_empty() => {
                assert!(mapping.remove(key).is_some(), "nothing to remove at {path}");
            }
            Some(Value::Mapping(mapping)) => {
                mapping.insert(key.as_str().into(), parse(value));
            }
            Some(Value::Sequence(items)) => items[index(key)] = parse(value),
            _ => panic!("there is no {path} to change"),
        }
        self
    }
}

impl<'a> Resource<'a> {
    /// `Type`, `DeletionPolicy` and the like; empty if it is not there.
    pub(crate) fn attribute(self, name: &str) -> &'a str {
        self.body[name].as_str().unwrap_or_default()
    }

    /// What is made before it: a name, or several.
    pub(crate) fn depends_on(self) -> &'a Value {
        &self.body["DependsOn"]
    }

    /// Its properties.
    pub(crate) fn properties(self) -> &'a Value {
        &self.body["Properties"]
    }

    /// A property by its path; null if it is not there.
    pub(crate) fn property(self, path: &str) -> &'a Value {
        walk(self.properties(), path)
    }

    /// A property as the template writes it, see [`written`].
    pub(crate) fn text(self, path: &str) -> String {
        written(self.property(path))
    }
}

fn parse(text: &str) -> Value {
    serde_yaml_ng::from_str(text).unwrap_or_else(|error| panic!("not YAML: {error}: {text}"))
}

/// As in a JSON pointer (RFC 6901).
fn unescaped(key: &str) -> String {
    key.replace("~1", "/")
}

fn index(key: &str) -> usize {
    key.parse()
        .unwrap_or_else(|_| panic!("{key} is no index of a list"))
}

fn child<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    match untagged(value) {
        Value::Sequence(items) => items.get_mut(index(key)),
        mapping => mapping.get_mut(key),
    }
}

/// What a tag is on: the arguments of `!If`, of `!And`.
fn untagged(value: &mut Value) -> &mut Value {
    match value {
        Value::Tagged(tagged) => &mut tagged.value,
        value => value,
    }
}

fn walk<'a>(start: &'a Value, path: &str) -> &'a Value {
    path.split('/')
        .try_fold(start, |value, key| match value {
            Value::Sequence(items) => items.get(index(key)),
            mapping => mapping.get(key),
        })
        .unwrap_or(&Value::Null)
}

/// The entries of a mapping with string keys, or none.
pub(crate) fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value
        .as_mapping()
        .into_iter()
        .flat_map(Mapping::iter)
        .filter_map(|(key, value)| Some((key.as_str()?, value)))
}

/// The items of a list, or the one value that stands for a list of one.
pub(crate) fn items(value: &Value) -> &[Value] {
    match value {
        Value::Null => &[],
        Value::Sequence(items) => items,
        one => std::slice::from_ref(one),
    }
}

/// What a value may come to: both branches of an `!If`, or the value itself.
pub(crate) fn branches(value: &Value) -> &[Value] {
    match value {
        Value::Tagged(choice) if choice.tag == "If" => &items(&choice.value)[1..],
        one => std::slice::from_ref(one),
    }
}

/// The texts of a list.
pub(crate) fn texts(value: &Value) -> Vec<String> {
    items(value).iter().map(written).collect()
}

/// A value in the one form that `!Sub` has: `!Ref Table` is `${Table}`,
/// `!GetAtt Table.Arn` is `${Table.Arn}`, text is itself.
pub(crate) fn written(value: &Value) -> String {
    match value {
        Value::Tagged(tagged) => {
            let text = tagged.value.as_str().unwrap_or_default();
            if tagged.tag == "Ref" || tagged.tag == "GetAtt" {
                format!("${{{text}}}")
            } else {
                text.to_owned()
            }
        }
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(bool) => bool.to_string(),
        _ => String::new(),
    }
}

/// The resource that a text starts with: `Table` of `${Table.Arn}/index/due`.
pub(crate) fn referenced(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix("${")?.split_once('}')?;
    Some(name.split('.').next().unwrap_or(name))
}
