//! S3: s3s on a folder that goes with the run.
//!
//! It works on a thread of its own and is waited for, so that a call takes no
//! simulated time and the order of calls does not depend on the disk.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use s3s::Body;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use serde_json::json;
use tempfile::TempDir;

/// The bucket's name in every run.
pub const BUCKET: &str = "uploads-bucket";

type Job = (Request<Bytes>, Sender<Response<Bytes>>);

/// One bucket on disk.
pub struct S3 {
    jobs: Sender<Job>,
    _folder: TempDir,
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
            _folder: folder,
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
        let sequencer = format!("{sequence:016X}");
        let object = json!({ "key": key, "size": size, "eTag": etag, "sequencer": sequencer });
        let s3 = json!({ "bucket": { "name": BUCKET }, "object": object });
        json!({ "Records": [{ "eventName": "ObjectCreated:Put", "s3": s3 }] }).to_string()
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
        self.pass_on(request)
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
