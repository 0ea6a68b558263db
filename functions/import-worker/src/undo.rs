//! A change that a row made, undone: an earlier row of the same address takes its place.

use muster_core::people::overwritten::Overwritten;
use muster_core::people::profile::ProfileItem;
use muster_core::platform::ids::ImportId;

/// What is lost when `after`, which a row made, is stored in the place of
/// `before`. A row removes no attribute.
pub(crate) fn overwritten(
    row: (ImportId, u64),
    before: &ProfileItem,
    after: &ProfileItem,
) -> Overwritten {
    let changed = after.attributes.iter().filter_map(|(name, value)| {
        let old = before.attributes.get(name);
        (old != Some(value)).then(|| (name.clone(), old.cloned()))
    });
    Overwritten {
        import: row.0,
        line: row.1,
        version: after.version,
        name: before.name.clone(),
        locale: before.locale.clone(),
        attributes: changed.collect(),
    }
}

/// The profile as it was before that row changed it; none if anything else
/// changed it since.
pub(crate) fn before_row(profile: &ProfileItem, row: (ImportId, u64)) -> Option<ProfileItem> {
    let old = *profile.overwritten.clone()?;
    if (old.import, old.line) != row || old.version != profile.version {
        return None;
    }
    let mut before = ProfileItem {
        name: old.name,
        locale: old.locale,
        overwritten: None,
        ..profile.clone()
    };
    for (name, value) in old.attributes {
        match value {
            Some(value) => before.attributes.insert(name, value),
            None => before.attributes.remove(&name),
        };
    }
    Some(before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::people::locale::Locale;
    use muster_core::people::profile::{Outcome, profile_key};
    use muster_core::platform::ids::ProfileId;
    use muster_core::platform::table::{decode, encode};
    use muster_core::platform::time::Time;

    fn profile(
        name: Option<&str>,
        locale: Option<&str>,
        attributes: &[(&str, &str)],
    ) -> ProfileItem {
        let import = ImportId::of_event("b", "k", "1");
        let id = ProfileId::imported(import, "ada@example.com");
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
            overwritten: Some(Box::new(overwritten(row, &before, &after))),
            ..after
        };
        let key = profile_key(stored.id);
        let read: ProfileItem = decode(encode(&key, &stored).unwrap()).unwrap();
        assert!(read == stored);
        let restored = before_row(&read, row).unwrap();
        assert!(
            restored
                == ProfileItem {
                    version: 4,
                    ..before
                }
        );
        assert!(
            before_row(&read, (row.0, 8)).is_none(),
            "another row's doing"
        );
        let edited = ProfileItem { version: 5, ..read };
        assert!(before_row(&edited, row).is_none(), "changed since");
    }

    #[test]
    fn a_log_has_nothing_of_it() {
        let row = (ImportId::of_event("b", "k", "1"), 7);
        let before = profile(Some("Ada"), None, &[("city", "London")]);
        let after = profile(Some("Eve"), None, &[("city", "Paris")]);
        let shown = format!("{:?}", overwritten(row, &before, &after));
        assert!(
            !shown.contains("Ada") && !shown.contains("London"),
            "{shown}"
        );
    }
}
