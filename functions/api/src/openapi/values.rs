//! The values that bodies, parameters and answers are made of. Their types are
//! muster-core's, which knows nothing of OpenAPI, so they are described here;
//! the numbers are its own. (Those of other functions too are muster-http's.)

use muster_http::openapi::people::{FORBIDDEN, attribute_value, attributes};
pub use muster_http::openapi::values::{Id, Time};
use muster_http::openapi::values::{choice, string};
use muster_imports::import::{ImportStatus, Start};
use muster_imports::options::{Confirm, OnConflict};
use serde_json::json;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};

use crate::signup::captcha::MAX_TOKEN_BYTES;
use muster_imports::import::MAX_FILE_NAME_CHARS;

muster_http::values! {
    /// What a patch says of them.
    AttributeChanges: attribute_changes(),
    /// [`crate::signup::captcha::token`]
    Captcha: captcha(),
    /// [`muster_core::mail::item::MailKind`]
    MailKind: mail_kind(),
    /// [`muster_core::mail::item::MailStatus`]
    MailStatus: mail_status(),
    /// [`muster_imports::import::ImportStatus`]
    ImportState: import_state(),
    /// [`muster_imports::import::Start`]
    ImportStart: import_start(),
    /// What a file is called.
    ImportFileName: import_file_name(),
    /// [`muster_imports::options::OnConflict`]
    ImportConflict: import_conflict(),
    /// [`muster_imports::options::Confirm`]
    ImportConfirm: import_confirm(),
}

fn attribute_changes() -> ObjectBuilder {
    let value = attribute_value(SchemaType::from_iter([Type::String, Type::Null]));
    attributes(value)
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .examples([json!({ "city": "Paris", "plan": null })])
        .description(Some(
            "A text sets that attribute, `null` removes it, and one that is not named stays. \
             `null` in the place of the object removes all of them. What comes of it must keep \
             the limits of `Attributes`.",
        ))
}

fn captcha() -> ObjectBuilder {
    string()
        .min_length(Some(1))
        .max_length(Some(MAX_TOKEN_BYTES))
        .description(Some(
            "What the widget of the captcha gave: reCAPTCHA, hCaptcha, Turnstile or what else the \
             deployment names.",
        ))
}

fn import_file_name() -> ObjectBuilder {
    string()
        .pattern(Some(format!(
            r"^[^/\\{FORBIDDEN}]{{1,{MAX_FILE_NAME_CHARS}}}$"
        )))
        .examples([json!("people.csv")])
        .description(Some(
            "What a file is called where it comes from, without its folder: one line, and no slash.",
        ))
}

fn mail_kind() -> ObjectBuilder {
    use muster_core::mail::item::MailKind::{
        AddressChanged, AlreadyRegistered, Confirm, ConfirmChange, Reminder,
    };
    choice(
        [
            Confirm,
            Reminder,
            AlreadyRegistered,
            ConfirmChange,
            AddressChanged,
        ]
        .map(|kind| match kind {
            Confirm => ("confirm", "asks to confirm the address"),
            Reminder => ("reminder", "asks again, once"),
            AlreadyRegistered => (
                "already_registered",
                "tells whoever signs up that they have a profile",
            ),
            ConfirmChange => ("confirm_change", "asks to confirm a new address"),
            AddressChanged => (
                "address_changed",
                "tells the old address that there is a new one",
            ),
        }),
    )
}

fn mail_status() -> ObjectBuilder {
    use muster_core::mail::item::MailStatus::{
        Abandoned, Bounced, Delivered, Queued, Scheduled, Sending, Sent,
    };
    choice(
        [
            Scheduled, Queued, Sending, Sent, Delivered, Bounced, Abandoned,
        ]
        .map(|status| {
            let meaning = match status {
                Scheduled => "to be sent, but not before its time",
                Queued => "to be sent",
                Sending => "being sent",
                Sent => "SES took it",
                Delivered => "the recipient's server took it",
                Bounced => "it came back; the reason says why",
                Abandoned => "it will not be sent; the reason says why",
            };
            (status.as_str(), meaning)
        }),
    )
}

fn import_state() -> ObjectBuilder {
    use ImportStatus::{
        AwaitingStart, AwaitingUpload, Cancelled, Cancelling, Completed, CompletedWithErrors,
        Failed, Planning, Queued, Reporting, Running,
    };
    let states = [
        AwaitingUpload,
        AwaitingStart,
        Queued,
        Planning,
        Running,
        Reporting,
        Completed,
        CompletedWithErrors,
        Cancelling,
        Cancelled,
        Failed,
    ];
    choice(states.map(|status| {
        let meaning = match status {
            AwaitingUpload => "its file is still to be uploaded",
            AwaitingStart => "its file is there; it waits to be started",
            Queued => "nobody has looked into the file yet",
            Planning => "the file is being cut into chunks; the first are imported already",
            Running => "all chunks are known and are being imported",
            Reporting => "all rows are answered; the report is being written",
            Completed => "over: every row was imported or skipped",
            CompletedWithErrors => "over: some rows were refused; the report says which and why",
            Cancelling => "no more rows are begun; mails that are still to go are called off",
            Cancelled => "it stands still where it was stopped, and can be resumed",
            Failed => "it could not be imported, or not whole; the reason says why",
        };
        (status.as_str(), meaning)
    }))
}

fn import_start() -> ObjectBuilder {
    let starts = [Start::Automatic, Start::Manual].map(|start| match start {
        Start::Automatic => ("automatic", "as soon as its file is there"),
        Start::Manual => ("manual", "not before `POST /imports/{id}/start`"),
    });
    choice(starts).default(Some(json!(Start::default())))
}

fn import_conflict() -> ObjectBuilder {
    let conflicts = [OnConflict::Skip, OnConflict::Update, OnConflict::Fail];
    let conflicts = conflicts.map(|on_conflict| match on_conflict {
        OnConflict::Skip => ("skip", "the profile stays as it is"),
        OnConflict::Update => (
            "update",
            "the profile takes what the row says; what the row does not say stays",
        ),
        OnConflict::Fail => ("fail", "the row is refused"),
    });
    choice(conflicts).default(Some(json!(OnConflict::default())))
}

fn import_confirm() -> ObjectBuilder {
    let confirms = [Confirm::Skip, Confirm::Send, Confirm::MarkConfirmed];
    let confirms = confirms.map(|confirm| match confirm {
        Confirm::Skip => ("skip", "they are not confirmed, and the people get no mail"),
        Confirm::Send => ("send", "each gets a mail that asks to confirm the address"),
        Confirm::MarkConfirmed => ("mark_confirmed", "they count as confirmed"),
    });
    choice(confirms).default(Some(json!(Confirm::default())))
}
