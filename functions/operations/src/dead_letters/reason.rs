//! Why a message became a dead letter, as far as the table knows.

use muster_core::mail::item::{MailItem, mail_key};
use muster_core::mail::nudge::MailNudge;
use muster_core::mail::ses_event::Event;
use muster_core::mail::status_transition::Step;
use muster_core::platform::failure::Failure;
use muster_core::platform::ids::ImportId;
use muster_core::platform::table::Table;
use muster_core::platform::time::Time;
use muster_imports::chunk::{ChunkItem, chunk_key};
use muster_imports::import::{ImportItem, ObjectItem, import_key, object_key};
use muster_imports::nudges::ChunkNudge;
use muster_imports::s3_event::{self, Asked, Upload};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::dead_letters::reason_code::Code;
use crate::openapi::values::ReasonCode;
use crate::settings::Content;

/// What is known of a dead letter's failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = DeadLetterReason, examples(Reason::example))]
pub(crate) struct Reason {
    #[schema(value_type = ReasonCode)]
    code: Code,
    /// The same for people, with what was said of the last attempt.
    detail: String,
    /// The detail with what others said, which may hold an address.
    #[serde(skip)]
    in_full: Option<String>,
    /// What the mail or the import that it is about is at, if it is about one.
    #[schema(required)]
    status: Option<&'static str>,
    /// How often the mail was tried, if it is a mail.
    #[schema(required)]
    attempts: Option<u32>,
}

impl Reason {
    fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            in_full: None,
            status: None,
            attempts: None,
        }
    }

    /// The same with what others said.
    fn in_full(self, detail: Option<String>) -> Self {
        Self {
            in_full: detail,
            ..self
        }
    }

    /// The reason for somebody who may see all of it, or who may not.
    pub(crate) fn told(mut self, all: bool) -> Self {
        let in_full = self.in_full.take().filter(|_| all);
        Self {
            detail: in_full.unwrap_or(self.detail),
            ..self
        }
    }

    /// What one looks like.
    pub(crate) fn example() -> Value {
        json!({
            "code": "unfinished",
            "detail": "the mail is queued; of the last attempt is known: SES: sending is paused",
            "status": "queued",
            "attempts": 2,
        })
    }
}

/// Looks up why a message of a queue with this content was given up.
///
/// # Errors
/// When the table cannot be read.
pub(crate) async fn find(
    table: &Table,
    content: Content,
    body: &str,
    now: Time,
) -> Result<Reason, Failure> {
    match content {
        Content::Mails => match MailNudge::read(body) {
            Ok(nudge) => of_mail(table, nudge, now).await,
            Err(error) => Ok(undecodable("a mail nudge", error.to_string())),
        },
        Content::Chunks => match ChunkNudge::read(body) {
            Ok(nudge) => of_chunk(table, nudge, now).await,
            Err(error) => Ok(undecodable("a chunk nudge", error.to_string())),
        },
        Content::Uploads => match s3_event::read(body) {
            Ok(Asked::Plan(id)) => of_import(table, id, now).await,
            // An event of S3's has one record.
            Ok(Asked::Uploads(uploads)) => match uploads.first() {
                Some(upload) => of_upload(table, upload, now).await,
                None => Ok(Reason::new(Code::Settled, "it announces no upload")),
            },
            Err(error) => Ok(undecodable("an event of S3's", error.to_string())),
        },
        Content::Reports => match Event::parse(body) {
            Ok(event) => of_report(table, &event, now).await,
            Err(error) => Ok(undecodable("an event of SES's", error.to_string())),
        },
    }
}

/// The error may quote what the message says.
fn undecodable(wanted: &str, error: String) -> Reason {
    Reason::new(Code::Undecodable, format!("the message is not {wanted}")).in_full(Some(error))
}

async fn of_mail(table: &Table, nudge: MailNudge, now: Time) -> Result<Reason, Failure> {
    let Some(mail) = mail(table, nudge, now).await? else {
        return Ok(no_such_mail());
    };
    let status = mail.status.as_str();
    let (code, before) = match mail.status.is_open() {
        true => (Code::Unfinished, "; of the last attempt is known"),
        false => (Code::Settled, ""),
    };
    let detail = format!("the mail is {status}");
    let in_full = mail.reason.map(|said| format!("{detail}{before}: {said}"));
    Ok(Reason {
        status: Some(status),
        attempts: Some(mail.attempts),
        ..Reason::new(code, detail).in_full(in_full)
    })
}

/// What SES reports is taken in if it moves its mail no more.
async fn of_report(table: &Table, event: &Event, now: Time) -> Result<Reason, Failure> {
    let Some(mail) = mail(table, event.mail, now).await? else {
        return Ok(no_such_mail());
    };
    let step = Step::of(&event.news);
    let (status, to) = (mail.status.as_str(), step.to.as_str());
    // A refusal is about the profile, too.
    let is_open = step.moves(&mail) || event.news.refusal().is_some();
    let (code, detail) = if is_open && !step.is_made(&mail) {
        let detail = format!("the mail is {status}; SES reports that it is {to}");
        (Code::Unfinished, detail)
    } else {
        let detail = format!("the mail is {status}, and what SES reports changes nothing");
        (Code::Settled, detail)
    };
    Ok(Reason {
        status: Some(status),
        attempts: Some(mail.attempts),
        ..Reason::new(code, detail)
    })
}

/// A mail, unless it has expired: time-to-live only removes it late.
async fn mail(table: &Table, nudge: MailNudge, now: Time) -> Result<Option<MailItem>, Failure> {
    let key = mail_key(nudge.profile_id, nudge.mail);
    let mail: Option<MailItem> = table.get(&key).await?;
    let expired = |mail: &MailItem| mail.expires_at.is_some_and(|at| at <= now.as_seconds());
    Ok(mail.filter(|mail| !expired(mail)))
}

fn no_such_mail() -> Reason {
    Reason::new(
        Code::Gone,
        "there is no such mail: its profile was erased or has expired, or never was",
    )
}

async fn of_chunk(table: &Table, nudge: ChunkNudge, now: Time) -> Result<Reason, Failure> {
    let ChunkNudge { import_id, chunk } = nudge;
    let Some(item): Option<ChunkItem> = table.get(&chunk_key(import_id, chunk)).await? else {
        return Ok(Reason::new(Code::Gone, "there is no such chunk"));
    };
    let import = of_import(table, import_id, now).await?;
    // A chunk that is done is still asked to complete its import.
    let at = if item.done {
        "the chunk is done".to_owned()
    } else {
        format!("the chunk is answered up to line {}", item.line)
    };
    Ok(Reason {
        detail: format!("{at}; {}", import.detail),
        in_full: import.in_full.map(|detail| format!("{at}; {detail}")),
        ..import
    })
}

async fn of_import(table: &Table, id: ImportId, now: Time) -> Result<Reason, Failure> {
    Ok(import(table, id, now).await?.map_or_else(
        || Reason::new(Code::Gone, "there is no such import"),
        |import| about(&import),
    ))
}

/// An import, unless it has expired.
async fn import(table: &Table, id: ImportId, now: Time) -> Result<Option<ImportItem>, Failure> {
    let import: Option<ImportItem> = table.get(&import_key(id)).await?;
    Ok(import.filter(|import| import.is_present(now)))
}

async fn of_upload(table: &Table, upload: &Upload, now: Time) -> Result<Reason, Failure> {
    if let Some(import) = import(table, upload.import_id(), now).await? {
        return Ok(about(&import));
    }
    let object = &upload.object;
    let newest: Option<ObjectItem> = table.get(&object_key(&object.bucket, &object.key)).await?;
    Ok(match newest {
        Some(newest) if newest.sequencer > upload.sequencer => {
            Reason::new(Code::Settled, "a newer upload of the object overtook it")
        }
        _ => Reason::new(
            Code::Unfinished,
            "the upload was not recorded as an import: nothing but this message knows of it",
        ),
    })
}

fn about(import: &ImportItem) -> Reason {
    let status = import.status.as_str();
    let code = if import.status.is_final() {
        Code::Settled
    } else {
        Code::Unfinished
    };
    let detail = format!("the import is {status}");
    let in_full = import.reason.as_ref();
    let in_full = in_full.map(|reason| format!("{detail}: {}", reason.detail));
    Reason {
        status: Some(status),
        ..Reason::new(code, detail).in_full(in_full)
    }
}
