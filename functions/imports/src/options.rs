//! What an import does with the people in its file.
//!
//! | option | values, the first being the default | about |
//! | --- | --- | --- |
//! | `on_conflict` | `skip`, `update`, `fail` | a row whose address another profile has |
//! | `confirm` | `skip`, `send`, `mark_confirmed` | the addresses of new profiles |
//! | `dry_run` | `false`, `true` | whether it only looks what would become of the rows |
//!
//! Each may be said by whoever makes the import, by the metadata of an object
//! that is dropped into the bucket, or by the folder that it is dropped into.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::failure_reason::FailureReason;
use crate::s3_event::PREFIX;

/// What becomes of a row whose address another profile has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// The profile stays as it is.
    #[default]
    Skip,
    /// The profile takes what the row says. What the row does not say stays.
    Update,
    /// The row is refused.
    Fail,
}

/// What becomes of the addresses of new profiles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confirm {
    /// They are not confirmed, and no mail asks for it.
    #[default]
    Skip,
    /// A confirmation mail goes to each.
    Send,
    /// They count as confirmed: whoever exported them knows that they are.
    MarkConfirmed,
}

/// What an import does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// A row whose address another profile has.
    pub on_conflict: OnConflict,
    /// The addresses of new profiles.
    pub confirm: Confirm,
    /// Whether it only looks what would become of the rows.
    pub dry_run: bool,
}

/// What somebody said of the options, and left to others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Choice {
    /// See [`Options::on_conflict`].
    pub on_conflict: Option<OnConflict>,
    /// See [`Options::confirm`].
    pub confirm: Option<Confirm>,
    /// See [`Options::dry_run`].
    pub dry_run: Option<bool>,
}

impl Choice {
    /// What an object's metadata says (`x-amz-meta-on-conflict: update`, say).
    /// Hyphens and underscores are alike; whatever else is there is not ours.
    ///
    /// # Errors
    /// `invalid_option`, which names it.
    pub fn of_metadata<'a>(
        metadata: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, FailureReason> {
        let mut choice = Self::default();
        for (name, value) in metadata {
            match name.replace('-', "_").to_ascii_lowercase().as_str() {
                "on_conflict" => {
                    choice.on_conflict = Some(option(name, value, "skip, update or fail")?);
                }
                "confirm" => {
                    choice.confirm = Some(option(name, value, "skip, send or mark_confirmed")?);
                }
                "dry_run" => choice.dry_run = Some(flag(name, value)?),
                _ => {}
            }
        }
        Ok(choice)
    }

    /// The options, where nothing was said those of `base`.
    pub fn over(self, base: Options) -> Options {
        Options {
            on_conflict: self.on_conflict.unwrap_or(base.on_conflict),
            confirm: self.confirm.unwrap_or(base.confirm),
            dry_run: self.dry_run.unwrap_or(base.dry_run),
        }
    }
}

fn option<T: serde::de::DeserializeOwned>(
    name: &str,
    value: &str,
    values: &str,
) -> Result<T, FailureReason> {
    let value = value.trim().replace('-', "_").to_ascii_lowercase();
    serde_json::from_value(value.into()).map_err(|_| invalid(name, values))
}

fn flag(name: &str, value: &str) -> Result<bool, FailureReason> {
    let value = value.trim().to_ascii_lowercase();
    value.parse().map_err(|_| invalid(name, "true or false"))
}

fn invalid(name: &str, values: &str) -> FailureReason {
    let detail = format!("the object's metadata has {name}, which must be {values}");
    FailureReason::new("invalid_option", detail)
}

/// Folders that say what becomes of the files dropped into them:
/// `uploads/<preset>/people.csv`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Presets(BTreeMap<String, Choice>);

/// Why a document is none of presets.
#[derive(Debug, thiserror::Error)]
pub enum NotPresets {
    /// Not JSON of that shape.
    #[error(
        "must be JSON like {{\"crm\": {{\"on_conflict\": \"update\", \"confirm\": \"skip\", \"dry_run\": false}}}}: {0}"
    )]
    Malformed(#[from] serde_json::Error),
    /// A folder that could never be meant.
    #[error("names a preset {0:?}; a name has letters, digits, - and _, and is not _ alone")]
    Name(String),
}

impl FromStr for Presets {
    type Err = NotPresets;

    fn from_str(text: &str) -> Result<Self, NotPresets> {
        let presets: Self = serde_json::from_str(text)?;
        let is_name = |name: &str| {
            let known = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            !name.is_empty() && name != "_" && name.chars().all(known)
        };
        match presets.0.keys().find(|name| !is_name(name)) {
            Some(name) => Err(NotPresets::Name(name.clone())),
            None => Ok(presets),
        }
    }
}

impl Presets {
    /// What the folder of a dropped object says. Right under `uploads/` no
    /// folder says anything.
    ///
    /// # Errors
    /// `unknown_preset`, or `named_like_preset` for an object that was to go into a
    /// preset's folder and lost the slash: to guess could create what was to be
    /// looked at only.
    pub fn of_key(&self, key: &str) -> Result<Choice, FailureReason> {
        let path = key.strip_prefix(PREFIX).unwrap_or(key);
        let Some((folder, _)) = path.split_once('/') else {
            return match self.0.keys().find(|name| name.eq_ignore_ascii_case(path)) {
                Some(preset) => Err(named_like(preset, key)),
                None => Ok(Choice::default()),
            };
        };
        self.0.get(folder).copied().ok_or_else(|| {
            let names: Vec<&str> = self.0.keys().map(String::as_str).collect();
            let detail = format!(
                "no preset is called {folder:?}; files go right under {PREFIX}, or into the folder \
                 of a preset: {}",
                if names.is_empty() {
                    "there are none".to_owned()
                } else {
                    names.join(", ")
                }
            );
            FailureReason::new("unknown_preset", detail)
        })
    }
}

/// `aws s3 cp people.csv s3://bucket/uploads/dry-run` makes an object of that name.
fn named_like(preset: &str, key: &str) -> FailureReason {
    let detail = format!(
        "the object is called {key:?}, and {preset:?} is a preset: put the file into its folder, \
         as {PREFIX}{preset}/people.csv, or give it another name"
    );
    FailureReason::new("named_like_preset", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_may_say_anything_else() {
        let choice = Choice::of_metadata([
            ("On-Conflict", "Update"),
            ("confirm", "mark-confirmed"),
            ("dry_run", "true"),
            ("mtime", "1700000000"),
        ]);
        let options = choice.unwrap().over(Options::default());
        assert_eq!(
            options,
            Options {
                on_conflict: OnConflict::Update,
                confirm: Confirm::MarkConfirmed,
                dry_run: true,
            }
        );
        for (name, value, values) in [
            ("on_conflict", "replace", "skip, update or fail"),
            ("confirm", "", "skip, send or mark_confirmed"),
            ("dry-run", "1", "true or false"),
        ] {
            let reason = Choice::of_metadata([(name, value)]).unwrap_err();
            assert_eq!(reason.code, "invalid_option");
            assert!(
                reason.detail.contains(name) && reason.detail.contains(values),
                "{reason:?}"
            );
        }
    }

    #[test]
    fn a_folder_is_a_preset() {
        let presets: Presets = r#"{"crm": {"on_conflict": "update"}, "look": {"dry_run": true}}"#
            .parse()
            .unwrap();
        let crm = presets.of_key("uploads/crm/2026/people.csv").unwrap();
        assert_eq!(crm.on_conflict, Some(OnConflict::Update));
        assert_eq!(
            presets.of_key("uploads/people.csv").unwrap(),
            Choice::default()
        );
        let reason = presets.of_key("uploads/lok/people.csv").unwrap_err();
        assert_eq!(reason.code, "unknown_preset");
        assert!(
            reason.detail.contains("\"lok\"") && reason.detail.contains("crm, look"),
            "{reason:?}"
        );
    }

    #[test]
    fn a_file_named_like_a_preset_is_refused() {
        let presets: Presets = r#"{"dry-run": {"dry_run": true}}"#.parse().unwrap();
        for key in ["uploads/dry-run", "uploads/Dry-Run"] {
            let reason = presets.of_key(key).unwrap_err();
            assert_eq!(reason.code, "named_like_preset");
            let fix = "uploads/dry-run/people.csv";
            assert!(reason.detail.contains(key) && reason.detail.contains(fix));
        }
        for key in ["uploads/dry-run.csv", "uploads/dry", "uploads/dry-run2"] {
            assert_eq!(presets.of_key(key).unwrap(), Choice::default(), "{key}");
        }
    }

    #[test]
    fn metadata_goes_before_the_folder() {
        let preset = Choice {
            on_conflict: Some(OnConflict::Update),
            dry_run: Some(true),
            ..Choice::default()
        };
        let said = Choice {
            dry_run: Some(false),
            ..Choice::default()
        };
        let options = said.over(preset.over(Options::default()));
        assert_eq!(
            (options.on_conflict, options.dry_run),
            (OnConflict::Update, false)
        );
    }

    #[test]
    fn presets_that_are_none_say_why() {
        for (text, why) in [
            ("crm", "must be JSON"),
            (r#"{"crm": {"on_conflict": "merge"}}"#, "merge"),
            (r#"{"crm": {"on_conflit": "skip"}}"#, "on_conflit"),
            (r#"{"a/b": {}}"#, "a/b"),
            (r#"{"_": {}}"#, "\"_\""),
        ] {
            let error = text.parse::<Presets>().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
