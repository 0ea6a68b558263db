//! The routes: what is open to everybody, and what needs which scope.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::template::{Resource, Template, items, referenced, texts, written};
use crate::{assert_kept, assert_noticed};

/// The routes that need no token.
const PUBLIC: [&str; 9] = [
    "POST /signup",
    "POST /signup/resend",
    "GET /confirm",
    "POST /confirm",
    "GET /not-me",
    "POST /not-me",
    "GET /openapi.json",
    "GET /health",
    "$default",
];

fn routes(template: &Template) -> impl Iterator<Item = Resource<'_>> {
    template.of_type("AWS::ApiGatewayV2::Route")
}

fn is_public(route: Resource<'_>) -> bool {
    PUBLIC.contains(&route.text("RouteKey").as_str())
}

/// `GET /profiles/{id}` needs `profiles/read`, `POST /profiles` needs
/// `profiles/write`, and so on for every other path.
fn scope_of(route_key: &str) -> Option<String> {
    let (method, path) = route_key.split_once(" /")?;
    let area = match path.split('/').next()? {
        "queues" => "operations",
        area => area,
    };
    let right = if ["GET", "HEAD"].contains(&method) {
        "read"
    } else {
        "write"
    };
    Some(format!("{area}/{right}"))
}

/// Only the public routes are open; everything else wants a token with the
/// scope of its path.
fn doors_are_closed(template: &Template) -> Vec<String> {
    let mut findings = Vec::new();
    for route in routes(template).filter(|route| !is_public(*route)) {
        let key = route.text("RouteKey");
        if route.text("AuthorizationType") != "JWT" {
            findings.push(format!("{key} needs no token"));
        }
        let authorizer = route.text("AuthorizerId");
        let authorizer = referenced(&authorizer)
            .and_then(|name| template.find("AWS::ApiGatewayV2::Authorizer", name));
        if authorizer.is_none_or(|authorizer| authorizer.text("AuthorizerType") != "JWT") {
            findings.push(format!("{key} has no authorizer"));
        }
        let scopes = texts(route.property("AuthorizationScopes"));
        if scope_of(&key).is_none_or(|scope| scopes != [scope]) {
            findings.push(format!("{key} takes {scopes:?}"));
        }
    }
    findings
}

/// The public routes are there and open: a sign-up has no token.
fn public_routes_are_open(template: &Template) -> Vec<String> {
    let mut findings = Vec::new();
    for key in PUBLIC {
        let mut found = routes(template).filter(|route| route.text("RouteKey") == key);
        let Some(route) = found.next() else {
            findings.push(format!("there is no route {key}"));
            continue;
        };
        if !route.property("AuthorizationType").is_null() {
            findings.push(format!("{key} wants a token"));
        }
    }
    findings
}

/// The function that answers a route: of the queues the operations, of the rest
/// the API, but for details.
fn function_of(route_key: &str) -> &'static str {
    match route_key.split_once(' ') {
        Some((_, path)) if path.starts_with("/queues") => "Operations",
        Some((_, "/profiles/{id}/details")) => "Details",
        _ => "Api",
    }
}

/// Every route ends at the function that answers it, and only this API may call
/// that.
fn routes_lead_to_their_functions(template: &Template) -> Vec<String> {
    let mut findings = Vec::new();
    for route in routes(template) {
        let key = route.text("RouteKey");
        let target = format!("integrations/${{{}Integration}}", function_of(&key));
        if route.text("Target") != target {
            findings.push(format!("{key} leads nowhere"));
        }
    }
    for function in ["Api", "Operations", "Details"] {
        let name = format!("{function}Integration");
        let integration = template.find("AWS::ApiGatewayV2::Integration", &name);
        let uri = format!("${{{function}Function.Arn}}");
        if integration.is_none_or(|found| found.text("IntegrationUri") != uri) {
            findings.push(format!("{name} does not call {function}Function"));
        }
    }
    // $default leads to the API, which would take a wrong method for a wrong path.
    for key in [
        "ANY /queues",
        "ANY /queues/{proxy+}",
        "ANY /profiles/{id}/details",
    ] {
        if !routes(template).any(|route| route.text("RouteKey") == key) {
            findings.push(format!("there is no route {key}"));
        }
    }
    for permission in template.of_type("AWS::Lambda::Permission") {
        if !permission.text("SourceArn").contains("${HttpApi}") {
            findings.push(format!("{} lets any API call", permission.name));
        }
    }
    findings
}

/// What the API's document says: its routes, and the scopes that each needs.
fn documented() -> BTreeMap<String, Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions/api/openapi.json");
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()));
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, operations)| {
            let operations = operations.as_object().unwrap().iter();
            operations.map(move |(method, operation)| {
                let scopes = operation["security"][0]["operator"].as_array();
                let scopes = scopes.into_iter().flatten();
                let scopes = scopes.map(|scope| scope.as_str().unwrap().to_owned());
                (
                    format!("{} {path}", method.to_uppercase()),
                    scopes.collect(),
                )
            })
        })
        .collect()
}

/// The document tells of every route and its scope, and of no other route.
fn the_document_is_right(template: &Template) -> Vec<String> {
    let documented = documented();
    let mut findings = Vec::new();
    let mut there = BTreeSet::from(["$default".to_owned()]);
    for route in routes(template) {
        let key = route.text("RouteKey");
        if !there.insert(key.clone()) {
            continue;
        }
        // What answers wrong methods and unknown paths.
        if key.starts_with("ANY ") {
            continue;
        }
        let scopes = texts(route.property("AuthorizationScopes"));
        // HEAD is GET without the body: the document does not say it twice.
        let told = documented.get(&key.replacen("HEAD ", "GET ", 1));
        if told != Some(&scopes) {
            findings.push(format!(
                "{key} takes {scopes:?}, the document says {told:?}"
            ));
        }
    }
    let absent = documented.keys().filter(|key| !there.contains(*key));
    findings.extend(absent.map(|key| format!("there is no route {key}")));
    findings
}

/// The pool knows each scope that a route takes, and hands it to both clients.
fn scopes_can_be_had(template: &Template) -> Vec<String> {
    let known: BTreeSet<String> = template
        .of_type("AWS::Cognito::UserPoolResourceServer")
        .flat_map(|server| {
            let area = server.text("Identifier");
            items(server.property("Scopes"))
                .iter()
                .map(move |scope| format!("{area}/{}", written(&scope["ScopeName"])))
        })
        .collect();
    let mut findings = Vec::new();
    for route in routes(template) {
        for scope in texts(route.property("AuthorizationScopes")) {
            if !known.contains(&scope) {
                findings.push(format!("no resource server knows {scope}"));
            }
        }
    }
    for client in template.of_type("AWS::Cognito::UserPoolClient") {
        let given: BTreeSet<String> = texts(client.property("AllowedOAuthScopes"))
            .into_iter()
            .filter(|scope| scope.contains('/'))
            .collect();
        if given != known {
            findings.push(format!("{} gets {given:?}", client.name));
        }
    }
    findings
}

/// Administrators make users; machines have a secret; the console, which
/// could not keep one, has the code flow.
fn nobody_signs_up_as_an_operator(template: &Template) -> Vec<String> {
    let mut findings = Vec::new();
    for pool in template.of_type("AWS::Cognito::UserPool") {
        let only = pool.property("AdminCreateUserConfig/AllowAdminCreateUserOnly");
        if only.as_bool() != Some(true) {
            findings.push(format!("anybody signs up to {}", pool.name));
        }
    }
    for (name, secret, flow) in [
        ("MachineClient", true, "client_credentials"),
        ("ConsoleClient", false, "code"),
    ] {
        let client = template.find("AWS::Cognito::UserPoolClient", name);
        let as_it_should_be = client.is_some_and(|client| {
            client.property("GenerateSecret").as_bool() == Some(secret)
                && texts(client.property("AllowedOAuthFlows")) == [flow]
        });
        if !as_it_should_be {
            findings.push(format!(
                "{name} is not a client with secret={secret} and {flow}"
            ));
        }
    }
    findings
}

#[test]
fn only_the_public_routes_need_no_token() {
    assert_kept(doors_are_closed);
    let route = "Resources/CreateProfileRoute/Properties";
    assert_noticed(
        doors_are_closed,
        &[
            (&format!("{route}/AuthorizationType"), ""),
            (&format!("{route}/AuthorizationType"), "NONE"),
            (&format!("{route}/AuthorizerId"), ""),
            (&format!("{route}/AuthorizationScopes"), ""),
            (&format!("{route}/AuthorizationScopes"), "[profiles/read]"),
            (
                &format!("{route}/AuthorizationScopes"),
                "[profiles/read, profiles/write]",
            ),
            (
                "Resources/OperatorAuthorizer/Properties/AuthorizerType",
                "REQUEST",
            ),
            ("Resources/OperatorAuthorizer", ""),
            (
                "Resources/NewRoute",
                "{ Type: AWS::ApiGatewayV2::Route, Properties: { RouteKey: 'DELETE /profiles/{id}' } }",
            ),
        ],
    );
}

#[test]
fn the_public_routes_are_there_and_open() {
    assert_kept(public_routes_are_open);
    assert_noticed(
        public_routes_are_open,
        &[
            ("Resources/DefaultRoute", ""),
            ("Resources/SignupRoute/Properties/AuthorizationType", "JWT"),
        ],
    );
}

#[test]
fn every_route_leads_to_its_function() {
    assert_kept(routes_lead_to_their_functions);
    assert_noticed(
        routes_lead_to_their_functions,
        &[
            (
                "Resources/PurgeDeadLettersRoute/Properties/Target",
                "!Sub 'integrations/${ApiIntegration}'",
            ),
            (
                "Resources/OperationsIntegration/Properties/IntegrationUri",
                "!GetAtt ApiFunction.Arn",
            ),
            ("Resources/BelowQueuesRoute", ""),
            (
                "Resources/ReadDetailsRoute/Properties/Target",
                "!Sub 'integrations/${ApiIntegration}'",
            ),
            (
                "Resources/DetailsIntegration/Properties/IntegrationUri",
                "!GetAtt ApiFunction.Arn",
            ),
            ("Resources/OtherDetailsRoute", ""),
            ("Resources/HealthRoute/Properties/Target", ""),
            (
                "Resources/ApiIntegration/Properties/IntegrationUri",
                "!GetAtt MailerFunction.Arn",
            ),
            ("Resources/ApiInvokePermission/Properties/SourceArn", ""),
        ],
    );
}

#[test]
fn the_document_tells_of_every_route_and_its_scope() {
    assert_kept(the_document_is_right);
    assert_noticed(
        the_document_is_right,
        &[
            ("Resources/HealthRoute", ""),
            (
                "Resources/ReadImportRoute/Properties/RouteKey",
                "GET /import/{id}",
            ),
            (
                "Resources/ReadImportRoute/Properties/AuthorizationScopes",
                "",
            ),
            (
                "Resources/ChangeProfileRoute/Properties/AuthorizationScopes",
                "[profiles/read]",
            ),
            (
                "Resources/SignupRoute/Properties/AuthorizationScopes",
                "[profiles/write]",
            ),
        ],
    );
}

#[test]
fn every_scope_can_be_had_by_both_clients() {
    assert_kept(scopes_can_be_had);
    assert_noticed(
        scopes_can_be_had,
        &[
            ("Resources/ImportsScopes", ""),
            (
                "Resources/ProfilesScopes/Properties/Scopes/0/ScopeName",
                "look",
            ),
            (
                "Resources/MachineClient/Properties/AllowedOAuthScopes",
                "[profiles/read]",
            ),
            (
                "Resources/ConsoleClient/Properties/AllowedOAuthScopes",
                "[openid]",
            ),
        ],
    );
}

#[test]
fn operators_are_made_by_administrators() {
    assert_kept(nobody_signs_up_as_an_operator);
    assert_noticed(
        nobody_signs_up_as_an_operator,
        &[
            (
                "Resources/UserPool/Properties/AdminCreateUserConfig/AllowAdminCreateUserOnly",
                "false",
            ),
            ("Resources/UserPool/Properties/AdminCreateUserConfig", ""),
            ("Resources/ConsoleClient/Properties/GenerateSecret", "true"),
            (
                "Resources/ConsoleClient/Properties/AllowedOAuthFlows",
                "[implicit]",
            ),
            ("Resources/MachineClient/Properties/GenerateSecret", ""),
        ],
    );
}
