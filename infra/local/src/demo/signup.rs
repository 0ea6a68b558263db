//! The first act: somebody signs up.

use std::time::{Duration, Instant};

use muster_cli::trouble::{OrTrouble, Trouble};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::Stage;
use crate::inbox::show_mail;

const MAIL_LIMIT: Duration = Duration::from_secs(60);

/// Signs a person up, waits for the mail, opens its link and confirms.
///
/// # Errors
/// The first claim that does not hold.
pub(super) async fn play(stage: &Stage<'_>) -> Result<(), Trouble> {
    let console = stage.console;
    let address = stage.ada();
    console.heading("A person signs up");
    sign_up(stage, &address).await?;
    let mail = stage
        .wait_for("confirmation mail", MAIL_LIMIT, async || {
            Ok(stage.client.mails_to(&address).await?.into_iter().next())
        })
        .await?;
    console.done("the confirmation mail left in the background:\n");
    show_mail(&mail, console);
    let link = mail
        .link()
        .ok_or_else(|| stage.failed("the mail has no link"))?;
    let token = mail.token().unwrap_or_default();
    let page = ask(stage, Method::GET, link, None).await?;
    stage.expect(
        "status of the page behind the link",
        &page.status().as_u16(),
        &200,
    )?;
    stage.expect(
        "status before the click",
        &status(stage, &address).await?,
        &json!("pending"),
    )?;
    console.done("the link shows a page with a button and changes nothing");
    for expected in ["confirmed", "already_confirmed"] {
        let answer = ask(
            stage,
            Method::POST,
            "/confirm",
            Some(json!({ "token": token })),
        )
        .await?;
        stage.expect(
            "answer to the click",
            &body(answer).await?["status"],
            &json!(expected),
        )?;
    }
    stage.expect(
        "status after the click",
        &status(stage, &address).await?,
        &json!("confirmed"),
    )?;
    console.done("the button confirms the address; a second click says so kindly");
    Ok(())
}

async fn sign_up(stage: &Stage<'_>, address: &str) -> Result<(), Trouble> {
    let person = json!({
        "email": address,
        "name": "Ada Lovelace",
        "attributes": { "team": "Analytical Engines" },
    });
    let start = Instant::now();
    let answer = ask(stage, Method::POST, "/signup", Some(person)).await?;
    stage.expect("status of the sign-up", &answer.status().as_u16(), &202)?;
    let took = start.elapsed().as_millis();
    stage.console.done(format!(
        "{address} is stored and accepted in {took} ms; no mail server was waited for"
    ));
    Ok(())
}

/// The status of the profile with that address.
async fn status(stage: &Stage<'_>, address: &str) -> Result<Value, Trouble> {
    let mut found = stage.get(&format!("/profiles?email={address}")).await?;
    Ok(found["items"][0]["status"].take())
}

async fn ask(
    stage: &Stage<'_>,
    method: Method,
    path: &str,
    json: Option<Value>,
) -> Result<Response, Trouble> {
    let what = format!("{method} {path} does not answer");
    let mut request = stage.client.request(method, path);
    if let Some(json) = json {
        request = request.json(&json);
    }
    request
        .send()
        .await
        .or_trouble(what, "make down, then try again.")
}

async fn body(answer: Response) -> Result<Value, Trouble> {
    answer
        .json()
        .await
        .or_trouble("the API answers with no JSON", "make down, then try again.")
}
