//! Bodies that are read field by field and so have no type of their own.
//!
//! As JSON, fields that are unknown are refused; in a form they are not looked at.

use muster_http::openapi::people::{Attributes, EmailAddress, Locale, Name};
use utoipa::ToSchema;

use super::parameters::TOKEN;
use super::values::{Captcha, ImportConfirm, ImportConflict, ImportFileName, ImportStart};

/// Who signs up.
#[derive(Debug, ToSchema)]
#[schema(examples(json!({
    "email": "ada@example.com",
    "name": "Ada Lovelace",
    "locale": "en-GB",
    "attributes": { "city": "London" }
})))]
#[serde(deny_unknown_fields)]
pub struct SignUp {
    /// The address.
    #[schema(value_type = EmailAddress)]
    pub email: String,
    /// The name.
    #[schema(value_type = Name)]
    pub name: String,
    /// The language of the mails; without it, what the browser asks for.
    #[schema(value_type = Locale, required = false)]
    pub locale: String,
    /// Whatever else is known.
    #[schema(value_type = Option<Attributes>)]
    pub attributes: String,
    /// Needed if the deployment has a captcha; if it has none, nobody looks at it.
    #[schema(value_type = Captcha, required = false)]
    pub captcha: String,
}

/// Who wants the mail again.
#[derive(Debug, ToSchema)]
#[schema(examples(json!({ "email": "ada@example.com" })))]
#[serde(deny_unknown_fields)]
pub struct Resend {
    /// The address that signed up.
    #[schema(value_type = EmailAddress)]
    pub email: String,
    /// Needed if the deployment has a captcha; if it has none, nobody looks at it.
    #[schema(value_type = Captcha, required = false)]
    pub captcha: String,
}

/// The same as a form.
#[derive(Debug, ToSchema)]
#[schema(examples(json!({ "email": "ada@example.com" })))]
pub struct ResendForm {
    /// The address that signed up.
    #[schema(value_type = EmailAddress)]
    pub email: String,
    /// The token of the link that led to the page. If the deployment has a captcha, either
    /// this or `captcha` is needed.
    #[schema(required = false)]
    pub token: String,
    /// What the widget of the captcha gave. If the deployment has none, nobody looks at it.
    #[schema(required = false)]
    pub captcha: String,
}

/// What a link of a mail carries.
#[derive(Debug, ToSchema)]
#[schema(examples(json!({ "token": TOKEN })))]
#[serde(deny_unknown_fields)]
pub struct LinkToken {
    /// The part of the link after `token=`.
    pub token: String,
}

/// The same as a form.
#[derive(Debug, ToSchema)]
#[schema(examples(json!({ "token": TOKEN })))]
pub struct LinkTokenForm {
    /// The part of the link after `token=`.
    pub token: String,
}

/// What is done with the people in a file. Whatever is left out is the default.
#[derive(Debug, ToSchema)]
#[schema(examples(json!({
    "on_conflict": "update",
    "confirm": "skip",
    "dry_run": false,
    "file_name": "people.csv"
})))]
#[serde(deny_unknown_fields)]
pub struct NewImport {
    /// Rows whose address another profile has.
    #[schema(value_type = ImportConflict, required = false)]
    pub on_conflict: String,
    /// The addresses of new profiles.
    #[schema(value_type = ImportConfirm, required = false)]
    pub confirm: String,
    /// Whether it only looks what would become of the rows.
    #[schema(value_type = bool, default = false, required = false)]
    pub dry_run: String,
    /// Whether it waits to be started.
    #[schema(value_type = ImportStart, required = false)]
    pub start: String,
    /// Shown with the import.
    #[schema(value_type = ImportFileName, required = false)]
    pub file_name: String,
}

/// Chunks of an import that are to run again.
#[derive(Debug, ToSchema)]
#[schema(examples(json!({ "chunks": [7] })))]
#[serde(deny_unknown_fields)]
pub struct FailedChunks {
    /// Their numbers; without it, all that have failed.
    #[schema(min_items = 1, required = false)]
    pub chunks: Vec<u32>,
}
