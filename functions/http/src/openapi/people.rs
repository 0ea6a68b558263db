//! The values that a person and a profile are made of. Their types are
//! muster-core's, which knows nothing of OpenAPI, so they are described here;
//! the numbers are its own.

use muster_core::people::email::MAX_EMAIL_BYTES;
use muster_core::people::locale::MAX_VARIANTS;
use muster_core::people::person::{
    MAX_ATTRIBUTE_NAME_CHARS, MAX_ATTRIBUTE_VALUE_BYTES, MAX_ATTRIBUTES, MAX_ATTRIBUTES_BYTES,
    MAX_NAME_CHARS,
};
use muster_core::people::source::Source;
use muster_core::people::undeliverable::Cause;
use serde_json::json;
use utoipa::openapi::Schema;
use utoipa::openapi::schema::{
    AdditionalProperties, ObjectBuilder, SchemaFormat, SchemaType, Type,
};

use super::values::{choice, string};
use muster_core::people::profile::LISTED;

/// The pattern of a name. The limit is in it, and not beside it, because the
/// white space around a name does not count. That a name has a letter is said in
/// words only: `\p{L}` is not known to every tool.
fn name_pattern() -> String {
    let inner = MAX_NAME_CHARS - 2;
    format!(
        r"^[\s\u0085]*[^\s{FORBIDDEN}](?:[^{FORBIDDEN}]{{0,{inner}}}[^\s{FORBIDDEN}])?[\s\u0085]*$"
    )
}

/// The pattern of an attribute's name: no white space around it.
fn attribute_name_pattern() -> String {
    format!(r"^[^\s{FORBIDDEN}](?:[^{FORBIDDEN}]*[^\s{FORBIDDEN}])?$")
}

/// The pattern of a language tag: how long it can be follows from it.
fn locale_pattern() -> String {
    let (script, region) = ("[A-Za-z]{4}", "[A-Za-z]{2}|[0-9]{3}");
    let variant = "[A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}";
    format!(
        "^[A-Za-z]{{2,3}}(?:-{script})?(?:-(?:{region}))?(?:-(?:{variant})){{0,{MAX_VARIANTS}}}$"
    )
}

/// The pattern of an attribute's value: anything but NUL.
const ATTRIBUTE_VALUE: &str = r"^[^\u0000]*$";

/// What neither of the names holds: control characters, line ends, and what turns
/// text around. Inside a class of a pattern.
pub const FORBIDDEN: &str = r"\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069";

crate::values! {
    /// [`muster_core::people::email::Email`]
    EmailAddress: email_address(),
    /// [`muster_core::people::person::Name`]
    Name: name(),
    /// [`muster_core::people::locale::Locale`]
    Locale: locale(),
    /// [`muster_core::people::person::Attributes`]
    Attributes: attributes(attribute_value(Type::String)),
    /// [`muster_core::people::profile::ProfileStatus`]
    ProfileStatus: profile_status(),
    /// [`muster_core::people::undeliverable::Cause`]
    UndeliverableCause: undeliverable_cause(),
    /// [`muster_core::people::source::Source`]
    ProfileSource: profile_source(),
}

fn email_address() -> ObjectBuilder {
    string()
        .format(Some(SchemaFormat::Custom("idn-email".to_owned())))
        .min_length(Some(1))
        .max_length(Some(MAX_EMAIL_BYTES))
        .examples([json!("ada@example.com")])
        .description(Some(format!(
            "An address of the form `name@example.com`, of at most {MAX_EMAIL_BYTES} bytes in \
             UTF-8. White space around it is dropped, and letters that can be typed in two ways \
             get one spelling (Unicode NFC). Apart from that it is kept, shown and written to as \
             it was typed.\n\n\
             International addresses are taken. The domain must have a dot. Not taken: quoted \
             names (`\"a b\"@example.com`), IP addresses for domains, display names \
             (`Ada <ada@example.com>`).\n\n\
             Two addresses are the same person's if they are equal in lower case, with the domain \
             in its ASCII form (IDNA): `Ada@Bücher.example` and `ada@xn--bcher-kva.example` are. \
             Dots and `+tags` make another address: what they mean is the provider's business."
        )))
}

fn name() -> ObjectBuilder {
    string()
        .min_length(Some(1))
        .pattern(Some(name_pattern()))
        .examples([json!("Ada Lovelace")])
        .description(Some(format!(
            "One line of 1 to {MAX_NAME_CHARS} characters in any alphabet, at least one of them a \
             letter or a digit; no control characters, and none that turn text around. White space \
             around it is dropped."
        )))
}

fn locale() -> ObjectBuilder {
    string()
        .pattern(Some(locale_pattern()))
        .examples([json!("de"), json!("en-GB"), json!("zh-Hant-TW")])
        .description(Some(format!(
            "The language that somebody is written to in: a tag of BCP 47, of language, script, \
             region and at most {MAX_VARIANTS} variants. Its case does not count, and is made \
             the usual one.\n\n\
             Mails are in English (`en…`) and German (`de…`); for any other language, and for \
             none, they are in the deployment's own."
        )))
}

/// Names with values of that kind.
pub fn attributes(value: ObjectBuilder) -> ObjectBuilder {
    let name = string()
        .min_length(Some(1))
        .max_length(Some(MAX_ATTRIBUTE_NAME_CHARS))
        .pattern(Some(attribute_name_pattern()))
        .description(Some(
            "One line, without white space around it and without control characters.",
        ));
    ObjectBuilder::new()
        .property_names(Some(Schema::from(name)))
        .additional_properties(Some(AdditionalProperties::from(Schema::from(value))))
        .max_properties(Some(MAX_ATTRIBUTES))
        .examples([json!({ "city": "London", "plan": "basic" })])
        .description(Some(format!(
            "Whatever else is known: names and values, both text. At most {MAX_ATTRIBUTES} of \
             them; a value has at most {MAX_ATTRIBUTE_VALUE_BYTES} bytes in UTF-8, all names and \
             values together at most {MAX_ATTRIBUTES_BYTES}."
        )))
}

/// The value of an attribute, or what a patch has in its place.
pub fn attribute_value(types: impl Into<SchemaType>) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(types)
        .max_length(Some(MAX_ATTRIBUTE_VALUE_BYTES))
        .pattern(Some(ATTRIBUTE_VALUE))
}

fn profile_status() -> ObjectBuilder {
    use muster_core::people::profile::ProfileStatus::{Confirmed, Erasing, Pending};
    choice(LISTED.map(|status| {
        let meaning = match status {
            Pending => "nobody has shown yet that the address is theirs",
            Confirmed => "the owner of the address has confirmed it",
            Erasing => "being removed, and not shown",
        };
        (status.as_str(), meaning)
    }))
}

fn undeliverable_cause() -> ObjectBuilder {
    choice(
        [Cause::Bounced, Cause::Complained, Cause::Suppressed].map(|cause| {
            let meaning = match cause {
                Cause::Bounced => "a mail came back for good",
                Cause::Complained => "a mail was reported as spam",
                Cause::Suppressed => "SES has the address on a suppression list, and did not try",
            };
            (cause.as_str(), meaning)
        }),
    )
}

fn profile_source() -> ObjectBuilder {
    choice(
        [Source::Signup, Source::Operator, Source::Import].map(|source| match source {
            Source::Signup => ("signup", "the person signed up"),
            Source::Operator => ("operator", "`POST /profiles`"),
            Source::Import => ("import", "it was a row of a CSV file"),
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::people::locale::Locale;
    use muster_core::people::person::{Attributes, Name};
    use regex::Regex;

    /// What a pattern and a parser do not agree on, among texts with each
    /// character up to where the classes of the patterns end.
    fn disagreements(pattern: &str, parses: impl Fn(&str) -> bool) -> Vec<String> {
        let pattern = Regex::new(pattern).unwrap();
        ('\0'..'\u{3100}')
            .flat_map(|c| {
                [
                    format!("a{c}a"),
                    format!("{c}a"),
                    format!("a{c}"),
                    format!("{c}a{c}"),
                ]
            })
            .filter(|text| pattern.is_match(text) != parses(text))
            .collect()
    }

    #[test]
    fn the_patterns_are_what_the_parsers_take() {
        let nothing: [String; 0] = [];
        let name = disagreements(&name_pattern(), |text| Name::parse(text).is_ok());
        assert_eq!(name, nothing);
        let attribute = |name: &str, value: &str| {
            Attributes::parse([(name.to_owned(), value.to_owned())]).is_ok()
        };
        let names = disagreements(&attribute_name_pattern(), |text| attribute(text, ""));
        assert_eq!(names, nothing);
        let locale = |text: &str| Locale::parse(text).is_ok();
        assert_eq!(disagreements(&locale_pattern(), locale), nothing);
        let values = disagreements(ATTRIBUTE_VALUE, |text| attribute("a", text));
        assert_eq!(values, nothing);
    }

    #[test]
    fn a_locale_is_made_of_what_its_pattern_says() {
        let pattern = Regex::new(&locale_pattern()).unwrap();
        let subtags = [
            "",
            "d",
            "DE",
            "deu",
            "Latn",
            "419",
            "1996",
            "1a",
            "a996",
            "rozaj",
            "valencia",
            "toolonger",
        ];
        let mut texts = subtags.map(str::to_owned).to_vec();
        let (mut taken, mut refused) = (0, 0);
        for _ in 0..5 {
            for text in &texts {
                let parsed = Locale::parse(text).is_ok();
                assert_eq!(pattern.is_match(text), parsed, "{text}");
                *(if parsed { &mut taken } else { &mut refused }) += 1;
            }
            let longer = |text| subtags.map(|subtag| format!("{text}-{subtag}"));
            texts = texts.iter().flat_map(longer).collect();
        }
        assert!(taken > 100 && refused > 1000, "{taken}, {refused}");
    }

    #[test]
    fn a_name_is_as_long_as_its_pattern_says() {
        let pattern = Regex::new(&name_pattern()).unwrap();
        for length in [1, 2, MAX_NAME_CHARS, MAX_NAME_CHARS + 1] {
            let name = format!("\t{}\n ", "ü".repeat(length));
            assert_eq!(
                pattern.is_match(&name),
                Name::parse(&name).is_ok(),
                "{length}"
            );
        }
    }
}
