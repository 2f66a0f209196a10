//! Stands between a client and a server, and is a bad network when told to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Bytes that go through in one piece.
const PIECE: usize = 16 * 1024;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    Requests,
    /// From the server to the client.
    Replies,
}

/// Listens until dropped.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    faults: Arc<Faults>,
    accepting: tokio::task::JoinHandle<()>,
}

struct Faults {
    server: (String, u16),
    latency_ms: AtomicU64,
    refuses: AtomicBool,
    stalled: watch::Sender<bool>,
    /// Counts the cuts of all connections.
    cuts: watch::Sender<u64>,
    /// Bytes that still pass each way before the connection that carries the next one is cut; none if negative.
    passing: [AtomicI64; 2],
    /// Counts the connections that were cut at a byte.
    fired: watch::Sender<u64>,
    /// What is counted among the requests.
    wanted: Option<&'static [u8]>,
    found: AtomicUsize,
}

impl Proxy {
    /// Leads to the server of a URL, and answers the URL that leads through it.
    pub async fn before(url: &str) -> (Self, String) {
        Proxy::counting(url, None).await
    }

    /// The same, and counts how often these bytes are in the requests.
    pub async fn counting(url: &str, wanted: Option<&'static [u8]>) -> (Self, String) {
        let mut url = Url::parse(url).unwrap();
        let port = url.port().unwrap_or(if url.scheme() == "amqp" { 5672 } else { 5432 });
        let server = (url.host_str().unwrap().to_owned(), port);
        let proxy = Proxy::start(server, wanted).await;
        url.set_ip_host(proxy.address.ip()).unwrap();
        url.set_port(Some(proxy.address.port())).unwrap();
        (proxy, url.to_string())
    }

    async fn start(server: (String, u16), wanted: Option<&'static [u8]>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let faults = Arc::new(Faults {
            server,
            latency_ms: AtomicU64::new(0),
            refuses: AtomicBool::new(false),
            stalled: watch::Sender::new(false),
            cuts: watch::Sender::new(0),
            passing: [AtomicI64::new(-1), AtomicI64::new(-1)],
            fired: watch::Sender::new(0),
            wanted,
            found: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn(accept(listener, faults.clone()));
        Proxy { address, faults, accepting }
    }

    /// Each piece takes this long, both ways.
    pub fn delay(&self, latency: Duration) {
        self.faults.latency_ms.store(latency.as_millis().try_into().unwrap(), Ordering::Relaxed);
    }

    /// Nothing passes until it is told otherwise; connections stay.
    pub fn stall(&self, stalled: bool) {
        self.faults.stalled.send_replace(stalled);
    }

    /// Takes no further connections until it is told otherwise.
    pub fn refuse(&self, refuses: bool) {
        self.faults.refuses.store(refuses, Ordering::Relaxed);
    }

    /// Closes all connections.
    pub fn cut(&self) {
        self.faults.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Lets so many bytes pass one way, then cuts the connection that carries the next ones. What the server
    /// answered after them is lost: a COMMIT that was done, a message that was taken.
    pub fn cut_after(&self, way: Way, bytes: u64) {
        self.faults.passing[way as usize].store(bytes.try_into().unwrap(), Ordering::Relaxed);
    }

    /// Waits for the cut that was asked for last. Whether it came.
    pub async fn was_cut(&self, within: Duration) -> bool {
        let mut fired = self.faults.fired.subscribe();
        let armed = || self.faults.passing.iter().any(|left| left.load(Ordering::Relaxed) >= 0);
        let waiting = async {
            while armed() {
                fired.changed().await.unwrap();
            }
        };
        let came = tokio::time::timeout(within, waiting).await.is_ok();
        self.faults.passing.iter().for_each(|left| left.store(-1, Ordering::Relaxed));
        came
    }

    /// How often the requests had what is counted, up to now.
    pub fn counted(&self) -> usize {
        self.faults.found.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, faults: Arc<Faults>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        if faults.refuses.load(Ordering::Relaxed) {
            continue;
        }
        let faults = faults.clone();
        tokio::spawn(async move {
            let mut cuts = faults.cuts.subscribe();
            // Without a server the client finds its connection closed.
            let Ok(server) = TcpStream::connect(faults.server.clone()).await else { return };
            // A delay of the proxy's own is not asked for.
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            tokio::select! {
                () = pump(from_client, to_server, Way::Requests, &faults) => {}
                () = pump(from_server, to_client, Way::Replies, &faults) => {}
                _ = cuts.changed() => {}
            }
        });
    }
}

/// Carries bytes one way until an end is closed or the connection is to be cut.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, way: Way, faults: &Faults) {
    let (mut piece, mut last) = (vec![0; PIECE], Vec::new());
    let mut stalled = faults.stalled.subscribe();
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let latency = faults.latency_ms.load(Ordering::Relaxed);
        if latency > 0 {
            tokio::time::sleep(Duration::from_millis(latency)).await;
        }
        if stalled.wait_for(|stalled| !stalled).await.is_err() {
            return;
        }
        if way == Way::Requests {
            faults.count(&mut last, &piece[..length]);
        }
        let passes = faults.passes(way, length);
        let written = to.write_all(&piece[..passes]).await;
        if passes < length {
            // It reads what passed, then the end.
            let _ = to.flush().await;
            faults.fired.send_modify(|fired| *fired += 1);
            return;
        }
        if written.is_err() {
            return;
        }
    }
}

impl Faults {
    /// Counts what is wanted, also where it comes in two pieces: `last` is the end of what came before.
    fn count(&self, last: &mut Vec<u8>, piece: &[u8]) {
        let Some(wanted) = self.wanted else { return };
        last.extend(piece);
        let found = last.windows(wanted.len()).filter(|window| *window == wanted).count();
        self.found.fetch_add(found, Ordering::SeqCst);
        last.drain(..last.len().saturating_sub(wanted.len() - 1));
    }

    /// How many of these bytes pass.
    fn passes(&self, way: Way, length: usize) -> usize {
        let left = &self.passing[way as usize];
        let wanted = i64::try_from(length).unwrap();
        let after = |left: i64| match left {
            ..0 => None,
            left if left < wanted => Some(-1),
            left => Some(left - wanted),
        };
        match left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, after) {
            Ok(left) => usize::try_from(left.min(wanted)).unwrap(),
            Err(_) => length,
        }
    }
}
