//! Sources, on a thread of their own and behind sockets.

use futures_util::future::join_all;
use muster_simulation::bench_server;
use muster_simulation::sources::{Behaviour, Stub};

/// A source, and where it is.
pub(crate) struct Source {
    pub stub: Stub,
    pub url: String,
}

/// Starts sources that do this.
pub(crate) fn start(behaviours: impl IntoIterator<Item = Behaviour>) -> Vec<Source> {
    let (mut sources, mut listeners) = (Vec::new(), Vec::new());
    for behaviour in behaviours {
        let (listener, address) = bench_server::listener();
        let stub = Stub::default();
        stub.does([behaviour]);
        listeners.push((listener, stub.clone()));
        sources.push(Source {
            stub,
            url: format!("http://{address}/"),
        });
    }
    bench_server::serve(async move || {
        let accepting = listeners.into_iter().map(async |(listener, stub)| {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            accept(listener, stub).await;
        });
        join_all(accepting).await;
    });
    sources
}

async fn accept(listener: tokio::net::TcpListener, stub: Stub) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let stub = stub.clone();
        tokio::spawn(async move { stub.serve(stream).await });
    }
}
