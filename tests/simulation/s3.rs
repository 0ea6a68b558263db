//! S3: s3s on a folder that goes with the run.
//!
//! It works on a thread of its own and is waited for, so that a call takes no
//! simulated time and the order of calls does not depend on the disk. A file that
//! would be too big for the folder is made as it is read.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use s3s::Body;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use serde_json::json;
use tempfile::TempDir;

use crate::answer::Answer;
use crate::asked::Asked;
use crate::multipart::{Multipart, Uploads};
use crate::synthetic_csv::SyntheticCsv;

/// The bucket's name in every run.
pub const BUCKET: &str = "uploads-bucket";

type Job = (Request<Bytes>, Sender<Response<Bytes>>);

/// One bucket on disk.
pub struct S3 {
    jobs: Sender<Job>,
    folder: TempDir,
    made: BTreeMap<String, Arc<SyntheticCsv>>,
    uploads: Mutex<Uploads>,
}

impl S3 {
    /// An empty bucket.
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        std::fs::create_dir(folder.path().join(BUCKET)).expect("a bucket");
        let files = FileSystem::new(folder.path()).expect("a file system");
        let service = S3ServiceBuilder::new(files).build();
        let (jobs, queue) = channel();
        thread::spawn(move || work(&service, &queue));
        Self {
            jobs,
            folder,
            made: BTreeMap::new(),
            uploads: Mutex::default(),
        }
    }

    /// Uploads a file, as somebody outside does; answers with S3's event.
    /// `sequence` orders the uploads of a key.
    pub fn upload(&self, key: &str, bytes: Vec<u8>, sequence: u64) -> String {
        self.upload_with(key, bytes, &BTreeMap::new(), sequence)
    }

    /// The same with metadata of the object's own.
    pub fn upload_with(
        &self,
        key: &str,
        bytes: Vec<u8>,
        metadata: &BTreeMap<&'static str, String>,
        sequence: u64,
    ) -> String {
        let size = bytes.len();
        let mut request = Request::new(Bytes::from(bytes));
        *request.method_mut() = http::Method::PUT;
        *request.uri_mut() = format!("http://s3.local/{BUCKET}/{key}")
            .parse()
            .expect("an address");
        let headers = request.headers_mut();
        headers.insert("host", http::HeaderValue::from_static("s3.local"));
        headers.insert("content-length", size.into());
        for (name, value) in metadata {
            let name: http::HeaderName = format!("x-amz-meta-{}", name.replace('_', "-"))
                .parse()
                .expect("a header");
            headers.insert(name, value.parse().expect("a value"));
        }
        let answer = self.call(request);
        assert!(answer.status().is_success(), "PutObject: {answer:?}");
        let etag = answer.headers()["etag"]
            .to_str()
            .expect("an ETag")
            .trim_matches('"');
        event(key, size as u64, etag, sequence)
    }

    /// The same with a file that is nowhere.
    pub fn make(&mut self, key: &str, file: &Arc<SyntheticCsv>, sequence: u64) -> String {
        self.made.insert(key.to_owned(), Arc::clone(file));
        event(key, file.size(), ETAG, sequence)
    }

    /// An object as it is on the disk.
    pub fn path(&self, key: &str) -> PathBuf {
        self.folder.path().join(BUCKET).join(key)
    }

    /// The bytes of an object; `None` if there is no such object.
    pub fn object(&self, key: &str) -> Option<Bytes> {
        if key.is_empty() {
            return None;
        }
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = format!("http://s3.local/{BUCKET}/{key}").parse().ok()?;
        let host = http::HeaderValue::from_static("s3.local");
        request.headers_mut().insert("host", host);
        let answer = self.call(request);
        answer.status().is_success().then(|| answer.into_body())
    }

    /// Answers a call that reads a file which is nowhere; nothing, if it does not.
    pub fn made(&self, asked: &Asked) -> Option<Answer> {
        let (path, _) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        let key = path
            .strip_prefix('/')?
            .strip_prefix(BUCKET)?
            .strip_prefix('/')?;
        let file = self
            .made
            .get(key)
            .filter(|_| asked.method == http::Method::GET)?;
        let asks = |name: &str| asked.headers.get(name)?.to_str().ok();
        if asks("if-match").is_some_and(|expected| expected.trim_matches('"') != ETAG) {
            return Some(Answer::json(StatusCode::PRECONDITION_FAILED.as_u16(), ""));
        }
        let range = asks("range").map(|range| bytes_of(range).expect("a range as the SDK says it"));
        let status = range
            .as_ref()
            .map_or(StatusCode::OK, |_| StatusCode::PARTIAL_CONTENT);
        let range = range.unwrap_or(0..file.size());
        let size = (range.end - range.start).to_string();
        Some(Answer {
            headers: vec![
                ("etag".to_owned(), format!("\"{ETAG}\"")),
                ("content-length".to_owned(), size),
            ],
            file: Some((Arc::clone(file), range)),
            ..Answer::json(status.as_u16(), "")
        })
    }

    /// Answers one call.
    pub fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        if let Some(expected) = request.headers().get("if-match").cloned()
            && request.method() == http::Method::GET
        {
            // s3s-fs minds If-Match when it writes, not when it reads.
            let head = self.pass_on(copy(&request, http::Method::HEAD));
            let found = head.headers().get("etag");
            if head.status().is_success() && found != Some(&expected) {
                let mut refused = Response::new(Bytes::new());
                *refused.status_mut() = StatusCode::PRECONDITION_FAILED;
                return refused;
            }
        }
        let multipart = self.uploads().answer(&request);
        match multipart {
            None => self.pass_on(request),
            Some(Multipart::Answered(answer)) => answer,
            Some(Multipart::Whole(request)) => {
                let answer = self.pass_on(request);
                assert!(answer.status().is_success(), "PutObject: {answer:?}");
                let whole = "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>";
                Response::new(Bytes::from(whole))
            }
        }
    }

    /// The multipart uploads that are under way.
    pub fn uploads(&self) -> MutexGuard<'_, Uploads> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass_on(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (answer, answers) = channel();
        self.jobs.send((request, answer)).expect("the S3 thread");
        answers.recv().expect("an answer of the S3 thread")
    }
}

impl Default for S3 {
    fn default() -> Self {
        Self::new()
    }
}

/// The version of a file that is nowhere: there is but one.
const ETAG: &str = "made";

/// S3's event of an upload.
fn event(key: &str, size: u64, etag: &str, sequence: u64) -> String {
    let sequencer = format!("{sequence:016X}");
    let object = json!({ "key": key, "size": size, "eTag": etag, "sequencer": sequencer });
    let s3 = json!({ "bucket": { "name": BUCKET }, "object": object });
    let identity = json!({ "principalId": "AWS:AIDAEXAMPLE" });
    let record = json!({
        "eventName": "ObjectCreated:Put", "userIdentity": identity, "s3": s3,
    });
    json!({ "Records": [record] }).to_string()
}

/// `bytes=0-99` is the first hundred.
fn bytes_of(range: &str) -> Option<Range<u64>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    Some(first.parse().ok()?..last.parse::<u64>().ok()? + 1)
}

fn work(service: &S3Service, queue: &Receiver<Job>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    while let Ok((request, answer)) = queue.recv() {
        let response = runtime.block_on(serve(service, request));
        // Whoever asked may have been killed meanwhile.
        let _ = answer.send(response);
    }
}

async fn serve(service: &S3Service, request: Request<Bytes>) -> Response<Bytes> {
    let request = request.map(Body::from);
    let response = service.call(request).await.expect("an HTTP answer");
    let (parts, mut body) = response.into_parts();
    let bytes = body.store_all_limited(usize::MAX).await.expect("a body");
    Response::from_parts(parts, bytes)
}

/// The same request by another method, without what only the first has.
fn copy(request: &Request<Bytes>, method: http::Method) -> Request<Bytes> {
    let path = request.uri().path().to_owned();
    let mut copy = Request::new(Bytes::new());
    *copy.method_mut() = method;
    *copy.uri_mut() = format!("http://s3.local{path}").parse().expect("a path");
    copy.headers_mut()
        .insert("host", http::HeaderValue::from_static("s3.local"));
    copy
}
