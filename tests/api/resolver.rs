//! Names that lead where nothing is to be asked: to what only the function can reach.
//!
//! The way out is the real one, down to the socket; what is made up is what the
//! resolver says. Where that is this machine, a listener counts who comes.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::ready;
use http::{Request, Uri};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::connect::dns::Name;
use muster_details::config::document::Document;
use muster_details::sources::addresses::Over;
use muster_details::sources::transport::{Transport, refusal, resolved_by};
use muster_simulation::sources::{Reply, Stub};
use serde_json::json;
use tokio::net::TcpListener;
use tower::{ServiceExt, service_fn};

/// What a resolver says of a name that is anybody's. What stands on one line is one
/// answer; each is refused.
const HOSTILE: &str = "
    0.0.0.0
    0.1.2.3
    10.0.0.1
    10.255.255.255
    100.64.0.1
    100.100.100.200
    127.0.0.1
    127.0.1.1
    127.255.255.254
    169.254.0.1
    169.254.169.123
    169.254.169.253
    169.254.169.254
    169.254.170.2
    172.16.0.1
    172.31.255.254
    192.0.0.1
    192.0.0.192
    192.0.2.1
    192.88.99.1
    192.168.0.1
    192.168.255.254
    198.18.0.1
    198.19.255.254
    198.51.100.1
    203.0.113.1
    224.0.0.251
    239.255.255.250
    240.0.0.1
    255.255.255.255
    ::
    ::1
    ::127.0.0.1
    ::a9fe:a9fe
    ::ffff:0.0.0.0
    ::ffff:10.0.0.1
    ::ffff:127.0.0.1
    ::ffff:169.254.169.254
    ::ffff:192.168.0.1
    ::ffff:0:127.0.0.1
    64:ff9b::127.0.0.1
    64:ff9b::169.254.169.254
    64:ff9b::10.0.0.1
    64:ff9b:1::1
    100::1
    2001::1
    2001:db8::1
    2002:7f00:1::1
    2002:a9fe:a9fe::1
    2002:c0a8:1::1
    3fff::1
    fc00::1
    fd00:ec2::23
    fd00:ec2::253
    fd00:ec2::254
    fd12:3456:789a::1
    fe80::1
    fe80::a9fe:a9fe
    febf::1
    fec0::1
    ff02::1
    ff02::fb
    ff05::2
    8.8.8.8 127.0.0.1
    127.0.0.1 8.8.8.8
    2600:1f18::1 ::1
    8.8.8.8 8.8.4.4 169.254.169.254
    2600:1f18::1 8.8.8.8 ::ffff:127.0.0.1
";

fn hostile() -> impl Iterator<Item = Vec<IpAddr>> {
    let answers = HOSTILE
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    answers.map(|answer| {
        answer
            .split(' ')
            .map(|address| address.parse().unwrap())
            .collect()
    })
}

/// A resolver, a listener, and who came to either.
struct World {
    answers: Arc<Mutex<Vec<Vec<IpAddr>>>>,
    asked: Arc<AtomicUsize>,
    transport: Transport,
    stub: Stub,
    port: u16,
}

impl World {
    async fn new(over: Over) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stub = Stub::default();
        // So that each request needs a connection.
        stub.does([Reply::from(json!({})).with("connection", "close")]);
        let served = stub.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                served.serve(stream).await;
            }
        });
        let answers = Arc::new(Mutex::new(Vec::new()));
        let asked = Arc::new(AtomicUsize::new(0));
        let resolver = {
            let (answers, asked) = (answers.clone(), asked.clone());
            service_fn(move |_: Name| {
                asked.fetch_add(1, Ordering::SeqCst);
                let answer: Vec<IpAddr> = answers.lock().unwrap().remove(0);
                let answer = answer
                    .into_iter()
                    .map(|address| SocketAddr::new(address, 0));
                ready(Ok::<_, std::io::Error>(answer))
            })
        };
        Self {
            answers,
            asked,
            transport: resolved_by(resolver, over).unwrap(),
            stub,
            port,
        }
    }

    /// Asks once, with these answers of the resolver, one after the other. Says what
    /// was refused, if that.
    async fn ask(&self, scheme: &str, answers: &[&[IpAddr]]) -> Result<(), Option<String>> {
        *self.answers.lock().unwrap() = answers.iter().map(|answer| answer.to_vec()).collect();
        self.asked.store(0, Ordering::SeqCst);
        let uri = format!("{scheme}://rebind.example.com:{}/", self.port);
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = uri.parse::<Uri>().unwrap();
        let response = self.transport.clone().oneshot(request).await;
        let asked = self.asked.load(Ordering::SeqCst);
        assert_eq!(asked, 1, "it is asked once for a connection");
        let response = response.map_err(|error| refusal(&error).map(ToString::to_string))?;
        response.into_body().collect().await.unwrap();
        Ok(())
    }
}

fn addresses(text: &str) -> Vec<IpAddr> {
    text.split(' ')
        .map(|address| address.parse().unwrap())
        .collect()
}

#[tokio::test]
async fn no_name_leads_where_nothing_is_to_be_asked() {
    let world = World::new(Over::Tls).await;
    assert!(hostile().count() >= 60);
    for answer in hostile() {
        let refused = world.ask("https", &[&answer]).await.unwrap_err();
        assert!(refused.is_some(), "{answer:?} is connected to");
    }
    assert_eq!(world.stub.opened(), 0);
}

#[tokio::test]
async fn local_sources_are_on_this_machine_and_nowhere_else() {
    let world = World::new(Over::Local).await;
    assert_eq!(world.ask("http", &[&addresses("127.0.0.1")]).await, Ok(()));
    assert_eq!(world.stub.opened(), 1, "the listener counts");
    let is_loopback = |address: &IpAddr| address.to_canonical().is_loopback();
    for answer in hostile().filter(|answer| !answer.iter().any(is_loopback)) {
        let refused = world.ask("http", &[&answer]).await.unwrap_err();
        assert!(refused.is_some(), "{answer:?} is connected to");
    }
    assert_eq!(world.stub.opened(), 1);
}

/// On Linux 0.0.0.0 is this machine, too: who connected to it would be counted.
#[tokio::test]
async fn what_a_name_leads_to_is_looked_at_each_time() {
    let world = World::new(Over::Local).await;
    let (good, bad) = (addresses("127.0.0.1"), addresses("0.0.0.0"));
    assert_eq!(
        world.ask("http", &[&good, &bad]).await,
        Ok(()),
        "not asked again in between"
    );
    let refused = world.ask("http", &[&bad, &good]).await;
    let why = "it is an address of \"this network\"".to_owned();
    assert_eq!(
        refused,
        Err(Some(why)),
        "nor until it says something better"
    );
    assert_eq!(world.ask("http", &[&good]).await, Ok(()));
    assert!(world.ask("http", &[&bad]).await.is_err());
    assert_eq!(world.stub.opened(), 2);
}

#[tokio::test]
async fn nothing_is_sent_in_the_clear() {
    let world = World::new(Over::Tls).await;
    *world.answers.lock().unwrap() = vec![addresses("127.0.0.1")];
    let mut request = Request::new(Empty::new());
    let uri = format!("http://rebind.example.com:{}/", world.port);
    *request.uri_mut() = uri.parse::<Uri>().unwrap();
    assert!(world.transport.clone().oneshot(request).await.is_err());
    assert_eq!(
        world.asked.load(Ordering::SeqCst),
        0,
        "nor is the name looked up"
    );
}

/// An address in the document is looked at when it is read: no resolver is asked.
#[test]
fn no_address_leads_there_either() {
    let url = |address: IpAddr| match address {
        IpAddr::V4(address) => format!("https://{address}/"),
        IpAddr::V6(address) => format!("https://[{address}]/"),
    };
    for address in hostile().flatten().filter(|address| !is_public(address)) {
        let document = json!({ "sources": { "crm": { "url": url(address) } } });
        let refused = Document::parse(&document.to_string(), Over::Tls).unwrap_err();
        assert!(refused.to_string().contains("host"), "{address}: {refused}");
    }
}

fn is_public(address: &IpAddr) -> bool {
    addresses("8.8.8.8 8.8.4.4 2600:1f18::1").contains(address)
}
