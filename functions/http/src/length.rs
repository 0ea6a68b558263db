//! How much of Lambda's limit an answer takes.

use std::io;

use serde::Serialize;

/// What Lambda takes of an answer is 6,291,556 bytes; this leaves some for headers.
pub const MAX_ANSWER_BYTES: usize = 6_200_000;

/// How many bytes something has on its way through Lambda: JSON, as a text in JSON.
/// (What is not ASCII stays as it is; control characters are escaped already.)
///
/// # Errors
/// When it cannot be written as JSON.
pub fn answer_length(of: &impl Serialize) -> Result<usize, serde_json::Error> {
    struct Length(usize);
    impl io::Write for Length {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let escaped = bytes.iter().filter(|byte| br#""\"#.contains(byte));
            self.0 += bytes.len() + escaped.count();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut length = Length(0);
    serde_json::to_writer(&mut length, of)?;
    Ok(length.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_is_a_text_in_json() {
        for value in [json!({ "a": "b" }), json!("\u{1}\n\"\\ü"), json!([1, null])] {
            let body = value.to_string();
            let on_its_way = serde_json::to_string(&body).unwrap();
            // Without the quotes around the text.
            assert_eq!(
                answer_length(&value).unwrap(),
                on_its_way.len() - 2,
                "{body}"
            );
        }
    }
}
