//! Who may ask the operators' routes: the machine client of the template's own
//! user pool.

use muster_cli::client_credentials::ClientCredentials;
use muster_cli::http;
use muster_cli::trouble::{OrTrouble, Trouble};
use serde_json::{Value, json};

use crate::deployment::Outputs;
use crate::place::{Place, REGION};

/// Asks the pool for the secret of the template's machine client.
///
/// # Errors
/// When the pool does not tell.
pub(crate) async fn client_credentials(
    place: &Place,
    outputs: &Outputs,
) -> Result<ClientCredentials, Trouble> {
    let id = outputs.get("MachineClientId")?.to_owned();
    let question = json!({ "UserPoolId": outputs.get("UserPoolId")?, "ClientId": id });
    let request = http::client(&place.endpoint())?
        .post(place.endpoint())
        .header(
            "X-Amz-Target",
            "AWSCognitoIdentityProviderService.DescribeUserPoolClient",
        )
        .header("Content-Type", "application/x-amz-json-1.1")
        // Emulators check no signature, but route by its scope.
        .header(
            "Authorization",
            format!(
                "AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/cognito-idp/aws4_request, \
                 SignedHeaders=host, Signature=none"
            ),
        )
        .body(question.to_string());
    let answer: Value = async { request.send().await?.json().await }
        .await
        .or_trouble(
            "the user pool does not answer",
            "make down, then try again.",
        )?;
    let secret = answer["UserPoolClient"]["ClientSecret"]
        .as_str()
        .ok_or_else(|| {
            Trouble::new(
                format!("the user pool tells no client secret: {answer}"),
                "make down, then try again.",
            )
        })?;
    Ok(ClientCredentials {
        token_url: format!("{}/oauth2/token", place.endpoint()),
        id,
        secret: secret.to_owned(),
    })
}
