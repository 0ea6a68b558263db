//! Requests that somebody made to break something. Each is refused exactly, as a
//! problem or as a page; none leaves a trace in the table, is told how we are
//! made, or hears back what it said.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::place::{Answer, Place};

/// What every hostile value holds, so that an echo of it is seen.
const MARK: &str = "hunter2";
const NOBODY: &str = "019aafb0-0000-7000-8000-000000000000";
const MAX_BODY: usize = 16 * 1024;

/// What comes of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Expected {
    /// A problem of that status and type.
    Problem(u64, &'static str),
    /// A page of that status.
    Page(u64),
    /// 405, and the methods that are allowed.
    NotAllowed(&'static str),
    /// 200, and nobody in the list.
    Nobody,
}
use Expected::{Nobody, NotAllowed, Page, Problem};

const MALFORMED: Expected = Problem(400, "malformed-request");
const FORBIDDEN: Expected = Problem(403, "forbidden");
const ABSENT: Expected = Problem(404, "not-found");
const TOO_LARGE: Expected = Problem(413, "too-large");
const WRONG_TYPE: Expected = Problem(415, "unsupported-media-type");
const INVALID: Expected = Problem(422, "invalid-fields");
const CHANGED: Expected = Problem(412, "precondition-failed");

/// The headers of every page, and what they start with.
const HEADERS: [(&str, &str); 5] = [
    ("content-type", "text/html"),
    ("content-security-policy", "default-src 'none'"),
    ("cache-control", "no-store"),
    ("referrer-policy", "same-origin"),
    ("x-content-type-options", "nosniff"),
];
/// What would tell how we are made.
const INSIDES: [&str; 8] = [
    "SdkError",
    "127.0.0.1",
    "aws.local",
    "DynamoDb",
    "muster_",
    "::",
    "panic",
    ".rs",
];

/// A place that holds a confirmed and a pending profile.
struct Target {
    place: Place,
    confirmed: String,
    token: String,
}

impl Target {
    async fn new() -> Self {
        let place = Place::new();
        let profile = place.confirmed("ada@example.com").await;
        place.sign_up("eve@example.com").await;
        place.deliver_mails().await;
        Self {
            confirmed: format!("/profiles/{}", profile["id"].as_str().unwrap()),
            token: place.mails_to("eve@example.com").pop().unwrap().token,
            place,
        }
    }

    /// Method, path and headers of every request that has a JSON body.
    fn writers(&self) -> Vec<Value> {
        let path = |path: &str| json!({ "method": "POST", "path": path });
        let patch =
            json!({ "method": "PATCH", "path": self.confirmed, "headers": { "if-match": "*" } });
        let paths = [
            "/signup",
            "/signup/resend",
            "/confirm",
            "/profiles",
            "/imports",
        ];
        let mut writers = paths.map(path).to_vec();
        writers.push(patch);
        writers
    }

    /// What has these bodies of a person, each of which breaks a rule.
    fn of_person(&self, bodies: Vec<Value>) -> Vec<(Value, Expected)> {
        let mut writers = self.writers();
        writers
            .retain(|request| request["path"] != "/signup/resend" && request["path"] != "/confirm");
        let attack = |body: Value| {
            let requests = writers.iter();
            requests.map(move |request| (with(request, body.clone()), INVALID))
        };
        bodies.into_iter().flat_map(attack).collect()
    }

    /// Sends all of them: nothing is written, nor is anybody written to.
    async fn withstands(&self, attacks: impl IntoIterator<Item = (Value, Expected)>) {
        let before = self.place.items();
        self.place.calls();
        for (request, expected) in attacks {
            let what = format!("{:.300}", request.to_string());
            let answer = self.place.request(request).await;
            check(&answer, expected, &what);
            for call in self.place.calls() {
                let reads = ["DynamoDb.GetItem", "DynamoDb.Query"];
                // A condition may be tried, if it does not hold.
                let harmless = reads.contains(&&*call.operation) || call.status == 400;
                assert!(harmless, "{what}: {call}");
            }
        }
        assert_eq!(self.place.items(), before);
    }
}

fn check(answer: &Answer, expected: Expected, what: &str) {
    let text = answer.text();
    match expected {
        Problem(status, kind) => {
            let found = (answer.status(), answer.problem());
            assert_eq!(found, (status, kind), "{what}: {text}");
            let media_type = answer.header("content-type");
            assert_eq!(media_type, Some("application/problem+json"), "{what}");
            assert_eq!(answer.body()["status"], status, "{what}");
            assert!(!text.contains(char::is_control), "{what}: {text:?}");
        }
        NotAllowed(methods) => {
            check(answer, Problem(405, "method-not-allowed"), what);
            assert_eq!(answer.header("allow"), Some(methods), "{what}");
        }
        Page(status) => {
            assert_eq!(answer.status(), status, "{what}: {text}");
            for (name, value) in HEADERS {
                let found = answer.header(name).unwrap_or_default();
                assert!(found.starts_with(value), "{what}: {name}: {found}");
            }
            assert!(!text.contains("<script"), "{what}: {text}");
        }
        Nobody => {
            assert_eq!(answer.status(), 200, "{what}: {text}");
            let nobody = json!({ "items": [], "next_cursor": null });
            assert_eq!(*answer.body(), nobody, "{what}");
        }
    }
    for inside in INSIDES.into_iter().chain([MARK]) {
        assert!(!text.contains(inside), "{what}: {text}");
    }
}

fn with(request: &Value, body: impl Into<Value>) -> Value {
    let mut request = request.clone();
    request["body"] = body.into();
    request
}

/// The request with a body that says to be of a type.
fn typed(request: &Value, media_type: &str) -> Value {
    let mut request = with(request, json!({ "x": MARK }));
    request["headers"]["content-type"] = media_type.into();
    request
}

fn post(path: &str, body: impl Into<Value>) -> Value {
    json!({ "method": "POST", "path": path, "body": body.into() })
}

fn get(path: impl Into<String>) -> Value {
    json!({ "method": "GET", "path": path.into() })
}

#[tokio::test(start_paused = true)]
async fn what_is_no_json_object_is_malformed_everywhere() {
    let target = Target::new().await;
    let person = |more: &str| format!(r#"{{"email": "x@example.com", "name": "{MARK}"{more}"#);
    let bodies = [
        String::new(),
        " ".to_owned(),
        "null".to_owned(),
        "7".to_owned(),
        format!("\"{MARK}\""),
        "[]".to_owned(),
        format!("[{}]", person("}")),
        MARK.to_owned(),
        person(""),
        person(",}"),
        person("}}"),
        person("} x"),
        person("}{}"),
        person("} // comment"),
        person("/* comment */}"),
        format!("\u{feff}{}", person("}")),
        format!("\0{}", person("}")),
        person(r#", "name": "Ada"}"#),
        person(r#", "\u006eame": "Ada"}"#),
        person(r#", "attributes": {"a": "1", "a": "2"}}"#),
        person(r#", "a": NaN}"#),
        person(r#", "a": -Infinity}"#),
        person(r#", "a": 1e999}"#),
        person(r#", "a": 01}"#),
        person(r#", "a": +1}"#),
        person(r#", "a": 0x1F}"#),
        person(&format!(r#", "a": {}}}"#, "9".repeat(400))),
        person(r#", "a": "\ud800"}"#),
        person(r#", "a": "\udc00\ud800"}"#),
        person(r#", "\ud800": "a"}"#),
        person(r#", "a": "\x00"}"#),
        person(", \"a\": \"\0\"}"),
        person(", \"a\": \"\r\n\"}"),
        person(", a: 1}"),
        person(", 'a': 'b'}"),
        "{".repeat(10_000),
        "[".repeat(10_000),
        format!("{}{}", "[".repeat(8_000), "]".repeat(8_000)),
        person(&format!(r#", "attributes": {}"#, r#"{"a":"#.repeat(3_000))),
    ];
    let writers = target.writers();
    let attacks = bodies.iter().flat_map(|body| {
        let writers = writers.iter();
        writers.map(move |request| (with(request, body.as_str()), MALFORMED))
    });
    target.withstands(attacks).await;
}

/// A person, but for what is given.
fn person(more: Value) -> Value {
    let mut person = json!({ "email": "x@example.com", "name": MARK, "attributes": { "a": MARK } });
    for (name, value) in more.as_object().unwrap() {
        person[name] = value.clone();
    }
    person
}

#[tokio::test(start_paused = true)]
async fn a_field_of_another_type_is_invalid() {
    let target = Target::new().await;
    let others = json!([true, 7, 1e300, [MARK], { "a": MARK }]);
    let others = others.as_array().unwrap();
    let mut bodies = Vec::new();
    for other in others.iter().chain([&Value::Null]) {
        bodies.push(person(json!({ "email": other })));
        bodies.push(person(json!({ "attributes": { "a": { "b": other } } })));
        bodies.push(person(json!({ "<script>": other })));
        bodies.push(person(json!({ "captcha": other })));
    }
    for other in others {
        bodies.push(person(json!({ "name": other })));
        bodies.push(person(json!({ "locale": other })));
    }
    for other in [json!(true), json!(7), json!([MARK]), json!(MARK), json!("")] {
        bodies.push(person(json!({ "attributes": other })));
        bodies.push(person(json!({ "attributes": { "a": [other] } })));
    }
    for unknown in ["id", "status", "EMAIL", "__proto__", "email\0", ""] {
        bodies.push(person(json!({ unknown: MARK })));
    }
    let mut attacks = target.of_person(bodies);
    for other in others.iter().chain([&Value::Null]) {
        let email = json!({ "email": other });
        attacks.push((post("/signup/resend", email), INVALID));
        let token = json!({ "token": other });
        attacks.push((post("/confirm", token), INVALID));
    }
    for path in ["/signup", "/profiles"] {
        for field in ["name", "attributes"] {
            let attack = post(path, person(json!({ field: { "a": null } })));
            attacks.push((attack, INVALID));
        }
        attacks.push((post(path, person(json!({ "name": null }))), INVALID));
        attacks.push((post(path, person(json!({ "locale": null }))), INVALID));
        attacks.push((post(path, json!({})), INVALID));
    }
    target.withstands(attacks).await;
}

#[tokio::test(start_paused = true)]
async fn what_no_person_is_called_is_invalid() {
    let target = Target::new().await;
    let emails = [
        "",
        "ada",
        "ada@",
        "ada@localhost",
        "ada@@example.com",
        "ada@[127.0.0.1]",
        "\"ada b\"@example.com",
        "Ada <ada@example.com>",
        "a@example.com,b@example.com",
        "ada(x)@example.com",
        "ada@example.com\0",
        "a\0da@example.com",
        "ada@example.com\r\nBcc: all@example.com",
        "ada@example.com%0d%0aBcc: all@example.com",
        "a\u{202e}da@example.com",
        "a\u{2066}da@example.com",
        "ada@exam\u{202e}ple.com",
        "ada@exam\u{200b}ple.com",
        "a\u{200b}da@example.com",
        "a\u{feff}da@example.com",
        "a\u{ad}da@example.com",
        "a\u{2028}da@example.com",
        "a\u{85}da@example.com",
        "ada@-example.com",
        "ada@xn--a.com",
        &format!(
            "{}@{}ccc.com",
            "a".repeat(64),
            format!("{}.", "b".repeat(60)).repeat(3)
        ),
        &format!("{}@example.com", "a".repeat(65)),
        &format!("{}@example.com", "a".repeat(10_000)),
    ];
    let mut bodies = emails
        .map(|email| person(json!({ "email": email })))
        .to_vec();
    for name in [
        "",
        " \t\u{a0}\u{2003}",
        "Ada\0",
        "Ada\r\nBcc: all@example.com",
        "Ada\nSubject: free",
        "Ada\u{7f}",
        "Ada\u{1b}[31m",
        "Ada\u{9b}31m",
        "Ada\u{85}Eve",
        "Ada\u{2028}Eve",
        "Ada\u{2029}Eve",
        "Ada\u{202e}cod.exe",
        "Ada\u{2067}Eve",
        &"x".repeat(201),
        &"\u{1f984}".repeat(201),
        &format!("a{}", "\u{301}".repeat(200)),
        &"x".repeat(10_000),
    ] {
        bodies.push(person(json!({ "name": name })));
    }
    for name in [
        "",
        " a",
        "a\r\nb",
        "a\0",
        "a\u{202e}",
        &"x".repeat(65),
        &"\u{301}".repeat(65),
    ] {
        bodies.push(person(json!({ "attributes": { name: MARK } })));
    }
    for value in [
        "\0",
        &format!("{MARK}\0"),
        &"x".repeat(1025),
        &"\u{301}".repeat(513),
    ] {
        bodies.push(person(json!({ "attributes": { "a": value } })));
    }
    for locale in [
        "",
        " de",
        "de ",
        "de_AT",
        "de-",
        "deutsch",
        "../de",
        "de/../../etc/passwd",
        "..\\de",
        "de\0",
        "de\0-AT",
        "de\r\nBcc: all@example.com",
        "\u{202e}de",
        "de\u{202e}-AT",
        "de\u{200b}",
        "d\u{e9}",
        "\u{ff44}\u{ff45}",
        "de-AT-x-hunter2",
        "de;q=1",
        "*",
        "<script>",
        "{{ mail.url }}",
        &format!("de{}", "-variant".repeat(5)),
        &"de-".repeat(5_000),
    ] {
        bodies.push(person(json!({ "locale": locale })));
    }
    let many: serde_json::Map<_, _> = (0..51).map(|n| (format!("n{n}"), json!(MARK))).collect();
    bodies.push(person(json!({ "attributes": many })));
    let mut attacks = target.of_person(bodies);
    for email in emails {
        attacks.push((post("/signup/resend", json!({ "email": email })), INVALID));
    }
    target.withstands(attacks).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_has_a_size_and_a_type() {
    let target = Target::new().await;
    let mut attacks = Vec::new();
    for request in target.writers() {
        let of_size = |size| format!("{{\"x\": \"{}\"}}", "x".repeat(size - 9));
        attacks.push((with(&request, of_size(MAX_BODY)), INVALID));
        attacks.push((with(&request, of_size(MAX_BODY + 1)), TOO_LARGE));
        attacks.push((with(&request, " ".repeat(1_000_000)), TOO_LARGE));
        for media_type in [
            "",
            ";",
            "*/*",
            "text/plain",
            "multipart/form-data; boundary=x",
            "application/json-patch+json",
            "application/jsonx",
            "application/json, text/plain",
        ] {
            attacks.push((typed(&request, media_type), WRONG_TYPE));
        }
        for media_type in ["APPLICATION/JSON", "application/json;charset=x"] {
            attacks.push((typed(&request, media_type), INVALID));
        }
    }
    for path in ["/signup", "/profiles"] {
        for media_type in [
            "application/x-www-form-urlencoded",
            "application/merge-patch+json",
        ] {
            attacks.push((typed(&post(path, ""), media_type), WRONG_TYPE));
        }
    }
    target.withstands(attacks).await;
}

#[tokio::test(start_paused = true)]
async fn a_path_has_one_spelling() {
    let target = Target::new().await;
    let id = &target.confirmed["/profiles/".len()..];
    let paths = "/ /nowhere /admin /.git/config /%00 // //profiles /profiles/ /profiles// /Profiles \
        /profiles/../health /./profiles /profiles/..%2fhealth /profiles/%2e%2e%2fhealth \
        /profiles/..%5chealth /imports/..%2f.. /profiles/%00 /profiles/%ff /profiles/% \
        /profiles/%zz /profiles/* /profiles/null /profiles/-1 /profiles/%F0%9F%A6%84 \
        /profiles/PROFILE%23x /imports/%00 /confirm/x /confirm/../not-me/x /signup/ /health/";
    let mut paths: Vec<_> = paths.split_whitespace().map(str::to_owned).collect();
    paths.extend([
        format!("/profiles/{NOBODY}"),
        format!("/imports/{NOBODY}"),
        format!("/imports/{id}"),
        format!("/profiles/{}", id.to_uppercase()),
        format!("/profiles/{{{id}}}"),
        format!("/profiles/%7B{id}%7D"),
        format!("/profiles/urn:uuid:{id}"),
        format!("/profiles/{}", id.replace('-', "")),
        format!("/profiles/{id}/"),
        format!("/profiles/{id}%00"),
        format!("/profiles/{id}%2f"),
        format!("/profiles/%20{id}"),
        format!("/profiles/{id}/notes"),
        format!("/profiles/{id}%23MAIL"),
        format!("/profiles/{}", "a".repeat(60_000)),
    ]);
    let mut attacks: Vec<_> = paths.into_iter().map(|path| (get(path), ABSENT)).collect();
    for method in ["PATCH", "DELETE"] {
        for id in [NOBODY, "x", "%00", "%ff", &id.to_uppercase()] {
            let path = format!("/profiles/{id}");
            let headers = json!({ "if-match": "*" });
            let request = json!({ "method": method, "path": path, "headers": headers, "body": {} });
            attacks.push((request, ABSENT));
        }
    }
    for action in ["start", "cancel", "resume"] {
        for id in [NOBODY, "x", "%00", "..", &id.to_uppercase()] {
            attacks.push((post(&format!("/imports/{id}/{action}"), ""), ABSENT));
        }
    }
    for id in [NOBODY, "x", "%00"] {
        attacks.push((get(format!("/imports/{id}/errors")), ABSENT));
    }
    target.withstands(attacks).await;
}

#[tokio::test(start_paused = true)]
async fn an_import_has_its_options_and_no_others() {
    let target = Target::new().await;
    let mut attacks = Vec::new();
    let others = json!([
        null,
        7,
        [],
        {},
        "",
        " ",
        MARK,
        "SKIP",
        "Update",
        "skip ",
        "true"
    ]);
    for field in [
        "on_conflict",
        "confirm",
        "dry_run",
        "start",
        "key",
        "status",
    ] {
        for other in others.as_array().unwrap() {
            attacks.push((post("/imports", json!({ field: other })), INVALID));
        }
    }
    let resume = format!("/imports/{NOBODY}/resume");
    let others = json!([
        null,
        7,
        [],
        {},
        MARK,
        [MARK],
        [null],
        [-1],
        [1.5],
        [4_294_967_296_u64],
        [[1]]
    ]);
    for other in others.as_array().unwrap() {
        attacks.push((post(&resume, json!({ "chunks": other })), INVALID));
    }
    attacks.push((post(&resume, json!({ "chunk": [1] })), INVALID));
    for malformed in [
        " ",
        "null",
        "[1]",
        "7",
        MARK,
        r#"{"chunks": [1], "chunks": [2]}"#,
    ] {
        attacks.push((post(&resume, malformed), MALFORMED));
    }
    attacks.push((typed(&post(&resume, ""), "text/plain"), WRONG_TYPE));
    attacks.push((post(&resume, " ".repeat(MAX_BODY + 1)), TOO_LARGE));
    for key in ["", "\u{e9}", &"k".repeat(256)] {
        let headers = json!({ "idempotency-key": key });
        let request =
            json!({ "method": "POST", "path": "/imports", "headers": headers, "body": {} });
        attacks.push((request, MALFORMED));
    }
    target.withstands(attacks).await;
}

#[tokio::test(start_paused = true)]
async fn a_query_is_read_in_one_way() {
    let target = Target::new().await;
    let cursor = |text: &str| format!("cursor={}", URL_SAFE_NO_PAD.encode(text));
    let time = "2026-11-24T08:00:00.000Z";
    let of_both = "limit= limit=0 limit=-1 limit=101 limit=1.5 limit=1e1 limit=0x10 limit=NaN \
        limit=%00 limit=%D9%A3 limit=1&limit=2 limit=1&limit=1 limit[]=1 Limit=1 colour=red \
        %00=1 %ff=1 %3Cscript%3E=1 = cursor= cursor=! cursor=%00 cursor=AAAA&cursor=AAAA";
    let of_profiles = "status= status=erasing status=CONFIRMED status=confirmed%00 status=* \
        status=confirmed%27%20OR%201=1-- status=confirmed&status=pending name=Ada email= email=* \
        email=%25 email=*@* email=%00@example.com email=%ff@example.com email[$ne]=x \
        email=ada@example.com%0d%0aBcc:%20x@example.com email=%22%20OR%201=1--%22@example.com \
        email=ada@example.com&email=eve@example.com";
    let of_imports = "status=confirmed email=ada@example.com";
    let of_nobody = "email=*@example.com email=%25@example.com email='@example.com \
        email=ad%3F@example.com";
    let long = [
        format!("limit={}", "9".repeat(400)),
        cursor(MARK),
        cursor("{\"pk\": \"SECRET#rates\"}"),
        format!("cursor={}", URL_SAFE_NO_PAD.encode([0xff; 61])),
        cursor(&format!("{time}#")),
        cursor(&format!("{time}#\0")),
        cursor(&format!("{time}#{NOBODY}\0")),
        cursor(&format!("{time}#{NOBODY}x")),
        cursor(&format!(
            "{time}#{}",
            NOBODY.to_uppercase().replace('0', "A")
        )),
        cursor(&format!("{time}+{NOBODY}")),
        cursor(&format!("{}#{NOBODY}", "x".repeat(24))),
        cursor(&format!("{}#{NOBODY}", "\u{e9}".repeat(12))),
        cursor(&format!("2026-11-24T08:00:00.\0\0\0Z#{NOBODY}")),
        format!("{}%3D%3D", cursor(&format!("{time}#{NOBODY}"))),
        cursor(&format!("{time}#{}", "x".repeat(2_000))),
        // Nearly as long as an address can be; the gateway stops at 10 kB.
        cursor(&format!("{time}#{}", "x".repeat(45_000))),
    ];
    let mut attacks = Vec::new();
    let mut on = |path: &str, query: &str, expected| {
        attacks.push((get(format!("{path}?{query}")), expected));
    };
    for query in of_both
        .split_whitespace()
        .chain(long.iter().map(String::as_str))
    {
        on("/profiles", query, INVALID);
        on("/imports", query, INVALID);
    }
    for query in of_profiles.split_whitespace() {
        on("/profiles", query, INVALID);
    }
    for query in of_imports.split_whitespace() {
        on("/imports", query, INVALID);
    }
    for query in of_nobody.split_whitespace() {
        on("/profiles", query, Nobody);
    }
    target.withstands(attacks).await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_method_is_told_the_right_ones() {
    let target = Target::new().await;
    let routes = [
        ("/health", "GET,HEAD"),
        ("/openapi.json", "GET,HEAD"),
        ("/signup", "POST"),
        ("/signup/resend", "POST"),
        ("/confirm", "GET,HEAD,POST"),
        ("/not-me", "GET,HEAD,POST"),
        ("/profiles", "GET,HEAD,POST"),
        (&target.confirmed, "GET,HEAD,PATCH,DELETE"),
        ("/imports", "GET,HEAD,POST"),
        (&format!("/imports/{NOBODY}"), "GET,HEAD"),
        (&format!("/imports/{NOBODY}/start"), "POST"),
        (&format!("/imports/{NOBODY}/cancel"), "POST"),
        (&format!("/imports/{NOBODY}/resume"), "POST"),
        (&format!("/imports/{NOBODY}/errors"), "GET,HEAD"),
    ];
    let methods = "GET POST PUT PATCH DELETE OPTIONS TRACE CONNECT QUERY get M-SEARCH HUNT";
    let attacks = routes.iter().flat_map(|(path, allowed)| {
        let wrong = methods
            .split(' ')
            .filter(|one| !allowed.split(',').any(|known| known == *one));
        wrong.map(move |method| {
            let request = json!({ "method": method, "path": path, "body": person(json!({})) });
            (request, NotAllowed(allowed))
        })
    });
    target.withstands(attacks).await;
}

#[tokio::test(start_paused = true)]
async fn a_precondition_or_a_key_that_is_none_is_malformed() {
    let target = Target::new().await;
    let long = "k".repeat(256);
    let mut attacks = Vec::new();
    let no_tags = [
        "",
        ",",
        "2",
        "'2'",
        "\"2",
        "\"\"\"",
        "w/\"2\"",
        "W/2",
        "**",
        "*, \"2\"",
        "\"2\" \"2\"",
        "\"a b\"",
    ];
    let others = [
        "\"1\"",
        "\"1\",",
        "\"1,2\"",
        "\"02\"",
        "\"\u{e9}\"",
        "\"\"",
        "W/\"2\"",
    ];
    let no_tags = no_tags.iter().map(|tag| (tag, MALFORMED));
    for (tag, expected) in no_tags.chain(others.iter().map(|tag| (tag, CHANGED))) {
        for (method, body) in [("PATCH", json!({ "name": MARK })), ("DELETE", Value::Null)] {
            let headers = json!({ "if-match": tag });
            let request = json!({ "method": method, "path": target.confirmed, "headers": headers, "body": body });
            attacks.push((request, expected));
        }
    }
    let request = json!({ "method": "PATCH", "path": target.confirmed, "body": { "name": MARK } });
    attacks.push((request, Problem(428, "precondition-required")));
    for key in ["", " ", "\u{e9}", "\u{1f511}", &long] {
        let headers = json!({ "idempotency-key": key });
        let request = json!({ "method": "POST", "path": "/profiles", "headers": headers, "body": person(json!({})) });
        attacks.push((request, MALFORMED));
    }
    target.withstands(attacks).await;
}

#[tokio::test(start_paused = true)]
async fn a_link_that_was_tampered_with_opens_nothing() {
    let target = Target::new().await;
    let token = &target.token;
    let (id, secret) = (&token[..36], token.rsplit('.').next().unwrap());
    let tokens = [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        MARK.to_owned(),
        format!("{token}A"),
        format!("{token}-"),
        format!("x{token}."),
        format!("{token}.{token}"),
        token[..token.len() - 1].to_owned(),
        token.to_uppercase(),
        token.replacen(".1.", ".01.", 1),
        token.replacen(".1.", ".+1.", 1),
        token.replacen(".1.", ".2.", 1),
        token.replacen(".1.", ".0.", 1),
        token.replacen(".1.", ".-1.", 1),
        token.replacen(".1.", ".4294967296.", 1),
        token.replacen(".1.", "..", 1),
        token.replacen('.', "\0", 1),
        format!("{NOBODY}.1.{secret}"),
        format!("{}.1.{secret}", &target.confirmed["/profiles/".len()..]),
        format!("{id}.1.{}", "A".repeat(43)),
        format!("{id}.1."),
        format!("{id}.1.<script>"),
        format!("\u{202e}{}", token.chars().rev().collect::<String>()),
        format!("{token}{}", "A".repeat(4_000)),
    ];
    let mut attacks = Vec::new();
    let mut form = |path: &str, body: String, expected| {
        let headers = json!({ "content-type": "application/x-www-form-urlencoded" });
        let request = json!({ "method": "POST", "path": path, "headers": headers, "body": body });
        attacks.push((request, expected));
    };
    for path in ["/confirm", "/not-me"] {
        for token in &tokens {
            form(path, encoded(token), Page(404));
        }
        for body in [
            String::new(),
            "&&&".to_owned(),
            "token".to_owned(),
            "token=%ff".to_owned(),
            "token=%zz".to_owned(),
            format!("Token={token}"),
            format!("token[]={token}"),
            format!("token=x&token={token}"),
            format!("token={token}&token=x"),
            format!("{{\"token\": \"{token}\"}}"),
            format!("token={}", "x".repeat(MAX_BODY - 6)),
        ] {
            form(path, body, Page(404));
        }
        let long = format!("token={}", "x".repeat(MAX_BODY - 5));
        form(path, long, TOO_LARGE);
    }
    let header = "ada@example.com\r\nBcc: x@example.com";
    for email in ["", "ada", header, "a\0@example.com", &"x".repeat(4_000)] {
        let body = encoded(email).replacen("token", "email", 1);
        form("/signup/resend", body, Page(422));
    }
    for token in &tokens {
        let query = encoded(token);
        attacks.push((get(format!("/confirm?{query}")), Page(404)));
        attacks.push((get(format!("/not-me?{query}")), Page(404)));
        attacks.push((post("/confirm", json!({ "token": token })), ABSENT));
        attacks.push((post("/not-me", json!({ "token": token })), WRONG_TYPE));
    }
    let queries = [
        "",
        "?",
        "?token",
        "?token=%ff",
        "?token=x&token=y",
        "?Token=x",
        "?token=%3Cscript%3E",
    ];
    for query in queries {
        attacks.push((get(format!("/confirm{query}")), Page(404)));
        attacks.push((get(format!("/not-me{query}")), Page(404)));
    }
    target.withstands(attacks).await;
}

fn encoded(token: &str) -> String {
    let bytes = token.bytes().map(|byte| format!("%{byte:02x}"));
    format!("token={}", bytes.collect::<String>())
}

#[tokio::test(start_paused = true)]
async fn an_operator_whom_the_gateway_does_not_name_is_forbidden() {
    let target = Target::new().await;
    let routes = [
        ("POST", "/profiles"),
        ("GET", "/profiles"),
        ("GET", "/profiles?limit=x"),
        ("GET", &target.confirmed),
        ("PATCH", &target.confirmed),
        ("DELETE", &target.confirmed),
        ("DELETE", "/profiles/x"),
        ("GET", "/imports"),
        ("POST", "/imports"),
        ("GET", "/imports/x"),
        ("POST", "/imports/x/start"),
        ("POST", "/imports/x/cancel"),
        ("POST", "/imports/x/resume"),
        ("GET", "/imports/x/errors"),
    ];
    let attacks = routes.map(|(method, path)| {
        let headers = json!({ "if-match": "*" });
        let request = json!({ "method": method, "path": path, "operator": "", "headers": headers, "body": person(json!({})) });
        (request, FORBIDDEN)
    });
    target.withstands(attacks).await;
}
