//! Servers on a thread of their own: what they do takes no turn of whoever is measured.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;

/// A port of this machine, and its address. It listens already.
pub fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.set_nonblocking(true).expect("a listener");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// Serves for as long as the process lives.
pub fn serve<F: Future>(serving: impl FnOnce() -> F + Send + 'static) {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(serving());
    });
}
