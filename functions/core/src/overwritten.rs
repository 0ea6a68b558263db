//! What a row of an import overwrote of a profile.
//!
//! Of several rows with one address the first one counts, but a chunk further down
//! the file may be imported sooner. The profile keeps what the row of that chunk
//! overwrote, so that the earlier row can take its place as if it had come first.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::ImportId;
use crate::locale::Locale;
use crate::profile::ProfileItem;

/// The values of a profile before a row changed it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Overwritten {
    /// The import of the row.
    pub import: ImportId,
    /// Its line.
    pub line: u64,
    /// The profile's version since that change. A profile of another version was
    /// changed again, and keeps that change.
    pub version: u64,
    /// The name before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The language before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
    /// The attributes that the row changed, with their value before; null if the
    /// row added them.
    #[serde(default)]
    pub attributes: BTreeMap<String, Option<String>>,
}

/// Personal data: of what was overwritten, a log has only by which row.
impl fmt::Debug for Overwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overwritten")
            .field("import", &self.import)
            .field("line", &self.line)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Overwritten {
    /// What is lost when `after`, which a row made, is stored in the place of
    /// `before`. A row removes no attribute.
    pub fn by(row: (ImportId, u64), before: &ProfileItem, after: &ProfileItem) -> Self {
        let changed = after.attributes.iter().filter_map(|(name, value)| {
            let old = before.attributes.get(name);
            (old != Some(value)).then(|| (name.clone(), old.cloned()))
        });
        Self {
            import: row.0,
            line: row.1,
            version: after.version,
            name: before.name.clone(),
            locale: before.locale.clone(),
            attributes: changed.collect(),
        }
    }
}

impl ProfileItem {
    /// The profile as it was before that row changed it; none if anything else
    /// changed it since.
    pub fn before_row(&self, row: (ImportId, u64)) -> Option<Self> {
        let old = *self.overwritten.clone()?;
        if (old.import, old.line) != row || old.version != self.version {
            return None;
        }
        let mut before = Self {
            name: old.name,
            locale: old.locale,
            overwritten: None,
            ..self.clone()
        };
        for (name, value) in old.attributes {
            match value {
                Some(value) => before.attributes.insert(name, value),
                None => before.attributes.remove(&name),
            };
        }
        Some(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Outcome;
    use crate::table::{decode, encode};
    use crate::time::Time;

    fn profile(
        name: Option<&str>,
        locale: Option<&str>,
        attributes: &[(&str, &str)],
    ) -> ProfileItem {
        let import = ImportId::of_event("b", "k", "1");
        let id = crate::ids::ProfileId::imported(import, "ada@example.com");
        let attributes = attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        ProfileItem {
            name: name.map(str::to_owned),
            locale: locale.map(|locale| Locale::parse(locale).unwrap()),
            attributes: attributes.collect(),
            version: 3,
            ..ProfileItem::of_row(id, (import, 1), Outcome::Created, Time::from_millis(0))
        }
    }

    #[test]
    fn a_profile_is_again_as_it_was_before_a_row() {
        let row = (ImportId::of_event("b", "k", "1"), 7);
        let before = profile(None, Some("en"), &[("city", "London"), ("plan", "basic")]);
        let after = ProfileItem {
            version: 4,
            ..profile(
                Some("Ada"),
                Some("de"),
                &[("city", "London"), ("plan", "pro"), ("team", "x")],
            )
        };
        let stored = ProfileItem {
            overwritten: Some(Box::new(Overwritten::by(row, &before, &after))),
            ..after
        };
        let key = crate::profile::profile_key(stored.id);
        let read: ProfileItem = decode(encode(&key, &stored).unwrap()).unwrap();
        assert!(read == stored);
        let restored = read.before_row(row).unwrap();
        assert!(
            restored
                == ProfileItem {
                    version: 4,
                    ..before
                }
        );
        assert!(read.before_row((row.0, 8)).is_none(), "another row's doing");
        let edited = ProfileItem { version: 5, ..read };
        assert!(edited.before_row(row).is_none(), "changed since");
    }

    #[test]
    fn a_log_has_nothing_of_it() {
        let row = (ImportId::of_event("b", "k", "1"), 7);
        let before = profile(Some("Ada"), None, &[("city", "London")]);
        let after = profile(Some("Eve"), None, &[("city", "Paris")]);
        let shown = format!("{:?}", Overwritten::by(row, &before, &after));
        assert!(
            !shown.contains("Ada") && !shown.contains("London"),
            "{shown}"
        );
    }
}
