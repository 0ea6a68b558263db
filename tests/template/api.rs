//! The routes: what is open to everybody, and what needs which scope.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_yaml_ng::Value;

use crate::template::{Resource, Template, branches, entries, items, referenced, texts, written};
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

/// The pool knows each scope that a route takes. The machines' client may ask for all
/// of them, the readers' for those that only read.
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
    let reading = known.iter().filter(|scope| scope.ends_with("/read"));
    let reading: BTreeSet<String> = reading.cloned().collect();
    for (name, scopes) in [("MachineClient", known), ("ReaderClient", reading)] {
        let client = template.find("AWS::Cognito::UserPoolClient", name);
        let given = client.map(|client| texts(client.property("AllowedOAuthScopes")));
        let given: BTreeSet<String> = given.into_iter().flatten().collect();
        if given != scopes {
            findings.push(format!("{name} gets {given:?}"));
        }
    }
    findings
}

/// The clients of the pool: all are for machines, and have a secret.
const CLIENTS: [&str; 2] = ["MachineClient", "ReaderClient"];

/// Administrators make users, whose passwords are strong and who need a second factor
/// unless the deployment says otherwise. No client is there that no page uses.
fn nobody_signs_up_as_an_operator(template: &Template) -> Vec<String> {
    let mut findings = Vec::new();
    for pool in template.of_type("AWS::Cognito::UserPool") {
        let only = pool.property("AdminCreateUserConfig/AllowAdminCreateUserOnly");
        if only.as_bool() != Some(true) {
            findings.push(format!("anybody signs up to {}", pool.name));
        }
        if pool.text("MfaConfiguration") != "${OperatorMfa}" {
            findings.push(format!("{}: OperatorMfa decides nothing", pool.name));
        }
        if texts(pool.property("EnabledMfas")) != ["SOFTWARE_TOKEN_MFA"] {
            findings.push(format!("{} has another second factor", pool.name));
        }
        findings.extend(weak_passwords(pool));
    }
    let mfa = template
        .section("Parameters")
        .find(|(name, _)| *name == "OperatorMfa");
    if mfa.is_none_or(|(_, parameter)| parameter["Default"] != "ON") {
        findings.push("a second factor is not required by default".to_owned());
    }
    let clients = template.of_type("AWS::Cognito::UserPoolClient");
    let names: Vec<_> = clients.map(|client| client.name).collect();
    if names != CLIENTS {
        findings.push(format!("the clients are {names:?}"));
    }
    for client in template.of_type("AWS::Cognito::UserPoolClient") {
        if client.property("GenerateSecret").as_bool() != Some(true)
            || texts(client.property("AllowedOAuthFlows")) != ["client_credentials"]
        {
            findings.push(format!("{} is not for machines", client.name));
        }
    }
    let audience = template
        .find("AWS::ApiGatewayV2::Authorizer", "OperatorAuthorizer")
        .map(|authorizer| branches(authorizer.property("JwtConfiguration/Audience")))
        .and_then(|branches| Some(texts(branches.first()?)));
    if audience.as_deref() != Some(&CLIENTS.map(|name| format!("${{{name}}}"))[..]) {
        findings.push(format!("tokens are taken that were made for {audience:?}"));
    }
    findings
}

/// What a password of the pool need not have.
fn weak_passwords(pool: Resource<'_>) -> Vec<String> {
    let policy = |name: &str| pool.property(&format!("Policies/PasswordPolicy/{name}"));
    let classes = ["Lowercase", "Uppercase", "Numbers", "Symbols"];
    let mut findings: Vec<_> = classes
        .iter()
        .filter(|class| policy(&format!("Require{class}")).as_bool() != Some(true))
        .map(|class| format!("{}: passwords need no {class}", pool.name))
        .collect();
    let least = |name: &str| policy(name).as_u64().unwrap_or_default();
    if least("MinimumLength") < 14 {
        findings.push(format!("{}: passwords may be short", pool.name));
    }
    if !(1..=2).contains(&least("TemporaryPasswordValidityDays")) {
        findings.push(format!("{}: first passwords are valid for long", pool.name));
    }
    findings
}

/// Routes that strangers may not use as fast as operators: what costs the most, and what
/// answers every path that is not there. Of the other public routes, scanners follow
/// each link of a mail the moment it comes, and the rest are texts that do not change.
const THROTTLED: [&str; 3] = ["$default", "POST /signup", "POST /signup/resend"];

/// The most that such a route takes in a second, by the value of `PublicTraffic`.
const MOST_A_SECOND: [u64; 2] = [100, 20];

/// Throttles are by route: strangers have low ones, so that what they ask for takes
/// nothing from operators.
fn strangers_are_throttled(template: &Template) -> Vec<String> {
    let Some(stage) = template.find("AWS::ApiGatewayV2::Stage", "HttpApiStage") else {
        return vec!["there is no stage".to_owned()];
    };
    let mut findings = Vec::new();
    let branches = branches(stage.property("RouteSettings"));
    let [throttled, Value::Tagged(otherwise)] = branches else {
        return vec!["RouteSettings are not under a condition".to_owned()];
    };
    if otherwise.value != "AWS::NoValue" {
        findings.push("unlimited sets limits".to_owned());
    }
    let keys: BTreeSet<_> = entries(throttled).map(|(key, _)| key).collect();
    if keys != BTreeSet::from(THROTTLED) {
        findings.push(format!("throttled are {keys:?}"));
    }
    for (key, settings) in entries(throttled) {
        for (limit, factor) in [("ThrottlingRateLimit", 1), ("ThrottlingBurstLimit", 2)] {
            let Value::Tagged(choice) = &settings[limit] else {
                findings.push(format!("{key}: {limit} is not for high and low"));
                continue;
            };
            let is_low = choice.tag == "If"
                && choice.value[0] == "ExpectsCrowds"
                && (1..3).zip(MOST_A_SECOND).all(|(branch, most)| {
                    let limit = choice.value[branch].as_u64();
                    limit.is_some_and(|limit| (1..=most * factor).contains(&limit))
                });
            if !is_low {
                findings.push(format!("{key}: {limit} is not low"));
            }
        }
        let route = routes(template).find(|route| route.text("RouteKey") == key);
        let Some(route) = route else {
            findings.push(format!("{key} is throttled and not there"));
            continue;
        };
        let waits_for = items(stage.depends_on());
        if !waits_for.iter().any(|name| name == route.name) {
            findings.push(format!("the stage does not wait for {}", route.name));
        }
    }
    for limit in ["ThrottlingRateLimit", "ThrottlingBurstLimit"] {
        if stage
            .property(&format!("DefaultRouteSettings/{limit}"))
            .is_null()
        {
            findings.push(format!("operators have no {limit}"));
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
fn every_scope_can_be_had_by_its_clients() {
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
                "Resources/ReaderClient/Properties/AllowedOAuthScopes",
                "[profiles/read, imports/read, operations/read, profiles/write]",
            ),
        ],
    );
}

#[test]
fn operators_are_made_by_administrators() {
    assert_kept(nobody_signs_up_as_an_operator);
    let password = "Resources/UserPool/Properties/Policies/PasswordPolicy";
    assert_noticed(
        nobody_signs_up_as_an_operator,
        &[
            (
                "Resources/UserPool/Properties/AdminCreateUserConfig/AllowAdminCreateUserOnly",
                "false",
            ),
            ("Resources/UserPool/Properties/AdminCreateUserConfig", ""),
            ("Resources/ReaderClient/Properties/GenerateSecret", "false"),
            (
                "Resources/ReaderClient/Properties/AllowedOAuthFlows",
                "[implicit]",
            ),
            ("Resources/MachineClient/Properties/GenerateSecret", ""),
            (
                "Resources/PageClient",
                "{ Type: AWS::Cognito::UserPoolClient }",
            ),
            (
                "Resources/OperatorAuthorizer/Properties/JwtConfiguration/Audience/1",
                "[!Ref MachineClient, any]",
            ),
            ("Resources/UserPool/Properties/MfaConfiguration", "OPTIONAL"),
            ("Resources/UserPool/Properties/MfaConfiguration", "'OFF'"),
            ("Resources/UserPool/Properties/EnabledMfas", "[SMS_MFA]"),
            ("Parameters/OperatorMfa/Default", "OPTIONAL"),
            (&format!("{password}/MinimumLength"), "8"),
            (&format!("{password}/RequireSymbols"), "false"),
            (&format!("{password}/RequireUppercase"), ""),
            (&format!("{password}/TemporaryPasswordValidityDays"), "7"),
        ],
    );
}

#[test]
fn strangers_routes_are_throttled_apart() {
    assert_kept(strangers_are_throttled);
    let stage = "Resources/HttpApiStage";
    let settings = format!("{stage}/Properties/RouteSettings");
    assert_noticed(
        strangers_are_throttled,
        &[
            (&settings, ""),
            (&format!("{settings}/1/POST ~1signup"), ""),
            (&format!("{settings}/1/$default"), ""),
            (
                &format!("{settings}/1/$default/ThrottlingRateLimit"),
                "!If [ExpectsCrowds, 100, 200]",
            ),
            (
                &format!("{settings}/1/$default/ThrottlingRateLimit"),
                "!Ref RequestsPerSecond",
            ),
            (&format!("{settings}/1/$default/ThrottlingBurstLimit"), ""),
            (&format!("{settings}/1/GET ~1profiles"), "{}"),
            (&format!("{settings}/2"), "{ $default: {} }"),
            (&format!("{stage}/DependsOn"), "[SignupRoute, ResendRoute]"),
            (&format!("{stage}/Properties/DefaultRouteSettings"), ""),
        ],
    );
}
