//! Sources of details: stubs that do all that a source may do, well or badly, and a
//! network in memory where they are.
//!
//! A stub counts its connections by its own end of them: one is open until the other
//! end is gone, whatever the stub itself is at.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, DuplexStream, ReadBuf,
};
use tower::Service;

/// What a source does with a connection, or with a request.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// Does not take the connection, nor refuse it.
    HangsAtConnect,
    /// Refuses the connection.
    Refuses,
    /// Speaks first, whatever that is, and hangs up.
    Blurts(&'static [u8]),
    /// Takes the connection, and whatever it hears, and says nothing.
    HangsInHandshake,
    /// Answers.
    Answers(Reply),
    /// Says nothing.
    Hangs,
    /// Breaks the connection.
    Resets,
    /// Says something that is no HTTP, and hangs up.
    TalksGarbage,
    /// Announces a body, sends half of it, and hangs up.
    CutsBody,
    /// The same, but keeps the connection.
    HangsInBody,
    /// Sends as much as is taken, of that length or of none.
    Floods(Option<u64>),
    /// Sends its body byte by byte, one each time.
    Drips(Duration),
    /// Sends just that, and keeps the connection.
    Says(String),
    /// Sends the first, then the second again and again, one each time.
    Repeats(&'static str, String, Duration),
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    after: Duration,
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Reply {
    /// A success with that body, whatever it is.
    pub fn text(body: impl Into<Vec<u8>>) -> Self {
        Self {
            after: Duration::ZERO,
            status: 200,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// An answer that says no more.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::text("{}")
        }
    }

    /// The same, that long after the question.
    #[must_use]
    pub const fn after(mut self, millis: u64) -> Self {
        self.after = Duration::from_millis(millis);
        self
    }

    /// The same with a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut headers = String::new();
        for (name, value) in &self.headers {
            headers += &format!("{name}: {value}\r\n");
        }
        // RFC 9110 sections 15.3.5 and 15.4.5: there is no body, and with 204 no length.
        let (length, body) = match self.status {
            204 => (String::new(), &[][..]),
            304 => ("content-length: 0\r\n".to_owned(), &[][..]),
            _ => {
                let length = format!("content-length: {}\r\n", self.body.len());
                (length, &self.body[..])
            }
        };
        let head = format!("HTTP/1.1 {} Status\r\n{headers}{length}\r\n", self.status);
        [head.as_bytes(), body].concat()
    }
}

impl From<Value> for Reply {
    fn from(body: Value) -> Self {
        Self::text(body.to_string())
    }
}

impl From<Reply> for Behaviour {
    fn from(reply: Reply) -> Self {
        Self::Answers(reply)
    }
}

impl From<Value> for Behaviour {
    fn from(body: Value) -> Self {
        Self::Answers(body.into())
    }
}

/// A request, as it arrived.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Its first line.
    pub line: String,
    /// Its headers, by their names in lower case.
    pub headers: BTreeMap<String, String>,
}

/// A source.
#[derive(Clone, Default)]
pub struct Stub(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    next: VecDeque<Behaviour>,
    requests: Vec<Request>,
    opened: usize,
    open: usize,
    sent: usize,
}

/// How a stub leaves a request.
enum Then {
    /// It takes another one.
    Listens,
    /// It hangs up.
    Closes,
    /// It is as if it never was there.
    Resets,
}

impl Stub {
    /// What it does from now on, one after the other; the last for ever.
    pub fn does<B: Into<Behaviour>>(&self, behaviours: impl IntoIterator<Item = B>) {
        self.seen().next = behaviours.into_iter().map(Into::into).collect();
    }

    /// Every request that arrived.
    pub fn requests(&self) -> Vec<Request> {
        self.seen().requests.clone()
    }

    /// How many connections there were, also such that did not come about.
    pub fn opened(&self) -> usize {
        self.seen().opened
    }

    /// How many of them there are.
    pub fn open(&self) -> usize {
        self.seen().open
    }

    /// How many bytes of it were taken, by whoever or by buffers on the way.
    pub fn sent(&self) -> usize {
        self.seen().sent
    }

    /// Serves a connection; says whether it is to break.
    pub async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin) -> bool {
        let _open = self.count();
        let (from, mut to) = tokio::io::split(stream);
        let mut from = BufReader::new(from);
        match self.next(comes_first) {
            Some(Behaviour::Blurts(bytes)) => {
                let _ = self.send(&mut to, bytes).await;
                return false;
            }
            Some(_) => {
                let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
                return false;
            }
            None => {}
        }
        while let Some(request) = read(&mut from).await {
            self.seen().requests.push(request);
            let Some(behaviour) = self.next(|behaviour| !comes_first(behaviour)) else {
                return false;
            };
            let then = tokio::select! {
                biased;
                () = gone(&mut from) => return false,
                then = self.act(behaviour, &mut to) => then,
            };
            match then.unwrap_or(Then::Closes) {
                Then::Listens => {}
                Then::Closes => return false,
                Then::Resets => return true,
            }
        }
        false
    }

    async fn act(
        &self,
        behaviour: Behaviour,
        to: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<Then> {
        const HALF: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"half\": ";
        match behaviour {
            Behaviour::Answers(reply) => {
                tokio::time::sleep(reply.after).await;
                self.send(to, &reply.bytes()).await?;
                return Ok(Then::Listens);
            }
            Behaviour::Resets => return Ok(Then::Resets),
            Behaviour::TalksGarbage => self.send(to, b"\x16\x03\x01 no HTTP\r\n\r\n").await?,
            Behaviour::CutsBody => self.send(to, HALF).await?,
            Behaviour::HangsInBody => {
                self.send(to, HALF).await?;
                std::future::pending().await
            }
            Behaviour::Floods(length) => self.flood(length, to).await?,
            Behaviour::Drips(every) => {
                let head = "HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n";
                self.repeat(head, " ", every, to).await?;
            }
            Behaviour::Says(text) => {
                self.send(to, text.as_bytes()).await?;
                return Ok(Then::Listens);
            }
            Behaviour::Repeats(head, piece, every) => self.repeat(head, &piece, every, to).await?,
            Behaviour::Hangs
            | Behaviour::HangsAtConnect
            | Behaviour::HangsInHandshake
            | Behaviour::Refuses
            | Behaviour::Blurts(_) => std::future::pending().await,
        }
        Ok(Then::Closes)
    }

    async fn repeat(
        &self,
        head: &str,
        piece: &str,
        every: Duration,
        to: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        self.send(to, head.as_bytes()).await?;
        loop {
            self.send(to, piece.as_bytes()).await?;
            tokio::time::sleep(every).await;
        }
    }

    async fn flood(
        &self,
        length: Option<u64>,
        to: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        let (header, before, after) = match length {
            Some(length) => (format!("content-length: {length}"), "", ""),
            None => ("transfer-encoding: chunked".to_owned(), "1000\r\n", "\r\n"),
        };
        let head = format!("HTTP/1.1 200 OK\r\n{header}\r\n\r\n");
        self.send(to, head.as_bytes()).await?;
        let piece = format!("{before}{}{after}", " ".repeat(0x1000));
        loop {
            self.send(to, piece.as_bytes()).await?;
        }
    }

    async fn send(&self, to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
        to.write_all(bytes).await?;
        self.seen().sent += bytes.len();
        to.flush().await
    }

    /// A connection over the network in memory.
    async fn connect(self) -> io::Result<TokioIo<Wire>> {
        match self.next(|next| matches!(next, Behaviour::HangsAtConnect | Behaviour::Refuses)) {
            Some(Behaviour::HangsAtConnect) => {
                let _open = self.count();
                std::future::pending().await
            }
            Some(_) => {
                self.seen().opened += 1;
                Err(io::ErrorKind::ConnectionRefused.into())
            }
            None => {
                let (near, mut far) = tokio::io::duplex(64 * 1024);
                let is_broken = Arc::new(AtomicBool::new(false));
                let breaks = is_broken.clone();
                tokio::spawn(async move {
                    if self.serve(&mut far).await {
                        breaks.store(true, Ordering::SeqCst);
                    }
                });
                Ok(TokioIo::new(Wire { near, is_broken }))
            }
        }
    }

    /// The next behaviour, if it is of that kind.
    fn next(&self, is_meant: impl Fn(&Behaviour) -> bool) -> Option<Behaviour> {
        let mut seen = self.seen();
        let next = seen.next.front().filter(|next| is_meant(next)).cloned();
        if next.is_some() && seen.next.len() > 1 {
            seen.next.pop_front();
        }
        next
    }

    fn count(&self) -> Open<'_> {
        let mut seen = self.seen();
        seen.opened += 1;
        seen.open += 1;
        Open(self)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether that is decided before there is a request.
const fn comes_first(behaviour: &Behaviour) -> bool {
    matches!(
        behaviour,
        Behaviour::HangsAtConnect
            | Behaviour::HangsInHandshake
            | Behaviour::Refuses
            | Behaviour::Blurts(_)
    )
}

/// A connection that counts.
struct Open<'a>(&'a Stub);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.seen().open -= 1;
    }
}

/// The next request, unless the other end is gone.
async fn read(from: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Request> {
    let mut lines = from.lines();
    let mut request = Request {
        line: lines.next_line().await.ok()??,
        ..Request::default()
    };
    loop {
        let line = lines.next_line().await.ok()??;
        if line.is_empty() {
            return Some(request);
        }
        let (name, value) = line.split_once(':')?;
        let value = value.trim().to_owned();
        request.headers.insert(name.to_lowercase(), value);
    }
}

/// Waits until the other end is gone. It sends nothing while it waits for an answer.
async fn gone(from: &mut (impl AsyncBufReadExt + Unpin)) {
    if let Ok([_, ..]) = from.fill_buf().await {
        std::future::pending().await
    }
}

/// A network in memory. Whoever is not on it cannot be found.
#[derive(Clone, Default)]
pub struct Network(Arc<Mutex<BTreeMap<String, Stub>>>);

impl Network {
    /// The source at a host, from now on at the latest.
    pub fn at(&self, host: &str) -> Stub {
        let mut stubs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stubs.entry(host.to_owned()).or_default().clone()
    }

    /// How many connections there are.
    pub fn open(&self) -> usize {
        let stubs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stubs.values().map(Stub::open).sum()
    }
}

impl Service<Uri> for Network {
    type Response = TokioIo<Wire>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<TokioIo<Wire>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let stubs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stub = uri.host().and_then(|host| stubs.get(host)).cloned();
        Box::pin(async move {
            let stub = stub.ok_or(io::ErrorKind::HostUnreachable)?;
            stub.connect().await
        })
    }
}

/// The near end of a connection.
pub struct Wire {
    near: DuplexStream,
    is_broken: Arc<AtomicBool>,
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.near).poll_read(context, buffer))?;
        let is_at_end = buffer.filled().len() == before && buffer.remaining() > 0;
        if is_at_end && self.is_broken.load(Ordering::SeqCst) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.near).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.near).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.near).poll_shutdown(context)
    }
}
