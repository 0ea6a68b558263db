//! Multipart uploads as S3 takes them: s3s-fs knows neither their checksums nor
//! what S3 refuses.
//!
//! | refused | as |
//! | --- | --- |
//! | a part with a checksum of another algorithm than the upload was created with | `InvalidRequest` |
//! | a completion without the checksum of a part, if the upload was created with an algorithm | `InvalidRequest` |
//! | a completion with another tag or checksum than a part's, or without the part | `InvalidPart` |
//! | parts out of order | `InvalidPartOrder` |
//! | a part under 5 MiB that is not the last | `EntityTooSmall` |
//! | whatever is asked of an upload that is complete or aborted | `NoSuchUpload` |
//!
//! The words of the first two are those that apache/opendal#4533 and
//! apache/arrow-rs-object-store#568 quote of S3.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};

/// The smallest part that is not the last.
const SMALLEST_PART: usize = 5 * 1024 * 1024;
/// The checksums that S3 knows, as headers and elements have them.
const ALGORITHMS: [&str; 5] = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"];

/// The uploads that are under way.
#[derive(Debug)]
pub struct Uploads {
    open: BTreeMap<String, Upload>,
    begun: u64,
    /// How many parts are listed at once: 1,000, unless a test wants fewer.
    pub parts_at_once: usize,
}

#[derive(Debug)]
struct Upload {
    path: String,
    headers: HeaderMap,
    algorithm: Option<&'static str>,
    parts: BTreeMap<u32, Part>,
}

#[derive(Debug)]
struct Part {
    etag: String,
    checksum: Option<String>,
    bytes: Bytes,
}

/// What comes of a call about a multipart upload.
pub enum Multipart {
    /// It is answered.
    Answered(Response<Bytes>),
    /// The object is whole: this puts it.
    Whole(Request<Bytes>),
}

/// What S3 refuses, and how.
struct Refused(StatusCode, &'static str, String);

type Answered = Result<Multipart, Refused>;

impl Default for Uploads {
    fn default() -> Self {
        Self {
            open: BTreeMap::new(),
            begun: 0,
            parts_at_once: 1000,
        }
    }
}

impl Uploads {
    /// Answers a call about a multipart upload; nothing, if it is about none.
    pub fn answer(&mut self, request: &Request<Bytes>) -> Option<Multipart> {
        let query = request.uri().query().unwrap_or_default();
        let query: BTreeMap<_, _> = query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .collect();
        let id = query.get("uploadId").map(|id| (*id).to_owned());
        let answer = match (request.method(), id) {
            (&Method::POST, None) if query.contains_key("uploads") => self.create(request),
            (&Method::PUT, Some(id)) => self.take_part(&id, query.get("partNumber"), request),
            (&Method::GET, Some(id)) => self.list(&id, query.get("part-number-marker")),
            (&Method::POST, Some(id)) => self.complete(&id, request.body()),
            (&Method::DELETE, Some(id)) => self.abort(&id),
            _ => return None,
        };
        Some(answer.unwrap_or_else(|refused| Multipart::Answered(refused.response())))
    }

    fn create(&mut self, request: &Request<Bytes>) -> Answered {
        self.begun += 1;
        let id = format!("upload-{}", self.begun);
        let named = text_of(request.headers(), "x-amz-checksum-algorithm");
        let algorithm = ALGORITHMS.into_iter().find(|name| named == Some(name));
        let kept = request.headers().iter().filter(|(name, _)| {
            let name = name.as_str();
            name == "content-type" || name.starts_with("x-amz-meta-")
        });
        let upload = Upload {
            path: request.uri().path().to_owned(),
            headers: kept.map(|(n, v)| (n.clone(), v.clone())).collect(),
            algorithm,
            parts: BTreeMap::new(),
        };
        self.open.insert(id.clone(), upload);
        let body = format!(
            "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
        );
        Ok(Multipart::Answered(Response::new(body.into())))
    }

    fn find(&mut self, id: &str) -> Result<&mut Upload, Refused> {
        let found = self.open.get_mut(id);
        found.ok_or_else(|| {
            let detail = "The specified upload does not exist.".to_owned();
            Refused(StatusCode::NOT_FOUND, "NoSuchUpload", detail)
        })
    }

    fn take_part(&mut self, id: &str, number: Option<&&str>, request: &Request<Bytes>) -> Answered {
        let upload = self.find(id)?;
        let number: u32 = number.and_then(|text| text.parse().ok()).unwrap_or(0);
        if !(1..=10_000).contains(&number) {
            let detail = "Part number must be an integer between 1 and 10000".to_owned();
            return Err(bad("InvalidArgument", detail));
        }
        let sent = ALGORITHMS.into_iter().find_map(|name| {
            let header = format!("x-amz-checksum-{}", name.to_ascii_lowercase());
            Some((name, text_of(request.headers(), &header)?.to_owned()))
        });
        if let Some((name, _)) = &sent
            && upload.algorithm != Some(name)
        {
            let expected = upload.algorithm.unwrap_or("null").to_ascii_lowercase();
            let actual = name.to_ascii_lowercase();
            return Err(bad(
                "InvalidRequest",
                format!(
                    "Checksum Type mismatch occurred, expected checksum Type: {expected}, actual \
                     checksum Type: {actual}"
                ),
            ));
        }
        let mut hasher = DefaultHasher::new();
        request.body().hash(&mut hasher);
        let part = Part {
            etag: format!("{:032x}", hasher.finish()),
            checksum: sent.as_ref().map(|(_, value)| value.clone()),
            bytes: request.body().clone(),
        };
        let mut answer = Response::new(Bytes::new());
        set(&mut answer, "etag", &format!("\"{}\"", part.etag));
        if let Some((name, value)) = sent {
            let header = format!("x-amz-checksum-{}", name.to_ascii_lowercase());
            set(&mut answer, &header, &value);
        }
        upload.parts.insert(number, part);
        Ok(Multipart::Answered(answer))
    }

    fn list(&mut self, id: &str, marker: Option<&&str>) -> Answered {
        let at_once = self.parts_at_once;
        let upload = self.find(id)?;
        let marker: u32 = marker.and_then(|text| text.parse().ok()).unwrap_or(0);
        let rest: Vec<_> = upload.parts.range(marker + 1..).collect();
        let page = &rest[..rest.len().min(at_once)];
        let next = page.last().map_or(marker, |(number, _)| **number);
        let is_truncated = page.len() < rest.len();
        let parts: String = page
            .iter()
            .map(|(number, part)| {
                let checksum = match upload.algorithm.zip(part.checksum.as_ref()) {
                    Some((name, value)) => format!("<Checksum{name}>{value}</Checksum{name}>"),
                    None => String::new(),
                };
                format!(
                    "<Part><PartNumber>{number}</PartNumber><ETag>&quot;{}&quot;</ETag>\
                     <Size>{}</Size>{checksum}</Part>",
                    part.etag,
                    part.bytes.len(),
                )
            })
            .collect();
        let body = format!(
            "<ListPartsResult><UploadId>{id}</UploadId><IsTruncated>{is_truncated}</IsTruncated>\
             <NextPartNumberMarker>{next}</NextPartNumberMarker>{parts}</ListPartsResult>"
        );
        Ok(Multipart::Answered(Response::new(body.into())))
    }

    fn complete(&mut self, id: &str, body: &Bytes) -> Answered {
        let body = String::from_utf8_lossy(body).into_owned();
        let named: Vec<_> = body.split("<Part>").skip(1).collect();
        self.find(id)?.check(&named)?;
        let upload = self.open.remove(id).expect("it was checked");
        let numbers = named.iter().filter_map(|part| number_of(part));
        let parts = numbers.filter_map(|number| upload.parts.get(&number));
        let bytes = parts
            .map(|part| &part.bytes[..])
            .collect::<Vec<_>>()
            .concat();
        let mut whole = Request::new(Bytes::from(bytes));
        *whole.method_mut() = Method::PUT;
        *whole.uri_mut() = format!("http://s3.local{}", upload.path)
            .parse()
            .expect("an address");
        *whole.headers_mut() = upload.headers;
        let size = whole.body().len();
        let headers = whole.headers_mut();
        headers.insert("host", HeaderValue::from_static("s3.local"));
        headers.insert("content-length", size.into());
        Ok(Multipart::Whole(whole))
    }

    fn abort(&mut self, id: &str) -> Answered {
        self.find(id)?;
        self.open.remove(id);
        let mut answer = Response::new(Bytes::new());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        Ok(Multipart::Answered(answer))
    }
}

impl Upload {
    /// Checks the parts that a completion names.
    fn check(&self, named: &[&str]) -> Result<(), Refused> {
        let mut before = 0;
        for (index, part) in named.iter().enumerate() {
            let number = number_of(part).unwrap_or(0);
            if number <= before {
                let detail = "The list of parts was not in ascending order.".to_owned();
                return Err(bad("InvalidPartOrder", detail));
            }
            before = number;
            self.check_part(number, part)?;
            let is_last = index + 1 == named.len();
            if !is_last && self.parts[&number].bytes.len() < SMALLEST_PART {
                let detail = "Your proposed upload is smaller than the minimum allowed size";
                return Err(bad("EntityTooSmall", detail.to_owned()));
            }
        }
        match named.is_empty() {
            true => Err(bad("MalformedXML", "it names no part".to_owned())),
            false => Ok(()),
        }
    }

    fn check_part(&self, number: u32, named: &str) -> Result<(), Refused> {
        let found = self.parts.get(&number).ok_or_else(|| not_found(number))?;
        let etag = element(named, "ETag").unwrap_or_default();
        if etag.replace("&quot;", "").trim_matches('"') != found.etag {
            return Err(not_found(number));
        }
        let Some(algorithm) = self.algorithm else {
            return Ok(());
        };
        match element(named, &format!("Checksum{algorithm}")) {
            None => Err(bad(
                "InvalidRequest",
                format!(
                    "The upload was created using a {} checksum. The complete request must include \
                     the checksum for each part. It was missing for part {number} in the request.",
                    algorithm.to_ascii_lowercase()
                ),
            )),
            Some(value) if found.checksum.as_deref() != Some(value) => Err(not_found(number)),
            Some(_) => Ok(()),
        }
    }
}

impl Refused {
    fn response(self) -> Response<Bytes> {
        let Self(status, code, detail) = self;
        let error = format!("<Error><Code>{code}</Code><Message>{detail}</Message></Error>");
        let mut answer = Response::new(Bytes::from(error));
        *answer.status_mut() = status;
        answer
    }
}

fn bad(code: &'static str, detail: String) -> Refused {
    Refused(StatusCode::BAD_REQUEST, code, detail)
}

fn not_found(number: u32) -> Refused {
    let detail = format!("Part {number} could not be found, or its tag or checksum is another");
    bad("InvalidPart", detail)
}

fn number_of(part: &str) -> Option<u32> {
    element(part, "PartNumber")?.parse().ok()
}

/// The text of an XML element that has no attributes.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn set(answer: &mut Response<Bytes>, name: &str, value: &str) {
    let name: HeaderName = name.parse().expect("a header");
    answer
        .headers_mut()
        .insert(name, value.parse().expect("a value"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(uploads: &mut Uploads, method: Method, query: &str, body: &str) -> Response<Bytes> {
        let (query, checksum) = query.split_once(' ').unwrap_or((query, ""));
        let mut request = Request::new(Bytes::from(body.to_owned()));
        *request.method_mut() = method;
        *request.uri_mut() = format!("http://s3.local/b/k?{query}").parse().unwrap();
        if let Some((name, value)) = checksum.split_once('=') {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        match uploads.answer(&request).unwrap() {
            Multipart::Answered(answer) => answer,
            Multipart::Whole(request) => Response::new(request.into_body()),
        }
    }

    fn code(answer: &Response<Bytes>) -> String {
        let body = String::from_utf8_lossy(answer.body()).into_owned();
        element(&body, "Code").unwrap_or_default().to_owned()
    }

    const CREATED: &str = "uploads x-amz-checksum-algorithm=CRC32";
    const PART: &str = "uploadId=upload-1&partNumber=1 x-amz-checksum-crc32=AAAAAA==";

    #[test]
    fn a_part_has_the_checksum_that_the_upload_was_created_with() {
        for (created, refused) in [("uploads", true), (CREATED, false)] {
            let mut uploads = Uploads::default();
            ask(&mut uploads, Method::POST, created, "");
            let answer = ask(&mut uploads, Method::PUT, PART, "x");
            assert_eq!(code(&answer) == "InvalidRequest", refused, "{answer:?}");
        }
    }

    #[test]
    fn a_completion_hands_each_checksum_back() {
        let mut uploads = Uploads::default();
        ask(&mut uploads, Method::POST, CREATED, "");
        let part = ask(&mut uploads, Method::PUT, PART, "x");
        let etag = part.headers()["etag"].to_str().unwrap();
        for (checksum, expected) in [
            ("", "InvalidRequest"),
            ("<ChecksumCRC32>BBBBBB==</ChecksumCRC32>", "InvalidPart"),
            ("<ChecksumCRC32>AAAAAA==</ChecksumCRC32>", ""),
            ("<ChecksumCRC32>AAAAAA==</ChecksumCRC32>", "NoSuchUpload"),
        ] {
            let body =
                format!("<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag>{checksum}</Part>");
            let answer = ask(&mut uploads, Method::POST, "uploadId=upload-1", &body);
            assert_eq!(code(&answer), expected);
        }
    }

    #[test]
    fn a_small_part_is_the_last() {
        let mut uploads = Uploads::default();
        ask(&mut uploads, Method::POST, "uploads", "");
        let mut body = String::new();
        for number in [1, 2] {
            let query = format!("uploadId=upload-1&partNumber={number}");
            let part = ask(&mut uploads, Method::PUT, &query, "x");
            let etag = part.headers()["etag"].to_str().unwrap();
            body += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
        }
        let answer = ask(&mut uploads, Method::POST, "uploadId=upload-1", &body);
        assert_eq!(code(&answer), "EntityTooSmall");
    }
}
