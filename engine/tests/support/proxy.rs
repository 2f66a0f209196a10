//! A proxy that can cut its connections, and counts acknowledgements.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use lapin::uri::AMQPUri;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// The size of the frame, then class and method of `basic.ack`.
const ACKNOWLEDGEMENT: [u8; 8] = [0, 0, 0, 13, 0, 60, 0, 80];

pub struct Proxy {
    url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    refuses: AtomicBool,
    cut: Notify,
    acknowledgements: AtomicUsize,
}

impl Proxy {
    pub async fn before(url: &str) -> Self {
        let mut uri: AMQPUri = url.parse().unwrap();
        let target = (uri.authority.host.clone(), uri.authority.port);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        uri.authority.host = "127.0.0.1".to_owned();
        uri.authority.port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(listen(listener, target, Arc::clone(&shared)));
        Proxy { url: uri.to_string(), shared, task }
    }

    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Cuts all connections, and closes new ones at once.
    pub fn refuse(&self) {
        self.shared.refuses.store(true, Ordering::SeqCst);
        self.shared.cut.notify_waiters();
    }

    pub fn accept(&self) {
        self.shared.refuses.store(false, Ordering::SeqCst);
    }

    /// Frames that acknowledge, up to now.
    pub fn acknowledgements(&self) -> usize {
        self.shared.acknowledgements.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(listener: TcpListener, target: (String, u16), shared: Arc<Shared>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        if shared.refuses.load(Ordering::SeqCst) {
            continue;
        }
        let (target, shared) = (target.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            let server = TcpStream::connect(target).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::select! {
                () = shared.cut.notified() => {}
                _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
                _ = async {
                    let mut seen = Vec::new();
                    let mut buffer = vec![0; 65_536];
                    while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
                        count_acknowledgements(&mut seen, &buffer[..count], &shared);
                        if to_server.write_all(&buffer[..count]).await.is_err() {
                            break;
                        }
                    }
                } => {}
            }
        });
    }
}

/// Also those that arrive in two pieces.
fn count_acknowledgements(seen: &mut Vec<u8>, bytes: &[u8], shared: &Shared) {
    seen.extend(bytes);
    let found = seen.windows(ACKNOWLEDGEMENT.len()).filter(|window| *window == ACKNOWLEDGEMENT).count();
    shared.acknowledgements.fetch_add(found, Ordering::SeqCst);
    seen.drain(..seen.len().saturating_sub(ACKNOWLEDGEMENT.len() - 1));
}
