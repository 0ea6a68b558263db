//! `make inbox`

use muster_cli::trouble::Trouble;

use crate::client::{Client, Mail};
use crate::console::Console;
use crate::environment::Environment;
use crate::place::Place;

/// Shows every mail that was sent, newest last.
///
/// # Errors
/// When no stack is up, or its inbox cannot be read.
pub async fn show(place: &Place, console: &Console) -> Result<(), Trouble> {
    let environment = Environment::load(&place.file("env"))?;
    let mails = Client::new(&environment)?.mails().await?;
    if mails.is_empty() {
        console.line("No mail has been sent yet.");
    }
    for mail in &mails {
        show_mail(mail, console);
    }
    Ok(())
}

/// One mail: to whom, what about, and its link.
pub fn show_mail(mail: &Mail, console: &Console) {
    console.line(format!("  To       {}", mail.to.join(", ")));
    console.line(format!("  Subject  {}", mail.subject));
    if let Some(link) = mail.link() {
        console.line(format!("  Link     {link}"));
    }
    console.line("");
}
