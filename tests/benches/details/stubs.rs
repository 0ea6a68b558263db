//! Sources, on a thread of their own and behind sockets.

use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use muster_simulation::sources::{Behaviour, Stub};

/// A source, and where it is.
pub struct Source {
    pub stub: Stub,
    pub url: String,
}

/// Starts sources that do this.
pub fn start(behaviours: impl IntoIterator<Item = Behaviour>) -> Vec<Source> {
    let (mut sources, mut listeners) = (Vec::new(), Vec::new());
    for behaviour in behaviours {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        listener.set_nonblocking(true).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let stub = Stub::default();
        stub.does([behaviour]);
        listeners.push((listener, stub.clone()));
        sources.push(Source {
            stub,
            url: format!("http://{address}/"),
        });
    }
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            for (listener, stub) in listeners {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                tokio::spawn(accept(listener, stub));
            }
            std::future::pending::<()>().await;
        });
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
