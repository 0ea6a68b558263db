//! What the import queue asks for: what S3 says was uploaded, or what the
//! sweeper found unplanned.
//!
//! Events come at least once and in any order; their keys are form-encoded;
//! setting the notification up sends an `s3:TestEvent`, which is none.

use crate::nudges::PlanNudge;
use crate::object::FileVersion;
use crate::object::Object;
use muster_core::platform::ids::ImportId;
use serde::Deserialize;
use serde_json::Value;

/// Sequencers are hexadecimal and of different lengths; two of one key compare
/// as text once the shorter is padded on the right with zeros (Amazon S3 User
/// Guide, "Event message structure"). Longer ones than this have not been seen.
const SEQUENCER_DIGITS: usize = 32;

/// A version of an object that came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Which object, in which version.
    pub object: Object,
    /// Its size in bytes.
    pub size: u64,
    /// S3's order of the events for this key, padded so that it sorts as text.
    pub sequencer: String,
    /// Who put it there, as S3 calls them.
    pub principal: Option<String>,
}

impl Upload {
    /// What the file is called: the last part of its key.
    pub fn file_name(&self) -> String {
        let key = &self.object.key;
        key.rsplit('/').next().unwrap_or(key).to_owned()
    }

    /// The import that it becomes.
    pub fn import_id(&self) -> ImportId {
        ImportId::of_event(&self.object.bucket, &self.object.key, &self.sequencer)
    }

    /// The import that asked for it, if one did.
    pub fn asked_by(&self) -> Option<ImportId> {
        let name = self.object.key.strip_prefix(ASKED_FOR)?;
        name.strip_suffix(".csv")?.parse().ok()
    }

    /// Its version.
    pub fn version(&self) -> FileVersion {
        FileVersion {
            etag: self.object.etag.clone(),
            size: self.size,
            sequencer: self.sequencer.clone(),
        }
    }
}

/// Where files are dropped.
pub const PREFIX: &str = "uploads/";
/// Where those go that an import asked for.
const ASKED_FOR: &str = "uploads/_/";

/// Where the file of an import goes that asks for it.
pub fn key_of(import: ImportId) -> String {
    format!("{ASKED_FOR}{import}.csv")
}

/// What the import queue takes.
const EXPECTED: &str = r#"an S3 event ({"Records": [{"eventName": …, "s3": …}]}), S3's test event ({"Event": "s3:TestEvent"}) or an import nudge ({"import_id": "<uuid>"})"#;

/// A message that the import queue does not take.
#[derive(Debug, thiserror::Error)]
pub enum NotAnEvent {
    /// Not JSON.
    #[error("expected {EXPECTED}; the message is not JSON: {0}")]
    NotJson(serde_json::Error),
    /// JSON of another kind.
    #[error("expected {EXPECTED}; the message is other JSON")]
    Unknown,
    /// It is meant to be one of them, and is not whole.
    #[error("expected {EXPECTED}; the message looks like {kind}, but is not one: {source}")]
    Malformed {
        /// Which.
        kind: &'static str,
        /// What is missing, or wrong.
        source: serde_json::Error,
    },
    /// The key is not text.
    #[error("the object's key is not text in UTF-8")]
    KeyNotText,
}

/// What a message asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// To import these: none for a test event, a deletion, or a "folder".
    Uploads(Vec<Upload>),
    /// To go on with an import that is recorded already.
    Plan(ImportId),
}

/// Reads a message of the import queue.
///
/// # Errors
/// When the message is no event of S3's, nor a nudge of ours.
pub fn read(body: &str) -> Result<Asked, NotAnEvent> {
    match Message::read(body)? {
        Message::Nudge(nudge) => Ok(Asked::Plan(nudge.import_id)),
        Message::Test => Ok(Asked::Uploads(Vec::new())),
        Message::Event(event) => event
            .records
            .into_iter()
            .filter(|record| record.event_name.contains("ObjectCreated:"))
            .map(Upload::try_from)
            .filter(|upload| {
                !upload
                    .as_ref()
                    .is_ok_and(|upload| upload.object.key.ends_with('/'))
            })
            .collect::<Result<_, _>>()
            .map(Asked::Uploads),
    }
}

enum Message {
    Nudge(PlanNudge),
    Event(Event),
    Test,
}

impl Message {
    /// Tells the kinds apart by the field that only one of them has, so that an
    /// error is about that kind.
    fn read(body: &str) -> Result<Self, NotAnEvent> {
        let message: Value = serde_json::from_str(body).map_err(NotAnEvent::NotJson)?;
        let malformed = |kind| move |source| NotAnEvent::Malformed { kind, source };
        if message.get("Records").is_some() {
            let event = serde_json::from_value(message).map_err(malformed("an S3 event"))?;
            Ok(Self::Event(event))
        } else if message.get("import_id").is_some() {
            let nudge = serde_json::from_value(message).map_err(malformed("an import nudge"))?;
            Ok(Self::Nudge(nudge))
        } else if message.get("Event").is_some_and(|name| name == TEST_EVENT) {
            Ok(Self::Test)
        } else {
            Err(NotAnEvent::Unknown)
        }
    }
}

/// What S3 sends when the notification is set up.
const TEST_EVENT: &str = "s3:TestEvent";

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_name: String,
    #[serde(default)]
    user_identity: Identity,
    s3: S3,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    principal_id: Option<String>,
}

#[derive(Deserialize)]
struct S3 {
    bucket: S3Bucket,
    object: S3Object,
}

#[derive(Deserialize)]
struct S3Bucket {
    name: String,
}

/// Size, tag and sequencer are in every event of an object that came to be.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct S3Object {
    key: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    e_tag: String,
    #[serde(default)]
    sequencer: String,
}

impl TryFrom<Record> for Upload {
    type Error = NotAnEvent;

    fn try_from(record: Record) -> Result<Self, NotAnEvent> {
        let object = record.s3.object;
        let key = decoded(&object.key)?;
        Ok(Self {
            object: Object {
                bucket: record.s3.bucket.name,
                key,
                etag: object.e_tag,
            },
            size: object.size,
            principal: record.user_identity.principal_id,
            sequencer: format!("{:0<SEQUENCER_DIGITS$}", object.sequencer),
        })
    }
}

/// `a+b%2Fc` is `a b/c`.
fn decoded(key: &str) -> Result<String, NotAnEvent> {
    // As the value of a form's only field: `&` and `=` come encoded.
    let form = format!("key={key}");
    let value = form_urlencoded::parse(form.as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default();
    // The decoder puts U+FFFD where the bytes were no UTF-8; S3 keys are UTF-8.
    if value.contains('\u{FFFD}') && !key.to_ascii_uppercase().contains("%EF%BF%BD") {
        return Err(NotAnEvent::KeyNotText);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uploads(body: &str) -> Result<Vec<Upload>, NotAnEvent> {
        match read(body)? {
            Asked::Uploads(uploads) => Ok(uploads),
            Asked::Plan(id) => panic!("a nudge for {id}"),
        }
    }

    #[test]
    fn a_nudge_of_ours_names_its_import() {
        let import_id = ImportId::of_event("b", "k", "1");
        let body = serde_json::to_string(&PlanNudge { import_id }).unwrap();
        assert_eq!(read(&body).unwrap(), Asked::Plan(import_id));
    }

    #[test]
    fn a_real_event_is_read() {
        let found = uploads(include_str!("../fixtures/s3/object-created.json")).unwrap();
        assert_eq!(
            found,
            [Upload {
                object: Object {
                    bucket: "muster-uploads-123456789012-eu-central-1".to_owned(),
                    key: "uploads/März 2026/people & places+more.csv".to_owned(),
                    etag: "d41d8cd98f00b204e9800998ecf8427e".to_owned(),
                },
                size: 1024,
                sequencer: "0055AED6DCD902810000000000000000"[..32].to_owned(),
                principal: Some("AWS:AIDAEXAMPLE".to_owned()),
            }]
        );
        assert_eq!(found[0].file_name(), "people & places+more.csv");
    }

    #[test]
    fn a_test_event_announces_nothing() {
        assert_eq!(
            uploads(include_str!("../fixtures/s3/test-event.json")).unwrap(),
            []
        );
    }

    #[test]
    fn deletions_and_folders_are_not_uploads() {
        let event = include_str!("../fixtures/s3/object-created.json");
        let removed = event.replace("ObjectCreated:Put", "ObjectRemoved:Delete");
        assert_eq!(uploads(&removed).unwrap(), []);
        let folder = event.replace("more.csv", "more/");
        assert_eq!(uploads(&folder).unwrap(), []);
    }

    #[test]
    fn anything_else_is_refused_with_what_was_expected() {
        for (body, why) in [
            ("", "not JSON"),
            ("{", "not JSON"),
            ("{}", "other JSON"),
            ("[]", "other JSON"),
            ("null", "other JSON"),
            (r#"{"Event": "other"}"#, "other JSON"),
            (r#"{"chunk": 7}"#, "other JSON"),
            (
                r#"{"Records": 1}"#,
                "looks like an S3 event, but is not one: invalid type",
            ),
            (r#"{"Records": [{}]}"#, "missing field `eventName`"),
            (
                r#"{"Records": [{"eventName": "ObjectCreated:Put", "s3": {}}]}"#,
                "missing field `bucket`",
            ),
            (
                r#"{"import_id": "x"}"#,
                "looks like an import nudge, but is not one",
            ),
            (
                r#"{"import_id": "019aafb0-0000-7000-8000-000000000000", "chunk": 7}"#,
                "unknown field `chunk`",
            ),
        ] {
            let error = read(body).unwrap_err().to_string();
            let kinds = ["an S3 event", "s3:TestEvent", "{\"import_id\": \"<uuid>\"}"];
            let parts = kinds.into_iter().chain([why]);
            for part in parts {
                assert!(error.contains(part), "{body}: {error}");
            }
            assert!(!error.contains("untagged"), "{error}");
        }
    }

    #[test]
    fn sequencers_sort_whatever_their_length() {
        let padded = |sequencer: &str| format!("{sequencer:0<SEQUENCER_DIGITS$}");
        assert!(padded("0055AED6DCD90281E5") < padded("0055AED6DCD90281E6"));
        assert!(padded("0055AED6DCD90281E5") < padded("0055AED6DCD90281E51"));
    }
}
