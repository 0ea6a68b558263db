//! The way out: over TLS, to public addresses, and straight there.
//!
//! A name is resolved once for a connection, the addresses are checked, and one of
//! those very addresses is connected to: whoever answers the next question about the
//! name otherwise (DNS rebinding) changes nothing. Nothing follows a redirect, and
//! no variable of the environment brings in a proxy: there is no code for either.

use std::error::Error;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use muster_core::platform::causes::chain;
use muster_http::tls;
use tower::Service;
use tower::timeout::Timeout;
use tower::util::BoxCloneSyncService;

use crate::sources::addresses::Over;
use crate::sources::addresses::{RefusedAddress, check};

/// Sends a request without a body.
pub type Transport = BoxCloneSyncService<Request<Empty<Bytes>>, Response<Incoming>, legacy::Error>;

/// How long a connection is kept for the next request. (A server may close it sooner:
/// [`crate::sources::fetch`] asks once more then.)
const KEPT_FOR: Duration = Duration::from_secs(45);
/// The longest head of an answer, and the most that is read at once: between two reads
/// everybody else has their turn, and so has the clock.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// How long a connection may take to be made, TLS included, when whoever wanted it has
/// gone on with another.
const TIME_TO_CONNECT: Duration = Duration::from_secs(25);

/// The way out of this machine.
///
/// # Errors
/// None that a caller can cause.
pub fn over_the_net(over: Over) -> Result<Transport, rustls::Error> {
    resolved_by(GaiResolver::new(), over)
}

/// The same, where something else knows the addresses.
///
/// # Errors
/// None that a caller can cause.
pub fn resolved_by<R>(resolver: R, over: Over) -> Result<Transport, rustls::Error>
where
    R: Service<Name, Response: Iterator<Item = SocketAddr> + Send, Error: Into<BoxError>>,
    R: Clone + Send + Sync + 'static,
    R::Future: Send,
{
    let mut tcp = HttpConnector::new_with_resolver(Checked { resolver, over });
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let https = HttpsConnectorBuilder::new().with_tls_config(tls::client_config()?);
    let https = match over {
        Over::Tls => https.https_only(),
        Over::Local => https.https_or_http(),
    };
    let https = https.enable_http1().wrap_connector(tcp);
    let in_time = Timeout::new(https, TIME_TO_CONNECT);
    Ok(through(BoxCloneSyncService::new(in_time)))
}

/// Over connections that something else makes.
pub fn through<C>(connector: C) -> Transport
where
    C: legacy::connect::Connect + Clone + Send + Sync + 'static,
{
    let client = Client::builder(TokioExecutor::new())
        .pool_idle_timeout(KEPT_FOR)
        .pool_timer(TokioTimer::new())
        .http1_max_buf_size(MAX_HEAD_BYTES)
        .build(connector);
    BoxCloneSyncService::new(client)
}

type BoxError = Box<dyn Error + Send + Sync>;

/// A resolver that gives out no address which is not to be connected to.
#[derive(Clone)]
struct Checked<R> {
    resolver: R,
    over: Over,
}

impl<R> Service<Name> for Checked<R>
where
    R: Service<Name, Response: Iterator<Item = SocketAddr>, Error: Into<BoxError>>,
    R::Future: Send + 'static,
{
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.resolver.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolving = self.resolver.call(name);
        let over = self.over;
        Box::pin(async move {
            let addresses: Vec<_> = resolving.await.map_err(Into::into)?.collect();
            // One bad address among good ones is no accident.
            for address in &addresses {
                check(address.ip(), over)?;
            }
            Ok(addresses.into_iter())
        })
    }
}

/// That an address was refused, if that is why a request failed.
pub fn refusal<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e RefusedAddress> {
    chain(error).find_map(|error| error.downcast_ref())
}
