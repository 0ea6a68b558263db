//! A profile, as it goes out: from whichever function, the same.

use std::collections::BTreeMap;
use std::fmt;

use muster_core::people::locale::Locale;
use muster_core::people::profile::{ProfileItem, ProfileStatus};
use muster_core::people::source::Source;
use muster_core::people::undeliverable::{Cause, Undeliverable};
use muster_core::platform::ids::{ImportId, ProfileId};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::openapi::{people, values};
use crate::problem::{Kind, Problem};

/// There is no such profile, or none any more.
pub fn absent() -> Problem {
    Problem::new(Kind::NotFound, "there is no such profile")
}

/// A profile.
#[derive(Serialize, ToSchema)]
#[schema(as = Profile, examples(Self::example))]
pub struct ProfileView {
    #[schema(value_type = values::Id)]
    id: ProfileId,
    #[schema(value_type = people::EmailAddress)]
    email: String,
    /// `null` if an import did not know it, or somebody took it away.
    #[schema(value_type = Option<people::Name>, required)]
    name: Option<String>,
    /// `null` if nobody said.
    #[schema(value_type = Option<people::Locale>, required)]
    locale: Option<Locale>,
    #[schema(value_type = people::Attributes)]
    attributes: BTreeMap<String, String>,
    #[schema(value_type = people::ProfileStatus)]
    status: ProfileStatus,
    /// Why no mail goes to the address; `null` as long as mail goes there.
    #[schema(required)]
    undeliverable: Option<UndeliverableView>,
    #[schema(value_type = people::ProfileSource)]
    source: Source,
    /// The row that it was, if it was one.
    #[schema(required)]
    import: Option<Row>,
    #[schema(value_type = values::Time)]
    created_at: String,
    #[schema(value_type = values::Time)]
    updated_at: String,
    /// Who changed it last: the client or subject of a token; `signup`,
    /// `import` or `owner`.
    updated_by: String,
}

/// Personal data: a profile in a log is its id and status.
impl fmt::Debug for ProfileView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProfileView")
            .field("id", &self.id)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// No mail goes to the address until its owner or an operator says so.
#[derive(Serialize, ToSchema)]
#[schema(as = Undeliverable)]
pub struct UndeliverableView {
    /// When the mail's fate was known.
    #[schema(value_type = values::Time)]
    since: String,
    #[schema(value_type = people::UndeliverableCause)]
    cause: Cause,
    /// What the recipient's server said, or SES.
    reason: String,
}

impl From<Undeliverable> for UndeliverableView {
    fn from(undeliverable: Undeliverable) -> Self {
        Self {
            since: undeliverable.since.to_string(),
            cause: undeliverable.cause,
            reason: undeliverable.reason,
        }
    }
}

/// The row of a CSV file that a profile was.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportRow)]
pub struct Row {
    /// The import.
    #[schema(value_type = values::Id)]
    id: ImportId,
    /// The line of its file.
    #[schema(minimum = 1)]
    line: u64,
}

impl ProfileView {
    /// Ada's, for the documentation.
    pub fn example() -> Value {
        json!({
            "id": "019aafb0-0000-7000-8000-000000000000",
            "email": "ada@example.com",
            "name": "Ada Lovelace",
            "locale": "en-GB",
            "attributes": { "city": "London" },
            "status": "pending",
            "undeliverable": null,
            "source": "operator",
            "import": null,
            "created_at": "2026-11-24T08:00:00.000Z",
            "updated_at": "2026-11-24T08:00:00.000Z",
            "updated_by": "5a1b2c3d4e5f",
        })
    }
}

impl From<ProfileItem> for ProfileView {
    fn from(item: ProfileItem) -> Self {
        Self {
            id: item.id,
            email: item.email,
            name: item.name,
            locale: item.locale,
            attributes: item.attributes,
            status: item.status,
            undeliverable: item.undeliverable.map(UndeliverableView::from),
            source: item.source,
            import: item
                .import
                .zip(item.line)
                .map(|(id, line)| Row { id, line }),
            created_at: item.created_at.to_string(),
            updated_at: item.updated_at.to_string(),
            updated_by: item.updated_by,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::people::email::Email;
    use muster_core::people::new_profile::NewProfile;
    use muster_core::people::person::{Attributes, Name};
    use muster_core::platform::time::Time;

    fn view() -> ProfileView {
        let example = ProfileView::example();
        let profile = NewProfile {
            id: serde_json::from_value(example["id"].clone()).unwrap(),
            email: Email::parse("ada@example.com").unwrap(),
            name: Some(Name::parse("Ada Lovelace").unwrap()),
            locale: Some(Locale::parse("en-GB").unwrap()),
            attributes: Attributes::parse([("city".to_owned(), "London".to_owned())]).unwrap(),
            source: Source::Operator,
            created_by: "5a1b2c3d4e5f".to_owned(),
            row: None,
            confirmed: false,
            now: Time::from_millis(1_795_507_200_000),
        };
        profile.item().into()
    }

    #[test]
    fn the_example_is_one() {
        assert_eq!(
            serde_json::to_value(view()).unwrap(),
            ProfileView::example()
        );
    }

    #[test]
    fn a_log_does_not_say_whose_it_is() {
        let log = format!("{:?}", view());
        assert!(!log.contains("Ada") && !log.contains("ada@"), "{log}");
    }
}
